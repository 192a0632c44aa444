/* Before anything is drawn: light or dark, and whether the rail is folded. */
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const paint = () => {
  const wanted = root.dataset.theme;
  root.dataset.bsTheme = wanted === "dark" || (wanted === "auto" && dark.matches) ? "dark" : "light";
};
paint();
dark.addEventListener("change", paint);
try { if (localStorage.getItem("rail") === "folded") root.dataset.rail = "folded"; } catch { /* no storage: unfolded */ }
