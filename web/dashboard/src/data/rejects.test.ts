import { describe, expect, it } from "vitest";
import type { Reject, Table } from "../api/client.ts";
import { choicesOf, countOf, draftOf, hintOf, lagOf, placeOf, rowIn } from "./rejects.ts";

const counts = [
  { table: "orders", code: "wrong_type", rows: 3 },
  { table: "orders", code: "null", rows: 2 },
  { table: "visits", code: "null", rows: 7 },
];

const reject = (part: Partial<Reject>): Reject =>
  ({ id: "1", at: "2026-01-01T00:00:00Z", tenant: "1", table: "orders", way: "rows", source: "/v1/tables/orders/rows", index: 0, line: null, column: null, code: "null", detail: "", row: null, text: null, row_bytes: 0, whole: true, ...part }) as Reject;

describe("choices", () => {
  it("count what the other choice leaves", () => {
    expect(choicesOf(counts, "table", { table: null, code: null })).toEqual([{ name: "visits", rows: 7 }, { name: "orders", rows: 5 }]);
    expect(choicesOf(counts, "code", { table: "orders", code: "null" })).toEqual([{ name: "wrong_type", rows: 3 }, { name: "null", rows: 2 }]);
  });

  it("say how many a filter is about", () => {
    expect(countOf(counts, { table: null, code: null })).toBe(12);
    expect(countOf(counts, { table: "orders", code: "null" })).toBe(2);
  });
});

describe("a row to be mended", () => {
  it("is the row as it came", () => {
    expect(draftOf(reject({ row: { id: 7 } }), undefined)).toBe('{\n  "id": 7\n}');
  });

  it("is begun with the table's columns where it is no JSON", () => {
    const table = { columns: [{ name: "id" }, { name: "at" }] } as unknown as Table;
    expect(JSON.parse(draftOf(reject({ text: "7,soon" }), table))).toEqual({ id: null, at: null });
  });

  it("is read back, or not at all", () => {
    expect(rowIn('{"id": 7}')).toEqual({ row: { id: 7 } });
    expect(rowIn("null")).toEqual({ row: null });
    expect(rowIn("{")).toBeNull();
  });
});

it("tells where a row was", () => {
  expect(placeOf(reject({ index: 4 }))).toBe("/v1/tables/orders/rows [4]");
  expect(placeOf(reject({ way: "file", source: "orders.csv", line: 17, index: null }))).toBe("orders.csv:17");
});

it("knows hints of codes, and of no others", () => {
  expect(hintOf("null")).toBe("reject.hint.null");
  expect(hintOf("toString")).toBeNull();
});

it("measures a lag, which is never below nothing", () => {
  const now = Date.parse("2026-01-01T00:01:00Z");
  expect(lagOf("2026-01-01T00:00:00Z", now)).toBe(60);
  expect(lagOf("2027-01-01T00:00:00Z", now)).toBe(0);
  expect(lagOf(null, now)).toBeNull();
});
