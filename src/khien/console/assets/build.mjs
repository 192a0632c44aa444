/* Builds what pages load into ../static/khien: scripts, styles, fonts, and a sprite of the icons that templates name. */
import { build } from "esbuild";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync, copyFileSync, renameSync, existsSync, statSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const console_ = join(here, "..");
const out = join(console_, "static", "khien");
/* Not below static/: what walks through that sees finished files only. */
const made = join(here, `.made-${process.pid}`);
const runs = (pid) => {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error.code === "EPERM";
  }
};
for (const name of readdirSync(here)) {
  const left = /^\.made-(\d+)$/.exec(name);
  if (left && (Number(left[1]) === process.pid || !runs(Number(left[1])))) rmSync(join(here, name), { recursive: true, force: true });
}
mkdirSync(made);

const entries = readdirSync(join(here, "src")).filter((name) => /^[a-z_]+\.(js|css)$/.test(name)).map((name) => join(here, "src", name));
await build({
  entryPoints: entries, outdir: made, bundle: true, minify: true, sourcemap: false, target: "es2022", format: "iife",
  loader: { ".woff2": "file", ".woff": "empty", ".svg": "dataurl" }, assetNames: "fonts/[name]", logLevel: "warning", legalComments: "linked",
});

const texts = [];
const walk = (folder) => {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (entry.name.startsWith(".") || ["node_modules", "static", "__pycache__"].includes(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) walk(path);
    else if (/\.(html|py|js)$/.test(entry.name)) texts.push(readFileSync(path, "utf8"));
  }
};
walk(console_);
/* Any quoted word that is the name of an icon: `{% icon "lock" %}`, `icon_name="inbox"`, a Python string. */
const words = new Set(texts.join("\n").match(/(?<=["'])[a-z][a-z0-9-]*(?=["'])/g));
const icons = join(here, "node_modules/@tabler/icons/icons");
const symbols = [];
for (const word of [...words].sort()) {
  for (const [kind, name] of [["outline", word], ...(word.endsWith("-filled") ? [["filled", word.slice(0, -7)]] : [])]) {
    const file = join(icons, kind, `${name}.svg`);
    if (!existsSync(file)) continue;
    const body = readFileSync(file, "utf8").replace(/[\s\S]*<svg[^>]*>/, "").replace("</svg>", "").replace(/\s+/g, " ").trim();
    const paint = kind === "filled" ? 'fill="currentColor"' : 'fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round"';
    symbols.push(`<symbol id="${word}" viewBox="0 0 24 24" ${paint}>${body}</symbol>`);
    break;
  }
}
writeFileSync(join(made, "icons.svg"), `<svg xmlns="http://www.w3.org/2000/svg">${symbols.join("")}</svg>\n`);
copyFileSync(join(here, "src", "khien.svg"), join(made, "khien.svg"));

/* File by file: each is the old one or the new one, and none is missing in between. What is built no more goes last. */
const files = (folder) => readdirSync(folder, { recursive: true }).filter((name) => statSync(join(folder, name)).isFile());
const fresh = files(made);
for (const name of fresh) {
  mkdirSync(dirname(join(out, name)), { recursive: true });
  renameSync(join(made, name), join(out, name));
}
for (const name of files(out)) if (!fresh.includes(name)) rmSync(join(out, name), { force: true });
rmSync(made, { recursive: true, force: true });
console.log(`console: ${entries.length} bundles, ${symbols.length} icons`);
