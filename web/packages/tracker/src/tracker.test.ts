import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ITEMS_MAX, type Tracker, createTracker } from "./tracker.ts";

const KEY = "ewk_test";
const OPTIONS = { url: "https://analytics.example", key: KEY };

interface Sent {
  readonly key: string;
  readonly events?: readonly Record<string, unknown>[];
  readonly actors?: readonly Record<string, unknown>[];
  readonly aliases?: readonly Record<string, unknown>[];
}

/** What was sent, and how the server answers: a status, or no answer at all. */
let sent: Sent[];
let beacons: Sent[];
let answers: (number | "away")[];
/** What the test's own pages listen to: they end with it. */
let listened: [string, EventListener][];

beforeEach(() => {
  vi.useFakeTimers();
  localStorage.clear();
  [sent, beacons, answers, listened] = [[], [], [], []];
  const listen = window.addEventListener.bind(window);
  vi.stubGlobal("addEventListener", (name: string, listener: EventListener) => {
    listened.push([name, listener]);
    listen(name, listener);
  });
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    expect(url).toBe("https://analytics.example/v1/beacon");
    // Anything else would have the browser ask first.
    expect(init).toMatchObject({ method: "POST", credentials: "omit" });
    // Past this a browser refuses to send on when the page is left.
    expect(init.keepalive).toBe(String(init.body).length * 3 < 65_536);
    expect(init.headers).toBeUndefined();
    sent.push(JSON.parse(String(init.body)) as Sent);
    const answer = answers.shift() ?? 200;
    if (answer === "away") throw new TypeError("Failed to fetch");
    return new Response(answer === 200 ? "{}" : '{"detail":"why"}', { status: answer });
  });
  Object.defineProperty(navigator, "sendBeacon", {
    configurable: true,
    value: (_: string, body: string) => beacons.push(JSON.parse(body) as Sent) > 0,
  });
});

afterEach(() => {
  for (const [name, listener] of listened) removeEventListener(name, listener);
  vi.useRealTimers();
  vi.unstubAllGlobals();
  delete (navigator as { doNotTrack?: unknown }).doNotTrack;
  delete (navigator as { globalPrivacyControl?: unknown }).globalPrivacyControl;
});

type Queued = readonly [string, string, { readonly props: { readonly index: number } }];
const inQueue = () => JSON.parse(localStorage.getItem("ebbtide.queue") ?? "[]") as Queued[];
const queued = (): number => inQueue().length;
const eventsOf = (bodies: readonly Sent[]) => bodies.flatMap((body) => body.events ?? []);
const ids = (bodies: readonly Sent[]) => eventsOf(bodies).map((event) => event["event_id"]);
const quiet = () => vi.advanceTimersByTimeAsync(10_000);

describe("what is captured", () => {
  it("is sent together, each event with an id, a time and its actor", async () => {
    const tracker = createTracker(OPTIONS);
    tracker.capture("view", { url: "/" });
    tracker.capture("buy", { price: 3 });
    expect(sent).toHaveLength(0);
    await quiet();
    expect(sent).toHaveLength(1);
    expect(sent[0]?.key).toBe(KEY);
    const [view, buy] = eventsOf(sent);
    expect(view).toMatchObject({ event: "view", props: { url: "/" } });
    expect(view?.["actor"]).toBe(buy?.["actor"]);
    expect(new Set(ids(sent)).size).toBe(2);
    expect(Date.parse(String(view?.["ts"]))).not.toBeNaN();
    expect(queued()).toBe(0);
  });

  it("goes in several requests where it is much", async () => {
    const tracker = createTracker(OPTIONS);
    for (let index = 0; index < 250; index++) tracker.capture("view", { index });
    await quiet();
    expect(sent.map((body) => body.events?.length)).toEqual([100, 100, 50]);
    expect(eventsOf(sent).map((event) => (event["props"] as { index: number }).index)).toEqual(Array.from({ length: 250 }, (_, index) => index));
  });

  it("stays below what a browser sends for a page that is left", async () => {
    const tracker = createTracker(OPTIONS);
    for (let index = 0; index < 10; index++) tracker.capture("view", { text: "값".repeat(10_000) });
    await quiet();
    expect(eventsOf(sent)).toHaveLength(10);
    for (const body of sent) expect(new TextEncoder().encode(JSON.stringify(body)).length).toBeLessThan(64 * 1024);
  });

  it("goes by itself where it is too much for that", async () => {
    const tracker = createTracker(OPTIONS);
    tracker.capture("large", { text: "x".repeat(60_000) });
    tracker.capture("small");
    await quiet();
    expect(sent.map((body) => body.events?.length)).toEqual([1, 1]);
  });

  it("tells of a page without what stands behind the question mark", async () => {
    history.replaceState(null, "", "/courses?token=secret#part");
    createTracker(OPTIONS).page({ section: "intro" });
    await quiet();
    expect(eventsOf(sent)[0]).toMatchObject({ event: "page", props: { path: "/courses", section: "intro" } });
    expect(JSON.stringify(sent)).not.toContain("secret");
  });
});

describe("who it is", () => {
  it("is one random name until it is known, and then the known one, also for what was before", async () => {
    const tracker = createTracker(OPTIONS);
    tracker.capture("view");
    tracker.identify("ann", { plan: "pro" });
    tracker.capture("buy");
    tracker.identify("ann");
    await quiet();
    const [view, buy] = eventsOf(sent);
    expect(buy?.["actor"]).toBe("ann");
    expect(sent.flatMap((body) => body.aliases ?? [])).toEqual([{ alias: view?.["actor"], actor: "ann" }]);
    expect(sent.flatMap((body) => body.actors ?? [])).toEqual([{ actor: "ann", props: { plan: "pro" } }]);
    // The next page knows, and joins nothing anew.
    const next = createTracker(OPTIONS);
    next.capture("view");
    next.identify("ann");
    await quiet();
    expect(eventsOf(sent).at(-1)?.["actor"]).toBe("ann");
    expect(sent.flatMap((body) => body.aliases ?? [])).toHaveLength(1);
  });

  it("is somebody new after a reset, and nobody's name is given to two", async () => {
    const tracker = createTracker(OPTIONS);
    tracker.capture("view");
    tracker.identify("ann");
    tracker.reset();
    tracker.capture("view");
    tracker.identify("bob");
    tracker.identify("cid");
    await quiet();
    const [first, second] = eventsOf(sent);
    expect(first?.["actor"]).not.toBe(second?.["actor"]);
    expect(sent.flatMap((body) => body.aliases ?? [])).toEqual([
      { alias: first?.["actor"], actor: "ann" },
      { alias: second?.["actor"], actor: "bob" },
    ]);
  });

  it("may be told by hand", async () => {
    createTracker(OPTIONS).alias("old", "new");
    await quiet();
    expect(sent[0]?.aliases).toEqual([{ alias: "old", actor: "new" }]);
  });
});

describe("when the server is away", () => {
  it("waits longer and longer, keeps what it has, and sends it with the same ids", async () => {
    answers = ["away", 503, 429];
    const tracker = createTracker(OPTIONS);
    tracker.capture("view");
    await vi.advanceTimersByTimeAsync(2_000);
    expect(sent).toHaveLength(1);
    await vi.advanceTimersByTimeAsync(900);
    expect(sent).toHaveLength(1);
    expect(queued()).toBe(1);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(sent).toHaveLength(4);
    expect(new Set(ids(sent)).size).toBe(1);
    expect(queued()).toBe(0);
  });

  it("keeps a bounded queue, of which the oldest goes first", () => {
    answers = Array.from({ length: 50 }, () => "away" as const);
    const tracker = createTracker(OPTIONS);
    tracker.capture("view", { index: 0 });
    const [[id, way, item]] = inQueue() as [Queued];
    // As if as many had been captured as there is room for.
    localStorage.setItem("ebbtide.queue", JSON.stringify(Array.from({ length: ITEMS_MAX }, (_, index) => [id, way, { ...item, props: { ...item.props, index } }])));
    for (let index = ITEMS_MAX; index < ITEMS_MAX + 5; index++) tracker.capture("view", { index });
    expect(queued()).toBe(ITEMS_MAX);
    expect([inQueue()[0], inQueue().at(-1)].map((own) => own?.[2].props.index)).toEqual([5, ITEMS_MAX + 4]);
  });

  it("leaves to the next page what it could not send", async () => {
    answers = ["away"];
    createTracker(OPTIONS).capture("view");
    await vi.advanceTimersByTimeAsync(2_000);
    vi.clearAllTimers();
    createTracker(OPTIONS);
    await quiet();
    expect(sent).toHaveLength(2);
    expect(new Set(ids(sent)).size).toBe(1);
  });

  it.each([401, 403])("stops where another try would end alike (%d), says why, and keeps what waits", async (status) => {
    const told = vi.spyOn(console, "warn").mockImplementation(() => undefined);
    answers = [status];
    const tracker = createTracker(OPTIONS);
    tracker.capture("view");
    await quiet();
    tracker.capture("buy");
    await quiet();
    expect(sent).toHaveLength(1);
    expect(queued()).toBe(2);
    expect(told.mock.calls).toEqual([[expect.stringContaining(String(status)), '{"detail":"why"}']]);
    told.mockRestore();
  });
});

describe("a page that is left", () => {
  it("tells by a beacon, which the next page repeats with the same ids", async () => {
    const tracker = createTracker(OPTIONS);
    tracker.capture("view");
    dispatchEvent(new Event("pagehide"));
    dispatchEvent(new Event("pagehide"));
    expect(beacons).toHaveLength(1);
    expect(queued()).toBe(1);
    await quiet();
    expect(ids(sent)).toEqual(ids(beacons));
  });

  it("takes nothing of what another tab has put there meanwhile", async () => {
    const [one, other] = [createTracker(OPTIONS), createTracker(OPTIONS)] as [Tracker, Tracker];
    one.capture("one");
    other.capture("other");
    await one.flush();
    await quiet();
    expect(new Set(eventsOf(sent).map((event) => event["event"]))).toEqual(new Set(["one", "other"]));
    expect(queued()).toBe(0);
  });
});

describe("who has asked not to be tracked", () => {
  it.each([["doNotTrack", "1"], ["globalPrivacyControl", true]])("is not (%s)", async (name, value) => {
    Object.defineProperty(navigator, name, { configurable: true, value });
    const tracker = createTracker(OPTIONS);
    tracker.page();
    tracker.identify("ann", { plan: "pro" });
    tracker.alias("a", "b");
    tracker.reset();
    await tracker.flush();
    await quiet();
    dispatchEvent(new Event("pagehide"));
    expect([sent.length, beacons.length, localStorage.length]).toEqual([0, 0, 0]);
  });
});
