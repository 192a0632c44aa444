/* Pages of incidents: the timeline's picture, deadlines that count down, lists one narrows by typing, quick notes. */

const SVG = "http://www.w3.org/2000/svg";
const MINUTE = 60_000, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const STEPS = [MINUTE, 5 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY];
const SLOT = 14;
const ZONE = "Asia/Ho_Chi_Minh", OFFSET = 7 * HOUR;
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: ZONE });
const day = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "2-digit", timeZone: ZONE });
const full = new Intl.DateTimeFormat("en-GB", { day: "2-digit", month: "2-digit", year: "numeric", hour: "2-digit", minute: "2-digit", timeZone: ZONE });

const make = (parent, name, attributes = {}, text = "") => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  parent.append(node);
  return node;
};
const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 1)}…` : text);

/* Where the picture stands, kept when the timeline is swapped for a newer one. */
let view = null;

const whole = (data) => {
  const times = [...data.points.map((each) => each.at), ...data.deadlines.filter((each) => each.open).map((each) => each.at)];
  if (data.now) times.push(data.now);
  if (!times.length) times.push(Date.now());
  const from = Math.min(...times), to = Math.max(...times);
  const room = Math.max((to - from) * 0.06, 10 * MINUTE);
  return { from: from - room, to: to + room };
};

const draw = (box) => {
  const data = box.data;
  const width = box.clientWidth, height = box.clientHeight;
  if (!width || !height) return;
  view ??= whole(data);
  const { from, to } = view;
  const x = (at) => ((at - from) / (to - from)) * width;
  const middle = Math.round(height / 2);
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("aria-hidden", "true");

  /* Ticks */
  const wanted = (to - from) / Math.max(width / 110, 2);
  const step = STEPS.find((each) => each >= wanted) ?? STEPS.at(-1);
  let before = "";
  for (let at = Math.ceil((from + OFFSET) / step) * step - OFFSET; at <= to; at += step) {
    const left = x(at), date = day.format(at);
    make(svg, "line", { class: "tick", x1: left, x2: left, y1: 22, y2: height });
    make(svg, "text", { x: left + 3, y: height - 5 }, step >= DAY ? date : date === before ? clock.format(at) : `${date} ${clock.format(at)}`);
    before = date;
  }
  make(svg, "line", { class: "base", x1: 0, x2: width, y1: middle, y2: middle });

  /* Deadlines and now */
  let row = 0;
  for (const limit of [...data.deadlines].sort((a, b) => a.at - b.at)) {
    const left = x(limit.at);
    if (left < -2 || left > width + 2) continue;
    const line = make(svg, "line", { class: limit.open ? "limit" : "limit limit-done", x1: left, x2: left, y1: 0, y2: height - 18 });
    make(line, "title", {}, `${limit.text} · ${full.format(limit.at)}`);
    if (limit.open) {
      const right = left > width - 170;
      make(svg, "text", { class: "limit-text", x: left + (right ? -4 : 4), y: 12 + 13 * (row % 3), "text-anchor": right ? "end" : "start" }, cut(limit.text, 34));
      row += 1;
    }
  }
  if (data.now) {
    const left = x(data.now);
    if (left >= 0 && left <= width) {
      make(svg, "line", { class: "today", x1: left, x2: left, y1: 0, y2: height - 18 });
      const near = left < 140;
      make(svg, "text", { class: "today-text", x: left + (near ? 4 : -4), y: height - 22, "text-anchor": near ? "start" : "end" }, data.words.now);
    }
  }

  /* Points, stacked where they would lie on each other */
  const most = Math.max(1, Math.floor((middle - 44) / 12));
  for (const attack of [true, false]) {
    const slots = new Map();
    for (const point of data.points) {
      const left = x(point.at);
      if (point.attack !== attack || left < -SLOT || left > width + SLOT) continue;
      const slot = Math.round(left / SLOT);
      if (!slots.has(slot)) slots.set(slot, []);
      slots.get(slot).push(point);
    }
    const order = [...slots.keys()].sort((a, b) => a - b);
    order.forEach((slot, index) => {
      const points = slots.get(slot);
      const left = points.length === 1 ? x(points[0].at) : slot * SLOT;
      const shown = points.slice(0, points.length > most ? most - 1 : most);
      const way = attack ? -1 : 1;
      const end = middle + way * (14 + 12 * (shown.length - 1));
      make(svg, "line", { class: "stem", x1: left, x2: left, y1: middle, y2: end });
      shown.forEach((point, level) => {
        const y = middle + way * (14 + 12 * level);
        const name = attack ? `dot dot-attack dot-${point.level}` : `dot dot-${point.name}`;
        const dot = attack
          ? make(svg, "rect", { class: name, x: left - 5, y: y - 5, width: 10, height: 10, transform: `rotate(45 ${left} ${y})`, "data-key": point.key })
          : make(svg, "circle", { class: name, cx: left, cy: y, r: 5.5, "data-key": point.key });
        make(dot, "title", {}, [full.format(point.at), point.kind, point.by, point.text].filter(Boolean).join(" · "));
      });
      const room = (order[index + 1] ?? Infinity) * SLOT - left;
      if (points.length > shown.length) {
        const more = make(svg, "text", { x: left, y: end + way * 18 + 4, "text-anchor": "middle" }, `+${points.length - shown.length}`);
        make(more, "title", {}, data.words.more);
      } else if (room > 150 && left < width - 130) {
        make(svg, "text", { x: left + 10, y: end + 4 }, cut(shown.at(-1).text, Math.min(40, Math.floor((Math.min(room, width - left) - 16) / 6.2))));
      }
    });
  }
  make(svg, "text", { class: "side-name", x: 8, y: 14 }, data.words.attack);
  make(svg, "text", { class: "side-name", x: 8, y: height - 22 }, data.words.ours);
  if (!data.points.length) make(svg, "text", { x: width / 2, y: middle - 20, "text-anchor": "middle" }, data.words.empty);
  box.replaceChildren(svg);
};

const zoom = (box, factor, centre = 0.5) => {
  const length = Math.min(Math.max((view.to - view.from) * factor, 2 * MINUTE), 3650 * DAY);
  const at = view.from + (view.to - view.from) * centre;
  view = { from: at - length * centre, to: at + length * (1 - centre) };
  draw(box);
};

const begin = () => {
  const box = document.querySelector("[data-axis]");
  if (!box || box.data) return;
  box.data = JSON.parse(document.getElementById(box.dataset.axis).textContent);
  draw(box);
  new ResizeObserver(() => draw(box)).observe(box);
  box.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
    event.preventDefault();
    zoom(box, (event.deltaY || event.deltaX) > 0 ? 1.25 : 0.8, event.offsetX / box.clientWidth);
  }, { passive: false });
  box.addEventListener("dblclick", (event) => zoom(box, 0.5, event.offsetX / box.clientWidth));
  let held = null;
  box.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    held = { x: event.clientX, ...view, moved: false };
  });
  box.addEventListener("pointermove", (event) => {
    if (!held) return;
    const moved = event.clientX - held.x;
    if (!held.moved && Math.abs(moved) < 4) return;
    if (!held.moved) box.setPointerCapture(event.pointerId);
    held.moved = true;
    box.classList.add("moving");
    const shift = (moved / box.clientWidth) * (held.to - held.from);
    view = { from: held.from - shift, to: held.to - shift };
    draw(box);
  });
  const end = (event) => {
    const key = held && !held.moved && event.type === "pointerup" ? event.target.dataset?.key : "";
    held = null;
    box.classList.remove("moving");
    if (!key) return;
    document.querySelectorAll(".entry.shown").forEach((each) => each.classList.remove("shown"));
    const entry = document.getElementById(key);
    entry?.classList.add("shown");
    entry?.scrollIntoView({ block: "center" });
  };
  box.addEventListener("pointerup", end);
  box.addEventListener("pointercancel", end);
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-zoom]");
  const box = document.querySelector("[data-axis]");
  if (!button || !box?.data) return;
  if (button.dataset.zoom === "all") { view = whole(box.data); draw(box); }
  else zoom(box, button.dataset.zoom === "in" ? 0.5 : 2);
});
begin();
document.addEventListener("htmx:after:swap", begin);

/* Deadlines count down. */
const length = (milliseconds, words) => {
  const minutes = Math.floor(milliseconds / MINUTE), days = Math.floor(minutes / 1440);
  if (days >= 2) return `${days} ${words.d} ${Math.floor(minutes / 60) % 24} ${words.h}`;
  const hours = Math.floor(minutes / 60);
  return hours ? `${hours} ${words.h} ${minutes % 60} ${words.m}` : `${minutes} ${words.m}`;
};
const tick = () => {
  for (const node of document.querySelectorAll(".countdown")) {
    const words = JSON.parse(node.dataset.words), left = Date.parse(node.dateTime) - Date.now();
    node.textContent = (left < 0 ? words.over : words.left).replace("%s", length(Math.abs(left), words));
    node.classList.toggle("late", left < 0);
  }
};
setInterval(tick, 15_000);

/* Lists of boxes are narrowed by typing; what is ticked stays. */
document.addEventListener("input", (event) => {
  const box = event.target.closest("[data-narrow]");
  if (!box) return;
  const plain = (text) => text.toLowerCase().normalize("NFD").replace(/[\u0300-\u036f]/g, "").replaceAll("đ", "d");
  const wanted = plain(box.value).split(/\s+/).filter(Boolean);
  for (const label of box.parentElement.querySelectorAll("label")) {
    const text = plain(label.textContent);
    label.hidden = !label.querySelector("input").checked && !wanted.every((word) => text.includes(word));
  }
});
document.addEventListener("keydown", (event) => {
  if (event.target.matches?.("[data-narrow]") && event.key === "Enter") event.preventDefault();
  if (event.target.matches?.("[data-quick]") && event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.form.requestSubmit();
});
