import { describe, expect, it } from "vitest";
import type { Card } from "./cards.ts";
import { cardOf, nameFor, stateOf } from "./cards.ts";
import { glanceOf } from "./glance.ts";
import { KINDS, startOf } from "./query.ts";
import { START, type State } from "./state.ts";

const saved = (state: State): Card => ({ name: "a", updated_at: "2026-01-01T00:00:00Z", ...cardOf("A", state) }) as unknown as Card;

describe("a card", () => {
  it("shows what it was saved from, of every kind", () => {
    for (const kind of KINDS) {
      const state: State = { ...START, query: startOf(kind, START.query, ["a", "b", "c"]) };
      expect(stateOf(saved(state))).toEqual(state);
    }
  });

  it.each<[string, Partial<State>]>([
    ["rolling days", { range: "90d" }],
    ["all of history", { range: "all" }],
    ["days of one's own", { range: { from: "2026-01-01", to: "2026-01-31" } }],
    ["a table", { view: "table" }],
    ["bars", { picture: "bar" }],
    ["a trend's comparison", { query: { ...START.query, compare: "previous_period" } }],
    ["a retention's comparison", { query: { kind: "retention", period: "week", compare: "previous_period" } }],
  ])("keeps %s", (_, part) => {
    const state: State = { ...START, ...part };
    expect(stateOf(saved(state))).toEqual(state);
  });

  it("of a retention asks for what the language has: how it is compared stands beside the question", () => {
    const card = cardOf("A", { ...START, query: { kind: "retention", compare: "previous_period" } });
    expect([card.query, card.compare]).toEqual([{ kind: "retention" }, "previous_period"]);
  });

  it("of an unknown kind is not shown", () => {
    expect(stateOf({ ...saved(START), query: { kind: "new" } } as unknown as Card)).toBeNull();
  });
});

it.each([
  ["Weekly visits!", [], "weekly-visits"],
  ["Weekly visits", ["weekly-visits"], "weekly-visits-2"],
  ["주간 방문", [], "card"],
  ["Café №1", [], "cafe-no1"],
  ["-", ["card", "card-2"], "card-3"],
])("names %j beside %j", (title, taken, name) => {
  expect(nameFor(title, taken)).toBe(name);
});

describe("a glance", () => {
  it("is at the last whole period of a trend", () => {
    const result = { starts: ["a", "b", "c"], complete: [true, true, false], data: [3, 5, 1] };
    expect(glanceOf({ kind: "trend" }, result)).toEqual({ headline: { value: 5, unit: "number" }, line: [3, 5, 1], bars: [] });
  });

  it("stands beside the same period before, where the question compares with it", () => {
    const trend = { starts: ["a", "b", "c"], complete: [true, true, false], data: [3, 5, 1], compare: { starts: [], complete: [], data: [2, 4, 6] } };
    expect(glanceOf({ kind: "trend" }, trend).headline).toEqual({ value: 5, unit: "number", before: 4 });
    expect(glanceOf({ kind: "trend", interval: "all" }, trend).headline).toEqual({ value: 3, unit: "number", before: 2 });
    expect(glanceOf({ kind: "retention" }, { mean_pooled: [100, 40] }, { mean_pooled: [100, 30] }).headline).toEqual({ value: 40, unit: "percent", before: 30 });
  });

  it("is the share that got through a funnel, and its steps", () => {
    const query = { kind: "funnel", steps: [{ event: "view" }, { event: null }] } as const;
    expect(glanceOf(query, { counts: [200, 50], median_seconds: [] })).toEqual({ headline: { value: 25, unit: "percent" }, line: [], bars: [{ name: "view", value: 200 }, { name: "2", value: 50 }] });
  });

  it("is empty over nothing", () => {
    expect(glanceOf({ kind: "churn" }, { at_risk: 0, total: 0, actors: [] }).headline).toBeNull();
    expect(glanceOf({ kind: "trend" }, { starts: [], complete: [], data: [] })).toEqual({ headline: null, line: [], bars: [] });
    expect(glanceOf({ kind: "paths" }, { edges: [] }).bars).toEqual([]);
  });

  it("counts whoever was active in a lifecycle", () => {
    const result = { starts: ["a"], complete: [true], new: [1], returning: [2], resurrecting: [4], dormant: [-8] };
    expect(glanceOf({ kind: "lifecycle" }, result).headline).toEqual({ value: 7, unit: "number" });
  });
});
