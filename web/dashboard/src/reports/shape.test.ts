import { describe, expect, it } from "vitest";
import type { Schema } from "../api/document.ts";
import { type Block, blocksOf } from "./shape.ts";

const NUMBER: Schema = { type: ["integer", "null"] };
const TEXT: Schema = { type: ["string", "null"] };
const object = (properties: Record<string, Schema>): Schema => ({ type: "object", properties });
const list = (properties: Record<string, Schema>): Schema => ({ type: "array", items: object(properties) });

function check(schema: Schema, value: unknown, echoes: Record<string, unknown> = {}): Block[] {
  return blocksOf({ schema, value, echoes });
}

const kindsOf = (blocks: readonly Block[]): string[] => blocks.map((block) => `${block.kind} ${block.path}`.trim());

const same = (value: string): Schema => ({ type: "number", "x-ebbtide-value": value });
const namesOf = (block: Block) => (block.kind === "cards" ? block.stats.map((stat) => stat.name) : block.kind === "table" ? block.fields.map((field) => field.name) : null);

describe("blocksOf", () => {
  it("draws plain values as cards, and leaves out the parameters that an answer repeats", () => {
    const schema = object({ at_risk_count: NUMBER, period_days: NUMBER, months_back: NUMBER, as_of: TEXT });
    const [cards] = check(schema, { at_risk_count: 3, period_days: 30, months_back: 6, as_of: "2026-11-20T00:00:00Z" }, { days: "30", months_back: "6" });
    expect(cards?.kind === "cards" ? cards.stats.map((stat) => stat.name) : null).toEqual(["at_risk_count"]);
  });

  it("reads insights where the list is declared to hold them, though it be empty, and where its values say so", () => {
    const declared = object({ insights: { type: "array", items: { $ref: "#/components/schemas/Insight" } } });
    expect(check(declared, { insights: [] })).toEqual([{ kind: "insights", path: "insights", insights: [] }]);
    const insight = { severity: "low", title: "A", finding: "B", action: "", evidence: {}, rule: "r" };
    expect(kindsOf(check(object({}), { words: [insight], others: [{ title: "A", finding: "B" }] }))).toEqual(["insights words", "table others"]);
  });

  it("takes a list of words for one value, in a row and by itself", () => {
    const words: Schema = { type: "array", items: TEXT };
    const [cards, table] = check(object({ tags: words, sessions: list({ id: TEXT, count: NUMBER, path: words }) }), { tags: ["a", "b"], sessions: [{ id: "s", count: 1, path: [] }, { id: "t", count: 2, path: ["home", "cart"] }] });
    expect(cards?.kind === "cards" ? cards.stats : null).toMatchObject([{ name: "tags", value: ["a", "b"], numeric: false }]);
    expect(table?.kind === "table" ? [table.fields.map(({ name }) => name), table.nested] : null).toEqual([["id", "count", "path"], []]);
  });

  it("keeps a number that is no repeated parameter, whatever its name", () => {
    const [cards] = check(object({ period_days: NUMBER }), { period_days: 31 }, { days: "30" });
    expect(cards?.kind).toBe("cards");
  });

  it("draws a list of periods with lists of numbers as cohorts", () => {
    const schema = object({ cohorts: list({ month: TEXT, enrolled: NUMBER, retention: { type: "array", items: NUMBER } }) });
    const [block] = check(schema, { cohorts: [{ month: "2026-06", enrolled: 50, retention: [100, 80, null] }] });
    expect(block).toMatchObject({ kind: "cohorts", path: "cohorts", size: "enrolled", unit: { kind: "percent" } });
    expect(block?.kind === "cohorts" ? block.rows : null).toEqual([{ label: "2026-06", size: 50, cells: [100, 80, null] }]);
  });

  it("draws counts of cohorts by their own scale, not as shares", () => {
    const [block] = check(list({ cohort: TEXT, monthly_sr: { type: "array", items: NUMBER }, new_tenants: NUMBER }), [{ cohort: "2026-05", monthly_sr: [12, null], new_tenants: 3 }]);
    expect(block).toMatchObject({ kind: "cohorts", size: "new_tenants", unit: { kind: "number" } });
  });

  it("draws a list of days as a series, each plain count by itself and one unit together", () => {
    const rows = [{ cohort: "2026-05", sr_count: 31, avg_resolution_hours: 5.4, p90_hours: 14.2, benchmark: "보통" }];
    const [block] = check(list({ cohort: TEXT, sr_count: NUMBER, avg_resolution_hours: NUMBER, p90_hours: NUMBER, benchmark: TEXT }), rows);
    const families = block?.kind === "series" ? block.families.map((family) => family.map((field) => field.name)) : null;
    expect(families).toEqual([["sr_count"], ["avg_resolution_hours", "p90_hours"]]);
  });

  it("draws a text with one number as bars, and a map too", () => {
    const schema = object({ top: list({ query: TEXT, count: NUMBER }), languages: { type: "object", additionalProperties: NUMBER } });
    expect(kindsOf(check(schema, { top: [{ query: "hi", count: 2 }], languages: { en: 5 } }))).toEqual(["bars top", "bars languages"]);
  });

  it("draws other lists as tables, and tells which fields are opened", () => {
    const schema = list({ name: TEXT, a: NUMBER, b: NUMBER, daily: list({ date: TEXT, count: NUMBER }) });
    const [block] = check(schema, [{ name: "x", a: 1, b: 2, daily: [{ date: "2026-01-01", count: 1 }] }]);
    expect(block).toMatchObject({ kind: "table", path: "", nested: ["daily"] });
  });

  it("knows the columns of an empty list by its declaration", () => {
    const [block] = check(object({ cards: list({ card_id: NUMBER, days_inactive: NUMBER, customer_name: TEXT }) }), { cards: [] });
    expect(block).toMatchObject({ kind: "table", rows: [] });
    expect(block?.kind === "table" ? block.fields.map((field) => field.unit.kind) : null).toEqual(["key", "duration", "text"]);
  });

  it("gives money the currency that stands beside it", () => {
    const [cards] = check(object({ revenue: object({ total: NUMBER, currency: TEXT }) }), { revenue: { total: 10, currency: "RUB" } });
    expect(cards).toMatchObject({ path: "revenue", stats: [{ name: "total", unit: { kind: "money", currency: "RUB" } }] });
  });

  it("gives money the currency that the report declares, and takes no other number for money", () => {
    const schema = object({ total: NUMBER, analytics: object({ total_revenue: NUMBER, transaction_count: NUMBER, total: NUMBER, daily: list({ date: TEXT, revenue: NUMBER }) }) });
    const value = { total: 4, analytics: { total_revenue: 10, transaction_count: 2, total: 3, daily: [{ date: "2026-11-20", revenue: 10 }] } };
    const blocks = blocksOf({ schema, value, echoes: {}, currency: "RUB" });
    const units = blocks.flatMap((block) => (block.kind === "cards" ? block.stats : block.kind === "series" ? block.fields : [])).map((field) => `${field.name} ${field.unit.kind}`);
    expect(units).toEqual(["total number", "total_revenue money", "transaction_count number", "total number", "date text", "revenue money"]);
  });

  it("draws nothing of an answer that is null", () => {
    expect(check({ type: "null" }, null)).toEqual([]);
  });

  it("shows a value that has several names by the first of them, in a row and in the whole answer", () => {
    const schema = object({ rate: same("0.rate"), steps: list({ step: TEXT, sessions: same("0.sessions"), reach: same("0.reach"), name: TEXT, again: same("0.reach") }), kpis: object({ overall: same("0.rate"), users: same("0.users") }) });
    const blocks = check(schema, { rate: 30, steps: [{ step: "home", sessions: 4, reach: 100, name: "Home", again: 100 }], kpis: { overall: 30, users: 9 } });
    expect(blocks.map(namesOf)).toEqual([["rate"], ["step", "sessions", "reach", "name"], ["users"]]);
  });

  it("puts the greatest of a map first, and calls keys by what they are of", () => {
    const [map] = check(object({ by: { type: "object", additionalProperties: NUMBER } }), { by: { small: 1, great: 5 } });
    expect(map?.kind === "bars" ? map.bars.map((bar) => bar.label) : null).toEqual(["great", "small"]);
    const [keys] = check(object({ top: list({ mentor_id: NUMBER, sessions: NUMBER }) }), { top: [{ mentor_id: 7, sessions: 2 }] });
    expect(keys?.kind === "bars" ? keys.bars : null).toEqual([{ label: "7", key: "mentor", value: 2 }]);
  });
});
