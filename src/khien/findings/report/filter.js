/* Which findings are shown, and the counts of what one more filter would leave.
   A row is [rule, time in ms or null, host, user, path, record, matches, a correlation's figures]; texts are numbers into `strings`. */
const LEVEL = 1, HOST = 2, USER = 4, RULE = 8, ATTACK = 16, TIME = 32, TEXT = 64;
const state = { levels: new Set(), text: "", host: null, user: null, rule: null, hidden: new Set(), tactic: null, technique: null, from: null, to: null, order: "oldest" };
let shown = [];
/* For each row the filters that it does not pass, as bits. */
let fails;
let textFails = null;

/* Events as lower-case text, read when somebody first searches; null until then. */
let eventTexts = null;
let eventsRead = 0;

/* Words between spaces, phrases between double quotes; a minus before either: must not be there. */
const wanted = (text) => [...text.toLowerCase().matchAll(/(-?)(?:"([^"]*)"?|(\S+))/g)]
  .map(([, minus, phrase, word]) => ({ not: minus === "-", text: phrase ?? word })).filter((each) => each.text);

let lowerStrings, lowerRules;
const searchText = () => {
  lowerStrings ??= strings.map((text) => text.toLowerCase());
  lowerRules ??= rules.map((rule) => [rule.title, rule.id, ...rule.techniques, ...rule.techniques.map((id) => data.techniques[id] || "")].join("\n").toLowerCase());
  textFails = null;
  for (const { not, text } of wanted(state.text)) {
    textFails ??= new Uint8Array(rows.length);
    const inString = Uint8Array.from(lowerStrings, (each) => (each.includes(text) ? 1 : 0));
    const inRule = lowerRules.map((each) => each.includes(text));
    for (let at = 0; at < rows.length; at += 1) {
      if (textFails[at]) continue;
      const row = rows[at];
      const hit = inRule[row[0]] || inString[row[2]] || inString[row[3]] || inString[row[4]] || inString[row[7]]
        || row[6].some((match) => inString[match[1]])
        || (eventTexts !== null && at < eventsRead && eventTexts[at].includes(text));
      if (Boolean(hit) === not) textFails[at] = 1;
    }
  }
};

const values = (value, out) => {
  if (value !== null && typeof value === "object") for (const inner of Object.values(value)) values(inner, out);
  else if (value !== null) out.push(value);
  return out;
};
/* Read every event once, a block at a time, then search again. */
const readEvents = async () => {
  if (eventTexts !== null) return;
  eventTexts = new Array(rows.length);
  const blocks = Math.ceil(rows.length / summary.chunk);
  for (let block = 0; block < blocks; block += 1) {
    const events = await unpack(`events-${block}`);
    events.forEach(([event], place) => { eventTexts[block * summary.chunk + place] = values(event, []).join("\n").toLowerCase(); });
    eventsRead = block * summary.chunk + events.length;
    if (blocks > 4) $("reading").textContent = `${words.reading} ${Math.round((block + 1) / blocks * 100)} %`;
    await new Promise((done) => { setTimeout(done); });
  }
  $("reading").textContent = "";
  if (state.text) { searchText(); refresh(); }
};

const evaluate = () => {
  const ruleFails = rules.map((rule, at) => (state.levels.size && !state.levels.has(rule.level) ? LEVEL : 0)
    | ((state.rule !== null && state.rule !== at) || state.hidden.has(at) ? RULE : 0)
    | ((state.tactic !== null && !rule.tactics.includes(state.tactic)) || (state.technique !== null && !rule.techniques.includes(state.technique)) ? ATTACK : 0));
  fails ??= new Uint8Array(rows.length);
  shown = [];
  for (let at = 0; at < rows.length; at += 1) {
    const row = rows[at];
    let failed = ruleFails[row[0]];
    if (state.host !== null && row[2] !== state.host) failed |= HOST;
    if (state.user !== null && row[3] !== state.user) failed |= USER;
    if (state.from !== null && (row[1] === null || row[1] < state.from || row[1] >= state.to)) failed |= TIME;
    if (textFails !== null && textFails[at]) failed |= TEXT;
    fails[at] = failed;
    if (!failed) shown.push(at);
  }
  if (state.order === "newest") shown.reverse();
  if (state.order === "severest") shown.sort((a, b) => LEVELS.indexOf(rules[rows[a][0]].level) - LEVELS.indexOf(rules[rows[b][0]].level) || a - b);
};
/* How many rows have each value of a column, all filters but one applied. */
const tally = (column, but) => {
  const counts = new Map();
  for (let at = 0; at < rows.length; at += 1) {
    if (fails[at] & ~but) continue;
    const value = rows[at][column];
    counts.set(value, (counts.get(value) || 0) + 1);
  }
  return counts;
};

/* The filters stand in the address, so that a view can be sent to a colleague who has the file. */
const toAddress = () => {
  const out = new URLSearchParams();
  if (state.text) out.set("q", state.text);
  if (state.levels.size) out.set("level", LEVELS.filter((level) => state.levels.has(level)).join(","));
  if (state.host !== null) out.set("host", strings[state.host]);
  if (state.user !== null) out.set("user", strings[state.user]);
  if (state.rule !== null) out.set("rule", rules[state.rule].id);
  if (state.hidden.size) out.set("hide", [...state.hidden].map((rule) => rules[rule].id).join(","));
  if (state.tactic !== null) out.set("tactic", state.tactic);
  if (state.technique !== null) out.set("technique", state.technique);
  if (state.from !== null) { out.set("from", new Date(state.from).toISOString()); out.set("to", new Date(state.to).toISOString()); }
  if (state.order !== "oldest") out.set("order", state.order);
  const text = out.toString();
  try { history.replaceState(null, "", text ? `#${text}` : "#"); } catch { /* not every browser lets a page from disk */ }
};
const fromAddress = () => {
  const given = new URLSearchParams(location.hash.slice(1));
  const text = (name) => { const at = strings.indexOf(given.get(name)); return at > 0 ? at : null; };
  const rule = (id) => rules.findIndex((each) => each.id === id);
  state.text = (given.get("q") || "").trim();
  state.levels = new Set((given.get("level") || "").split(",").filter((level) => LEVELS.includes(level)));
  state.host = text("host");
  state.user = text("user");
  state.rule = rule(given.get("rule")) >= 0 ? rule(given.get("rule")) : null;
  state.hidden = new Set((given.get("hide") || "").split(",").map(rule).filter((at) => at >= 0));
  state.tactic = data.tactics.includes(given.get("tactic")) ? given.get("tactic") : null;
  state.technique = given.get("technique");
  const from = Date.parse(given.get("from")), to = Date.parse(given.get("to"));
  [state.from, state.to] = from < to ? [from, to] : [null, null];
  state.order = ["newest", "severest"].includes(given.get("order")) ? given.get("order") : "oldest";
};
const clearFilters = () => {
  Object.assign(state, { text: "", host: null, user: null, rule: null, tactic: null, technique: null, from: null, to: null });
  state.levels.clear();
  state.hidden.clear();
  textFails = null;
};
