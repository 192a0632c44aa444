/* A tree in a table: rows fold away below the row they are part of. What is folded is remembered for the session. */
const table = document.querySelector("[data-tree]");
if (table) {
  const rows = [...table.querySelectorAll("tr[data-node]")];
  const forced = table.hasAttribute("data-tree-open");
  let folded;
  try { folded = JSON.parse(sessionStorage.getItem("units-folded")); } catch { /* not remembered then */ }
  const big = rows.length > 80;
  folded = new Set(forced ? [] : folded ?? (big ? rows.filter((row) => row.dataset.depth !== "0").map((row) => row.dataset.node) : []));
  const draw = () => {
    const hidden = new Set();
    for (const row of rows) {
      const above = row.dataset.above;
      row.hidden = hidden.has(above) || folded.has(above);
      if (row.hidden) hidden.add(row.dataset.node);
      row.querySelector(".node-fold")?.setAttribute("aria-expanded", String(!folded.has(row.dataset.node)));
    }
    if (!forced) try { sessionStorage.setItem("units-folded", JSON.stringify([...folded])); } catch { /* full or forbidden */ }
  };
  table.addEventListener("click", (event) => {
    const button = event.target.closest(".node-fold");
    if (!button) return;
    const node = button.closest("tr").dataset.node;
    if (!folded.delete(node)) folded.add(node);
    draw();
  });
  const all = (selector, act) => {
    const button = document.querySelector(selector);
    if (!button) return;
    button.hidden = false;
    button.addEventListener("click", () => { act(); draw(); });
  };
  all("[data-unfold-all]", () => folded.clear());
  all("[data-fold-all]", () => { folded = new Set(rows.filter((row) => row.querySelector(".node-fold") && row.dataset.depth !== "0").map((row) => row.dataset.node)); });
  draw();
}
