import { describe, expect, it } from "vitest";
import type { Schema } from "../api/document.ts";
import { type Insight, areInsights, factsOf, insightsIn, insightsOf, keysOf, tellsInsights } from "./insight.ts";

const insight = (severity: string, title: string) => ({ severity, title, finding: "Of 40, 12.", action: "Look.", evidence: { step: "cart" }, rule: "worst" });
const declared: Schema = { type: "array", items: { $ref: "#/components/schemas/Insight" } };

describe("a list of insights", () => {
  it("begins with the gravest, and keeps the order of equals", () => {
    const list = [insight("info", "a"), insight("low", "b"), insight("high", "c"), insight("low", "d"), insight("medium", "e")];
    expect(insightsIn(list).map(({ title }) => title)).toEqual(["c", "e", "b", "d", "a"]);
  });

  it("leaves out what is none", () => {
    expect(insightsIn([null, 5, {}, insight("grave", "a"), { ...insight("low", "b"), finding: undefined }])).toEqual([]);
    expect(insightsIn({})).toEqual([]);
  });

  it("is told by its values where nothing is declared", () => {
    expect(areInsights([insight("low", "a")])).toBe(true);
    expect(areInsights([insight("low", "a"), { title: "b" }])).toBe(false);
    expect(areInsights([])).toBe(false);
  });
});

describe("an answer", () => {
  const schema: Schema = { properties: { total: { type: "integer" }, analytics: { properties: { insights: declared } } } };

  it("tells insights where its schema does, at any place", () => {
    expect(tellsInsights(schema)).toBe(true);
    expect(tellsInsights(declared)).toBe(true);
    expect(tellsInsights({ properties: { list: { type: "array", items: { type: "object" } } } })).toBe(false);
    expect(tellsInsights({ oneOf: [{ type: "null" }, schema] })).toBe(true);
  });

  it("gives them all, the gravest first", () => {
    const value = { total: 1, analytics: { insights: [insight("low", "a"), insight("high", "b")] } };
    expect(insightsOf(schema, value).map(({ title }) => title)).toEqual(["b", "a"]);
    expect(insightsOf(schema, null)).toEqual([]);
  });
});

it("evidence is plain values, those of an object by its name", () => {
  expect(factsOf({ step: "cart", exit_share: 41.67, before: { value: 3, rows: [] }, list: [1], none: null })).toEqual([
    { name: "step", value: "cart" },
    { name: "exit_share", value: 41.67 },
    { name: "before_value", value: 3 },
  ]);
});

const ruled = (rule: string, evidence: Insight["evidence"]): Insight => ({ severity: "high", title: "", finding: "", action: "", evidence, rule, test: null });

it("knows an insight again when its numbers have moved, and tells those of one rule apart", () => {
  const now = keysOf([ruled("loss", { step: "cart", exits: 3 }), ruled("loss", { step: "home", exits: 2 }), ruled("slow", { id: 1 }), ruled("slow", { id: 2 })]);
  const next = keysOf([ruled("loss", { step: "cart", exits: 4 }), ruled("loss", { step: "home", exits: 9 }), ruled("slow", { id: 1 }), ruled("slow", { id: 2 })]);
  expect(next).toEqual(now);
  expect(new Set(now).size).toBe(4);
});
