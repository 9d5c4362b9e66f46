import { describe, expect, it } from "vitest";
import { localeOf } from "../i18n/i18n.tsx";
import { csvOf } from "./csv.ts";
import { formatInstant, formatPeriod, isUnderWay } from "./dates.ts";
import { digitsIn, formatBytes, formatChange, formatSeconds, formatValue } from "./numbers.ts";
import { humanise, unitOf } from "./units.ts";

const plain = (text: string | null) => text?.replaceAll(/[\u00a0\u202f]/g, " ") ?? null;

describe("values as text", () => {
  it.each([
    ["a share", 41.666, unitOf("adoption_rate"), "en", 0, "41.7%"],
    ["a share in a column with digits", 100, unitOf("adoption_rate"), "en", 1, "100.0%"],
    ["how far somebody is", 62.7, unitOf("avg_progress"), "en", 0, "62.7%"],
    ["money", 1234567, unitOf("total", "RUB"), "en", 0, "₽1,234,567"],
    ["money with cents", 2.5, unitOf("revenue", "EUR"), "en", 0, "€2.50"],
    ["cents", 123450, unitOf("estimated_revenue_cents"), "en", 0, "1,234.50"],
    ["days", 3, unitOf("days_inactive"), "ru", 0, "3 дн."],
    ["some milliseconds", 222, unitOf("system_latency_ms"), "en", 0, "222 ms"],
    ["many milliseconds", 18_997, unitOf("user_think_time_ms"), "en", 0, "19 sec"],
    ["an hour", 9, unitOf("peak_hour"), "en", 0, "09:00"],
    ["a key, which is no amount", 1234, unitOf("card_id"), "en", 0, "1234"],
    ["a number in a column with digits", 3, unitOf("avg_rating"), "en", 2, "3.00"],
  ])("writes %s", (_, value, unit, language, digits, expected) => {
    expect(plain(formatValue(value, unit, language, digits))).toBe(expected);
  });

  it("says a change without its sign, which the arrow beside it has, and in times where percents say little", () => {
    expect([formatChange(9, 10, "en"), formatChange(12, 10, "en"), formatChange(1000, 10, "en"), formatChange(1, 0, "en")]).toEqual(["10%", "20%", "×100", null]);
  });

  it("takes the unit that fits", () => {
    expect([formatSeconds(201_604, "en"), formatSeconds(40, "en"), formatBytes(0, "en"), formatBytes(3_900_000, "en")]).toEqual(["2.3 days", "40 sec", "0 bytes", "3.9 MB"]);
  });

  it.each([
    ["whole numbers", [1, 2, 30], 0],
    ["numbers of which one has a half", [3, 4.5], 1],
    ["numbers with more than is shown", [3.14159, 2], 2],
    ["nothing", [null, undefined], 0],
  ])("has for %s as many digits as are needed", (_, values, expected) => {
    expect(digitsIn(values, { kind: "number" })).toBe(expected);
  });

  it("shows no more than one digit of a share", () => {
    expect(digitsIn([48.25, 29.11], { kind: "percent" })).toBe(1);
  });
});

it("writes days as people where the reader is do", () => {
  const at = "2026-11-28T21:50:00Z";
  expect([localeOf("en", ["de-DE", "en-GB"]), localeOf("ru", ["en-GB"])]).toEqual(["en-GB", "ru"]);
  expect(plain(formatInstant(at, { language: "en-GB", zone: "UTC" }))).toBe("28 Nov 2026, 21:50");
  expect(formatPeriod("2026-11-03", { language: "en-US", zone: "UTC" })).toBe("Nov 3");
  expect(plain(formatPeriod("2026-06", { language: "ru", zone: "UTC" }))).toBe("июнь 2026");
});

it("knows the period that has not ended by its name", () => {
  const day = "2026-11-29";
  expect(["2026", "2026-11", "2026-Q4", "2026-11-29"].filter((label) => isUnderWay(label, day))).toHaveLength(4);
  expect(["2025", "2026-10", "2026-Q3", "2026-11-28", "2026-11-30", "north"].filter((label) => isUnderWay(label, day))).toEqual([]);
  expect([isUnderWay("2026-11-23", day, 7), isUnderWay("2026-11-22", day, 7)]).toEqual([true, false]);
});

it("says no unit twice", () => {
  expect([humanise("avg_interval_days"), humanise("kpis"), humanise("sr_count"), humanise("store_id")]).toEqual(["Average interval", "KPIs", "SR count", "Store ID"]);
});

it("writes no formula into a file", () => {
  expect(csvOf([{ name: "=1+1", count: -1 }, { name: 'a "b", c', count: null }])).toBe('name,count\r\n\'=1+1,-1\r\n"a ""b"", c",\r\n');
});
