import { describe, expect, it } from "vitest";
import { messageIn, onwardOf, shows, summaryIn } from "./summary.ts";

const told = {
  type: "summary",
  total_sessions: 3,
  total_exits: 2,
  converted: 1,
  conversion_rate: 33.33,
  kpis: { worst_step: "cart" },
  steps: [{ step: "cart", sessions: 2, reach_rate: 66.67, exits: 2, exit_share: 100, latency: { system: { latest: 35, avg: 41.2 }, user: { latest: 1200.5, avg: 1833.1 }, client: { latest: null, avg: null } } }],
  insights: [],
  as_of: "2026-02-10T00:00:00Z",
};

describe("a message", () => {
  it("is a summary by its type", () => {
    const message = messageIn(JSON.stringify(told));
    expect(message).toMatchObject({ kind: "summary", summary: { sessions: 3, conversionRate: 33.33, worstStep: "cart", asOf: "2026-02-10T00:00:00Z" } });
  });

  it("tells what was wrong", () => {
    expect(messageIn('{"type": "error", "detail": "no such event"}')).toEqual({ kind: "error", detail: "no such event" });
  });

  it.each(["", "no JSON", "[]", "null", "5", '{"type": "summary"}', '{"type": "news"}', '{"type": "summary", "steps": {}, "total_sessions": 1}'])("is nothing to us where it is %j", (text) => {
    expect(messageIn(text)).toEqual({ kind: "other" });
  });
});

describe("a summary", () => {
  it("has null for what was never measured, and zero for what was not counted", () => {
    const summary = summaryIn({ ...told, total_exits: undefined, kpis: { worst_step: null }, steps: [{ step: "home" }] });
    expect(summary?.exits).toBe(0);
    expect(summary?.worstStep).toBeNull();
    expect(summary?.steps[0]?.latency.user).toEqual({ latest: null, avg: null });
  });

  it("has a share of the step before, where somebody was there", () => {
    const steps = [4, 2, 0, 0, 1].map((sessions, place) => ({ step: String(place), sessions }));
    const summary = summaryIn({ type: "summary", total_sessions: 4, steps });
    expect(steps.map((_, place) => onwardOf(summary?.steps ?? [], place))).toEqual(["all", 50, 0, "nobody", "nobody"]);
  });

  it("shows an event by its step's last think time", () => {
    const summary = summaryIn(told);
    expect(summary !== null && shows(summary, { step: "cart", thought: 1200.5 })).toBe(true);
    expect(summary !== null && shows(summary, { step: "home", thought: 1200.5 })).toBe(false);
    expect(summary !== null && shows(summary, { step: "cart", thought: 1200 })).toBe(false);
  });
});
