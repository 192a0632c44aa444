/* Uploads of evidence: what is too large is told before it is sent, and how far it is while it is sent. */
const form = document.querySelector("form[data-upload]");
const words = JSON.parse(document.getElementById("upload-words")?.textContent || "{}");

const show = (problems) => {
  const place = form.querySelector("[data-problems]");
  place.replaceChildren(...problems.map((text) => {
    const note = document.createElement("div");
    note.className = "note note-error";
    note.setAttribute("role", "alert");
    note.textContent = text;
    return note;
  }));
  if (problems.length) place.scrollIntoView({ block: "nearest" });
};

const refused = (files) => {
  const found = [...files].filter((file) => file.size > Number(form.dataset.most)).map((file) => `${file.name}: ${words.large}`);
  if ([...files].reduce((sum, file) => sum + file.size, 0) > Number(form.dataset.together)) found.unshift(words.together);
  return files.length > Number(form.dataset.many) ? [words.many, ...found] : found;
};

const size = (bytes) => new Intl.NumberFormat(document.documentElement.lang, { maximumFractionDigits: 1 }).format(bytes / 1048576);

const send = () => {
  const progress = form.querySelector("[data-progress]");
  const bar = progress.querySelector("progress");
  const said = progress.querySelector("[data-said]");
  const button = form.querySelector("button.btn-primary");
  const request = new XMLHttpRequest();
  const end = (problems) => {
    progress.hidden = true;
    button.disabled = false;
    delete form.dataset.sent;
    show(problems);
  };
  request.upload.addEventListener("progress", (event) => {
    if (!event.lengthComputable) { bar.removeAttribute("value"); return; }
    bar.value = Math.round((event.loaded / event.total) * 100);
    said.textContent = `${bar.value} % · ${size(event.loaded)} / ${size(event.total)} MB`;
  });
  request.upload.addEventListener("load", () => { bar.removeAttribute("value"); said.textContent = words.hashing; });
  request.addEventListener("load", () => {
    let answer = {};
    try { answer = JSON.parse(request.responseText); } catch { /* a page that says what failed */ }
    if (answer.url) location.assign(answer.url);
    else end(answer.errors || [words.failed]);
  });
  request.addEventListener("error", () => end([words.failed]));
  request.addEventListener("abort", () => end([words.failed]));
  request.open("POST", form.action || location.href);
  request.setRequestHeader("Accept", "application/json");
  show([]);
  button.disabled = true;
  progress.hidden = false;
  request.send(new FormData(form));
};

if (form) {
  form.querySelector("input[type=file]").addEventListener("change", (event) => show(refused(event.target.files)));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    event.stopPropagation();
    const problems = refused(form.querySelector("input[type=file]").files);
    if (problems.length) show(problems);
    else send();
  });
}
