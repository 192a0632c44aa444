/* What every page does: menus, htmx, keyboard, folding the rail, toasts with undo. */
import * as tabler from "@tabler/core/dist/js/tabler.esm.js";
import htmx from "htmx.org/dist/htmx.esm.js";

Object.assign(htmx.config, { includeIndicatorCSS: false, history: true });
window.htmx = htmx;
window.tabler = tabler;
const root = document.documentElement;
const $ = (selector, from = document) => from.querySelector(selector);

/* Rail */
document.addEventListener("click", (event) => {
  if (event.target.closest("[data-fold]")) {
    const folded = root.dataset.rail !== "folded";
    root.dataset.rail = folded ? "folded" : "";
    try { localStorage.setItem("rail", folded ? "folded" : ""); } catch { /* not remembered then */ }
  }
  const opener = event.target.closest("[data-rail]");
  const open = root.classList.contains("rail-open");
  if (opener || (open && !event.target.closest("#rail"))) {
    root.classList.toggle("rail-open", opener ? !open : false);
    $("[data-rail]")?.setAttribute("aria-expanded", String(root.classList.contains("rail-open")));
  }
});

/* A click on a row of a table opens what its first link opens; links, buttons and selections are left alone. */
document.addEventListener("click", (event) => {
  const row = event.target.closest("tr[data-href]");
  if (!row || event.target.closest("a, button, input, label, select, textarea, summary") || String(getSelection())) return;
  if (event.ctrlKey || event.metaKey) window.open(row.dataset.href, "_blank", "noopener");
  else location.assign(row.dataset.href);
});

/* Forms: `data-submit` sends its form when changed; `data-confirm` asks first; a form is sent once. */
document.addEventListener("change", (event) => {
  if (event.target.closest("[data-submit]")) event.target.form?.requestSubmit();
});
document.addEventListener("submit", (event) => {
  const asked = event.submitter?.dataset.confirm || event.target.dataset.confirm;
  if (asked && !confirm(asked)) { event.preventDefault(); return; }
  if (event.target.method === "post" && !event.target.matches("[hx-post], [method=dialog]") && !event.defaultPrevented) {
    if (event.target.dataset.sent) { event.preventDefault(); return; }
    event.target.dataset.sent = "1";
    setTimeout(() => { delete event.target.dataset.sent; }, 3000);
  }
});
/* `data-copy` copies its value. */
document.addEventListener("click", async (event) => {
  const copier = event.target.closest("[data-copy]");
  if (!copier) return;
  try { await navigator.clipboard.writeText(copier.dataset.copy); } catch { return; }
  copier.classList.add("copied");
  setTimeout(() => copier.classList.remove("copied"), 1500);
});

/* Keyboard: `/` searches, `?` lists the keys, `g` and a letter go to a page. */
let going = 0;
export const typing = (target) => target.closest?.("input, textarea, select, [contenteditable]") !== null && target.closest !== undefined;
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || $("dialog[open]")) return;
  if (Date.now() - going < 1500) {
    going = 0;
    const link = $(`[data-go="${CSS.escape(event.key)}"]`);
    if (link) { event.preventDefault(); event.stopImmediatePropagation(); location.assign(link.href); return; }
  }
  if (event.key === "g") going = Date.now();
  else if (event.key === "/") { const box = $("[data-search]"); if (box) { event.preventDefault(); box.focus(); box.select?.(); } }
  else if (event.key === "?") $("#keyboard")?.showModal();
}, true);

/* `khien:toast` with { text, undo, seconds } shows a notice; `undo` is called when its button is pressed. */
const toast = ({ text, undo, action, seconds = 10 }) => {
  const node = document.createElement("div");
  node.className = "toast-note";
  node.append(text);
  if (undo) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "btn btn-sm";
    button.textContent = action;
    button.addEventListener("click", () => { node.remove(); undo(); });
    node.append(button);
  }
  $("#toasts")?.append(node);
  setTimeout(() => node.remove(), seconds * 1000);
};
window.khien = { toast, typing };
document.addEventListener("khien:toast", (event) => toast(event.detail));

/* Times that say how long ago grow older without a reload: servers send them anew with each part; nothing ticks here. */
