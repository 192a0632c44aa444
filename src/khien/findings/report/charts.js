/* The overview: figures, filters, timeline, ATT&CK strip, hosts, users and rules. */
const toggle = (key, value) => { state[key] = state[key] === value ? null : value; refresh(); };

const drawFigures = () => {
  const figures = [[words.findings, number(summary.findings)], [words.events, number(summary.events)], [words.files, number(summary.files)],
    [words.size, bytesText(summary.size)], [words.ruleCount, number(summary.rules + summary.correlations)], [words.seconds, secondsText(summary.seconds)]];
  $("figures").replaceChildren(make("h2", { class: "unseen", id: "figures-title" }, words.overview),
    ...figures.map(([label, value]) => make("div", {}, make("b", {}, value), make("span", { class: "meta" }, label))));
  const notes = [];
  if (!summary.findings) notes.push(make("p", { class: "note" }, words.clean));
  if (summary.shown < summary.findings) notes.push(make("p", { class: "note" }, `${words.limited} ${number(summary.shown)} ${words.of} ${number(summary.findings)}.`));
  if (summary.problemCount) {
    const more = summary.problemCount - summary.problems.length;
    notes.push(make("div", { class: "note" }, `${words.problems} ${number(summary.problemCount)}`,
      make("ul", { tabindex: "0", "aria-label": words.problems }, ...summary.problems.map((problem) => make("li", {}, problem)), ...(more ? [make("li", {}, `${number(more)} ${words.moreProblems}`)] : []))));
  }
  if (summary.unusable) notes.push(make("p", { class: "note" }, `${number(summary.unusable)} ${words.unusable}.`));
  $("notes").replaceChildren(...notes);
  $("period").textContent = [bounds ? `${when(bounds[0])} – ${when(bounds[1])}` : null, `${words.zone} ${summary.zone}`,
    summary.finished ? `${words.made} ${when(Date.parse(summary.finished))}` : null, `Khiên ${summary.version}`].filter(Boolean).join(" · ");
  $("searched").textContent = summary.paths.length ? `${words.searched} ${summary.paths.join(", ")}` : "";
};

/* The first and last time of the findings; null when none has a time. */
let bounds = null;
const findBounds = () => {
  let low = Infinity, high = -Infinity;
  for (const row of rows) if (row[1] !== null) { low = Math.min(low, row[1]); high = Math.max(high, row[1]); }
  bounds = low <= high ? [low, high] : null;
};

const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000, 7776000, 31536000].map((s) => s * 1000);
const MOST_BARS = 120;
const stepText = (step) => {
  const s = step / 1000;
  const [value, unit] = s % 86400 === 0 ? [s / 86400, words.day] : s % 3600 === 0 ? [s / 3600, words.hour] : s % 60 === 0 ? [s / 60, words.min] : [s, words.sec];
  return `${words.perBar} ${number(value)} ${unit}`;
};
const svg = (tag, attributes) => {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
};
/* How far the zone is ahead of UTC at a time, so that bars begin at whole hours and days of the zone. */
const ahead = (ms) => { const p = parts(ms); return Date.UTC(p.year, p.month - 1, p.day, p.hour, p.minute, p.second) - Math.floor(ms / 1000) * 1000; };

const drawTimeline = () => {
  $("whole").hidden = state.from === null;
  if (!bounds) { $("timeline").replaceChildren(make("p", { class: "meta" }, words.nothing)); $("step").textContent = ""; return; }
  const first = state.from ?? bounds[0], last = state.to === null ? bounds[1] : state.to - 1;
  const step = STEPS.find((each) => (last - first) / each <= MOST_BARS - 2) ?? Math.ceil((last - first) / (MOST_BARS - 2));
  const shift = step < 604_800_000 ? ahead(first) : 0;
  const from = Math.floor((first + shift) / step) * step - shift;
  const count = Math.max(1, Math.floor((last - from) / step) + 1), to = from + count * step;
  const bars = Array.from({ length: count }, () => [0, 0, 0, 0, 0]);
  let untimed = 0;
  for (let at = 0; at < rows.length; at += 1) {
    if (fails[at] & ~TIME) continue;
    const time = rows[at][1];
    if (time === null) untimed += 1;
    else if (time >= from && time < to) bars[Math.floor((time - from) / step)][LEVELS.indexOf(rules[rows[at][0]].level)] += 1;
  }
  const totals = bars.map((bar) => bar.reduce((a, b) => a + b));
  const highest = Math.max(1, ...totals);
  $("step").textContent = `${stepText(step)}${untimed ? ` · ${number(untimed)} ${words.untimed}` : ""}`;
  const chart = svg("svg", { viewBox: `0 0 ${count} 100`, preserveAspectRatio: "none", tabindex: "0", role: "slider", "aria-label": `${words.timeline}. ${words.timelineHelp}`, "aria-valuemin": "0", "aria-valuemax": String(count - 1) });
  bars.forEach((bar, at) => {
    let top = 100;
    for (let level = 4; level >= 0; level -= 1) {
      if (!bar[level]) continue;
      const height = Math.max(bar[level] / highest * 94, 2);
      top -= height;
      const rect = svg("rect", { x: at + 0.06, y: top, width: 0.88, height });
      rect.style.fill = `var(--${LEVELS[level]})`;
      chart.append(rect);
    }
  });
  const brush = svg("rect", { y: 0, height: 100, width: 0, x: 0 });
  brush.style.fill = "var(--accent)";
  brush.style.opacity = "0.22";
  chart.append(brush);
  const tip = make("span", { class: "tip meta" });
  let pointed = totals.findIndex((total) => total);
  const point = (at) => {
    pointed = Math.min(count - 1, Math.max(0, at));
    const named = LEVELS.map((level, place) => (bars[pointed][place] ? `${words[level]} ${number(bars[pointed][place])}` : "")).filter(Boolean).join(", ");
    tip.textContent = `${when(from + pointed * step)} · ${named || "0"}`;
    brush.setAttribute("x", pointed);
    brush.setAttribute("width", 1);
    chart.setAttribute("aria-valuenow", String(pointed));
    chart.setAttribute("aria-valuetext", tip.textContent);
  };
  const choose = (low, high) => { state.from = from + low * step; state.to = from + (high + 1) * step; refresh(); };
  const place = (event) => { const box = chart.getBoundingClientRect(); return Math.min(count - 1, Math.max(0, Math.floor((event.clientX - box.left) / box.width * count))); };
  let start = null;
  chart.addEventListener("pointerdown", (event) => { start = place(event); chart.setPointerCapture(event.pointerId); point(start); });
  chart.addEventListener("pointermove", (event) => {
    const at = place(event);
    point(at);
    if (start === null) return;
    brush.setAttribute("x", Math.min(start, at));
    brush.setAttribute("width", Math.abs(start - at) + 1);
  });
  chart.addEventListener("pointerup", (event) => { if (start !== null) choose(Math.min(start, place(event)), Math.max(start, place(event))); });
  chart.addEventListener("pointercancel", () => { start = null; });
  chart.addEventListener("pointerleave", () => { if (start === null) { tip.textContent = ""; brush.setAttribute("width", 0); } });
  chart.addEventListener("focus", () => point(pointed));
  chart.addEventListener("keydown", (event) => {
    const next = { ArrowRight: pointed + 1, ArrowUp: pointed + 1, ArrowLeft: pointed - 1, ArrowDown: pointed - 1, Home: 0, End: count - 1 }[event.key];
    if (next !== undefined) point(next);
    else if (event.key === "Enter") { choose(pointed, pointed); $("timeline").querySelector("svg")?.focus(); }
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  chart.setAttribute("aria-valuenow", String(Math.max(0, pointed)));
  const marks = innerWidth < 700 ? 3 : 6;
  const labels = Array.from({ length: marks }, (_, at) => make("span", {}, mark(from + (to - from) * at / (marks - 1), step, to - from)));
  $("timeline").replaceChildren(chart, make("div", { class: "axis", "aria-hidden": "true" }, ...labels), tip);
};

const drawAttack = () => {
  const tactic = new Map(), technique = new Map();
  for (const [at, count] of tally(0, ATTACK)) {
    const rule = rules[at];
    for (const name of rule.tactics) tactic.set(name, (tactic.get(name) || 0) + count);
    for (const [id, names] of rule.placed) for (const name of names) {
      if (!technique.has(name)) technique.set(name, new Map());
      technique.get(name).set(id, (technique.get(name).get(id) || 0) + count);
      if (!rule.tactics.includes(name) && !tactic.has(name)) tactic.set(name, 0);
    }
  }
  if (!rules.some((rule) => rule.tactics.length || rule.techniques.length)) { $("attack").replaceChildren(make("p", { class: "meta" }, words.noAttack)); return; }
  $("attack").replaceChildren(...data.tactics.map((name) => {
    const title = words.tactics[name];
    if (!tactic.has(name)) return make("div", { class: "none" }, title);
    const list = [...(technique.get(name) || new Map())].sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
    return make("div", {},
      button({ class: "tactic", "aria-pressed": String(state.tactic === name), title: `${data.tacticTitles[name]} (${number(tactic.get(name))})` }, () => toggle("tactic", name),
        make("span", {}, title), make("span", {}, number(tactic.get(name)))),
      ...list.slice(0, 8).map(([id, count]) => button({ "aria-pressed": String(state.technique === id), title: `${id} ${data.techniques[id] || ""}` }, () => toggle("technique", id),
        make("span", {}, id), make("span", { class: "name" }, data.techniques[id] || ""), make("span", { class: "meta" }, number(count)))),
      ...(list.length > 8 ? [make("p", { class: "meta" }, `+ ${number(list.length - 8)} ${words.others}`)] : []));
  }));
};

const MOST_RANKED = 50;
const drawRanking = (id, key, column, bit, label) => {
  const ranked = [...tally(column, bit)].filter(([value]) => key === "rule" || value).sort((a, b) => b[1] - a[1]);
  const highest = ranked.length ? ranked[0][1] : 1;
  const kept = $(id).scrollTop;
  $(id).replaceChildren(...ranked.slice(0, MOST_RANKED).map(([value, count]) => {
    const bar = make("span", { class: "bar" });
    bar.style.width = `${count / highest * 100}%`;
    const level = key === "rule" ? [make("span", { class: `level ${rules[value].level}`, title: words[rules[value].level] }, make("span", { class: "unseen" }, words[rules[value].level]))] : [];
    return button({ title: label(value), "aria-pressed": String(state[key] === value) }, () => toggle(key, value),
      make("span", { class: "name" }, ...level, label(value)), make("span", {}, number(count)), bar);
  }), ...(ranked.length > MOST_RANKED ? [make("p", { class: "meta" }, `+ ${number(ranked.length - MOST_RANKED)} ${words.others}`)] : []),
  ...(ranked.length ? [] : [make("p", { class: "meta" }, words.nothing)]));
  $(id).scrollTop = kept;
};

const drawFilters = () => {
  const counts = {};
  for (const [at, count] of tally(0, LEVEL)) counts[rules[at].level] = (counts[rules[at].level] || 0) + count;
  $("levels").setAttribute("aria-label", words.levels);
  $("levels").replaceChildren(...LEVELS.filter((level) => data.levels[level]).map((level) => button(
    { class: `level ${level}`, "aria-pressed": String(state.levels.has(level)) },
    () => { if (!state.levels.delete(level)) state.levels.add(level); refresh(); }, `${words[level]} ${number(counts[level] || 0)}`)));
  const chip = (label, click) => button({ "aria-label": `${words.remove}: ${label}`, title: label }, click, `${label} ×`);
  const chips = [["host", (v) => strings[v]], ["user", (v) => strings[v]], ["rule", (v) => rules[v].title], ["tactic", (v) => words.tactics[v]], ["technique", (v) => v]]
    .filter(([key]) => state[key] !== null).map(([key, label]) => chip(label(state[key]), () => toggle(key, state[key])));
  if (state.from !== null) chips.push(chip(`${when(state.from)} – ${when(state.to)}`, () => { state.from = state.to = null; refresh(); }));
  for (const rule of state.hidden) chips.push(chip(`${words.hidden}: ${rules[rule].title}`, () => { state.hidden.delete(rule); refresh(); }));
  if (chips.length > 1) chips.push(button({}, () => { clearFilters(); $("search").value = ""; refresh(); }, words.clear));
  $("chips").replaceChildren(...chips);
  $("count").textContent = `${number(shown.length)} ${words.of} ${number(rows.length)} ${words.shownWord}`;
};
