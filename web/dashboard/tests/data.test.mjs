/** Rejected rows, cards, who is behind a number, tokens: what the pages do is what the server then tells. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { TOKENS, URL_BASE, accessFaults, api, numberIn, open } from "./support.mjs";

async function call(method, token, path, body) {
  const response = await fetch(URL_BASE + path, {
    method,
    headers: { Authorization: `Bearer ${TOKENS[token] ?? token}`, "Content-Type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  assert.ok(response.ok, `${method} ${path}: ${response.status}`);
  return response.json();
}

const EVERY_IMPACT = ["minor", "moderate", "serious", "critical"];

const exploring = (query, more = "") => `/app/product/explore?q=${encodeURIComponent(JSON.stringify(query))}${more}`;
const rejectsOf = async (code) => (await api("PRODUCT_ADMIN", `/v1/rejects?code=${code}`)).rejects;

describe("rejected rows", () => {
  test("one is looked at, mended and sent again", async () => {
    await call("DELETE", "PRODUCT_ADMIN", "/v1/rejects");
    await call("POST", "PRODUCT_WRITER", "/v1/capture", [{ event: "view", actor: "mended", ts: "soon", props: { url: "/" } }, 17]);
    const { page, done } = await open("/app/product/data", ["PRODUCT_ADMIN"]);
    const panel = page.locator("section", { has: page.getByRole("heading", { name: "Rejected rows" }) });
    await panel.locator("tbody tr").nth(1).waitFor();
    await panel.getByLabel("Reason").selectOption("ts_invalid");
    await panel.getByRole("button", { name: "Send 1 again" }).waitFor();
    // As it is it is refused once more, and stays.
    await panel.getByRole("button", { name: "Send 1 again" }).click();
    await panel.getByText("0 taken, 1 refused again.").waitFor();
    await panel.getByRole("button", { name: "Look at it" }).first().click();
    const sheet = page.locator(".sheet");
    const row = sheet.getByLabel("The row, as JSON");
    assert.equal(JSON.parse(await row.inputValue()).ts, "soon");
    await row.fill("{");
    assert.ok(await sheet.getByRole("button", { name: "Send again" }).isDisabled());
    await row.fill(JSON.stringify({ event: "view", actor: "mended", ts: "2026-01-02T03:04:05Z", props: { url: "/" } }));
    await sheet.getByRole("button", { name: "Send again" }).click();
    await sheet.waitFor({ state: "detached" });
    assert.deepEqual(await rejectsOf("ts_invalid"), []);
    const asked = { kind: "trend", interval: "all", measure: "total", filters: [{ prop: "event", value: "view" }], entity: { where: [] }, from: "2026-01-02", to: "2026-01-03" };
    assert.ok((await call("POST", "PRODUCT_ADMIN", "/v1/query", asked)).result.data[0] >= 1);
    await done();
  });

  test("one that is dismissed is gone, after a second look", async () => {
    await call("POST", "PRODUCT_WRITER", "/v1/capture", [18]);
    const { page, done } = await open("/app/product/data", ["PRODUCT_ADMIN"]);
    const panel = page.locator("section", { has: page.getByRole("heading", { name: "Rejected rows" }) });
    await panel.locator("tbody tr").first().waitFor();
    await panel.getByRole("button", { name: /^Dismiss/ }).click();
    await panel.getByRole("button", { name: "Really?" }).click();
    await page.getByText("No rejected rows").waitFor();
    assert.deepEqual((await api("PRODUCT_ADMIN", "/v1/rejects")).rejects, []);
    await done();
  });

  test("are asked for by nobody who may not see them", async () => {
    const { page, done } = await open("/app/loyalty/data", ["MERCHANT"]);
    await page.getByRole("heading", { name: "Tables" }).waitFor();
    assert.equal(await page.getByRole("heading", { name: "Rejected rows" }).count(), 0);
    await done();
  });
});

describe("cards", () => {
  test("a question saved in Explore stands on Home, small, and opens as it was", async () => {
    const { page, done } = await open(exploring({ kind: "trend", interval: "week", measure: "unique" }, "&range=90d&as=bar"), ["PRODUCT_ADMIN"]);
    await page.getByRole("button", { name: "Save as a card" }).click();
    await page.getByLabel("Title").fill("Weekly visitors");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByRole("link", { name: "Weekly visitors" }).waitFor();
    const card = await api("PRODUCT_ADMIN", "/v1/cards/weekly-visitors");
    assert.deepEqual([card.query, card.range, card.picture], [{ kind: "trend", interval: "week", measure: "unique" }, "90d", "bar"]);
    const address = new URL(page.url());
    await page.goto(`${URL_BASE}/app`);
    const drawn = page.locator(".saved-card", { hasText: "Weekly visitors" });
    await drawn.locator(".card-value").waitFor();
    const { result } = await api("PRODUCT_ADMIN", "/v1/query", { ...card.query, from: new Date(Date.now() - 89 * 86_400_000).toISOString().slice(0, 10) });
    const last = result.data[result.complete.lastIndexOf(true)];
    assert.equal(numberIn((await drawn.locator(".card-value").textContent()) ?? ""), last);
    await drawn.getByRole("link").click();
    await page.waitForURL(/explore/);
    const opened = new URL(page.url());
    for (const name of ["q", "range", "as"]) assert.equal(opened.searchParams.get(name), address.searchParams.get(name));
    await page.getByRole("button", { name: "Delete Weekly visitors" }).click();
    await page.getByRole("button", { name: "Delete Weekly visitors" }).click();
    await page.getByRole("link", { name: "Weekly visitors" }).waitFor({ state: "detached" });
    assert.ok(!(await api("PRODUCT_ADMIN", "/v1/cards")).cards.some((one) => one.name === "weekly-visitors"));
    await done();
  });
});

describe("who is behind a number", () => {
  const cases = [
    ["a path", { kind: "paths", steps: 2, limit: 20 }, ".bars .link", (result) => ({ edge: { from: result.edges[0].from, to: result.edges[0].to, step: 1 } })],
    ["a group of a trend", { kind: "trend", interval: "all", breakdown: { prop: "event", limit: 8 } }, ".bars .link", (result) => ({ bucket: 0, group: [result.groups[0].value] })],
    ["who is at risk", { kind: "churn", inactivity_multiplier: 2 }, ".card-stat .link", () => ({ at_risk: true })],
    ["what came before", { kind: "preceding", before: { event: "purchase" }, of: { event: "view" }, show: "event" }, ".bars .link", (result) => ({ value: result.values[0].value })],
    ["where a session was", { kind: "dropoff", step: "event", steps: ["view", "signup"] }, ".funnel-numbers .link", () => ({ step: "view" })],
  ];
  for (const [name, query, place, from] of cases) {
    test(`of ${name} they are as many as the server says`, async () => {
      const { page, done } = await open(exploring(query, "&range=all"), ["PRODUCT_ADMIN"]);
      const { result } = await call("POST", "PRODUCT_ADMIN", "/v1/query", query);
      const { total } = await call("POST", "PRODUCT_ADMIN", "/v1/members", { query, from: from(result), limit: 0 });
      assert.ok(total > 0);
      await page.locator(place).first().click();
      await page.locator(".sheet .actor").first().waitFor();
      assert.equal(numberIn((await page.locator(".sheet-head p").textContent()) ?? ""), total);
      await page.locator(".sheet .actor").first().click();
      await page.locator(".why-rule").waitFor();
      assert.deepEqual(await accessFaults(page), []);
      await done();
    });
  }

  test("of a row of the table they are saved as a cohort", async () => {
    const query = { kind: "stickiness", interval: "week" };
    const { page, done } = await open(exploring(query, "&range=90d&view=table"), ["PRODUCT_ADMIN"]);
    await page.locator("table.table tbody tr").nth(1).locator(".link").first().click();
    await page.locator(".sheet .actor").first().waitFor();
    const count = numberIn((await page.locator(".sheet-head p").textContent()) ?? "");
    await page.getByLabel("Save as a cohort").fill("two-weeks");
    await page.locator(".sheet").getByRole("button", { name: "Save" }).click();
    await page.locator(".cohort-saved").waitFor();
    const cohort = await api("PRODUCT_ADMIN", "/v1/cohorts/two-weeks");
    assert.deepEqual([cohort.size, cohort.from], [count, { exactly: 2 }]);
    await page.goto(`${URL_BASE}/app/product/data`);
    const row = page.locator("tr", { hasText: "two-weeks" });
    await row.waitFor();
    assert.deepEqual(await accessFaults(page, EVERY_IMPACT), []);
    await row.getByRole("button", { name: "Delete" }).click();
    await row.waitFor({ state: "detached" });
    await done();
  });
});

describe("a question", () => {
  test("is asked by another clock, which the address keeps", async () => {
    const { page, done } = await open(exploring({ kind: "trend", interval: "day", measure: "total" }, "&range=7d&view=json"), ["PRODUCT_ADMIN"]);
    await page.getByText("Clock and calendar").click();
    await page.getByLabel("Time zone").fill("Asia/Seoul");
    await page.getByLabel("Time zone").press("Enter");
    await page.waitForFunction(() => document.querySelector(".code pre")?.textContent?.includes('"tz": "Asia/Seoul"'));
    assert.equal(JSON.parse(new URL(page.url()).searchParams.get("q")).tz, "Asia/Seoul");
    await page.reload();
    assert.equal(await page.getByLabel("Time zone").inputValue(), "Asia/Seoul");
    await done();
  });

  test("is a command that asks the same", async () => {
    const query = { kind: "churn", inactivity_multiplier: 3 };
    const { page, done } = await open(exploring(query, "&view=curl"), ["PRODUCT_ADMIN"]);
    const text = (await page.locator(".code pre").textContent()) ?? "";
    assert.match(text, /\/v1\/query\?app=product/);
    assert.deepEqual(JSON.parse(/-d '(.*)'/.exec(text)?.[1] ?? "null"), query);
    await done();
  });

  test("is a file of its table", async () => {
    const { page, done } = await open(exploring({ kind: "stickiness", interval: "week" }, "&range=90d&view=table"), ["PRODUCT_ADMIN"]);
    const waiting = page.waitForEvent("download");
    await page.getByRole("button", { name: "CSV" }).click();
    const lines = readFileSync(await (await waiting).path(), "utf8").trim().split("\r\n");
    assert.equal(lines[0], "periods,actors,at_least");
    assert.ok(lines.length > 2);
    await done();
  });
});

describe("access", () => {
  test("with a key in the list, has no fault of access of any weight", async () => {
    const { key, id } = await call("POST", "PRODUCT_ADMIN", "/v1/keys", { name: "seen" });
    assert.ok(key.startsWith("ewk_"));
    const { page, done } = await open("/app/product/access", ["PRODUCT_ADMIN"]);
    await page.locator("tr", { hasText: "seen" }).first().waitFor();
    assert.deepEqual(await accessFaults(page, EVERY_IMPACT), []);
    await call("DELETE", "PRODUCT_ADMIN", `/v1/keys/${id}`);
    await done();
  });

  test("a token that an admin mints is shown once, and opens what it says", async () => {
    const { page, done } = await open("/app/product/access", ["PRODUCT_ADMIN"]);
    await page.getByLabel("Role").fill("analyst");
    await page.getByLabel("Good for").selectOption("15m");
    await page.getByRole("button", { name: "Make a token" }).click();
    const token = (await page.locator("code.key").textContent()) ?? "";
    assert.ok((await call("GET", token, "/v1/cards")).cards !== undefined);
    const refused = await fetch(`${URL_BASE}/v1/rejects`, { headers: { Authorization: `Bearer ${token}` } });
    assert.equal(refused.status, 403);
    await page.reload();
    assert.equal(await page.locator("code.key").count(), 0);
    await done();
  });
});
