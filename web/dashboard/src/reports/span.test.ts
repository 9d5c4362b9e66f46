import { describe, expect, it } from "vitest";
import type { Param, Report } from "../api/document.ts";
import { spanOf, spansFor, writeSpan } from "./span.ts";

const param = (name: string, maximum: number, preset: number): Param => ({ name, place: "query", schema: { type: "integer", minimum: 1, maximum, default: preset }, required: false, description: "" });
const report = (name: string, ...params: Param[]): Report => ({ name, description: null, lists: [], routes: [{ path: `/${name}`, params, speaks: false, answer: {}, currency: null }] });

const growth = report("growth", param("days", 365, 30));
const revenue = report("revenue", param("days", 90, 30));
const cohorts = report("cohorts", param("months_back", 36, 6));
const platform = report("platform", param("limit", 50, 10));

describe("a span for a page", () => {
  it("is offered where several reports would take it", () => {
    expect(spansFor([growth, cohorts, platform])).toEqual(["7d", "30d", "90d", "6m", "12m"]);
    expect(spansFor([growth, revenue])).toEqual(["7d", "30d", "90d"]);
    expect(spansFor([growth, platform])).toEqual([]);
  });

  it("is offered once where two would ask the same", () => {
    expect(spansFor([cohorts, report("churn", param("months", 24, 6))])).toEqual(["30d", "90d", "6m", "12m"]);
  });

  it("is that which all have", () => {
    expect(spanOf(new URLSearchParams(), [growth, revenue])).toBe("30d");
    expect(spanOf(new URLSearchParams(), [growth, cohorts])).toBeNull();
    expect(spanOf(new URLSearchParams("growth.days=90"), [growth, revenue])).toBeNull();
  });

  it("is written to each report, and read back", () => {
    const search = writeSpan(new URLSearchParams("compare=1"), [growth, cohorts, platform], "90d");
    expect(search.toString()).toBe("compare=1&growth.days=90&cohorts.months_back=3");
    expect(spanOf(search, [growth, cohorts, platform])).toBe("90d");
  });
});
