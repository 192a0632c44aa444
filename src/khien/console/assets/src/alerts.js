/* The queue of alerts: keys, selection, actions with undo, the panel beside the list, the brush, and live arrival. */
const queue = document.getElementById("queue");
const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

if (queue) {
  const words = JSON.parse(document.getElementById("queue-words").textContent);
  const panel = document.getElementById("alert-panel");
  const bar = document.getElementById("bulk-bar");
  const list = () => document.getElementById("alert-list");
  const rows = () => $$("tr[data-id]", list());
  const put = (text, n) => text.replace("%(n)s", n);
  const shown = (n) => Number(n).toLocaleString(document.documentElement.lang === "vi" ? "vi-VN" : "en-GB");
  const canWork = Boolean(bar);
  let at = null; /* the id of the row one is at */
  let selected = new Map(); /* id -> version */
  let all = false; /* all that match, beyond this page */
  let anchor = null; /* where a range of selected rows begins */
  let fresh = 0; /* alerts that arrived since the list was made */
  let opened = null; /* the id in the panel */

  const keys = $(".keys", document.getElementById("keyboard"));
  if (keys) keys.insertBefore($("#page-keys").content.cloneNode(true), $("dt:nth-last-of-type(2)", keys));

  /* Where one is */
  const rowOf = (id) => (id === null ? null : $(`tr[data-id="${id}"]`, list()));
  const goTo = (row, scroll = true) => {
    $$("tr.is-at", list()).forEach((each) => { each.classList.remove("is-at"); each.removeAttribute("aria-current"); });
    at = row ? row.dataset.id : null;
    if (!row) return;
    row.classList.add("is-at");
    row.setAttribute("aria-current", "true");
    if (scroll) row.scrollIntoView({ block: "nearest" });
  };
  const step = (by) => {
    const found = rows();
    if (!found.length) return;
    const place = found.findIndex((row) => row.dataset.id === at);
    const next = place < 0 ? (by > 0 ? 0 : found.length - 1) : place + by;
    if (next >= found.length) { $("[rel=next]", list())?.click(); return; }
    goTo(found[Math.max(next, 0)]);
    if (opened !== null) open(at);
  };

  /* The panel */
  const remember = () => {
    const address = new URL(location.href);
    if (opened === null) address.searchParams.delete("open"); else address.searchParams.set("open", opened);
    history.replaceState(history.state, "", address);
  };
  const open = (id) => {
    opened = id;
    queue.classList.add("has-panel");
    panel.hidden = false;
    $$("tr.is-open", list()).forEach((row) => row.classList.remove("is-open"));
    rowOf(id)?.classList.add("is-open");
    remember();
    window.htmx.ajax("GET", queue.dataset.panel.replace("/0/", `/${id}/`), { source: panel, target: panel, swap: "innerHTML" });
  };
  const shut = () => {
    if (opened === null) return;
    opened = null;
    queue.classList.remove("has-panel");
    panel.hidden = true;
    panel.replaceChildren();
    $$("tr.is-open", list()).forEach((row) => row.classList.remove("is-open"));
    remember();
  };
  document.addEventListener("click", (event) => { if (event.target.closest("[data-panel-close]")) shut(); });
  panel.addEventListener("htmx:after:swap", () => { panel.scrollTop = 0; });
  /* What is done in the panel changes the row beside it. */
  document.addEventListener("htmx:after:request", (event) => {
    const made = event.detail?.ctx?.request;
    if (made?.method === "POST" && panel.contains(event.target)) refresh();
  });
  document.addEventListener("khien:alert-changed", () => refresh());

  /* The list anew, with the place kept */
  const listAddress = (first = false) => {
    const address = new URL(location.href);
    address.searchParams.delete("open");
    if (first) address.searchParams.delete("after");
    return address.pathname + address.search;
  };
  let before = [];
  const refresh = (first = false) => {
    before = rows().map((row) => row.dataset.id);
    return window.htmx.ajax("GET", listAddress(first), { source: list(), target: "#alert-list", swap: "outerHTML" });
  };
  document.addEventListener("htmx:after:swap", () => {
    const now = list();
    if (!now || now === seen) return;
    seen = now;
    $$("[data-unassigned]", queue).forEach((node) => { if (node !== now) node.textContent = now.dataset.unassigned; });
    if (at !== null && !rowOf(at)) {
      /* The row is gone: the one after it that is still there, else the last. */
      const after = before.slice(before.indexOf(at) + 1).find((id) => rowOf(id));
      goTo(rowOf(after ?? null) || rows().at(-1) || null, false);
      if (opened !== null && !rowOf(opened) && at !== null && before.includes(opened)) open(at);
    } else goTo(rowOf(at), false);
    rowOf(opened)?.classList.add("is-open");
    for (const id of [...selected.keys()]) {
      const row = rowOf(id);
      if (row) selected.set(id, row.dataset.version); else selected.delete(id);
    }
    draw();
    announce();
  });
  let seen = list();

  /* Selection */
  const draw = () => {
    rows().forEach((row) => {
      const on = all || selected.has(row.dataset.id);
      row.classList.toggle("is-selected", on);
      const box = $("[data-tick]", row);
      if (box) box.checked = on;
    });
    const head = $("[data-tick-all]", list());
    const found = rows();
    if (head) {
      const n = found.filter((row) => all || selected.has(row.dataset.id)).length;
      head.checked = found.length > 0 && n === found.length;
      head.indeterminate = n > 0 && n < found.length;
    }
    if (!bar) return;
    bar.hidden = !all && selected.size === 0;
    const { count, countText, exact, next } = list().dataset;
    $("[data-selected]", bar).textContent = all
      ? (count === "" ? words.matching_selected : exact && Number(count) <= 10000 ? put(words.all_selected, countText) : words.newest_selected)
      : selected.size === 1 ? words.selected_one : put(words.selected_many, shown(selected.size));
    const more = $("[data-select-all]", bar);
    more.hidden = all || !(found.length && selected.size >= found.length && (next || Number(count) > found.length));
    more.textContent = bar.dataset.matchText.replace("%(n)s", countText || "");
  };
  const tick = (row, on) => {
    all = false;
    if (on) selected.set(row.dataset.id, row.dataset.version); else selected.delete(row.dataset.id);
  };
  const range = (from, to, on) => {
    const found = rows();
    const [a, b] = [found.findIndex((row) => row.dataset.id === from), found.indexOf(to)];
    if (a < 0 || b < 0) { tick(to, on); return; }
    found.slice(Math.min(a, b), Math.max(a, b) + 1).forEach((row) => tick(row, on));
  };
  const none = () => { all = false; selected = new Map(); anchor = null; draw(); };

  document.addEventListener("click", (event) => {
    const row = event.target.closest("#alert-list tr[data-id]");
    if (row) {
      const box = event.target.closest("[data-tick]");
      if (box || (event.target.closest("td.tick") && canWork)) {
        const on = box ? box.checked : !selected.has(row.dataset.id);
        if (event.shiftKey && anchor) range(anchor, row, on); else tick(row, on);
        anchor = row.dataset.id;
        goTo(row, false);
        draw();
        return;
      }
      if (event.shiftKey && canWork) {
        event.preventDefault();
        getSelection()?.removeAllRanges();
        range(anchor || at || row.dataset.id, row, true);
        anchor = row.dataset.id;
        goTo(row, false);
        draw();
        return;
      }
      if (event.ctrlKey || event.metaKey || event.button !== 0 || event.target.closest("button, a:not(.what)") || String(getSelection())) return;
      event.preventDefault();
      goTo(row, false);
      if (matchMedia("(max-width: 900px)").matches) location.assign($("a.what", row).href);
      else if (opened === row.dataset.id) shut();
      else open(row.dataset.id);
      return;
    }
    if (event.target.closest("[data-tick-all]")) {
      const on = event.target.closest("[data-tick-all]").checked;
      all = false;
      rows().forEach((each) => tick(each, on));
      draw();
    } else if (event.target.closest("[data-select-all]")) { all = true; draw(); }
    else if (event.target.closest("[data-select-none]")) none();
    else if (event.target.closest("[data-arrivals]")) bringIn();
  });

  /* Actions */
  const meant = () => {
    if (all) return { all: "1", q: queue.dataset.q, tab: queue.dataset.tab, upto: list().dataset.upto };
    const chosen = selected.size ? [...selected] : at !== null && rowOf(at) ? [[at, rowOf(at).dataset.version]] : [];
    return chosen.length ? { ids: chosen.map(([id, version]) => `${id}:${version}`).join(",") } : null;
  };
  const howMany = () => (all ? $("[data-selected]", bar).textContent : selected.size > 1 ? put(words.selected_many, shown(selected.size)) : $("a.what", rowOf(selected.size ? [...selected.keys()][0] : at) || document)?.textContent || words.selected_one);
  const token = () => JSON.parse(document.body.getAttribute("hx-headers:inherited"))["X-CSRFToken"];
  const send = async (address, values) => {
    try {
      const answer = await fetch(address, { method: "POST", body: new URLSearchParams(values), headers: { "X-CSRFToken": token(), Accept: "application/json" }, redirect: "error" });
      const told = await answer.json();
      return { ok: answer.ok, ...told };
    } catch { return { ok: false, error: words.failed }; }
  };
  let busy = false;
  const act = async (action, values = {}) => {
    const chosen = meant();
    if (!chosen) { window.khien.toast({ text: words.nothing, seconds: 4 }); return false; }
    if (busy) return false;
    busy = true;
    queue.classList.add("is-busy");
    const told = await send(queue.dataset.act, { ...values, ...chosen, action });
    busy = false;
    queue.classList.remove("is-busy");
    if (!told.ok) {
      if (told.changed) refresh();
      return told;
    }
    none();
    window.khien.toast({ text: told.text, action: words.undo, undo: told.undo ? () => takeBack(told.undo) : undefined });
    refresh();
    if (opened !== null && (told.ids || []).includes(Number(opened))) open(opened);
    return told;
  };
  const takeBack = async (id) => {
    const told = await send(queue.dataset.undo.replace("/0/", `/${id}/`), {});
    window.khien.toast({ text: told.text || told.error, seconds: 5 });
    refresh();
    if (opened !== null) open(opened);
  };
  const say = (told) => { if (told && !told.ok) window.khien.toast({ text: told.error, seconds: 8 }); };
  const dialog = (id) => {
    const node = document.getElementById(id);
    if (!node) return;
    if ($("[data-act-form]", node)) {
      if (!meant()) { window.khien.toast({ text: words.nothing, seconds: 4 }); return; }
      $("[data-how-many]", node).textContent = howMany();
      $("[data-error]", node).hidden = true;
      $("form", node).reset();
    }
    node.showModal();
  };
  const promote = () => {
    if (!queue.dataset.promote) return;
    const ids = selected.size ? [...selected.keys()] : at !== null ? [at] : [];
    if (!ids.length) { window.khien.toast({ text: words.nothing, seconds: 4 }); return; }
    if (all || ids.length > 200) { window.khien.toast({ text: words.too_many, seconds: 6 }); return; }
    location.assign(`${queue.dataset.promote}?alerts=${ids.join(",")}`);
  };
  const deeds = {
    "assign-me": async () => say(await act("assign", { owner: "me" })),
    reopen: async () => say(await act("reopen")),
    close: () => dialog("close-dialog"),
    promote,
  };
  document.addEventListener("click", (event) => {
    const doer = event.target.closest("#bulk-bar [data-do]");
    if (doer) deeds[doer.dataset.do]();
    const opener = event.target.closest("[data-open-dialog]");
    if (opener) dialog(opener.dataset.openDialog);
    const closer = event.target.closest("[data-close-dialog]");
    if (closer) closer.closest("dialog").close();
  });
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("[data-act-form]");
    if (!form) return;
    event.preventDefault();
    event.stopPropagation();
    const told = await act(form.dataset.actForm, Object.fromEntries(new FormData(form)));
    if (told === false) return;
    if (told.ok) { form.closest("dialog").close(); return; }
    const place = $("[data-error]", form);
    place.textContent = told.error;
    place.hidden = false;
    if (told.fields) form.elements[Object.keys(told.fields)[0]]?.focus?.();
  }, true);
  /* In the dialog of closing the numbers choose a verdict, Ctrl and Enter sends. */
  document.getElementById("close-dialog")?.addEventListener("keydown", (event) => {
    const form = $("form", event.currentTarget);
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); form.requestSubmit(); return; }
    if (event.target.matches("textarea, select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const choice = $$("[name=verdict]", form)[Number(event.key) - 1];
    if (choice) { event.preventDefault(); choice.checked = true; choice.focus(); if (choice.value === "false_positive") $("[name=reason]", form).focus(); }
  });

  /* The menu that a phone has for the rest of the buttons closes as menus do: by Escape, and by a click outside. */
  const more = $("[aria-controls=queue-rest]");
  const moreOpen = () => $("#queue-rest").classList.contains("show");
  document.addEventListener("click", (event) => {
    if (moreOpen() && !event.target.closest("#queue-rest, [aria-controls=queue-rest]")) more.click();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !moreOpen() || $("dialog[open]")) return;
    event.preventDefault();
    more.click();
    more.focus();
  });

  /* Keys */
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || $("dialog[open]")) return;
    /* A box that was ticked is no place to write in. */
    if (window.khien.typing(event.target) && !event.target.matches("#alert-list [type=checkbox]")) return;
    const on = event.target.closest("a, button, summary");
    const key = event.key;
    if (key === "j" || (key === "ArrowDown" && !on)) step(1);
    else if (key === "k" || (key === "ArrowUp" && !on)) step(-1);
    else if (key === "Enter" && !on && at !== null) { if (matchMedia("(max-width: 900px)").matches) location.assign($("a.what", rowOf(at)).href); else open(at); }
    else if (key === "o" && at !== null) location.assign($("a.what", rowOf(at)).href);
    else if (key === "Escape") { if (opened !== null) shut(); else if (selected.size || all) none(); else return; }
    else if (key === "f") { const box = $("[data-filter]"); box.focus(); box.setSelectionRange(box.value.length, box.value.length); }
    else if (key === "r") bringIn();
    else if (!canWork) return;
    else if (key === "x" && rowOf(at)) { tick(rowOf(at), !selected.has(at)); anchor = at; draw(); }
    else if (key === "a") deeds["assign-me"]();
    else if (key === "c") dialog("close-dialog");
    else if (key === "e") promote();
    else if (key === "m") dialog("comment-dialog");
    else return;
    event.preventDefault();
  });

  /* Brush: drag over the histogram to narrow the time. */
  document.addEventListener("pointerdown", (event) => {
    const svg = event.target.closest("[data-histogram] svg");
    if (!svg || event.button !== 0) return;
    const box = svg.getBoundingClientRect();
    const bars = $$("g[data-since]", svg);
    const place = (x) => Math.min(Math.max(Math.floor(((x - box.left) / box.width) * bars.length), 0), bars.length - 1);
    const brush = $(".brush", svg);
    const start = place(event.clientX);
    const paint = (end) => { brush.setAttribute("x", Math.min(start, end)); brush.setAttribute("width", Math.abs(end - start) + 1); };
    paint(start);
    svg.setPointerCapture(event.pointerId);
    const move = (moved) => paint(place(moved.clientX));
    const stop = (moved) => {
      svg.removeEventListener("pointermove", move);
      svg.removeEventListener("pointerup", stop);
      svg.removeEventListener("pointercancel", cancel);
      const end = place(moved.clientX);
      narrow(bars[Math.min(start, end)].dataset.since, bars[Math.max(start, end)].dataset.until);
    };
    const cancel = () => { brush.setAttribute("width", 0); svg.removeEventListener("pointermove", move); svg.removeEventListener("pointerup", stop); };
    svg.addEventListener("pointermove", move);
    svg.addEventListener("pointerup", stop);
    svg.addEventListener("pointercancel", cancel);
  });
  const narrow = (since, until) => {
    const address = new URL(location.href);
    const rest = queue.dataset.q.replace(/(^|\s)(since|until):("[^"]*"|\S+)/gi, " ").trim();
    address.searchParams.set("q", `${rest} since:"${since}" until:"${until}"`.trim());
    address.searchParams.delete("after");
    address.searchParams.delete("open");
    location.assign(address);
  };

  /* Live arrival */
  const announce = () => {
    const button = $("[data-arrivals]", list());
    if (!button) return;
    button.hidden = fresh === 0;
    button.textContent = fresh === 1 ? words.new_one : put(words.new_many, shown(fresh));
  };
  const bringIn = () => {
    if (new URL(location.href).searchParams.has("after")) { location.assign(listAddress(true)); return; }
    fresh = 0;
    refresh();
  };
  let source = null;
  const listen = () => {
    if (source || document.hidden) return;
    source = new EventSource(queue.dataset.stream);
    source.addEventListener("alerts", (event) => { fresh += JSON.parse(event.data).n; announce(); });
    source.addEventListener("end", () => { source.close(); source = null; });
  };
  listen();
  document.addEventListener("visibilitychange", () => { if (!document.hidden && (!source || source.readyState === EventSource.CLOSED)) { source = null; listen(); } });
  window.addEventListener("pagehide", () => { source?.close(); source = null; });
  window.addEventListener("pageshow", (event) => { if (event.persisted) { listen(); refresh(); } });

  const first = new URL(location.href).searchParams.get("open");
  if (first && /^\d+$/.test(first)) { goTo(rowOf(first)); open(first); }
  draw();
}
