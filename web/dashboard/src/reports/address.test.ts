import { describe, expect, it } from "vitest";
import type { Param, Report, Route } from "../api/document.ts";
import { addressOf, isAllowed, lacking, previousAsOf, readGiven, readPage, writeGiven, writePage } from "./address.ts";

const param = (name: string, place: "path" | "query", schema: Param["schema"], required = place === "path"): Param => ({ name, place, schema, required, description: "" });
const DAYS = param("days", "query", { type: "integer", minimum: 1, maximum: 365, default: 30 });
const MONTHS = param("months_back", "query", { type: "integer", minimum: 1, maximum: 36, default: 6 });
const MERCHANT = param("merchant_id", "path", { type: "integer" });
const route = (path: string, ...params: Param[]): Route => ({ path, params, speaks: false, answer: {}, currency: null });
const GROWTH = route("/growth", DAYS);
const COHORTS = route("/merchants/{merchant_id}/cohorts", MERCHANT, MONTHS);
const report = (own: Route): Report => ({ name: "own", description: null, lists: [], routes: [own] });

describe("a report's URL", () => {
  it("keeps what is given, and leaves out what is the default", () => {
    const given = writeGiven(new URLSearchParams(), report(GROWTH), DAYS, "90");
    expect(given.toString()).toBe("own.days=90");
    expect(writeGiven(given, report(GROWTH), DAYS, "30").toString()).toBe("");
  });

  it("shares a path's parameter among the page's reports", () => {
    const search = writeGiven(new URLSearchParams(), report(COHORTS), MERCHANT, "7");
    expect(search.toString()).toBe("merchant_id=7");
    expect(readGiven(search, { ...report(COHORTS), name: "other" }, COHORTS)).toEqual({ merchant_id: "7" });
  });

  it.each([["0"], ["366"], ["1.5"], ["x"], [""]])("leaves out days=%s, which the server would refuse", (text) => {
    expect(isAllowed(DAYS, text)).toBe(false);
    expect(readGiven(new URLSearchParams({ "own.days": text }), report(GROWTH), GROWTH)).toEqual({});
  });

  it("reads back the page's state that was written", () => {
    const state = { asOf: "2026-11-01", compare: true };
    expect(readPage(writePage(new URLSearchParams("own.days=7"), state))).toEqual(state);
    expect(readPage(new URLSearchParams("as_of=yesterday"))).toEqual({ asOf: null, compare: false });
  });
});

describe("addressOf", () => {
  it("puts parameters where they belong, and says no more than is given", () => {
    expect(addressOf(COHORTS, { merchant_id: "7", months_back: "12" }, { asOf: "2026-11-01", format: "csv", table: "cohorts" })).toBe(
      "/merchants/7/cohorts?months_back=12&as_of=2026-11-01&format=csv&table=cohorts",
    );
    expect(addressOf(GROWTH, {}, { asOf: null })).toBe("/growth");
  });

  it("asks for words in the reader's language where there are words", () => {
    expect(addressOf({ ...GROWTH, speaks: true }, {}, { asOf: null, language: "ko" })).toBe("/growth?lang=ko");
    expect(addressOf(GROWTH, {}, { asOf: null, language: "ko" })).toBe("/growth");
  });

  it("escapes what a path holds", () => {
    expect(addressOf(COHORTS, { merchant_id: "a/../b?c" }, { asOf: null })).toBe("/merchants/a%2F..%2Fb%3Fc/cohorts");
  });

  it("has no request while a parameter is lacking", () => {
    expect(addressOf(COHORTS, {}, { asOf: null })).toBeNull();
    expect(lacking(COHORTS, {}).map((own) => own.name)).toEqual(["merchant_id"]);
  });
});

describe("previousAsOf", () => {
  it.each([
    ["days of the report", GROWTH, { days: "7" }, "2026-11-20", "2026-11-13"],
    ["the default of the days", GROWTH, {}, "2026-03-01", "2026-01-30"],
    ["calendar months, to the month's last day", COHORTS, { months_back: "1" }, "2026-03-31", "2026-02-28"],
    ["as much, to the same time of the day, where that is known", GROWTH, { days: "7" }, "2026-11-20T09:00:00Z", "2026-11-13T09:00:00Z"],
    ["a month where the report has no period", route("/platform"), {}, "2026-11-20", "2026-10-21"],
  ])("goes back by %s", (_, own, given, asOf, expected) => {
    expect(previousAsOf(own, given, asOf)).toBe(expected);
  });
});
