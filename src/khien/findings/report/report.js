"use strict";
(async () => {
  const $ = (id) => document.getElementById(id);
  const LEVELS = ["critical", "high", "medium", "low", "informational"];
  const make = (tag, options = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(options)) {
      if (name === "class") node.className = value;
      else if (name === "on") for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
      else if (name in node && name !== "role") node[name] = value;
      else node.setAttribute(name, value);
    }
    node.append(...children);
    return node;
  };
  const unpack = async (id) => {
    const bytes = Uint8Array.from(atob($(id).textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  const data = await unpack("index");
  const { rules, strings, summary } = data;
  const rows = data.findings;
  const haystack = rows.map((row) => [rules[row[0]].title, rules[row[0]].id, strings[row[2]], strings[row[3]], strings[row[4]],
    ...rules[row[0]].techniques, ...row[6].map((m) => m[1])].join("\n").toLowerCase());

  const remembered = (key, other) => { try { return localStorage.getItem(key) || other; } catch { return other; } };
  const remember = (key, value) => { try { localStorage.setItem(key, value); } catch { /* a page from disk may have no storage */ } };
  let language = remembered("khien-language", "vi");
  let theme = remembered("khien-theme", "auto");
  let words = data.words[language];
  const state = { levels: new Set(), text: "", host: null, user: null, rule: null, tactic: null, technique: null, from: null, to: null };
  let shown = [];
  let current = -1;

  const number = (value) => value.toLocaleString(language === "vi" ? "vi-VN" : "en-GB");
  const format = new Intl.DateTimeFormat("en-CA", { timeZone: summary.zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  const when = (ms) => {
    if (ms === null) return words.noTime;
    const p = Object.fromEntries(format.formatToParts(ms).map((x) => [x.type, x.value]));
    return language === "vi" ? `${p.day}/${p.month}/${p.year} ${p.hour}:${p.minute}:${p.second}` : `${p.year}-${p.month}-${p.day} ${p.hour}:${p.minute}:${p.second}`;
  };
  const bytes = (size) => { const units = ["B", "kB", "MB", "GB"]; let at = 0; while (size >= 1000 && at < 3) { size /= 1000; at += 1; } return `${number(Math.round(size * 10) / 10)} ${units[at]}`; };

  /* The literal pieces of a pattern, to be highlighted in a value. */
  const literals = (pattern) => pattern.replace(/\\([*?])/g, "\u0001$1").split(/(?<!\u0001)[*?]/).map((p) => p.replace(/\u0001/g, "").toLowerCase()).filter((p) => p.length > 0);
  const highlighted = (text, patterns) => {
    const lower = text.toLowerCase();
    const marks = [];
    if (lower.length === text.length) for (const pattern of patterns) {
      if (pattern.startsWith("/")) continue;
      let from = 0;
      for (const piece of literals(pattern)) {
        const at = lower.indexOf(piece, from);
        if (at < 0) break;
        marks.push([at, at + piece.length]);
        from = at + piece.length;
      }
    }
    marks.sort((a, b) => a[0] - b[0]);
    const out = [];
    let at = 0;
    for (const [from, to] of marks) {
      if (to <= at) continue;
      out.push(text.slice(at, Math.max(from, at)), make("mark", {}, text.slice(Math.max(from, at), to)));
      at = to;
    }
    out.push(text.slice(at));
    return out;
  };

  const passes = (row, at, skip) => {
    const rule = rules[row[0]];
    if (skip !== "level" && state.levels.size && !state.levels.has(rule.level)) return false;
    if (skip !== "host" && state.host !== null && row[2] !== state.host) return false;
    if (skip !== "user" && state.user !== null && row[3] !== state.user) return false;
    if (skip !== "rule" && state.rule !== null && row[0] !== state.rule) return false;
    if (skip !== "attack") {
      if (state.tactic !== null && !rule.tactics.includes(state.tactic)) return false;
      if (state.technique !== null && !rule.techniques.includes(state.technique)) return false;
    }
    if (skip !== "time" && state.from !== null && (row[1] === null || row[1] < state.from || row[1] > state.to)) return false;
    return !state.text || state.text.split(/\s+/).every((word) => haystack[at].includes(word));
  };
  const selected = (skip) => rows.filter((row, at) => passes(row, at, skip));

  const toggle = (key, value) => { state[key] = state[key] === value ? null : value; refresh(); };

  const drawFigures = () => {
    const parts = [[words.findings, number(summary.findings)], [words.events, number(summary.events)], [words.files, number(summary.files)],
      [words.size, bytes(summary.size)], [words.ruleCount, number(summary.rules + summary.correlations)], [words.seconds, `${number(summary.seconds)} s`]];
    $("figures").replaceChildren(...parts.map(([label, value]) => make("div", {}, make("b", {}, value), make("span", { class: "meta" }, label))));
    const notes = [];
    if (summary.shown < summary.findings) notes.push(make("p", { class: "note" }, `${words.limited} ${number(summary.shown)} ${words.of} ${number(summary.findings)}.`));
    if (summary.problemCount) notes.push(make("div", { class: "note" }, `${words.problems} ${number(summary.problemCount)}`, make("ul", {}, ...summary.problems.map((p) => make("li", {}, p)))));
    if (summary.unusable) notes.push(make("p", { class: "note" }, `${number(summary.unusable)} ${words.unusable}.`));
    $("notes").replaceChildren(...notes);
    const times = rows.map((row) => row[1]).filter((t) => t !== null);
    const bounds = times.length ? [times.reduce((a, b) => Math.min(a, b)), times.reduce((a, b) => Math.max(a, b))] : null;
    $("period").textContent = `${bounds ? `${when(bounds[0])} – ${when(bounds[1])} · ` : ""}${words.zone} ${summary.zone} · Khiên ${summary.version}`;
    return bounds;
  };

  const svg = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  let bounds = null;
  const drawTimeline = () => {
    $("whole").hidden = state.from === null;
    if (!bounds) { $("timeline").replaceChildren(words.none); return; }
    const from = state.from ?? bounds[0], to = Math.max(state.to ?? bounds[1], from + 1000);
    const count = 120, bars = Array.from({ length: count }, () => [0, 0, 0, 0, 0]);
    for (const row of selected("time")) {
      if (row[1] === null || row[1] < from || row[1] > to) continue;
      bars[Math.min(count - 1, Math.floor((row[1] - from) / (to - from) * count))][LEVELS.indexOf(rules[row[0]].level)] += 1;
    }
    const highest = Math.max(1, ...bars.map((bar) => bar.reduce((a, b) => a + b)));
    const chart = svg("svg", { viewBox: `0 0 ${count} 100`, preserveAspectRatio: "none", role: "img", "aria-label": `${words.timeline}: ${number(rows.length)} ${words.findings.toLowerCase()}` });
    bars.forEach((bar, at) => {
      let top = 100;
      [...bar].reverse().forEach((value, back) => {
        if (!value) return;
        const height = Math.max(value / highest * 96, 1.5);
        top -= height;
        const rect = svg("rect", { x: at + 0.08, y: top, width: 0.84, height });
        rect.style.fill = `var(--${LEVELS[4 - back]})`;
        chart.append(rect);
      });
    });
    let start = null;
    const brush = svg("rect", { y: 0, height: 100, width: 0, x: 0 });
    brush.style.fill = "var(--accent)"; brush.style.opacity = "0.2";
    chart.append(brush);
    const place = (event) => { const box = chart.getBoundingClientRect(); return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)); };
    chart.addEventListener("pointerdown", (event) => { start = place(event); chart.setPointerCapture(event.pointerId); });
    chart.addEventListener("pointermove", (event) => {
      if (start === null) return;
      const end = place(event);
      brush.setAttribute("x", Math.min(start, end) * count); brush.setAttribute("width", Math.abs(end - start) * count);
    });
    chart.addEventListener("pointerup", (event) => {
      if (start === null) return;
      const end = place(event), low = Math.min(start, end), high = Math.max(start, end);
      start = null;
      if (high - low < 0.008) { brush.setAttribute("width", 0); return; }
      state.from = from + low * (to - from); state.to = from + high * (to - from);
      refresh();
    });
    $("timeline").replaceChildren(chart, make("div", { class: "axis" }, make("span", {}, when(from)), make("span", {}, when((from + to) / 2)), make("span", {}, when(to))));
  };

  const drawAttack = () => {
    const tactic = new Map(), technique = new Map();
    for (const row of selected("attack")) {
      const rule = rules[row[0]];
      for (const name of rule.tactics) {
        tactic.set(name, (tactic.get(name) || 0) + 1);
        for (const id of rule.techniques) {
          if (!technique.has(name)) technique.set(name, new Map());
          technique.get(name).set(id, (technique.get(name).get(id) || 0) + 1);
        }
      }
    }
    const known = data.tactics.filter(([name]) => tactic.has(name) || !["stealth", "defense-impairment"].includes(name));
    $("attack").replaceChildren(...known.map(([name, , title]) => {
      if (!tactic.has(name)) return make("div", { class: "none" }, make("span", { class: "tactic" }, title), " –");
      const list = [...(technique.get(name) || new Map())].sort((a, b) => b[1] - a[1]).slice(0, 6);
      return make("div", {}, make("button", { type: "button", class: "tactic", "aria-pressed": String(state.tactic === name), on: { click: () => toggle("tactic", name) } }, make("span", {}, title), make("span", {}, number(tactic.get(name)))),
        ...list.map(([id, count]) => make("button", { type: "button", "aria-pressed": String(state.technique === id), on: { click: () => toggle("technique", id) } }, make("span", {}, id), make("span", { class: "meta" }, number(count)))));
    }));
  };

  const drawRanking = (id, key, column, label) => {
    const counts = new Map();
    for (const row of selected(key)) if (key === "rule" || row[column]) counts.set(row[column], (counts.get(row[column]) || 0) + 1);
    const ranked = [...counts].sort((a, b) => b[1] - a[1]);
    const highest = ranked.length ? ranked[0][1] : 1;
    $(id).replaceChildren(...ranked.slice(0, 50).map(([value, count]) => {
      const bar = make("span", { class: "bar" });
      bar.style.width = `${count / highest * 100}%`;
      return make("button", { type: "button", title: label(value), "aria-pressed": String(state[key] === value), on: { click: () => toggle(key, value) } },
        make("span", { class: "name" }, label(value)), make("span", {}, number(count)), bar);
    }), ...(ranked.length > 50 ? [make("p", { class: "meta" }, `${words.more} ${number(ranked.length - 50)} ${words.others}`)] : []), ...(ranked.length ? [] : [make("p", { class: "meta" }, "–")]));
  };

  const drawFilters = () => {
    const counts = {};
    for (const row of selected("level")) counts[rules[row[0]].level] = (counts[rules[row[0]].level] || 0) + 1;
    $("levels").replaceChildren(...LEVELS.filter((level) => data.levels[level]).map((level) => make("button", { type: "button", class: `level ${level}`, "aria-pressed": String(state.levels.has(level)), on: { click: () => { state.levels.has(level) ? state.levels.delete(level) : state.levels.add(level); refresh(); } } }, `${words[level]} ${number(counts[level] || 0)}`)));
    const chips = [["host", (v) => strings[v]], ["user", (v) => strings[v]], ["rule", (v) => rules[v].title], ["tactic", (v) => v], ["technique", (v) => v]].filter(([key]) => state[key] !== null);
    $("chips").replaceChildren(...chips.map(([key, label]) => make("button", { type: "button", "aria-label": `${words.remove}: ${label(state[key])}`, on: { click: () => toggle(key, state[key]) } }, `${label(state[key])} ×`)));
  };

  const scroller = $("scroller"), list = $("rows");
  const height = () => (matchMedia("(max-width:900px)").matches ? 68 : 36);
  const drawRows = () => {
    const size = height(), first = Math.max(0, Math.floor(scroller.scrollTop / size) - 8), last = Math.min(shown.length, first + Math.ceil(scroller.clientHeight / size) + 16);
    $("space").style.height = `${Math.max(shown.length * size, 1)}px`;
    list.style.transform = `translateY(${first * size}px)`;
    list.replaceChildren(...shown.slice(first, last).map((at, offset) => {
      const row = rows[at], rule = rules[row[0]], place = first + offset;
      const best = row[6].reduce((a, b) => (b[1].length > (a ? a[1].length : -1) ? b : a), null);
      return make("div", { class: `row${place === current ? " current" : ""}`, role: "listitem", on: { click: () => open(place) } },
        make("span", { class: "time" }, when(row[1])), make("span", { class: `level ${rule.level}` }, words[rule.level]), make("span", { class: "what", title: rule.title }, rule.title),
        make("span", { class: "host" }, strings[row[2]] || "–"), make("span", { class: "value" }, best ? `${best[0] || words.keyword}: ${best[1].slice(0, 200)}` : ""));
    }));
    if (!shown.length) list.replaceChildren(make("p", { class: "meta", role: "listitem" }, words.none));
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
  const open = async (place) => {
    if (place < 0 || place >= shown.length) return;
    current = place;
    const at = shown[place], row = rows[at], rule = rules[row[0]];
    const [event, members] = await eventOf(at);
    const patterns = new Map();
    for (const [field, , pattern] of row[6]) patterns.set(field, [...(patterns.get(field) || []), pattern]);
    const closeButton = make("button", { type: "button", class: "close", "aria-label": words.close, on: { click: close } }, "×");
    const parts = [closeButton, make("h2", {}, rule.title), make("p", { class: "meta" }, make("span", { class: `level ${rule.level}` }, words[rule.level]), ` · ${rule.id}`),
      pairs([[words.time, when(row[1])], [words.host, strings[row[2]] || "–"], [words.user, strings[row[3]] || "–"], [words.path, strings[row[4]]], [words.record, number(row[5])], ["ATT&CK", rule.techniques.join(" ") || "–"]], true)];
    if (row[6].length) parts.push(make("h3", {}, words.why), pairs(row[6].map(([field, value, pattern]) => [field || words.keyword, [...highlighted(value, [pattern]), make("span", { class: "meta" }, `\n${words.pattern}: ${pattern}`)]])));
    if (members.length) parts.push(make("h3", {}, words.members), pairs(members.map((m) => [m.time, `${m.rule_id} ${m.path} ${m.record}`])));
    parts.push(make("h3", {}, words.event), pairs(flat(event, "", []).map(([name, value]) => [name, patterns.has(name) ? highlighted(value, patterns.get(name)) : value])));
    const about = [];
    if (rule.description) about.push([words.description, rule.description]);
    if (rule.falsepositives.length) about.push([words.falsepositives, rule.falsepositives.join("\n")]);
    if (rule.references.length) about.push([words.references, rule.references.map((link) => (/^https?:\/\//.test(link) ? make("a", { href: link, rel: "noreferrer noopener", target: "_blank" }, `${link}\n`) : `${link}\n`))]);
    if (rule.author) about.push([words.author, rule.author]);
    if (about.length) parts.push(make("h3", {}, words.about), pairs(about, true));
    const wasHidden = $("panel").hidden;
    $("panel").replaceChildren(...parts);
    $("panel").hidden = false;
    if (wasHidden) $("panel").scrollTop = 0;
    const size = height();
    if (place * size < scroller.scrollTop) scroller.scrollTop = place * size;
    else if ((place + 1) * size > scroller.scrollTop + scroller.clientHeight) scroller.scrollTop = (place + 1) * size - scroller.clientHeight;
    drawRows();
  };
  const close = () => { $("panel").hidden = true; scroller.focus(); };

  const refresh = () => {
    shown = [];
    rows.forEach((row, at) => { if (passes(row, at)) shown.push(at); });
    current = -1;
    drawTimeline(); drawAttack(); drawFilters();
    drawRanking("hosts", "host", 2, (v) => strings[v]); drawRanking("users", "user", 3, (v) => strings[v]); drawRanking("rules", "rule", 0, (v) => rules[v].title);
    $("count").textContent = `${number(shown.length)} ${words.of} ${number(summary.findings)}`;
    scroller.scrollTop = 0;
    drawRows();
  };
  const speak = () => {
    words = data.words[language];
    document.documentElement.lang = language;
    document.documentElement.dataset.theme = theme;
    document.title = `${words.title} · Khiên`;
    for (const node of document.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
    $("search").placeholder = words.search; $("search").setAttribute("aria-label", words.search);
    $("language").textContent = words.language; $("theme").textContent = `${words.theme}: ${words[theme]}`;
    bounds = drawFigures();
    refresh();
  };
  $("language").addEventListener("click", () => { language = language === "vi" ? "en" : "vi"; remember("khien-language", language); speak(); });
  $("theme").addEventListener("click", () => { theme = { auto: "light", light: "dark", dark: "auto" }[theme]; remember("khien-theme", theme); speak(); });
  $("whole").addEventListener("click", () => { state.from = state.to = null; refresh(); });
  let waiting = 0;
  $("search").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(() => { state.text = $("search").value.trim().toLowerCase(); refresh(); }, 120); });
  scroller.addEventListener("scroll", drawRows, { passive: true });
  addEventListener("resize", drawRows);
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("input")) { if (event.key === "Escape") event.target.blur(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") { event.preventDefault(); $("search").focus(); }
    else if (event.key === "j" || event.key === "k") { const next = Math.min(shown.length - 1, Math.max(0, current + (event.key === "j" ? 1 : -1))); if ($("panel").hidden) { current = next; drawRows(); } else open(next); }
    else if (event.key === "Enter" && event.target === scroller) open(Math.max(0, current));
    else if (event.key === "Escape") close();
  });
  $("loading").remove();
  $("content").hidden = false;
  speak();
})();
