/* The search box over everything: arrows move among the suggestions, Enter opens, Escape closes. */
const box = document.querySelector("input[data-search]");
const found = document.querySelector("#found");
if (box && found) {
  const options = () => [...found.querySelectorAll("[role=option]")];
  const choose = (option) => {
    for (const each of options()) each.setAttribute("aria-selected", String(each === option));
    if (option) { box.setAttribute("aria-activedescendant", option.id); option.scrollIntoView({ block: "nearest" }); }
    else box.removeAttribute("aria-activedescendant");
  };
  const close = () => { found.replaceChildren(); choose(null); box.setAttribute("aria-expanded", "false"); };
  document.addEventListener("htmx:after:swap", () => {
    if (!box.value.trim() || document.activeElement !== box) { found.replaceChildren(); }
    box.setAttribute("aria-expanded", String(found.childElementCount > 0));
    box.removeAttribute("aria-activedescendant");
  });
  box.addEventListener("keydown", (event) => {
    const all = options();
    const at = all.findIndex((each) => each.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") { if (all.length) { event.preventDefault(); close(); } else box.blur(); }
    else if (event.key === "ArrowDown" && all.length) { event.preventDefault(); choose(all[(at + 1) % all.length]); }
    else if (event.key === "ArrowUp" && all.length) { event.preventDefault(); choose(all[(at <= 0 ? all.length : at) - 1]); }
    else if (event.key === "Enter" && at >= 0) { event.preventDefault(); location.assign(all[at].href); }
    else if (event.key === "Tab") close();
  });
  box.addEventListener("input", () => { if (!box.value.trim()) close(); });
  document.addEventListener("click", (event) => { if (!event.target.closest(".find")) close(); });
}
