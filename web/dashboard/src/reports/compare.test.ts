import { expect, it } from "vitest";
import { cohortsBefore, labelsBefore, meansOf } from "./compare.ts";
import type { Block, CohortRow } from "./shape.ts";

const row = (label: string, size: number, ...cells: (number | null)[]): CohortRow => ({ label, size, cells });
const cohorts = (...rows: CohortRow[]): Block => ({ kind: "cohorts", path: "", label: "month", size: "users", unit: { kind: "percent" }, rows });
const series = (...days: string[]): Block => ({ kind: "series", path: "", label: "date", families: [], fields: [], rows: days.map((date) => ({ date })) });

it("sets cohorts against those that are as old, from the end", () => {
  const rows = [row("2026-09", 4, 100, 50, 25), row("2026-10", 4, 100, 50), row("2026-11", 4, 100)];
  const before = cohorts(row("2026-07", 2, 100, 40), row("2026-08", 2, 100));
  expect(cohortsBefore(rows, before).map((other) => other?.label ?? null)).toEqual([null, "2026-07", "2026-08"]);
  expect(cohortsBefore(rows, null)).toEqual([null, null, null]);
});

it("weighs means by how many are in a cohort, and leaves out what has not begun", () => {
  expect(meansOf([row("a", 1, 100, 100), row("b", 3, 100, 20), row("c", 9, 100, null)])).toEqual([100, 40]);
  expect(meansOf([])).toEqual([]);
});

it("names the periods that a line is set against", () => {
  expect(labelsBefore(series("2026-11-02", "2026-11-03"), series("2026-10-30", "2026-10-31", "2026-11-01"))).toEqual(["2026-10-31", "2026-11-01"]);
  expect(labelsBefore(series("2026-11-02", "2026-11-03"), series("2026-11-01"))).toEqual([null, "2026-11-01"]);
  expect(labelsBefore(series("2026-11-02"), null)).toEqual([]);
});
