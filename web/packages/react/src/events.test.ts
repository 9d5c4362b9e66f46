import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { eventsIn, listen } from "./events.ts";

async function events(chunks: readonly string[]): Promise<unknown[]> {
  const encoder = new TextEncoder();
  const stream = new ReadableStream<Uint8Array>({
    start: (controller) => {
      for (const chunk of chunks) controller.enqueue(encoder.encode(chunk));
      controller.close();
    },
  });
  const found: unknown[] = [];
  for await (const event of eventsIn(stream)) found.push(event);
  return found;
}

describe("a stream of events", () => {
  const TEXT = "event: answer\r\ndata: {\"a\": \"값\"}\r\n\r\n: kept alive\n\ndata: one\ndata: two\n\nevent: last\ndata:x\n\nevent: cut\ndata: off";

  it("is the same however it is cut", async () => {
    const want = [
      { event: "answer", data: "{\"a\": \"값\"}" },
      { event: "message", data: "one\ntwo" },
      { event: "last", data: "x" },
    ];
    expect(await events([TEXT])).toEqual(want);
    expect(await events([...TEXT])).toEqual(want);
    for (let cut = 1; cut < TEXT.length; cut += 7) expect(await events([TEXT.slice(0, cut), TEXT.slice(cut)])).toEqual(want);
  });
});

describe("listening", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it("tries again after pauses that grow, and ends with the signal", async () => {
    const times: number[] = [];
    vi.stubGlobal("fetch", async () => {
      times.push(Date.now());
      throw new TypeError("away");
    });
    const controller = new AbortController();
    const problems: boolean[] = [];
    const done = listen({ url: "/", token: async () => "t", onAnswer: () => undefined, onProblem: (_, goesOn) => problems.push(goesOn), signal: controller.signal });
    await vi.advanceTimersByTimeAsync(40_000);
    const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(pauses).toEqual([2_000, 4_000, 8_000, 16_000]);
    expect(problems.every(Boolean)).toBe(true);
    controller.abort();
    await done;
  });

  it("gives up where a new token is refused, too", async () => {
    const reasons: string[] = [];
    vi.stubGlobal("fetch", async () => new Response("", { status: 401 }));
    const problems: [string, boolean][] = [];
    await listen({
      url: "/",
      token: async (reason) => {
        reasons.push(reason);
        return "t";
      },
      onAnswer: () => undefined,
      onProblem: (problem, goesOn) => problems.push([problem.code, goesOn]),
      signal: new AbortController().signal,
    });
    expect(reasons).toEqual(["first", "expired"]);
    expect(problems).toEqual([["token_invalid", false]]);
  });
});
