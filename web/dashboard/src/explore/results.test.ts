import { describe, expect, it } from "vitest";
import type { Query } from "./query.ts";
import { beforeAt, byMeasure, rowsOf } from "./results.ts";

describe("a number of a table is compared with", () => {
  const trend: Query = { kind: "trend", compare: "previous_period" };
  const groups = [{ value: "a", data: [3, 4], compare: [1, 2] }, { value: "b", data: [5, 6] }];
  const answer = { starts: ["2026-01-03", "2026-01-04"], complete: [true, false], data: [8, 10], groups, compare: { starts: ["2026-01-01", "2026-01-02"], complete: [true, true], data: [1, null] } };

  it("the bucket before of a trend, and of each of its groups", () => {
    const rows = rowsOf(trend, answer);
    const compared = rows.map((row, index) => Object.keys(row).map((column) => [column, beforeAt(trend, answer, undefined, index, column)]));
    expect(compared).toEqual([
      [["start", undefined], ["value", 1], ["before", undefined], ["a", 1], ["b", undefined]],
      [["start", undefined], ["value", undefined], ["before", undefined], ["a", 2], ["b", undefined]],
    ]);
  });

  it("the same cell of a retention, where both periods have ended", () => {
    const query: Query = { kind: "retention", compare: "previous_period" };
    const now = { starts: ["c", "d"], sizes: [9, 7], matrix: [[9, 5], [7]], percent: [], complete: [[true, false], [false]], mean_pooled: [] };
    const before = { ...now, starts: ["a", "b"], sizes: [6, 4], matrix: [[6, 2], [4, 1]], complete: [[true, true], [true, true]] };
    const at = (row: number, column: string) => beforeAt(query, now, before, row, column);
    expect([at(0, "size"), at(0, "period_0"), at(0, "period_1")]).toEqual([6, 6, undefined]);
    expect([at(1, "size"), at(1, "period_0"), at(0, "start")]).toEqual([undefined, undefined, undefined]);
    expect(beforeAt(query, now, undefined, 0, "size")).toBeUndefined();
  });

  it("nothing, where nothing is compared", () => {
    expect(beforeAt({ kind: "trend" }, { ...answer, compare: undefined, groups: [] }, undefined, 0, "value")).toBeUndefined();
    expect(beforeAt({ kind: "lifecycle" }, {}, undefined, 0, "new")).toBeUndefined();
  });
});

describe("a trend of several measures", () => {
  it("is one of each", () => {
    const answer = { starts: ["a"], complete: [true], data: { total: [3], unique: [2] }, groups: [{ value: "x", data: { total: [1], unique: [1] } }], compare: { starts: ["z"], complete: [true], data: { total: [5], unique: [4] } } };
    const [total, unique] = byMeasure({ kind: "trend", measure: ["total", "unique"], compare: "previous_period" }, answer);
    expect(total?.query.measure).toBe("total");
    expect(unique).toEqual({
      query: { kind: "trend", measure: "unique", compare: "previous_period" },
      result: { starts: ["a"], complete: [true], data: [2], groups: [{ value: "x", data: [1] }], compare: { starts: ["z"], complete: [true], data: [4] } },
    });
  });

  it("of one stays as it is", () => {
    const only = { query: { kind: "trend", measure: "unique" } as const, result: {} };
    expect(byMeasure(only.query, only.result)).toEqual([only]);
  });
});
