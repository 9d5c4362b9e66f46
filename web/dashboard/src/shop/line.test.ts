import { describe, expect, it } from "vitest";
import { type Heard, Line, type LineState, delayOf } from "./line.ts";

/** A network and a clock that do what they are told. */
function world() {
  const sockets: Heard[] = [];
  const states: LineState[] = [];
  const texts: string[] = [];
  const sent: string[] = [];
  const timers: { at: number; call: () => void }[] = [];
  let now = 0;
  let refused = 0;
  const line = new Line({
    open: (heard) => {
      sockets.push(heard);
      return { send: (text) => sent.push(text), close: () => heard.onClose(1000) };
    },
    onState: (state) => states.push(state),
    onText: (text) => texts.push(text),
    onRefused: () => {
      refused += 1;
    },
    now: () => now,
    random: () => 1,
    after: (milliseconds, call) => {
      const timer = { at: now + milliseconds, call };
      timers.push(timer);
      return () => timers.splice(timers.indexOf(timer), 1);
    },
  });
  const last = () => sockets.at(-1);
  return {
    line, sockets, states, texts, sent, timers,
    refused: () => refused,
    kinds: () => states.map((state) => state.kind),
    says: (text: string) => last()?.onText(text),
    breaks: (code = 1006) => last()?.onClose(code),
    pass: (milliseconds: number) => {
      now += milliseconds;
      for (const timer of timers.filter(({ at }) => at <= now)) {
        timers.splice(timers.indexOf(timer), 1);
        timer.call();
      }
    },
  };
}

describe("the wait before another try", () => {
  it("doubles, up to half a minute", () => {
    expect([0, 1, 2, 6, 60].map((tries) => delayOf(tries, 1))).toEqual([500, 1000, 2000, 30_000, 30_000]);
  });

  it("differs by up to a half", () => {
    expect(delayOf(3, 0)).toBe(2000);
  });
});

describe("a line", () => {
  it("is live once something was heard", () => {
    const { kinds, says, texts } = world();
    expect(kinds()).toEqual(["connecting"]);
    says("hello");
    says("again");
    expect(kinds()).toEqual(["connecting", "live"]);
    expect(texts).toEqual(["hello", "again"]);
  });

  it("waits longer each time, says until when, and begins anew once it was live", () => {
    const { states, breaks, pass, says, sockets } = world();
    breaks();
    expect(states.at(-1)).toEqual({ kind: "waiting", until: 500 });
    pass(499);
    expect(sockets).toHaveLength(1);
    pass(1);
    breaks();
    expect(states.at(-1)).toEqual({ kind: "waiting", until: 1500 });
    pass(1000);
    says("hello");
    breaks();
    expect(states.at(-1)).toEqual({ kind: "waiting", until: 2000 });
  });

  it("is tried at once where it is told to, and only while it waits", () => {
    const { line, sockets, breaks, pass } = world();
    line.retry();
    expect(sockets).toHaveLength(1);
    breaks();
    line.retry();
    expect(sockets).toHaveLength(2);
    pass(60_000);
    expect(sockets).toHaveLength(2);
  });

  it("ends with its token, without another try", () => {
    const { kinds, says, breaks, timers } = world();
    says("hello");
    breaks(4401);
    expect(kinds()).toEqual(["connecting", "live", "ended"]);
    expect(timers).toEqual([]);
  });

  it("asks why where it broke before anything was heard", () => {
    const { says, breaks, pass, refused } = world();
    breaks();
    expect(refused()).toBe(1);
    pass(500);
    says("hello");
    breaks();
    expect(refused()).toBe(1);
  });

  it("sends only while it is live", () => {
    const { line, says, sent, breaks } = world();
    expect(line.send({ a: 1 })).toBe(false);
    says("hello");
    expect(line.send({ a: 1 })).toBe(true);
    breaks();
    expect(line.send({ a: 2 })).toBe(false);
    expect(sent).toEqual(['{"a":1}']);
  });

  it("that was closed while it waited is not tried again", () => {
    const { line, kinds, breaks, timers, sockets } = world();
    breaks();
    line.close();
    expect(timers).toEqual([]);
    expect(sockets).toHaveLength(1);
    expect(kinds()).toEqual(["connecting", "waiting"]);
  });

  it("that was closed while it was live is quiet", () => {
    const { line, kinds, says, texts, timers } = world();
    says("hello");
    line.close();
    says("too late");
    expect(timers).toEqual([]);
    expect(texts).toEqual(["hello"]);
    expect(kinds()).toEqual(["connecting", "live"]);
  });
});
