/** What opens over a page, what each kind of question shows, and what is said where nothing can be shown: seen by axe, and walked by the keyboard. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { TOKENS, URL_BASE, accessFaults, open, openAt, settled } from "./support.mjs";

const THEMES = ["light", "dark"];
const exploring = (app, query, more = "&range=90d") => `/app/${app}/explore?q=${encodeURIComponent(JSON.stringify(query))}${more}`;
const STEPS = [{ event: "view" }, { event: "signup" }, { event: "purchase" }];
const FUNNEL = { kind: "funnel", steps: STEPS, window: "14d" };
const RETENTION = { kind: "retention", period: "week", periods: 6 };

/** Where it is opened, by what, what is then there, and whether Escape closes it. */
const OPENED = [
  ["who is behind a cell", exploring("product", RETENTION), "PRODUCT_ADMIN", (page) => page.locator("table.heat .heat-cell button").first(), ".sheet .actor"],
  ["the columns of a table", "/app/product/data", "PRODUCT_ADMIN", (page) => page.locator(".table-open button").first(), ".sheet table"],
  ["a row with more than its columns", "/app/chatbot/reports/overview", "OWNER", (page) => page.locator(".table-open button").first(), ".sheet .card-stat"],
  ["the menu of files", "/app/loyalty/reports/cohorts", "MERCHANT", (page) => page.getByRole("button", { name: /^Download/ }), '[role="menuitem"]'],
  ["the menu of apps", "/app/loyalty", "MERCHANT", (page) => page.locator(".app-switch"), '[role="menuitem"], [role="menuitemradio"]'],
  ["the menu of languages", "/app/loyalty", "MERCHANT", (page) => page.getByRole("button", { name: "Language" }), '[role="menuitem"], [role="menuitemradio"]'],
];

describe("what opens", () => {
  for (const [name, path, token, opener, inside] of OPENED) {
    for (const theme of THEMES) {
      test(`${name}, ${theme}: by a key, without a fault of access, and back to where one was`, async () => {
        const { page, done } = await open(path, [token], { theme });
        const button = opener(page);
        await button.focus();
        await page.keyboard.press("Enter");
        await page.locator(inside).first().waitFor();
        await page.waitForLoadState("networkidle");
        assert.deepEqual(await accessFaults(page), []);
        await page.keyboard.press("Escape");
        await page.locator(inside).first().waitFor({ state: "detached" });
        await page.waitForFunction((element) => document.activeElement === element, await button.elementHandle());
        await done();
      });
    }
  }

  test("the pages' menu on a phone", async () => {
    const { page, done } = await open("/app/loyalty", ["MERCHANT"], { width: 390, height: 844 });
    await page.getByRole("button", { name: "Menu" }).click();
    await page.locator(".sheet .nav-link").first().waitFor();
    assert.deepEqual(await accessFaults(page), []);
    await page.locator(".sheet .nav-link", { hasText: "Explore" }).click();
    await page.waitForURL(/explore/);
    await page.locator(".sheet").waitFor({ state: "detached" });
    await done();
  });

  test("why somebody counts is reached by the keyboard alone", async () => {
    const { page, done } = await open(exploring("product", FUNNEL), ["PRODUCT_ADMIN"]);
    await page.locator(".funnel-numbers .link").first().focus();
    await page.keyboard.press("Enter");
    await page.locator(".actor").first().focus();
    await page.keyboard.press("Enter");
    await page.locator(".why-event").first().waitFor();
    assert.deepEqual(await accessFaults(page), []);
    await done();
  });
});

/** Each kind of question, and a number of its table behind which somebody is. */
const KINDS = [
  ["trend", "product", "PRODUCT_ADMIN", { kind: "trend", interval: "week", measure: "unique", compare: "previous_period" }],
  ["trend with groups", "product", "PRODUCT_ADMIN", { kind: "trend", interval: "week", measure: "unique", breakdown: { prop: "plan", scope: "actor" }, compare: "previous_period" }],
  ["funnel", "product", "PRODUCT_ADMIN", FUNNEL],
  ["funnel with groups", "product", "PRODUCT_ADMIN", { ...FUNNEL, breakdown: { props: ["plan"], scope: "actor" } }],
  ["funnel over time", "product", "PRODUCT_ADMIN", { ...FUNNEL, viz: "trends", interval: "week" }],
  ["retention", "product", "PRODUCT_ADMIN", RETENTION],
  ["lifecycle", "product", "PRODUCT_ADMIN", { kind: "lifecycle", interval: "week" }],
  ["stickiness", "product", "PRODUCT_ADMIN", { kind: "stickiness", interval: "week" }],
  ["paths", "product", "PRODUCT_ADMIN", { kind: "paths", steps: 3, limit: 20 }],
  ["what came before", "product", "PRODUCT_ADMIN", { kind: "preceding", before: { event: "signup" }, of: { event: "view" }, show: "url" }],
  ["drop-off", "storefront", "SHOP_ADMIN", { kind: "dropoff", step: "screen", next_step: "next_screen", session: "session_id", steps: ["home", "product", "cart", "success"], success: "success" }],
];

const numberOf = (text) => Number((text ?? "").replaceAll(/\D/g, ""));

describe("each kind of question", () => {
  test("a table says what was before, and its file holds it", async () => {
    const { page, done } = await open(exploring("product", KINDS[1][3], "&range=28d&view=table"), ["PRODUCT_ADMIN"]);
    await page.locator("td .compared .delta").first().waitFor();
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "CSV" }).click()]);
    assert.match(readFileSync(await file.path(), "utf8").split("\r\n")[0], /^start,value,before,.*team.*,team_before/);
    await page.goto(URL_BASE + exploring("product", { ...RETENTION, compare: "previous_period" }, "&view=table"));
    await page.locator("td .compared .heat-change").first().waitFor();
    assert.deepEqual(await accessFaults(page), []);
    await done();
  });

  for (const [name, app, token, query] of KINDS) {
    test(`${name}: a picture without a fault of access, and a table whose numbers open who is behind them`, async () => {
      const { page, done } = await open(exploring(app, query), [token]);
      assert.deepEqual(await accessFaults(page), []);
      await page.locator("label.choice-item", { hasText: "Table" }).click();
      const number = page.locator("table.table td.is-number .link").first();
      await number.waitFor();
      await number.click();
      const count = page.locator(".sheet-head p");
      await count.waitFor();
      // Of those who are counted no fewer than one, and of actors as many as the number says.
      assert.ok(numberOf(await count.textContent()) > 0);
      if (query.measure === "unique" || ["retention", "lifecycle", "stickiness", "funnel"].includes(query.kind)) assert.equal(numberOf(await count.textContent()), Math.abs(numberOf(await number.textContent())));
      await done();
    });
  }

  test("churn lists whom it counts, and tells why", async () => {
    const { page, done } = await open(exploring("loyalty", { kind: "churn" }, ""), ["MERCHANT"]);
    assert.deepEqual(await accessFaults(page), []);
    const number = page.locator(".card-value .link");
    const shown = numberOf(await number.textContent());
    await number.click();
    await page.locator(".sheet-head p").waitFor();
    assert.equal(numberOf(await page.locator(".sheet-head p").textContent()), shown);
    await done();
  });

  test("of groups each opens its own, at the period that is chosen", async () => {
    const { page, done } = await open(exploring("product", KINDS[1][3]), ["PRODUCT_ADMIN"]);
    await page.locator(".param", { hasText: "Period" }).locator("select").selectOption({ index: 8 });
    const bar = page.locator(".bars .bar", { has: page.locator(".link") }).first();
    const shown = numberOf(await bar.locator(".bar-value").evaluate((element) => element.lastChild?.textContent));
    await bar.locator(".link").click();
    await page.locator(".sheet-head p").waitFor();
    assert.equal(numberOf(await page.locator(".sheet-head p").textContent()), shown);
    await done();
  });

  test("a question that lacks its property waits for it", async () => {
    const { page, done } = await open(exploring("product", { kind: "trend", interval: "all", measure: "sum" }), ["PRODUCT_ADMIN"]);
    await page.getByText("Choose a property").waitFor();
    const property = page.locator("label.control", { hasText: /^Property/ }).locator("input").first();
    await property.fill("amount");
    await property.press("Enter");
    await page.locator(".card-stat .big").waitFor();
    await done();
  });

  test("why somebody counts is told in the reader's language", async () => {
    const { page, done } = await open(exploring("product", RETENTION, ""), ["PRODUCT_ADMIN"], { locale: "ru" });
    await page.locator("table.heat .heat-cell button").first().click();
    await page.locator(".actor").first().click();
    assert.match((await page.locator(".why-rule").textContent()) ?? "", /^События начала/);
    await done();
  });

  test("a retention is seen by its groups", async () => {
    const { page, done } = await open(exploring("product", { ...RETENTION, breakdown: { prop: "plan", scope: "actor" } }, ""), ["PRODUCT_ADMIN"]);
    await page.locator("label.choice-item", { hasText: "#" }).click();
    await page.getByLabel("Group").selectOption("team");
    const cell = page.locator("table.heat .heat-cell button").nth(1);
    const shown = numberOf(await cell.textContent());
    await cell.click();
    await page.locator(".sheet-head p").waitFor();
    assert.equal(numberOf(await page.locator(".sheet-head p").textContent()), shown);
    await done();
  });
});

/** A problem as the server writes it. */
const problem = (status, code, title) => ({ status, contentType: "application/problem+json", body: JSON.stringify({ type: `urn:ebbtide:error:${code}`, title, status, detail: `${title}.`, code, hint: "Sign in again.", request_id: "r1" }) });

const card = (name, query) => ({ name, title: name, query, range: "28d", picture: "own", updated_at: "2026-01-01T00:00:00Z" });

describe("where nothing can be shown", () => {
  test("a token that ends while a page is open is told of once, with the way to another", async () => {
    const { page, done } = await open("/app/learning", ["SITE_ADMIN"], { refused: [401] });
    await page.route(/\/(?:v1|api)\//, (route) => route.fulfill(problem(401, "token_expired", "Expired token")));
    await page.getByRole("button", { name: "Ask again" }).click();
    await page.getByRole("link", { name: "Sign in with another token" }).waitFor();
    assert.deepEqual(await page.getByRole("alert").locator("strong").allTextContents(), ["Your token has expired"]);
    assert.deepEqual(await accessFaults(page), []);
    await page.unrouteAll();
    await page.getByRole("link", { name: "Sign in with another token" }).click();
    await page.getByLabel("Token").fill(TOKENS.SITE_ADMIN);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(/\/app\/learning$/);
    await done();
  });

  test("a problem is told in the reader's language, with the server's own sentence beneath", async () => {
    const { page, done } = await open("/app/learning", ["SITE_ADMIN"], { refused: [503], locale: "ko" });
    await page.route(/\/(?:v1|api)\//, (route) => route.fulfill(problem(503, "storage_failed", "Storage does not take writes")));
    await page.getByRole("button", { name: "새로 고침" }).click();
    const notice = page.getByRole("alert").first();
    await notice.waitFor();
    assert.equal(await notice.locator("strong").textContent(), "서버가 지금은 아무것도 저장할 수 없습니다");
    assert.equal(await notice.locator('[lang="en"]').textContent(), "Storage does not take writes.");
    assert.deepEqual(await accessFaults(page), []);
    await done();
  });

  test("a card that cannot be drawn says so, and the others stay", async () => {
    const { page, done } = await open("/app/product", ["PRODUCT_ADMIN"], { refused: ["reading 'slice'"] });
    await page.route(/\/v1\/cards/, (route) => route.fulfill({ json: { cards: [card("broken", { kind: "paths" }), card("several", { kind: "trend", measure: ["total", "unique"] })] } }));
    await page.route(/\/v1\/query/, (route) => (route.request().postDataJSON().kind === "paths" ? route.fulfill({ json: { result: {}, meta: {}, query: {} } }) : route.continue()));
    await page.goto(`${URL_BASE}/app/`);
    await page.locator(".saved-card [role=alert]").waitFor();
    await page.locator(".saved-card .card-value").waitFor();
    await page.locator(".saved-card a", { hasText: "several" }).click();
    await page.getByRole("heading", { name: "actors", exact: true }).waitFor();
    assert.equal(await page.locator(".explore-result .chart canvas").count(), 2);
    assert.deepEqual(await accessFaults(page), []);
    await done();
  });

  test("a token that nobody signed is refused where it is pasted", async () => {
    const forged = TOKENS.SITE_ADMIN.replace(/[^.]+$/, "AAAA");
    const { page, done } = await openAt(URL_BASE, "/app/sign-in", [], { refused: [401] });
    await page.getByLabel("Token").fill(forged);
    await page.getByRole("button", { name: "Sign in" }).click();
    assert.match((await page.getByRole("alert").textContent()) ?? "", /token_/);
    assert.deepEqual(await accessFaults(page), []);
    await done();
  });

  test("a server that does not answer is said to, and tried again", async () => {
    const { page, done } = await open("/app/loyalty/reports/cohorts", ["MERCHANT"], { refused: ["net::ERR"] });
    await page.route(/\/store\//, (route) => route.abort());
    await page.getByLabel("As of").fill("2026-01-31");
    await page.getByText("The server does not answer").waitFor();
    assert.deepEqual(await accessFaults(page), []);
    await page.unrouteAll();
    await page.getByRole("button", { name: "Try again" }).click();
    await page.getByText("The server does not answer").waitFor({ state: "detached" });
    await done();
  });

  test("a plan without the feature says so for every report, and asks for nothing that it cannot have", async () => {
    const { page, done } = await open("/app/chatbot", ["FREE_OWNER"], { refused: [402] });
    assert.equal(await page.getByText("Upgrade to access your chatbot analytics").count(), await page.locator(".report").count());
    assert.equal(await page.locator(".report input, .report select").count(), 0);
    assert.deepEqual(await accessFaults(page), []);
    await done();
  });

  test("a time without rows, a report that there is not and a page that there is not say what to do", async () => {
    const { page, done } = await open(exploring("product", { kind: "trend", interval: "day" }, "&range=2001-01-01..2001-01-31"), ["PRODUCT_ADMIN"]);
    await page.getByText("Nothing in this range").waitFor();
    await page.goto(`${URL_BASE}/app/loyalty`);
    await done();
    const other = await open("/app/loyalty/reports/nowhere", ["MERCHANT"]);
    await other.page.getByRole("link", { name: "All of its reports" }).click();
    await other.page.waitForURL(/\/app\/loyalty$/);
    await settled(other.page);
    await other.done();
    const third = await open("/app/loyalty/nowhere", ["MERCHANT"]);
    await third.page.getByRole("link", { name: "Go to Home" }).waitFor();
    assert.deepEqual(await accessFaults(third.page), []);
    await third.done();
  });

  test("an app without reports of its own shows its numbers, and what could be asked", async () => {
    const { page, done } = await open("/app/product", ["PRODUCT_ADMIN"]);
    await page.getByRole("heading", { name: "At a glance" }).waitFor();
    await page.locator(".starter", { hasText: "Retention" }).click();
    await page.waitForURL(/explore/);
    await page.locator("table.heat").waitFor();
    await done();
  });
});
