"use strict";
/* What everything draws with: elements, words, numbers, times, and the report's data.
   Values from logs and rules only ever become text nodes, never markup. */
const $ = (id) => document.getElementById(id);
const LEVELS = ["critical", "high", "medium", "low", "informational"];

const make = (tag, options = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "class") node.className = value;
    else if (name === "on") for (const [event, call] of Object.entries(value)) node.addEventListener(event, call);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
};
const button = (options, click, ...children) => make("button", { type: "button", ...options, on: { click } }, ...children);

const unpack = async (id) => {
  const text = atob($(id).textContent);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
};

const remembered = (key, other, known) => {
  try { const value = localStorage.getItem(key); return known.includes(value) ? value : other; } catch { return other; }
};
const remember = (key, value) => {
  try { localStorage.setItem(key, value); } catch { /* a page from disk may have no storage */ }
};

/* Set by start(): the data, and the words of the language in use. */
let data, rows, rules, strings, summary, words;
let language = remembered("khien-language", "vi", ["vi", "en"]);
let theme = remembered("khien-theme", "auto", ["auto", "light", "dark"]);

const number = (value) => value.toLocaleString(language === "vi" ? "vi-VN" : "en-GB");
const bytesText = (size) => {
  const units = ["B", "kB", "MB", "GB"];
  let at = 0;
  while (size >= 1000 && at < 3) { size /= 1000; at += 1; }
  return `${number(Math.round(size * 10) / 10)} ${units[at]}`;
};

let clock;
const parts = (ms) => {
  clock ??= new Intl.DateTimeFormat("en-CA", { timeZone: summary.zone, year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
  return Object.fromEntries(clock.formatToParts(ms).map((part) => [part.type, part.value]));
};
const day = (p) => (language === "vi" ? `${p.day}/${p.month}/${p.year}` : `${p.year}-${p.month}-${p.day}`);
/* A time of a finding: milliseconds since 1970, null when it has none. */
const when = (ms) => {
  if (ms === null) return words.noTime;
  const p = parts(ms);
  return `${day(p)} ${p.hour}:${p.minute}:${p.second}`;
};
/* A time on an axis of `span` milliseconds whose bars are `step` wide. */
const mark = (ms, step, span) => {
  const p = parts(ms);
  const time = step >= 60_000 ? `${p.hour}:${p.minute}` : `${p.hour}:${p.minute}:${p.second}`;
  if (span <= 86_400_000) return time;
  if (step >= 86_400_000) return day(p);
  return `${language === "vi" ? `${p.day}/${p.month}` : `${p.month}-${p.day}`} ${time}`;
};
const secondsText = (seconds) => {
  if (seconds < 60) return `${number(seconds)} ${words.sec}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return `${number(minutes)} ${words.min} ${Math.floor(seconds % 60)} ${words.sec}`;
  return minutes < 60 ? `${number(minutes)} ${words.min}` : `${number(Math.floor(minutes / 60))} ${words.hour} ${minutes % 60} ${words.min}`;
};

/* The literal pieces of a pattern; * and ? stand for anything, a backslash takes their meaning away. */
const literals = (pattern) => pattern.replace(/\\([*?\\])/g, (_, char) => `\u0001${char.charCodeAt(0)}\u0002`).split(/[*?]/)
  .map((piece) => piece.replace(/\u0001(\d+)\u0002/g, (_, code) => String.fromCharCode(code)).toLowerCase()).filter((piece) => piece);

/* Places [from, to] in a text to highlight, for matches [field, value, pattern, places found when written]. */
const places = (text, matches) => {
  const lower = text.toLowerCase();
  const found = [];
  for (const [, value, pattern, given] of matches) {
    if (given && strings[value] === text) {
      for (let at = 0; at < given.length; at += 2) found.push([given[at], given[at + 1]]);
      continue;
    }
    if (lower.length !== text.length) continue;
    const pieces = literals(strings[pattern]);
    const mine = [];
    let from = 0;
    for (const piece of pieces) {
      const at = lower.indexOf(piece, from);
      if (at < 0) { mine.length = 0; break; }
      mine.push([at, at + piece.length]);
      from = at + piece.length;
    }
    if (!mine.length && !given && strings[value] === text && text.length <= 200) mine.push([0, text.length]);
    found.push(...mine);
  }
  return found.sort((a, b) => a[0] - b[0]);
};
/* Nodes of a text with its places marked. `width`: cut to about so many characters around the first place. */
const highlighted = (text, marks, width = 0) => {
  let begin = 0;
  let end = text.length;
  if (width && text.length > width) {
    begin = marks.length ? Math.max(0, Math.min(marks[0][0] - 24, text.length - width)) : 0;
    end = begin + width;
  }
  const out = [begin ? "…" : ""];
  let at = begin;
  for (let [from, to] of marks) {
    from = Math.max(from, at);
    to = Math.min(to, end);
    if (to <= from) continue;
    out.push(text.slice(at, from), make("mark", {}, text.slice(from, to)));
    at = to;
  }
  out.push(text.slice(at, end), end < text.length ? "…" : "");
  return out;
};
