/**
 * The dashboard in a browser, with a server that has the demo's data.
 *
 * EBBTIDE_URL: where the dashboard is. EBBTIDE_DEMO: a file with what `ebbtide demo` printed, for its tokens.
 * CHROMIUM: the browser, by default the distribution's. EBBTIDE_SHOTS: a folder for pictures of the pages, else none are made.
 */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { after, before } from "node:test";
import { chromium } from "playwright-core";

export const URL_BASE = process.env.EBBTIDE_URL ?? "http://127.0.0.1:18152";
export const TOKENS = Object.fromEntries([...readFileSync(process.env.EBBTIDE_DEMO ?? "demo.log", "utf8").matchAll(/^export (\w+)=(\S+)/gm)].map(([, name, token]) => [name, token]));
const SHOTS = process.env.EBBTIDE_SHOTS;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

let browser;
before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
});
after(() => browser?.close());

/** A page that is signed in by tokens of the demo, which have names. */
export const open = (path, names, options) => openAt(URL_BASE, path, names.map((name) => TOKENS[name]), options);

/** A page of a server. Whatever it complains of fails the test, save the answers that `refused` expects. */
export async function openAt(base, path, tokens, { width = 1280, height = 900, theme = "light", locale = "en-GB", refused = [] } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: theme, locale, bypassCSP: false });
  const page = await context.newPage();
  const faults = [];
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("console", (message) => {
    const isExpected = refused.some((status) => message.text().includes(typeof status === "number" ? `status of ${status}` : status));
    if (message.type() === "error" && !isExpected) faults.push(message.text());
  });
  page.on("request", (request) => {
    if (!request.url().startsWith(base) && !/^(?:blob|data):/.test(request.url())) faults.push(`asked elsewhere: ${request.url()}`);
  });
  await page.addInitScript((kept) => sessionStorage.setItem("ebbtide.tokens", sessionStorage.getItem("ebbtide.tokens") ?? JSON.stringify(kept)), tokens);
  await page.goto(base + path);
  await settled(page);
  return { page, done: async () => (assert.deepEqual(faults, []), context.close()) };
}

/** Waits until nothing is fetched, and nothing stands in for what is. */
export async function settled(page) {
  await page.waitForLoadState("networkidle");
  await page.waitForFunction(() => document.querySelector("h1") !== null && document.querySelector(".skeleton") === null);
}

export async function api(token, path, body) {
  const response = await fetch(URL_BASE + path, {
    method: body === undefined ? "GET" : "POST",
    headers: { Authorization: `Bearer ${TOKENS[token]}`, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  assert.equal(response.status, 200, path);
  return response.json();
}

export const numberIn = (text) => (/\d/.test(text) ? Number(text.replaceAll(/[^\d.]/g, "")) : null);

/** The numbers of a table's body, by row. */
export const cellsOf = (page, table) => page.locator(table).evaluate((element) => [...element.tBodies[0].rows].map((row) => [...row.cells].map((cell) => cell.textContent?.trim() ?? "")));

/**
 * Faults that keep people out; axe runs inside of the page, past its policy. The guards around an open menu are passed over: they are hidden and
 * take the focus only to hand it on, which is what they are for.
 */
export async function accessFaults(page, impacts = ["serious", "critical"]) {
  // A colour on its way from one state to another is neither.
  await page.evaluate(() => Promise.all(document.getAnimations().filter((one) => Number.isFinite(one.effect?.getComputedTiming().endTime)).map((one) => one.finished.catch(() => undefined))));
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: AXE });
  const { result } = await session.send("Runtime.evaluate", { expression: `axe.run({include: [document], exclude: [['[data-base-ui-focus-guard]']]}, {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations.filter((v) => ${JSON.stringify(impacts)}.includes(v.impact)).map((v) => [v.id, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160))])))`, awaitPromise: true });
  return JSON.parse(result.value);
}

/** A picture of the whole page, with the window as high as the page is. */
export async function picture(page, name) {
  if (SHOTS === undefined) return;
  const { width } = page.viewportSize();
  await page.setViewportSize({ width, height: await page.evaluate(() => document.documentElement.scrollHeight) });
  await page.evaluate(() => new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next))));
  await settled(page);
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}/${name}.png`, animations: "disabled" });
}
