/* The page of one alert: keys for its actions, samples with [ and ]. The page of an exception: places of errors. */
const $ = (selector, from = document) => from.querySelector(selector);
const busy = (event) => event.ctrlKey || event.metaKey || event.altKey || window.khien.typing(event.target) || $("dialog[open]");

/* Only where the alert is the page: beside a list the list has the keys. */
const body = () => $("main > .alert-body");
const keys = {
  a: (alert) => $("[data-take]", alert)?.click(),
  c: (alert) => {
    const part = $("[data-close-part]", alert);
    if (!part) return;
    part.open = true;
    $("[data-close]", part).focus();
  },
  m: (alert) => $("[data-comment]", alert)?.focus(),
  e: (alert) => $("[data-promote]", alert)?.click(),
  f: (alert) => $("[data-except]", alert)?.click(),
  "[": (alert) => step(alert, -1),
  "]": (alert) => step(alert, 1),
};
const step = (alert, by) => {
  const chips = [...alert.querySelectorAll(".alert-sample .chip")];
  const at = chips.findIndex((chip) => chip.hasAttribute("aria-current"));
  chips[at + by]?.click();
};
let going = 0;
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || busy(event)) return;
  if (event.key === "g") { going = Date.now(); return; }
  if (Date.now() - going < 1500) { going = 0; return; }
  const alert = body();
  if (!alert || !keys[event.key]) return;
  event.preventDefault();
  keys[event.key](alert);
});

/* A place in the filter's text: select its line and bring it into view. */
const goTo = (line, column) => {
  const area = $("[data-exception-text] textarea");
  if (!area) return;
  const lines = area.value.split("\n");
  const begin = lines.slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0);
  const end = begin + (lines[line - 1]?.length ?? 0);
  area.focus();
  area.setSelectionRange(Math.min(begin + column - 1, end), end);
  area.scrollTop = Math.max(0, (line - 3) * 18);
};
document.addEventListener("click", (event) => {
  const place = event.target.closest("[data-go-line]");
  if (place) goTo(Number(place.dataset.goLine), Number(place.dataset.goColumn));
});
const first = $(".field-error[data-line]");
if (first) goTo(Number(first.dataset.line), Number(first.dataset.column));

/* The preview follows what is written: when the text was left, or drafted anew. */
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-exception-text] textarea")) document.body.dispatchEvent(new Event("khien:text"));
});
document.addEventListener("htmx:after:swap", () => {
  const now = $("[data-exception-text] textarea")?.value;
  if (now !== undefined && seen !== undefined && now !== seen) document.body.dispatchEvent(new Event("khien:text"));
  seen = now;
});
let seen = $("[data-exception-text] textarea")?.value;
