/* The list of findings, of which only the rows in sight exist, and the panel of one finding. */
let current = -1;
const height = () => (innerWidth <= 900 ? 76 : 36);

const best = (row) => row[6].reduce((a, b) => (a === null || strings[b[1]].length > strings[a[1]].length ? b : a), null);
const drawRow = (place) => {
  const row = rows[shown[place]], rule = rules[row[0]], match = best(row);
  const why = match ? [`${strings[match[0]] || words.keyword}: `, ...highlighted(strings[match[1]], places(strings[match[1]], [match]), 120)] : [strings[row[7]]];
  const who = [strings[row[2]], strings[row[3]]].filter(Boolean).join(" · ");
  return make("div", { class: `row${place === current ? " current" : ""}`, role: "option", id: `row-${place}`, "aria-selected": String(place === current), "aria-posinset": String(place + 1), "aria-setsize": String(shown.length), on: { click: () => open(place) } },
    make("span", { class: "time" }, when(row[1])), make("span", { class: `level ${rule.level}` }, words[rule.level]), make("span", { class: "what", title: rule.title }, rule.title),
    make("span", { class: who ? "host" : "host nobody", title: who }, who || "–"), make("span", { class: "value" }, ...why));
};
const drawRows = () => {
  const scroller = $("scroller"), size = height();
  const first = Math.max(0, Math.floor(scroller.scrollTop / size) - 8), last = Math.min(shown.length, first + Math.ceil(scroller.clientHeight / size) + 16);
  $("space").style.height = `${Math.max(shown.length * size, 1)}px`;
  $("rows").style.transform = `translateY(${first * size}px)`;
  const out = [];
  for (let place = first; place < last; place += 1) out.push(drawRow(place));
  $("rows").replaceChildren(...out);
  scroller.hidden = !shown.length;
  $("empty").hidden = Boolean(shown.length);
  if (current >= first && current < last) scroller.setAttribute("aria-activedescendant", `row-${current}`);
  else scroller.removeAttribute("aria-activedescendant");
};
const showPlace = (place) => {
  const scroller = $("scroller"), size = height();
  if (place * size < scroller.scrollTop) scroller.scrollTop = place * size;
  else if ((place + 1) * size > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = (place + 1) * size - scroller.clientHeight;
};

const chunks = new Map();
const eventOf = async (at) => {
  const chunk = Math.floor(at / summary.chunk);
  if (!chunks.has(chunk)) { if (chunks.size > 8) chunks.clear(); chunks.set(chunk, await unpack(`events-${chunk}`)); }
  return chunks.get(chunk)[at % summary.chunk];
};
const flat = (value, prefix, out) => {
  if (value !== null && typeof value === "object" && !Array.isArray(value)) for (const [name, inner] of Object.entries(value)) flat(inner, prefix ? `${prefix}.${name}` : name, out);
  else out.push([prefix, typeof value === "string" ? value : JSON.stringify(value)]);
  return out;
};
const pairs = (list, plain) => make("dl", plain ? { class: "plain" } : {}, ...list.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, ...(Array.isArray(value) ? value : [value]))]));
/* The matches that a field of the event answers for: by its name, its last part, or its very value; keywords anywhere. */
const answered = (name, value, matches) => matches.filter(([field, text]) => {
  const sought = strings[field];
  return !sought || sought === name || name.endsWith(`.${sought}`) || strings[text] === value;
});
const copy = async (text, node) => {
  try { await navigator.clipboard.writeText(text); } catch {
    const area = make("textarea", {}, text);
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  node.textContent = words.copied;
};

const open = async (place) => {
  if (place < 0 || place >= shown.length) return;
  current = place;
  const at = shown[place], row = rows[at], rule = rules[row[0]];
  const [event, members] = await eventOf(at);
  if (current !== place || shown[place] !== at) return;
  const chosen = (key, column) => (row[column] ? button({ class: "link", "aria-pressed": String(state[key] === row[column]) }, () => toggle(key, row[column]), strings[row[column]]) : "–");
  const copied = { rule_id: rule.id, title: rule.title, level: rule.level, tags: rule.tags, time: row[1] === null ? "" : new Date(row[1]).toISOString(), host: strings[row[2]], user: strings[row[3]], path: strings[row[4]], record: row[5],
    matched: row[6].map(([field, value, pattern]) => ({ field: strings[field], value: strings[value], pattern: strings[pattern] })), event, ...(members.length ? { events: members } : {}) };
  const out = [
    make("div", { class: "head" },
      button({ "aria-label": words.previous, title: words.previous, ...(place ? {} : { disabled: "" }) }, () => open(place - 1), "‹"),
      button({ "aria-label": words.next, title: words.next, ...(place < shown.length - 1 ? {} : { disabled: "" }) }, () => open(place + 1), "›"),
      make("span", { class: "meta" }, `${number(place + 1)} / ${number(shown.length)}`),
      button({ class: "close", "aria-label": words.close, title: words.close }, close, "×")),
    make("h2", {}, rule.title), make("p", { class: `level ${rule.level}` }, words[rule.level]),
    make("div", { class: "doings" }, button({}, (click) => copy(JSON.stringify(copied, null, 2), click.currentTarget), words.copy),
      button({ "aria-pressed": String(state.rule === row[0]) }, () => toggle("rule", row[0]), words.only), button({}, () => { state.hidden.add(row[0]); close(); refresh(); }, words.hide)),
    pairs([[words.time, when(row[1])], [words.host, chosen("host", 2)], [words.user, chosen("user", 3)], [words.path, strings[row[4]]], [words.record, String(row[5])],
      ["ATT&CK", rule.techniques.map((id) => `${id} ${data.techniques[id] || ""}`.trim()).join("\n") || "–"]], true)];
  if (row[6].length) out.push(make("h3", {}, words.why), pairs(row[6].map((match) => [strings[match[0]] || words.keyword,
    [...highlighted(strings[match[1]], places(strings[match[1]], [match])), make("span", { class: "meta" }, `\n${words.pattern}: ${strings[match[2]]}`)]])));
  out.push(make("h3", {}, members.length ? words.figures : words.event), pairs(flat(event, "", []).map(([name, value]) => [name, highlighted(value, places(value, answered(name, value, row[6])))])));
  if (members.length) out.push(make("h3", {}, `${words.members} (${number(members.length)})`), pairs(members.map((m) => [m.time ? when(Date.parse(m.time)) : words.noTime, `${(data.titles[m.rule_id] || m.rule_id)}\n${m.path}, ${words.record.toLowerCase()} ${m.record}`]), true));
  const about = [[words.id, rule.id]];
  if (rule.description) about.unshift([words.description, rule.description]);
  if (rule.falsepositives.length) about.push([words.falsepositives, rule.falsepositives.join("\n")]);
  if (rule.references.length) about.push([words.references, rule.references.flatMap((link) => [/^https?:\/\//i.test(link) ? make("a", { href: link, rel: "noreferrer noopener", target: "_blank" }, link) : link, "\n"])]);
  if (rule.author) about.push([words.author, rule.author]);
  out.push(make("h3", {}, words.about), pairs(about, true));
  const panel = $("panel");
  const held = panel.contains(document.activeElement);
  panel.setAttribute("aria-label", words.details);
  panel.replaceChildren(...out);
  panel.scrollTop = 0;
  if (panel.hidden) {
    panel.hidden = false;
    $("body").classList.add("open");
    if (innerWidth <= 1100) panel.focus();
    else $("findings").scrollIntoView({ block: "nearest" });
  } else if (held) panel.focus();
  showPlace(place);
  drawRows();
};
const close = () => {
  if ($("panel").hidden) return;
  $("panel").hidden = true;
  $("body").classList.remove("open");
  $("scroller").focus({ preventScroll: true });
  drawRows();
};
