/**
 * A pack that the dashboard has never heard of: its reports are pages like those of the bundled ones.
 *
 * EBBTIDE_BINARY: the server, which serves the pack of `bakery/` with rows that are made here. EBBTIDE_PACK_PORT: where. Without a binary there is nothing to try.
 */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, test } from "node:test";
import { accessFaults, cellsOf, numberIn, openAt, picture } from "./support.mjs";

const BINARY = process.env.EBBTIDE_BINARY;
const PORT = process.env.EBBTIDE_PACK_PORT ?? "18158";
const SERVER = `http://127.0.0.1:${PORT}`;
/** Where its pages are: at the server's own, or at one of a build that asks this server. */
const PAGES = process.env.EBBTIDE_PACK_URL ?? SERVER;
const APP = `bakery=${fileURLToPath(new URL("bakery", import.meta.url))}`;
const DAY_MS = 86_400_000;

/** Of shop 1 two dozen buyers, who began in six different weeks and come more and less often; of shop 2 one. */
function rows(now) {
  const products = ["bread", "bread", "cake", "bread", "tea", "cake", "roll"];
  const visits = Array.from({ length: 24 }, (_, buyer) => {
    const every = 1 + ((buyer * 5) % 9);
    const since = 41 - 7 * Math.floor(buyer / 4) - (buyer % 4);
    return Array.from({ length: Math.floor(since / every) + 1 }, (__, visit) => [buyer, since - visit * every]);
  }).flat();
  const own = visits.map(([buyer, days], place) => [place + 1, 1, `buyer-${buyer + 1}`, "sale", products[(place + buyer) % products.length], (place % 5) + 0.5, days]);
  const all = [...own, [100_000, 2, "secret-buyer", "sale", "bread", 9, 1]];
  return all.map((row) => [...row.slice(0, -1), new Date(now - row.at(-1) * DAY_MS).toISOString()].join(",")).join("\n");
}

let folder;
let server;
const tokens = {};

before(async () => {
  if (BINARY === undefined) return;
  folder = mkdtempSync(join(tmpdir(), "bakery-"));
  const data = join(folder, "data");
  writeFileSync(join(folder, "shops.csv"), "id,name\n1,Harbour\n2,Hill\n");
  writeFileSync(join(folder, "sales.csv"), `id,shop_id,buyer,kind,product,euros,sold_at\n${rows(Date.now())}\n`);
  execFileSync(BINARY, ["import", "--data", data, "--app", APP, join(folder, "shops.csv"), join(folder, "sales.csv")], { stdio: "ignore" });
  server = spawn(BINARY, ["serve", "--data", data, "--app", APP, "--listen", `127.0.0.1:${PORT}`], { stdio: ["ignore", "pipe", "ignore"] });
  await new Promise((listens, fails) => {
    server.once("exit", () => fails(new Error("the server ended")));
    server.stdout.on("data", (text) => (String(text).includes("listening on") ? listens() : undefined));
  });
  const sign = (...claims) => execFileSync(BINARY, ["token", "--data", data, "--app", "bakery", ...claims], { encoding: "utf8" }).trim().split("\n").at(-1);
  tokens.baker = sign("--role", "baker", "--tenant", "1");
  tokens.owner = sign("--role", "admin", "--tenant", "1");
});

after(() => {
  server?.kill();
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
});

const ask = async (path) => (await fetch(SERVER + path, { headers: { Authorization: `Bearer ${tokens.baker}` } })).json();
const open = (path, options) => openAt(PAGES, path, [tokens[options?.who ?? "baker"]], options);

describe("a pack of one's own", { skip: BINARY === undefined }, () => {
  test("has a page with numbers, pictures and tables, each as its server answers", async () => {
    const [takings, regulars, weeks] = await Promise.all([ask("/bakery/takings"), ask("/bakery/regulars"), ask("/bakery/coming-back")]);
    const { page, done } = await open("/app/bakery");
    assert.equal(await page.locator("h1").textContent(), "Two bakeries");
    assert.deepEqual(await page.locator(".report h3").allTextContents(), ["Takings", "Regulars", "Coming back"]);
    // Cards, with the unit that the name tells.
    const cards = await page.locator("#takings .card-stat").evaluateAll((stats) => stats.map((stat) => [stat.querySelector("dt")?.textContent, stat.querySelector(".card-value")?.textContent]));
    assert.deepEqual(cards.map(([name, value]) => [name, numberIn(value)]), [["Sales", takings.sales], ["Revenue", takings.revenue], ["Buyers", takings.buyers]]);
    // Days as a picture, which its own table tells too.
    await page.locator("#takings canvas").waitFor();
    await picture(page, "own-pack-light");
    await page.locator("#takings").getByText("Table", { exact: true }).click();
    const days = await cellsOf(page, '#takings [data-block="daily"] table');
    assert.deepEqual(days.map(([, sales]) => numberIn(sales)), takings.daily.map((day) => day.sales));
    // A map as bars.
    const bars = await page.locator('#takings [data-block="by_product"] .bar').evaluateAll((items) => items.map((item) => [item.querySelector(".bar-label")?.textContent, item.querySelector(".bar-value")?.textContent]));
    assert.deepEqual(Object.fromEntries(bars.map(([name, value]) => [name.toLowerCase(), numberIn(value)])), takings.by_product);
    // Rows as a table, in the report's order; weeks as cohorts.
    const buyers = await cellsOf(page, "#regulars table.table");
    assert.deepEqual(buyers.map(([buyer, visits]) => [buyer, numberIn(visits)]), regulars.buyers.slice(0, 10).map((row) => [row.buyer, row.visits]));
    const cohorts = await cellsOf(page, "#coming_back table.heat");
    assert.deepEqual(cohorts.map(([, size]) => numberIn(size)), weeks.weeks.map((week) => week.buyers));
    assert.deepEqual(await accessFaults(page), []);
    await done();
  });

  test("is sorted, opened at another length of time, compared with the period before, and taken as a file", async () => {
    const { page, done } = await open("/app/bakery/reports/takings?takings.days=7&compare=1");
    const asked = await ask("/bakery/takings?days=7");
    assert.equal(numberIn(await page.locator("#takings .card-value").first().textContent()), asked.sales);
    await page.locator("#takings .delta").first().waitFor({ state: "attached" });
    await page.getByRole("button", { name: "Download Takings" }).click();
    const waiting = page.waitForEvent("download");
    await page.getByRole("menuitem", { name: /Daily.*CSV|CSV/ }).first().click();
    const text = readFileSync(await (await waiting).path(), "utf8");
    assert.deepEqual(text.trim().split(/\r?\n/).slice(1).map((line) => Number(line.split(",")[1])), asked.daily.map((day) => day.sales));
    await done();
  });

  test("shows each role its own reports, and nobody another tenant's rows", async () => {
    const { page, done } = await open("/app/bakery");
    assert.equal(await page.locator('.nav a[href$="/books"]').count(), 0);
    assert.ok(!(await page.content()).includes("secret-buyer"));
    await done();
    const { page: owners, done: ended } = await open("/app/bakery", { who: "owner", theme: "dark" });
    assert.equal(await owners.locator('.nav a[href$="/books"]').count(), 1);
    await owners.locator("#takings canvas").waitFor();
    assert.deepEqual(await accessFaults(owners), []);
    await picture(owners, "own-pack-dark");
    await ended();
  });

  test("can be asked anything by hand", async () => {
    const query = encodeURIComponent(JSON.stringify({ kind: "trend", interval: "all", measure: "unique", breakdown: { prop: "product" } }));
    const { page, done } = await open(`/app/bakery/explore?q=${query}&range=28d`);
    await page.locator(".bar").nth(3).waitFor();
    assert.deepEqual((await page.locator(".bar-label").allTextContents()).sort(), ["bread", "cake", "roll", "tea"]);
    await done();
  });

  test("fits a phone", async () => {
    const { page, done } = await open("/app/bakery", { width: 390, height: 844 });
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= document.documentElement.clientWidth));
    await done();
  });
});
