/* Opens the report: reads the data, draws everything, answers the keyboard. */
const refresh = () => {
  const held = current >= 0 ? shown[current] : null, opened = !$("panel").hidden;
  evaluate();
  current = held === null ? -1 : shown.indexOf(held);
  if (opened && current < 0) close();
  drawFilters();
  drawTimeline();
  drawAttack();
  drawRanking("hosts", "host", 2, HOST, (value) => strings[value]);
  drawRanking("users", "user", 3, USER, (value) => strings[value]);
  drawRanking("rules", "rule", 0, RULE, (value) => rules[value].title);
  if (current < 0) $("scroller").scrollTop = 0;
  drawRows();
  if (current >= 0) { showPlace(current); if (opened) open(current); }
  toAddress();
};

const drawKeys = () => {
  const list = [["/", words.keySearch], ["j ↓, k ↑", words.keyMove], ["Enter", words.keyOpen], ["Home, End", words.keyEnds], ["Esc", words.keyClose], ["?", words.keyHelp]];
  $("keys").replaceChildren(make("h2", { id: "keys-title" }, words.keys), make("dl", { class: "plain" }, ...list.flatMap(([key, what]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, what)])),
    make("p", {}, button({}, () => $("keys").close(), words.close)));
};
const speak = () => {
  words = data.words[language];
  document.documentElement.lang = language;
  document.documentElement.dataset.theme = theme;
  document.title = `${words.title} · Khiên`;
  for (const node of document.querySelectorAll("[data-word]")) node.textContent = words[node.dataset.word];
  $("search").placeholder = words.search;
  $("search").setAttribute("aria-label", words.search);
  $("language").textContent = words.language;
  $("language").lang = language === "vi" ? "en" : "vi";
  $("theme").textContent = `${words.theme}: ${words[theme]}`;
  $("order").replaceChildren(...["oldest", "newest", "severest"].map((order) => make("option", { value: order, ...(state.order === order ? { selected: "" } : {}) }, words[order])));
  drawKeys();
  drawFigures();
  if (summary.findings) refresh();
};

const move = (next) => {
  next = Math.min(shown.length - 1, Math.max(0, next));
  if (!$("panel").hidden) { open(next); return; }
  current = next;
  showPlace(next);
  drawRows();
};
const onKey = (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (event.target.matches("input, select, textarea")) {
    if (event.key !== "Escape" || !event.target.matches("input")) return;
    event.target.blur();
    $("scroller").focus({ preventScroll: true });
    return;
  }
  const inList = event.target === $("scroller");
  const page = Math.max(1, Math.floor($("scroller").clientHeight / height()) - 1);
  const listMoves = { ArrowDown: current + 1, ArrowUp: current - 1, Home: 0, End: shown.length - 1, PageDown: current + page, PageUp: current - page };
  if (event.key === "/") $("search").focus();
  else if (event.key === "?") $("keys").showModal();
  else if (event.key === "j" || event.key === "k") { if (shown.length) move(current + (event.key === "j" ? 1 : -1)); }
  else if (event.key === "Enter" && (inList || event.target === document.body)) open(Math.max(0, current));
  else if (event.key === "Escape") close();
  else if (inList && event.key in listMoves) move(listMoves[event.key]);
  else return;
  event.preventDefault();
};

const start = async () => {
  data = await unpack("index");
  ({ findings: rows, rules, strings, summary } = data);
  findBounds();
  fromAddress();
  $("search").value = state.text;
  $("language").addEventListener("click", () => { language = language === "vi" ? "en" : "vi"; remember("khien-language", language); speak(); });
  $("theme").addEventListener("click", () => { theme = { auto: "light", light: "dark", dark: "auto" }[theme]; remember("khien-theme", theme); speak(); });
  $("help").addEventListener("click", () => $("keys").showModal());
  $("whole").addEventListener("click", () => { state.from = state.to = null; refresh(); });
  $("clear").addEventListener("click", () => { clearFilters(); $("search").value = ""; refresh(); });
  $("order").addEventListener("change", () => { state.order = $("order").value; refresh(); });
  let waiting = 0;
  $("search").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => { state.text = $("search").value.trim(); searchText(); refresh(); if (state.text) readEvents(); }, 60);
  });
  $("scroller").addEventListener("scroll", drawRows, { passive: true });
  let wide = innerWidth;
  addEventListener("resize", () => { drawRows(); if (innerWidth !== wide) { wide = innerWidth; drawTimeline(); } });
  addEventListener("hashchange", () => { fromAddress(); $("search").value = state.text; searchText(); speak(); });
  document.addEventListener("keydown", onKey);
  $("loading").remove();
  $("content").hidden = false;
  $("body").hidden = !summary.findings;
  if (state.text) { searchText(); readEvents(); }
  speak();
};
start().catch((error) => {
  const said = JSON.parse($("failed").textContent);
  ($("loading") ?? document.body.appendChild(make("p", { id: "loading" }))).textContent = `${said[language]} (${error})`;
});
