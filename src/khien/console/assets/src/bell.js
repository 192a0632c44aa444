/* The bell: how many notices are new, asked for every half minute while the page is looked at. */
const bell = document.querySelector("[data-bell]");
if (bell) {
  const count = bell.querySelector("[data-bell-count]");
  const button = bell.querySelector("button");
  const show = ({ unread, most, label }) => {
    count.hidden = !unread;
    count.textContent = unread >= most ? `${most - 1}+` : String(unread);
    button.setAttribute("aria-label", label);
    button.title = label;
  };
  /* What the last page showed stands there at once, so that the number does not flicker. */
  try { const last = JSON.parse(sessionStorage.getItem("bell")); if (last && last.lang === document.documentElement.lang) show(last); } catch { /* none kept */ }
  let timer = 0;
  const ask = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    let wait = 30_000;
    try {
      const answer = await fetch(bell.dataset.bell, { headers: { Accept: "application/json" }, redirect: "error" });
      if (answer.ok) {
        const told = await answer.json();
        show(told);
        try { sessionStorage.setItem("bell", JSON.stringify({ ...told, lang: document.documentElement.lang })); } catch { /* not kept then */ }
      } else wait = 120_000;
    } catch { wait = 120_000; /* signed out, or the network is away */ }
    timer = setTimeout(ask, wait);
  };
  document.addEventListener("visibilitychange", ask);
  window.addEventListener("pageshow", ask);
  document.addEventListener("khien:notices", ask);
  ask();
}
