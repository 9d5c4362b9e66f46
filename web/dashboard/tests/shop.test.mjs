/** The shop's page: who walks through it is counted beside it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TOKENS, api, numberIn, open } from "./support.mjs";

const summary = (token = "SHOP_ADMIN") => api(token, "/funnel/summary");
const stepOf = (told, name) => told.steps.find(({ step }) => step === name);

const STEPS = ["home", "product", "cart", "success"];

/** The numbers that the page shows, by the names that the summary has. */
async function shownOn(page) {
  const texts = await page.evaluate(() => [...document.querySelectorAll("[data-number]")].map((element) => [`${element.closest("[data-step]")?.dataset.step ?? ""} ${element.dataset.number}`, element.textContent]));
  const numbers = Object.fromEntries(texts.map(([name, text]) => [name, numberIn(text)]));
  const steps = STEPS.map((step) => ({ step, sessions: numbers[`${step} sessions`], exits: numbers[`${step} exits`] }));
  return { total_sessions: numbers[" sessions"], converted: numbers[" converted"], total_exits: numbers[" exits"], steps };
}

const toldBy = ({ total_sessions, converted, total_exits, steps }) => ({ total_sessions, converted, total_exits, steps: steps.map(({ step, sessions, exits }) => ({ step, sessions, exits })) });

const exitsShow = (page, step, count) =>
  page.waitForFunction(([own, wanted]) => document.querySelector(`.split-list [data-step="${own}"] [data-number="exits"]`)?.textContent?.replaceAll(/\D/g, "") === String(wanted), [step, count]);

const lineIs = (page, kind) => page.locator(`[data-line="${kind}"]`).waitFor();
const screenIs = (page, screen) => page.locator(`.shop-window[data-screen="${screen}"]`).waitFor();

async function toCart(page) {
  await page.getByRole("button", { name: /Tide mug/ }).click();
  await page.getByRole("button", { name: "Put in the cart" }).click();
  await screenIs(page, "cart");
}

describe("a visit", () => {
  test("from Home to Product to Cart and out by the X is on the dashboard beside, as the summary tells it", async () => {
    const before = await summary();
    const { page, done } = await open("/storefront/", ["SHOP_ADMIN"]);
    await lineIs(page, "live");
    const waits = page.waitForRequest((request) => request.url().endsWith("/events") && request.postDataJSON().event_type === "exit");
    await toCart(page);
    await page.getByRole("button", { name: "Leave the shop" }).click();
    await exitsShow(page, "cart", stepOf(before, "cart").exits + 1);
    const event = (await waits).postDataJSON();
    assert.deepEqual([event.screen, event.next_screen], ["cart", "exit"]);
    assert.ok(event.user_think_time > 0 && event.system_latency > 0, JSON.stringify(event));
    const after = await summary();
    assert.equal(after.total_sessions, before.total_sessions + 1);
    for (const [step, exits] of [["home", 0], ["product", 0], ["cart", 1], ["success", 0]]) assert.equal(stepOf(after, step).exits, stepOf(before, step).exits + exits, step);
    assert.equal(stepOf(after, "cart").latency.user.latest, event.user_think_time);
    assert.deepEqual(await shownOn(page), toldBy(after));
    await page.getByText("Counted as an exit at: Cart.").waitFor();
    assert.equal(await page.getByRole("button", { name: "Leave the shop" }).isDisabled(), true);
    await done();
  });

  test("that ends with an order is a conversion, and leaving then no drop-off", async () => {
    const before = await summary();
    const { page, done } = await open("/app/storefront/shop", ["SHOP_ADMIN"]);
    await lineIs(page, "live");
    await toCart(page);
    await page.getByRole("button", { name: "Pay" }).click();
    await screenIs(page, "success");
    await page.waitForFunction((wanted) => document.querySelector('[data-number="converted"]')?.textContent?.replaceAll(/\D/g, "") === String(wanted), before.converted + 1);
    await page.getByRole("button", { name: "Leave the shop" }).click();
    await page.getByText("leaving now is no drop-off").waitFor();
    assert.equal((await summary()).total_exits, before.total_exits);
    await page.getByRole("button", { name: "Begin a new visit" }).click();
    await screenIs(page, "home");
    await done();
  });

  test("without a click for five minutes is an exit where it stands", async () => {
    const before = await summary();
    const { page, done } = await open("/storefront/", ["SHOP_ADMIN"]);
    await page.clock.install();
    await page.reload();
    await lineIs(page, "live");
    await page.getByRole("button", { name: /Storm lantern/ }).click();
    await screenIs(page, "product");
    await page.clock.fastForward("04:59");
    assert.equal(await page.locator('.shop-window[data-screen="product"]').count(), 1);
    const waits = page.waitForRequest((request) => request.url().endsWith("/events"));
    await page.clock.fastForward("00:01");
    const event = (await waits).postDataJSON();
    assert.deepEqual([event.screen, event.event_type], ["product", "exit"]);
    assert.ok(event.user_think_time >= 300_000, String(event.user_think_time));
    await page.getByText("Nobody clicked for 5 minutes").waitFor();
    await exitsShow(page, "product", stepOf(before, "product").exits + 1);
    await done();
  });

  test("tells the server how long it took until the browser showed it", async () => {
    const { page, done } = await open("/storefront/", ["SHOP_ADMIN"]);
    const sent = [];
    page.on("websocket", (socket) => socket.on("framesent", ({ payload }) => sent.push(JSON.parse(String(payload)))));
    await page.reload();
    await lineIs(page, "live");
    const waits = page.waitForRequest((request) => request.url().endsWith("/events"));
    await page.getByRole("button", { name: /Sail bag/ }).click();
    const { event_id } = (await waits).postDataJSON();
    await page.waitForFunction(() => document.querySelector('[data-latency="client"] [data-step="home"] [data-kind="latest"]')?.textContent?.includes("—") === false);
    while (sent.length === 0) await page.evaluate(() => new Promise((next) => requestAnimationFrame(next)));
    const [report] = sent;
    assert.deepEqual([report.type, report.event_id], ["latency", event_id]);
    assert.ok(report.client_latency_ms > 0);
    await done();
  });

  test("leaves what is open and has the focus alone while its numbers move", async () => {
    const { page, done } = await open("/storefront/", ["SHOP_ADMIN"]);
    await lineIs(page, "live");
    const insight = page.locator(".insight").filter({ has: page.locator("summary") }).first();
    await insight.locator("summary").focus();
    await page.keyboard.press("Enter");
    const exits = (await summary()).total_exits;
    const other = await open("/storefront/", ["SHOP_ADMIN"]);
    await lineIs(other.page, "live");
    await other.page.getByRole("button", { name: "Leave the shop" }).click();
    await page.waitForFunction((wanted) => document.querySelector('[data-number="exits"]')?.textContent?.replaceAll(/\D/g, "") === String(wanted), exits + 1);
    assert.equal(await insight.locator("details").evaluate((details) => details.open && details.contains(document.activeElement)), true);
    await other.done();
    await done();
  });

  test("is walked by the keyboard alone", async () => {
    const { page, done } = await open("/storefront/", ["SHOP_ADMIN"]);
    await lineIs(page, "live");
    await page.getByRole("button", { name: /Tide mug/ }).focus();
    await page.keyboard.press("Enter");
    await screenIs(page, "product");
    await page.waitForFunction(() => document.activeElement?.classList.contains("shop-screen"));
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await screenIs(page, "cart");
    await done();
  });
});

describe("the line to the server", () => {
  test("that breaks is told of and mends itself", async () => {
    const { page, done } = await open("/app/storefront", ["SHOP_VIEWER"]);
    const lines = [];
    let isUp = true;
    await page.routeWebSocket(/\/ws\/metrics/, async (line) => {
      if (!isUp) return line.close({ code: 1013 });
      line.connectToServer();
      return lines.push(line);
    });
    await page.getByRole("link", { name: "Shop", exact: true }).click();
    await lineIs(page, "live");
    isUp = false;
    await lines.at(-1).close({ code: 1001 });
    await lineIs(page, "waiting");
    await page.getByText(/next try in/).waitFor();
    isUp = true;
    await lineIs(page, "live");
    assert.equal(lines.length, 2);
    assert.deepEqual(await shownOn(page), toldBy(await summary("SHOP_VIEWER")));
    await done();
  });

  test("ends with the token, and says so", async () => {
    const { page, done } = await open("/app/storefront", ["SHOP_VIEWER"]);
    const lines = [];
    await page.routeWebSocket(/\/ws\/metrics/, (line) => {
      line.connectToServer();
      lines.push(line);
    });
    await page.getByRole("link", { name: "Shop", exact: true }).click();
    await lineIs(page, "live");
    await lines.at(-1).close({ code: 4401 });
    await lineIs(page, "ended");
    await page.getByText("Your token has ended").waitFor();
    assert.equal(lines.length, 1);
    await done();
  });
});

describe("the page of an app's name", () => {
  test("is the shop's, after signing in too", async () => {
    const { page, done } = await open("/storefront/", []);
    await page.waitForURL(/sign-in/);
    await page.getByLabel("Token").fill(TOKENS.SHOP_VIEWER);
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL(/\/storefront\/$/);
    await lineIs(page, "live");
    assert.equal(await page.locator('.nav-link[aria-current="page"]').textContent(), "Shop");
    await done();
  });

  test("is that of its reports for other apps, which have no shop", async () => {
    const { page, done } = await open("/loyalty/", ["MERCHANT"]);
    await page.waitForURL(/\/app\/loyalty$/);
    await page.getByRole("heading", { level: 1, name: "Loyalty programme" }).waitFor();
    assert.equal(await page.getByRole("link", { name: "Shop", exact: true }).count(), 0);
    await done();
  });
});

describe("insights", () => {
  test("stand beside the shop as the summary tells them, in the reader's language", async () => {
    const { page, done } = await open("/storefront/", ["SHOP_ADMIN"], { locale: "ru-RU" });
    await lineIs(page, "live");
    const { insights } = await api("SHOP_ADMIN", "/funnel/summary?lang=ru");
    const shown = await page.locator(".insight-head strong").allTextContents();
    assert.deepEqual([...shown].sort(), insights.map(({ title }) => title).sort());
    await done();
  });
});

// The last, since nothing of the shop's made-up data is left.
describe("resetting the data", () => {
  test("is not offered to who may not", async () => {
    const { page, done } = await open("/storefront/", ["SHOP_VIEWER"]);
    await lineIs(page, "live");
    assert.equal(await page.getByRole("button", { name: "Reset data" }).count(), 0);
    await done();
  });

  test("asks first, and empties the page at once", async () => {
    const { page, done } = await open("/storefront/", ["SHOP_ADMIN"]);
    await lineIs(page, "live");
    const { total_sessions } = await summary();
    assert.ok(total_sessions > 0);
    await page.getByRole("button", { name: "Reset data" }).click();
    const dialog = page.getByRole("alertdialog", { name: /Reset the data of the shop “north”/ });
    await dialog.getByRole("button", { name: "Keep them" }).click();
    await dialog.waitFor({ state: "detached" });
    assert.equal((await summary()).total_sessions, total_sessions);
    await page.getByRole("button", { name: "Reset data" }).click();
    await dialog.getByRole("button", { name: "Delete all" }).click();
    await page.getByText(/events were deleted/).waitFor();
    await page.waitForFunction(() => document.querySelector('[data-number="sessions"]')?.textContent === "0");
    await page.getByText("Nobody has left yet.").waitFor();
    assert.equal(numberIn((await page.locator('[data-number="conversion"]').textContent()) ?? ""), 0);
    assert.equal((await summary("SHOP_VIEWER")).total_sessions > 0, true);
    await done();
  });
});
