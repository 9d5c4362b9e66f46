/** Pages, questions and who may see what, in a browser. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { TOKENS, URL_BASE, accessFaults, api, cellsOf, numberIn, open, picture, settled } from "./support.mjs";

describe("numbers", () => {
  test("a cohort matrix shows what the report answers", async () => {
    const { cohorts } = await api("MERCHANT", "/store/loyalty/analytics/cohorts?months_back=12");
    const { page, done } = await open("/app/loyalty/reports/cohorts?cohorts.months_back=12", ["MERCHANT"]);
    await page.locator("table.heat").waitFor();
    const shown = await cellsOf(page, "table.heat");
    assert.equal(shown.length, cohorts.length);
    shown.forEach(([, size, ...cells], row) => {
      assert.equal(numberIn(size), cohorts[row].enrolled);
      assert.deepEqual(cells.map(numberIn).filter((cell) => cell !== null), cohorts[row].retention);
    });
    await done();
  });

  test("a retention built in Explore shows what the query answers, and a cell opens those whom it counts", async () => {
    const query = { kind: "retention", period: "week", periods: 6 };
    const { result } = await api("PRODUCT_ADMIN", "/v1/query", query);
    const { page, done } = await open(`/app/product/explore?q=${encodeURIComponent(JSON.stringify(query))}`, ["PRODUCT_ADMIN"]);
    await page.locator("label.choice-item", { hasText: "#" }).click();
    const shown = await cellsOf(page, "table.heat");
    shown.forEach(([, size, ...cells], row) => {
      assert.equal(numberIn(size), result.sizes[row]);
      assert.deepEqual(cells.map(numberIn).filter((cell) => cell !== null), result.matrix[row]);
    });
    for (const [row, column] of [[0, 2], [2, 1], [1, 0]]) {
      await page.locator("table.heat tbody tr").nth(row).locator(".heat-cell button").nth(column).click();
      const count = await page.locator(".sheet-head p").textContent();
      assert.equal(numberIn(count ?? ""), result.matrix[row][column]);
      await page.keyboard.press("Escape");
      await page.locator(".sheet").waitFor({ state: "detached" });
    }
    await done();
  });

  test("a matrix is compared with the period before: each change is how far the two answers lie apart", async () => {
    const path = "/store/loyalty/analytics/cohorts?months_back=6";
    const hour = `${new Date().toISOString().slice(0, 13)}:00:00Z`;
    const { page, done } = await open("/app/loyalty/reports/cohorts?cohorts.months_back=6&compare=1", ["MERCHANT"]);
    const asked = new URL(await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name).find((name) => name.includes("as_of="))));
    assert.equal(asked.searchParams.get("as_of")?.slice(10), hour.slice(10), "as much of the month as has passed");
    await page.locator(".heat-change").first().waitFor();
    const [{ cohorts: now }, { cohorts: before }] = [await api("MERCHANT", path), await api("MERCHANT", asked.pathname + asked.search)];
    const shown = await page.locator("table.heat").evaluate((table) => [...table.tBodies[0].rows].map((row) => [...row.querySelectorAll(".heat-cell")].map((cell) => cell.querySelector(".heat-change")?.textContent ?? null)));
    now.forEach((cohort, row) => {
      const other = before.at(row - now.length);
      cohort.retention.forEach((cell, column) => {
        const then = other?.retention[column];
        if (then === undefined || then === null || (column === 0 && cell === 100)) return assert.equal(shown[row][column], null);
        const way = cell === then ? "=" : `${cell > then ? "↑" : "↓"}\u2009${Math.abs(cell - then)}`;
        return assert.equal(shown[row][column], way, `${cohort.month} ${column}`);
      });
    });
    await done();
  });

  test("a retention is compared with as many periods before, where both have ended, and says so in words", async () => {
    const query = { kind: "retention", period: "week", periods: 4 };
    const { page, done } = await open(`/app/product/explore?q=${encodeURIComponent(JSON.stringify(query))}`, ["PRODUCT_ADMIN"]);
    const { result: now } = await api("PRODUCT_ADMIN", "/v1/query", query);
    const from = new Date(Date.parse(now.starts[0]) - 28 * 86_400_000).toISOString().slice(0, 10);
    const { result: before } = await api("PRODUCT_ADMIN", "/v1/query", { ...query, from });
    await page.getByLabel("Compare with the period before").click();
    const cell = page.locator("table.heat tbody tr").first().locator(".heat-cell").nth(1);
    await cell.locator(".heat-change").waitFor();
    const points = Number((now.percent[0][1] - before.percent[0][1]).toFixed(1));
    assert.equal(await cell.locator(".heat-change").textContent(), points === 0 ? "=" : `${points > 0 ? "↑" : "↓"}\u2009${Math.abs(points)}`);
    const said = points === 0 ? /As .+ \(/ : points > 0 ? /points more than .+ \(/ : /points less than .+ \(/;
    assert.match((await cell.locator(".hidden").textContent()) ?? "", said);
    assert.equal(await page.locator(".heat-cell.is-partial .heat-change").count(), 0);
    assert.deepEqual(await accessFaults(page), []);
    await page.reload();
    await page.locator(".heat-change").first().waitFor();
    await done();
  });

  test("a list's numbers are the report's, in its order", async () => {
    const { cards } = await api("MERCHANT", "/store/loyalty/analytics/churn?limit=5");
    const { page, done } = await open("/app/loyalty/reports/churn?churn.limit=5", ["MERCHANT"]);
    const shown = await cellsOf(page, "table.table");
    assert.deepEqual(shown.map(([id, , , days]) => [numberIn(id), numberIn(days)]), cards.map((card) => [card.card_id, card.days_inactive]));
    await done();
  });

  test("a file of a report is what the server sends", async () => {
    const { page, done } = await open("/app/loyalty/reports/cohorts", ["MERCHANT"]);
    await page.getByRole("button", { name: "Download Cohorts" }).click();
    const waiting = page.waitForEvent("download");
    await page.getByRole("menuitem", { name: "CSV" }).click();
    const file = await waiting;
    assert.match(file.suggestedFilename(), /^cohorts-.*\.csv$/);
    const direct = await fetch(`${URL_BASE}/store/loyalty/analytics/cohorts?format=csv`, { headers: { Authorization: `Bearer ${TOKENS.MERCHANT}` } });
    assert.equal(readFileSync(await file.path(), "utf8"), await direct.text());
    await done();
  });
});

describe("questions", () => {
  test("a funnel built by hand survives a reload, and counts as the query does", async () => {
    const { page, done } = await open("/app/product/explore", ["PRODUCT_ADMIN"]);
    await page.locator("label.choice-item", { hasText: "Funnel" }).click();
    await page.getByLabel("Step 1", { exact: true }).selectOption("view");
    await page.getByLabel("Step 2", { exact: true }).selectOption("signup");
    await page.getByRole("button", { name: "Add a step" }).click();
    await page.getByLabel("Step 3", { exact: true }).selectOption("purchase");
    await page.locator("label.choice-item", { hasText: "All" }).click();
    await page.getByRole("button", { name: "Conditions of: Step 1" }).click();
    await page.locator(".step").first().getByRole("button", { name: "Add a condition" }).click();
    const filter = page.locator(".step").first().locator(".filter");
    await filter.getByLabel("Property", { exact: true }).fill("url");
    await filter.getByLabel("Value", { exact: true }).fill("/pricing");
    await filter.getByLabel("Value", { exact: true }).press("Enter");
    await page.waitForLoadState("networkidle");
    const steps = [{ event: "view", where: [{ prop: "url", value: "/pricing" }] }, { event: "signup" }, { event: "purchase" }];
    const { result } = await api("PRODUCT_ADMIN", "/v1/query", { kind: "funnel", window: "14d", steps });
    const shown = async () => page.locator(".funnel-numbers .link").allTextContents().then((texts) => texts.map(numberIn));
    await page.locator(".funnel-step").nth(2).waitFor();
    await page.waitForFunction((first) => document.querySelector(".funnel-numbers .link")?.textContent?.replaceAll(/\D/g, "") === String(first), result.counts[0]);
    assert.deepEqual(await shown(), result.counts);
    const address = page.url();
    await page.reload();
    await page.locator(".funnel-step").nth(2).waitFor();
    assert.equal(page.url(), address);
    assert.deepEqual(await shown(), result.counts);
    assert.equal(await page.getByLabel("Step 3", { exact: true }).inputValue(), "purchase");
    await done();
  });

  test("who dropped can be seen, with the reason", async () => {
    const query = { kind: "funnel", steps: [{ event: "signup" }, { event: "purchase" }], window: "14d" };
    const { page, done } = await open(`/app/product/explore?q=${encodeURIComponent(JSON.stringify(query))}&range=28d`, ["PRODUCT_ADMIN"]);
    await page.locator(".funnel-between .link").first().click();
    await page.locator(".actor").first().click();
    assert.match((await page.locator(".why-rule").textContent()) ?? "", /did not reach/);
    await done();
  });

  test("a bad statement is told of in the server's own words", async () => {
    const { page, done } = await open("/app/learning/sql", ["SITE_ADMIN"], { refused: [422] });
    await page.getByRole("textbox", { name: "Statement" }).fill("SELEC 1");
    await page.keyboard.press("Control+Enter");
    assert.match((await page.getByRole("alert").textContent()) ?? "", /sql_invalid/);
    await done();
  });
});

describe("who may see what", () => {
  for (const [path, app, token] of [["sql", "loyalty", "MERCHANT"], ["access", "loyalty", "MERCHANT"], ["sql", "storefront", "SHOP_VIEWER"], ["access", "storefront", "SHOP_VIEWER"]]) {
    test(`${token} does not reach ${path} of ${app}, and nothing of it is asked for`, async () => {
      const { page, done } = await open(`/app/${app}/${path}`, [token]);
      await page.getByText("This page is for another role").waitFor();
      assert.equal(await page.locator(`.nav a[href$="/${path}"]`).count(), 0);
      await done();
    });
  }

  test("a plan without the feature is told how to get it", async () => {
    const { page, done } = await open("/app/chatbot/reports/overview", ["FREE_OWNER"], { refused: [402] });
    await page.getByText("Upgrade to access your chatbot analytics").waitFor();
    await done();
  });

  test("nobody is signed in without a token, and a token signs in", async () => {
    const { page, done } = await open("/app/loyalty", []);
    await page.waitForURL(/sign-in/);
    await page.getByLabel("Token").fill(`export MERCHANT=${TOKENS.MERCHANT} # merchant 1`);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.getByRole("heading", { level: 1, name: "Loyalty programme" }).waitFor();
    await page.getByRole("button", { name: "Sign out of this app" }).click();
    await page.waitForURL(/sign-in/);
    await done();
  });
});

const funnel = encodeURIComponent(JSON.stringify({ kind: "funnel", steps: [{ event: "view", where: [{ prop: "url", op: "eq", value: "/pricing" }] }, { event: "signup" }, { event: "purchase" }], window: "14d" }));
const groups = encodeURIComponent(JSON.stringify({ kind: "trend", interval: "week", measure: "unique", breakdown: { prop: "plan", scope: "actor" }, compare: "previous_period" }));
const retention = encodeURIComponent(JSON.stringify({ kind: "retention", period: "week", periods: 8 }));
const ALL = ["MERCHANT", "DESK_ADMIN", "OWNER", "SITE_ADMIN", "SHOP_ADMIN", "PRODUCT_ADMIN"];
/** What is done on a page before it is looked at. */
const toCart = async (page) => {
  await page.locator(".shop-window .good").first().click();
  await page.locator('.shop-window[data-screen="product"] .is-primary').click();
  await page.locator('.shop-window[data-screen="cart"]').waitFor();
};
const runStatement = async (page) => {
  await page.getByRole("button", { name: "Run", exact: true }).click();
  await page.locator("table.table").first().waitFor();
};
const whyOfCell = async (page) => {
  await page.locator("table.heat .heat-cell button").nth(2).click();
  await page.locator(".actor").first().click();
  await page.locator(".why-event").first().waitFor();
};
const PAGES = [
  ["sign-in", "/app/sign-in", []],
  ["home", "/app/", ALL],
  ["loyalty", "/app/loyalty?compare=1", ["MERCHANT"]],
  ["itsm", "/app/itsm", ["DESK_ADMIN"]],
  ["chatbot", "/app/chatbot", ["OWNER"]],
  ["learning", "/app/learning", ["SITE_ADMIN"]],
  ["shop", "/storefront/", ["SHOP_ADMIN"], toCart],
  ["storefront", "/app/storefront", ["SHOP_VIEWER"]],
  ["product", "/app/product", ["PRODUCT_ADMIN"]],
  ["explore-funnel", `/app/product/explore?q=${funnel}&range=90d`, ["PRODUCT_ADMIN"]],
  ["explore-retention", `/app/product/explore?q=${retention}`, ["PRODUCT_ADMIN"]],
  ["explore-trend", `/app/product/explore?q=${groups}&range=90d`, ["PRODUCT_ADMIN"]],
  ["explore-actors", `/app/product/explore?q=${retention}`, ["PRODUCT_ADMIN"], whyOfCell],
  ["sql", "/app/learning/sql", ["SITE_ADMIN"], runStatement],
  ["data", "/app/loyalty/data", ["LOYALTY_ADMIN"]],
  ["access", "/app/product/access", ["PRODUCT_ADMIN"]],
];

describe("every page", () => {
  for (const [name, path, tokens, prepare = async () => undefined] of PAGES) {
    for (const theme of ["light", "dark"]) {
      test(`${name}, ${theme}: no fault of access, none in the console`, async () => {
        const { page, done } = await open(path, tokens, { theme });
        await page.locator("h1").first().waitFor();
        await prepare(page);
        await page.evaluate(async () => {
          for (let y = 0; y < document.body.scrollHeight; y += 600) {
            scrollTo(0, y);
            await new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(next)));
          }
          scrollTo(0, 0);
        });
        await settled(page);
        assert.deepEqual(await accessFaults(page), []);
        await picture(page, `${name}-${theme}`);
        await done();
      });
    }

    test(`${name} fits a phone`, async () => {
      const { page, done } = await open(path, tokens, { width: 390, height: 844 });
      await page.locator("h1").first().waitFor();
      await prepare(page);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${overflow} px too wide`);
      if (name === "shop") await picture(page, `${name}-phone`);
      await done();
    });
  }

  for (const locale of ["ko-KR", "ru-RU"]) {
    test(`the pages speak ${locale}`, async () => {
      const { page, done } = await open("/app/loyalty", ["MERCHANT"], { locale });
      const nav = await page.locator(".nav-link").first().textContent();
      assert.equal(nav?.trim(), locale === "ko-KR" ? "홈" : "Главная");
      assert.equal(await page.locator("html").getAttribute("lang"), locale.slice(0, 2));
      await done();
    });
  }
});

describe("the keyboard", () => {
  test("two keys go to a page, and none while something is typed", async () => {
    const { page, done } = await open("/app/learning", ["SITE_ADMIN"]);
    await page.keyboard.press("g");
    await page.keyboard.press("s");
    await page.waitForURL(/\/sql$/);
    await page.getByRole("textbox", { name: "Statement" }).focus();
    await page.keyboard.type("gh");
    assert.match(page.url(), /\/sql$/);
    await done();
  });

  test("a table sorts by its heads", async () => {
    const { page, done } = await open("/app/learning/reports/courses", ["SITE_ADMIN"]);
    const head = page.locator("th", { hasText: "Enrollments" });
    await head.getByRole("button").focus();
    await page.keyboard.press("Enter");
    assert.equal(await head.getAttribute("aria-sort"), "descending");
    const shown = (await cellsOf(page, "table.table")).map(([, enrolled]) => numberIn(enrolled));
    assert.deepEqual(shown, [...shown].sort((a, b) => b - a));
    await done();
  });
});
