import { describe, expect, it } from "vitest";
import { isOpen, keyOf, labelOf } from "./actors.ts";
import { KINDS, type Query, startOf, textOf, valuesOf, withField } from "./query.ts";
import { csvOf } from "../format/csv.ts";
import { rowsOf } from "./results.ts";
import { START, type State, curlOf, daysOf, readState, requestOf, writeState } from "./state.ts";

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
