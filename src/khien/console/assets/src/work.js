/* My work, task lists and the drafting of directives: undo after a step, ticking many, finding units. */
const all = (selector, from = document) => [...from.querySelectorAll(selector)];

/* A step taken on a card: say so, with its way back. */
const say = () => {
  const note = document.querySelector("#work-board [data-toast]");
  if (!note) return;
  const form = note.querySelector("form");
  window.khien.toast({ text: note.dataset.toast, action: note.dataset.word, undo: form ? () => form.requestSubmit() : undefined });
  note.removeAttribute("data-toast");
};
document.addEventListener("htmx:after:swap", say);

/* Many at once: the bar shows how many are ticked and is there only then. */
all("form[data-bulk]").forEach((form) => {
  const bar = form.querySelector("[data-bulk-bar]");
  const whole = form.querySelector("[data-bulk-all]");
  if (!bar) return;
  const boxes = all("input[name=task]", form);
  const show = () => {
    const ticked = boxes.filter((box) => box.checked).length;
    bar.hidden = ticked === 0;
    const count = bar.querySelector("[data-bulk-count]");
    count.textContent = ticked === 1 ? count.dataset.one : count.dataset.many.replace("{n}", ticked.toLocaleString(document.documentElement.lang));
    if (whole) { whole.checked = ticked > 0 && ticked === boxes.length; whole.indeterminate = ticked > 0 && ticked < boxes.length; }
    boxes.forEach((box) => box.closest("tr").classList.toggle("selected", box.checked));
  };
  whole?.addEventListener("change", () => { boxes.forEach((box) => { box.checked = whole.checked; }); show(); });
  form.addEventListener("change", show);
  show();
});

/* Units of a directive: find by name, with or without marks; tick all that are shown. */
const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").replace(/đ/g, "d").replace(/Đ/g, "D").toLowerCase();
all("[data-units]").forEach((part) => {
  const rows = all("[data-unit]", part);
  const heads = all(".di-unit-list h3", part);
  const every = part.querySelector("[data-units-all]");
  const shown = () => rows.filter((row) => !row.hidden);
  const box = (row) => row.querySelector("input[name=unit]");
  const show = () => {
    const ticked = rows.filter((row) => box(row).checked).length;
    part.querySelector("[data-units-count]").textContent = ticked ? ticked.toLocaleString(document.documentElement.lang) : "";
    every.checked = shown().length > 0 && shown().every((row) => box(row).checked);
    rows.forEach((row) => { row.querySelector("input[type=datetime-local]").hidden = !box(row).checked; });
    heads.forEach((head) => {
      let next = head.nextElementSibling, some = false;
      while (next && next.tagName !== "H3") { some ||= !next.hidden; next = next.nextElementSibling; }
      head.hidden = !some;
    });
  };
  part.querySelector("[data-units-find]").addEventListener("input", (event) => {
    const wanted = plain(event.target.value.trim());
    rows.forEach((row) => { row.hidden = !plain(row.textContent).includes(wanted); });
    show();
  });
  every.addEventListener("change", () => { shown().forEach((row) => { box(row).checked = every.checked; }); show(); });
  part.addEventListener("change", show);
  show();
});

/* A link to a step opens its form. */
const open = () => {
  const wanted = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (wanted instanceof HTMLDetailsElement) {
    wanted.open = true;
    wanted.querySelector("textarea, select, input:not([type=hidden])")?.focus({ preventScroll: true });
    wanted.scrollIntoView({ block: "start" });
  }
};
window.addEventListener("hashchange", open);
open();
