import { describe, expect, it } from "vitest";
import { blocksOf } from "../reports/shape.ts";
import { headlinesOf, homeQueries, moversOf, newOf, shareOf, totalOf } from "./model.ts";

const STREAM = { name: "events", kind: "events", key: [], tenant: {}, actor: "who", time: "at", event_name: "what", columns: [] } as const;

it("asks of whole weeks: as many days as are compared with", () => {
  const queries = homeQueries({ ...STREAM, key: [], columns: [] }, "2026-11-20");
  expect(queries.totals).toMatchObject({ from: "2026-10-24", compare: "previous_period" });
  expect(queries.days).toMatchObject({ from: "2026-09-26" });
  expect(homeQueries({ ...STREAM, key: [], columns: [], event_name: null }, "2026-11-20").events).toBeNull();
});

it("reads totals with those before", () => {
  expect(totalOf({ data: { total: [7] }, compare: { data: { total: [5] } } }, "total")).toEqual({ now: 7, before: 5 });
  expect(totalOf(undefined, "unique")).toBeNull();
});

it("adds up who is new, in the last four weeks and in the four before", () => {
  const days = [...Array.from({ length: 28 }, () => 1), ...Array.from({ length: 27 }, () => 2), null];
  expect(newOf({ new: days })).toEqual({ now: 54, before: 28 });
});

const group = (value: string, now: number, before: number) => ({ value, data: [now], compare: [before] });

describe("moversOf", () => {
  it("puts the greatest change first, up or down, and leaves out what hardly happened or hardly changed", () => {
    const groups = [group("still", 100, 99), group("rare", 9, 1), group("up", 150, 100), group("down", 20, 100), group("new", 30, 0)];
    expect(moversOf({ groups }, 5).map((mover) => mover.name)).toEqual(["new", "down", "up"]);
  });

  it("says a change from nothing is a whole one", () => {
    expect([shareOf({ now: 5, before: 0 }), shareOf({ now: 0, before: 0 }), shareOf({ now: 5, before: 10 })]).toEqual([1, 0, -0.5]);
  });
});

it("takes one number of each group, called by the group, else the first ones", () => {
  const many = blocksOf({ schema: {}, value: { users: { total: 3, students: 2 }, reviews: { average_rating: 4, total: 1 } }, echoes: {} });
  expect(headlinesOf(many, 4).map((headline) => headline.label)).toEqual(["users", "average_rating"]);
  const one = blocksOf({ schema: {}, value: { at_risk_count: 3, checked: 5 }, echoes: {} });
  expect(headlinesOf(one, 1).map((headline) => headline.label)).toEqual(["at_risk_count"]);
});
