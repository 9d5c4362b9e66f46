/**
 * Puts what was built where the binary takes it from: the dashboard, and the scripts for other sites' pages. Each file compressed, a list of them, and the
 * licences of what is in them.
 * `--check` says instead whether what is there is what a fresh build gives.
 */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, extname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync, gzipSync } from "node:zlib";

const here = dirname(fileURLToPath(import.meta.url));
const dashboard = join(here, "../dist");
/** What `/embed.js` and `/tracker.js` are. */
const scripts = [join(here, "../dist-embed"), join(here, "../../packages/tracker/dist")];
const crate = join(here, "../../../crates/web");
const modules = join(here, "../../node_modules");

const MEDIA_TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".txt": "text/plain; charset=utf-8" };

/** What all files may be together, and what the first page may need, compressed. */
const BYTES_MAX = 450_000;
const FIRST_BYTES_MAX = 150_000;
/** What a page with an embedded report loads before it is drawn, and with everything that the report may need. */
const EMBED_BYTES_MAX = 120_000;
const EMBED_ALL_BYTES_MAX = 350_000;
/** What a page that captures loads. */
const TRACKER_BYTES_MAX = 2_000;

function filesIn(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? filesIn(path) : [path];
  });
}

function read(built) {
  return filesIn(built).map((path) => fileOf(relative(built, path).replaceAll("\\", "/"), readFileSync(path)));
}

function fileOf(name, bytes) {
  const mediaType = MEDIA_TYPES[extname(name)];
  if (mediaType === undefined) throw new Error(`${name}: of no known type`);
  return { name, mediaType, bytes, gzip: gzipSync(bytes, { level: 9 }), etag: createHash("sha256").update(bytes).digest("hex").slice(0, 16) };
}

function listOf(files) {
  const lines = files.map(({ name, mediaType, etag }) => `    "${name}", "${mediaType}", "${etag}";`);
  return `files! {\n${lines.join("\n")}\n}\n`;
}

const bytesOf = (files) => files.reduce((total, file) => total + file.gzip.length, 0);

/** What the page names, and so is fetched before anything is drawn; with Home, which most visits begin at. */
function checkBudget(files) {
  const page = files.find((file) => file.name === "index.html").bytes.toString();
  const isFirst = ({ name }) => name === "index.html" || page.includes(`/app/${name}"`) || /HomePage/.test(name);
  const [first, all] = [bytesOf(files.filter(isFirst)), bytesOf(files)];
  console.log(`first load ${(first / 1000).toFixed(1)} kB, all ${(all / 1000).toFixed(1)} kB, compressed`);
  if (first > FIRST_BYTES_MAX || all > BYTES_MAX) throw new Error(`more than the budget: ${FIRST_BYTES_MAX} bytes at first, ${BYTES_MAX} in all`);
}

function checkScripts(files) {
  const bytes = Object.fromEntries(files.map((file) => [file.name, file.gzip.length]));
  const [embed, all, tracker] = [bytes["embed.js"], bytesOf(files) - bytes["tracker.js"], bytes["tracker.js"]];
  console.log(`embed.js ${(embed / 1000).toFixed(1)} kB, with all its parts ${(all / 1000).toFixed(1)} kB; tracker.js ${(tracker / 1000).toFixed(2)} kB, compressed`);
  if (embed > EMBED_BYTES_MAX || all > EMBED_ALL_BYTES_MAX || !(tracker < TRACKER_BYTES_MAX)) throw new Error("more than the scripts' budgets");
}

/** Packages that the page may hold, those of their packages included. */
function packages() {
  const found = new Map();
  const visit = (name) => {
    if (found.has(name)) return;
    const folder = join(modules, name);
    const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    found.set(name, { folder, about });
    for (const needed of Object.keys(about.dependencies ?? {})) if (!needed.startsWith("@types/")) visit(needed);
  };
  for (const name of Object.keys(JSON.parse(readFileSync(join(here, "../package.json"), "utf8")).dependencies)) visit(name);
  return [...found].sort(([a], [b]) => (a < b ? -1 : 1));
}

function licences() {
  const told = packages().map(([name, { folder, about }]) => {
    const files = readdirSync(folder).filter((file) => /^(?:licen[cs]e|notice)/i.test(file) && statSync(join(folder, file)).isFile()).sort();
    const texts = files.map((file) => readFileSync(join(folder, file), "utf8").replaceAll("\r\n", "\n").trim());
    return `${name} ${about.version} (${about.license})\n\n${texts.join("\n\n")}`.trim();
  });
  const rule = `\n\n${"-".repeat(80)}\n\n`;
  return `What the dashboard is made of besides our own work, and under which licences.${rule}${told.join(rule)}\n`;
}

const pages = read(dashboard);
checkBudget(pages);
const others = scripts.flatMap(read);
checkScripts(others);
const licencesText = licences();
const files = [...pages, ...others, fileOf("licenses.txt", Buffer.from(licencesText))].sort((a, b) => (a.name < b.name ? -1 : 1));
const wanted = new Map([["src/files.rs", listOf(files)], ["THIRD-PARTY-LICENSES", licencesText]]);

if (process.argv.includes("--check")) {
  const faults = [...wanted].filter(([name, text]) => readFileSync(join(crate, name), "utf8") !== text).map(([name]) => name);
  for (const { name, bytes } of files) {
    try {
      if (!gunzipSync(readFileSync(join(crate, "dist", `${name}.gz`))).equals(bytes)) faults.push(name);
    } catch {
      faults.push(name);
    }
  }
  if (faults.length > 0) {
    console.error(`crates/web is not what a fresh build gives; run "make web". Different: ${faults.join(", ")}`);
    process.exit(1);
  }
  console.log("crates/web is what a fresh build gives");
} else {
  rmSync(join(crate, "dist"), { recursive: true, force: true });
  for (const { name, gzip } of files) {
    const path = join(crate, "dist", `${name}.gz`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, gzip);
  }
  for (const [name, text] of wanted) writeFileSync(join(crate, name), text);
}
