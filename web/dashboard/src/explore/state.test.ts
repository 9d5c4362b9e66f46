import { describe, expect, it } from "vitest";
import { hasUnnameable, isNameable, isOpen, keyOf, labelOf } from "./actors.ts";
import { KINDS, type Query, isUnfinished, startOf, textOf, valuesOf, withField } from "./query.ts";
import { csvOf } from "../format/csv.ts";
import { nameOf, rowsOf } from "./results.ts";
import { START, type State, askedOf, curlOf, daysOf, readState, requestBefore, requestOf, writeState } from "./state.ts";

const TODAY = "2026-11-20";
const funnel: Query = { kind: "funnel", steps: [{ event: "view", where: [{ prop: "url", op: "eq", value: "/a&b=c ü" }] }, { event: null }], window: "14d" };

describe("the URL of a question", () => {
  it.each<[string, State]>([
    ["a funnel with filters", { query: funnel, range: "90d", view: "table", picture: "own" }],
    ["a range of one's own", { query: { kind: "trend", interval: "week" }, range: { from: "2026-01-01", to: "2026-01-31" }, view: "picture", picture: "bar" }],
    ["a field that no control knows", { query: { kind: "trend", formula: "A / B" }, range: "all", view: "curl", picture: "own" }],
  ])("brings back %s", (_, state) => {
    expect(readState(new URLSearchParams(writeState(state).toString()))).toEqual(state);
  });

  it("brings back what each kind begins with", () => {
    for (const kind of KINDS) {
      const state: State = { query: startOf(kind, START.query, ["a", "b", "c"]), range: "28d", view: "picture", picture: "own" };
      expect(readState(new URLSearchParams(writeState(state).toString()))).toEqual(state);
    }
  });

  it.each([["q=%7B"], ["q=null"], ['q={"kind":"drop table"}'], ["range=..&view=none&as=pie"], [""]])("takes %j as the start", (text) => {
    expect(readState(new URLSearchParams(text))).toEqual(START);
  });
});

describe("requestOf", () => {
  it.each<[string, State["range"], object]>([
    ["rolling days", "7d", { from: "2026-11-14" }],
    ["rolling months", "12m", { from: "2025-11-21" }],
    ["days of one's own, the last one whole", { from: "2026-01-01", to: "2026-01-31" }, { from: "2026-01-01", to: "2026-02-01" }],
    ["all of history", "all", {}],
  ])("asks for %s", (_, range, bounds) => {
    expect(requestOf({ query: { kind: "trend" }, range, view: "picture", picture: "own" }, TODAY)).toEqual({ kind: "trend", ...bounds });
  });

  it("leaves the range to kinds that have their own", () => {
    expect(requestOf({ query: { kind: "retention", periods: 8 }, range: "7d", view: "picture", picture: "own" }, TODAY)).toEqual({ kind: "retention", periods: 8 });
  });

  it("counts a range's days with both ends", () => {
    expect(daysOf("28d", TODAY)).toEqual({ from: "2026-10-24", to: TODAY });
  });
});

it("quotes a command so that no value ends it", () => {
  expect(curlOf("http://h", "a b", { kind: "trend", x: "it's" })).toContain(String.raw`'{"kind":"trend","x":"it'\''s"}'`);
});

describe("values of filters", () => {
  it.each([
    ["5", "eq", "int", 5],
    ["5", "eq", "text", "5"],
    ["5", "eq", null, 5],
    ["true", "eq", "bool", true],
    ["a, b", "in", "text", ["a", "b"]],
    ["1,2", "not_in", "int", [1, 2]],
    ["x", "is_set", "text", undefined],
  ] as const)("takes %j of %s for a property of type %s", (text, op, type, expected) => {
    expect(valuesOf(text, op, type)).toEqual(expected);
  });

  it("writes a list as it is typed", () => {
    expect(textOf(["a", "b"])).toBe("a, b");
  });
});

it("takes away a field that is set to nothing", () => {
  expect(withField({ kind: "trend", prop: "x" }, "prop", "")).toEqual({ kind: "trend" });
  expect(withField({ kind: "trend" }, "filters", [])).toEqual({ kind: "trend" });
});

describe("actors", () => {
  it("tells actors of two tenants apart", () => {
    expect(keyOf({ tenant: "1", actor: 7 })).not.toBe(keyOf({ tenant: "2", actor: 7 }));
    expect(keyOf("7")).not.toBe(keyOf(7));
    expect(labelOf({ tenant: "1", actor: 7 })).toBe("1 · 7");
  });

  it("opens no number that a formula computes", () => {
    expect(isOpen({ kind: "trend", entities: [{}, {}], formula: "A / B" })).toBe(false);
    expect(isOpen({ kind: "trend" })).toBe(true);
  });
});

const before = (period: Query["period"], starts: readonly string[], zone = "UTC") => requestBefore({ kind: "retention", compare: "previous_period", ...(period === undefined ? {} : { period }) }, { kind: "retention" }, starts, zone)?.["from"];

describe("a retention beside the period before", () => {
  it("asks of as many periods that end where these begin", () => {
    expect(before(undefined, ["2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"])).toBe("2026-02-28");
    expect(before("week", ["2026-11-02T00:00:00Z", "2026-11-09T00:00:00Z", "2026-11-16T00:00:00Z"])).toBe("2026-10-12");
    expect(before("month", ["2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"])).toBe("2025-11-01");
    expect(before("quarter", ["2026-01-01T00:00:00Z"])).toBe("2025-10-01");
    expect(before("hour", ["2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"])).toBe("2025-12-31T22:00:00.000Z");
  });

  it("reckons days in the app's zone", () => {
    expect(before("month", ["2025-12-31T15:00:00Z"], "Asia/Seoul")).toBe("2025-12-01");
  });

  it("is two questions, each without a word of the other", () => {
    const compared: Query = { kind: "retention", compare: "previous_period" };
    expect(requestOf({ ...START, query: compared }, TODAY)).toEqual({ kind: "retention" });
    expect(requestBefore({ kind: "retention" }, { kind: "retention" }, ["2026-01-01T00:00:00Z"], "UTC")).toBeNull();
    expect(requestBefore(compared, { kind: "retention" }, [], "UTC")).toBeNull();
    expect(askedOf({ kind: "trend", compare: "previous_period" })).toEqual({ kind: "trend", compare: "previous_period" });
  });
});

describe("groups whose value is a list or an object", () => {
  it("are named as they stand", () => {
    expect([nameOf({ a: 1 }), nameOf([["x", "y"]]), nameOf(["x", null]), nameOf([])]).toEqual(['{"a":1}', '[["x","y"]]', "x · ∅", "[]"]);
  });

  it("are not offered to be opened, and that is said", () => {
    expect(isNameable({ bucket: 0, group: [["x"]] })).toBe(false);
    expect(isNameable({ bucket: 0, group: ["x", null] })).toBe(true);
    expect(isNameable({ value: { a: 1 } })).toBe(false);
    expect(isNameable({ edge: { from: "a", to: ["b"], step: 1 } })).toBe(false);
    const trend: Query = { kind: "trend" };
    expect([hasUnnameable(trend, { groups: [{ value: { a: 1 } }] }), hasUnnameable(trend, { groups: [{ value: ["x"] }] }), hasUnnameable(funnel, { groups: [{ value: [["x"]] }] })]).toEqual([true, true, true]);
    expect([hasUnnameable(funnel, { groups: [{ value: ["x"] }] }), hasUnnameable({ kind: "preceding" }, { values: [{ value: "x" }] }), hasUnnameable(trend, {})]).toEqual([false, false, false]);
  });
});

it("does not ask for a sum of nothing", () => {
  expect([isUnfinished({ kind: "trend", measure: "sum" }), isUnfinished({ kind: "trend", measure: "sum", prop: "amount" }), isUnfinished({ kind: "trend" })]).toEqual([true, false, false]);
});

describe("tables", () => {
  it("has a row for each step and group of a funnel", () => {
    const result = { counts: [4, 2], median_seconds: [null, 60], groups: [{ value: ["pro"], counts: [2, 1], median_seconds: [null, 9] }] };
    expect(rowsOf(funnel, result)).toEqual([
      { group: "pro", step: 1, count: 2, rate: 100, median_seconds: null },
      { group: "pro", step: 2, count: 1, rate: 50, median_seconds: 9 },
    ]);
  });

  it("keeps periods that have not begun empty", () => {
    const result = { starts: ["2026-01-01", "2026-02-01"], sizes: [3, 1], matrix: [[3, 2], [1]] };
    expect(rowsOf({ kind: "retention" }, result)[1]).toEqual({ start: "2026-02-01", size: 1, period_0: 1, period_1: null });
  });

  it("writes a file that no spreadsheet runs", () => {
    expect(csvOf([{ a: '=1+1', b: 'x"y', c: null, d: -5 }])).toBe('a,b,c,d\r\n\'=1+1,"x""y",,-5\r\n');
  });
});
