/**
 * Other sites' pages with a report in them, and with the tracker: two origins, of which one's pages a token is for.
 *
 * EBBTIDE_URL, EBBTIDE_DEMO, CHROMIUM: as in `browser.test.mjs`.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { chromium } from "playwright-core";

const URL_BASE = process.env.EBBTIDE_URL ?? "http://127.0.0.1:18152";
const TOKENS = Object.fromEntries([...readFileSync(process.env.EBBTIDE_DEMO ?? "demo.log", "utf8").matchAll(/^export (\w+)=(\S+)/gm)].map(([, name, token]) => [name, token]));
const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
/** What a careful site would allow: our script and our server, nothing in text. */
const POLICY = `default-src 'none'; script-src ${URL_BASE}; connect-src ${URL_BASE}; frame-src ${URL_BASE}; style-src 'none'; img-src 'none'`;

let browser;
let site;
let port;
/** What the site's next page holds. */
let body = "";

before(async () => {
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS });
  site = createServer((_, response) => {
    response.setHeader("Content-Type", "text/html");
    response.setHeader("Content-Security-Policy", POLICY);
    response.end(`<!doctype html><html lang="en"><head><title>A site</title></head><body>${body}</body></html>`);
  });
  await new Promise((listening) => site.listen(0, "127.0.0.1", listening));
  port = site.address().port;
});
after(async () => {
  await browser?.close();
  site?.close();
});

/** The same pages under two names: to a browser two origins. */
const origins = () => ({ own: `http://127.0.0.1:${port}`, other: `http://localhost:${port}` });

async function post(token, path, content) {
  const response = await fetch(URL_BASE + path, { method: "POST", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, body: JSON.stringify(content) });
  const answer = await response.json();
  assert.ok(response.ok, JSON.stringify(answer));
  return answer;
}

const mint = async (report, params = {}, ttl = "10m") =>
  (await post(TOKENS.SITE_ADMIN, "/v1/tokens", { role: "admin", ttl, embed: { report, params, origin: origins().own } })).token;

async function open(origin, content, expected = () => true) {
  body = content;
  const page = await (await browser.newContext({ locale: "en-GB", bypassCSP: false })).newPage();
  const asked = [];
  const said = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  await page.addInitScript(() => {
    window.heard = [];
    addEventListener("message", (event) => window.heard.push(event.data));
  });
  const request = page.waitForRequest(expected);
  await page.goto(`${origin}/`);
  return { page, request: await request, asked, said, close: () => page.context().close() };
}

const element = (token, more = "") => `<script type="module" src="${URL_BASE}/embed.js"></script><ebbtide-chart token="${token}"${more}></ebbtide-chart>`;
const frame = (token, report) => `<iframe title="Report" width="800" height="500" src="${URL_BASE}/embed/${report}?theme=dark&lang=en#token=${token}"></iframe>`;

/** What is told of a token, as of one that ends now. */
const endingSoon = (page, token) =>
  page.route(`${URL_BASE}/v1/embed`, async (route) => {
    if (route.request().method() !== "GET" || route.request().headers()["authorization"] !== `Bearer ${token}`) return route.continue();
    const response = await route.fetch();
    return route.fulfill({ response, json: { ...(await response.json()), expires_in_s: 0 } });
  });

/** What a browser says of a frame that it was told not to show. */
const isRefusal = (text) => text.includes("frame-ancestors");

describe("an element in a site's page", () => {
  test("draws its report, in its colours and language, and breaks no policy", async () => {
    const token = await mint("user_growth", { days: 14 });
    const { page, said, close } = await open(origins().own, element(token, ' theme="dark" lang="ko"'));
    const chart = page.locator("ebbtide-chart");
    await chart.locator("canvas").first().waitFor();
    assert.equal(await chart.evaluate((own) => getComputedStyle(own).colorScheme), "dark");
    assert.match(await chart.locator("[role=img]").first().getAttribute("aria-label"), /[가-힣]/);
    assert.deepEqual(said, []);
    await close();
  });

  test("shows the numbers of the answer", async () => {
    const token = await mint("platform");
    const answer = await (await fetch(`${URL_BASE}/api/v1/analytics/platform`, { headers: { Authorization: `Bearer ${token}` } })).json();
    const { page, said, close } = await open(origins().own, element(token));
    const values = page.locator("ebbtide-chart .card-value");
    await values.first().waitFor();
    assert.ok((await values.allTextContents()).includes(String(answer.users.total.toLocaleString("en-GB"))), JSON.stringify(answer.users));
    assert.deepEqual(said, []);
    await close();
  });

  test("shows another site's visitors nothing", async () => {
    const { page, close } = await open(origins().other, element(await mint("platform")));
    const chart = page.locator("ebbtide-chart");
    await chart.locator("[role=alert]").waitFor();
    assert.equal(await chart.locator(".card-value").count(), 0);
    await close();
  });

  test("tells when its token has ended, and draws with another", async () => {
    // Of one second and one lifetime they would be the same token.
    const [ended, other] = [await mint("platform"), await mint("platform", {}, "11m")];
    body = `<script type="module" src="${URL_BASE}/embed.js"></script><ebbtide-chart></ebbtide-chart>`;
    const page = await (await browser.newContext({ bypassCSP: false })).newPage();
    await endingSoon(page, ended);
    await page.goto(`${origins().own}/`);
    const told = await page.locator("ebbtide-chart").evaluate((chart, [first, second]) => {
      const events = [];
      return new Promise((all) => {
        for (const name of ["loaded", "expired", "error"]) chart.addEventListener(`ebbtide-${name}`, ({ detail }) => events.push(detail.code ?? name));
        chart.addEventListener("ebbtide-expired", () => {
          chart.addEventListener("ebbtide-loaded", () => all(events));
          chart.token = second;
        });
        chart.token = first;
      });
    }, [ended, other]);
    assert.deepEqual(told, ["loaded", "expired", "token_expired", "loaded"]);
    await page.context().close();
  });

  test("goes on listening where it is live", async () => {
    const token = await mint("platform");
    const { page, request, asked, close } = await open(origins().own, element(token, " live"), (sent) => sent.method() === "GET" && sent.url().includes("/v1/embed/live"));
    assert.equal((await request.response()).status(), 200);
    await page.locator("ebbtide-chart .card-value").first().waitFor();
    assert.ok(asked.every((url) => !url.includes(token)), "no address holds a token");
    await close();
  });
});

describe("a frame in a site's page", () => {
  test("draws its report, and no address that is sent holds the token", async () => {
    const token = await mint("user_growth");
    const { page, asked, said, close } = await open(origins().own, frame(token, "user_growth"));
    const drawn = page.frameLocator("iframe").locator("ebbtide-chart");
    await drawn.locator("canvas").first().waitFor();
    assert.equal(await drawn.evaluate((own) => getComputedStyle(own).colorScheme), "dark");
    // (What a browser reports as an address has what stands behind the `#`; what it sends has not.)
    assert.ok(asked.every((url) => !url.split("#")[0].includes(token)), asked.join("\n"));
    assert.deepEqual(said, []);
    await close();
  });

  test("is refused to another site's pages by the browser", async () => {
    const { page, said, close } = await open(origins().other, frame(await mint("user_growth"), "user_growth"));
    if (!said.some(isRefusal)) await page.waitForEvent("console", { predicate: (message) => isRefusal(message.text()), timeout: 20_000 });
    assert.equal(await page.frameLocator("iframe").locator("ebbtide-chart").count(), 0);
    await close();
  });

  test("tells its page when its token has ended", async () => {
    const token = await mint("platform");
    body = frame(token, "platform");
    const page = await (await browser.newContext({ bypassCSP: false })).newPage();
    await endingSoon(page, token);
    await page.addInitScript(() => {
      window.heard = [];
      addEventListener("message", (event) => window.heard.push(event.data));
    });
    await page.goto(`${origins().own}/`);
    await page.waitForFunction(() => window.heard.some((told) => told.type === "ebbtide-expired"));
    await page.context().close();
  });

  test("tells its page how high it is", async () => {
    const { page, close } = await open(origins().own, frame(await mint("platform"), "platform"));
    await page.waitForFunction(() => window.heard.some((told) => told.type === "ebbtide-height" && told.height > 50));
    await page.waitForFunction(() => window.heard.some((told) => told.type === "ebbtide-loaded" && told.answer === undefined));
    await close();
  });
});

describe("the tracker in a page", () => {
  test("of an origin that may not call says so, and stops", async () => {
    const { key } = await post(TOKENS.PRODUCT_ADMIN, "/v1/keys", { name: "test" });
    body = `<script async src="${URL_BASE}/tracker.js" data-key="${key}"></script>`;
    const page = await (await browser.newContext({ bypassCSP: false })).newPage();
    const asked = [];
    page.on("request", (request) => asked.push(request.url()));
    const told = page.waitForEvent("console", (message) => message.type() === "warning" && message.text().startsWith("ebbtide: HTTP 403"));
    await page.goto(`${origins().other}/`);
    assert.match((await told).text(), /cors\.origins/);
    await page.evaluate(() => {
      window.ebbtide.capture("later");
      return window.ebbtide.flush();
    });
    assert.equal(asked.filter((url) => url.endsWith("/v1/beacon")).length, 1);
    assert.equal(await page.evaluate(() => JSON.parse(localStorage.getItem("ebbtide.queue")).length), 2);
    await page.context().close();
  });

  test("captures what is told, once", async () => {
    const { key } = await post(TOKENS.PRODUCT_ADMIN, "/v1/keys", { name: "test" });
    // A page of the server's own: which other origins may capture is the server's configuration.
    const page = await (await browser.newContext({ bypassCSP: false })).newPage();
    await page.goto(`${URL_BASE}/docs`);
    // Of this run alone: a server may have been tried before.
    const [tried, left] = [`tried ${port}`, `left ${port}`];
    await page.evaluate(([own, event]) => {
      const script = document.createElement("script");
      script.src = "/tracker.js";
      script.dataset.key = own;
      script.addEventListener("load", () => {
        window.ebbtide.capture(event, { by: "the browser" });
        window.ebbtide.identify("ann", { plan: "pro" });
        window.ebbtide.flush();
      });
      document.head.append(script);
    }, [key, tried]);
    await page.waitForFunction(() => localStorage.getItem("ebbtide.queue") === "[]");
    // Left before the answer was heard: what the beacon tells once more counts once.
    await page.evaluate((event) => {
      window.ebbtide.capture(event);
      dispatchEvent(new Event("pagehide"));
      window.ebbtide.flush();
    }, left);
    await page.waitForFunction(() => localStorage.getItem("ebbtide.queue") === "[]");
    const sql = "SELECT event, actor, count(*) AS times FROM events WHERE event IN ($tried, $left) GROUP BY event, actor ORDER BY event DESC";
    const { rows } = await post(TOKENS.PRODUCT_ADMIN, "/v1/sql", { sql, params: { tried, left } });
    assert.deepEqual(rows, [{ event: tried, actor: "ann", times: 1 }, { event: left, actor: "ann", times: 1 }]);
    await page.context().close();
  });
});
