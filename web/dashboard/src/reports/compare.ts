/** Which value of the period before belongs to which of this one. Pure. */
import type { Block, CohortRow, Field, Row, Stat } from "./shape.ts";

/** The block of the other answer that stands at the same place. */
export const sameBlock = (block: Block, others: readonly Block[] | null): Block | null =>
  others?.find((other) => other.path === block.path && other.kind === block.kind) ?? null;

export function statBefore(stat: Stat, before: Block | null): number | null {
  const own = before?.kind === "cards" ? before.stats.find((other) => other.name === stat.name) : undefined;
  return typeof own?.value === "number" ? own.value : null;
}

export function valuesOf(rows: readonly Row[], field: Field): (number | null)[] {
  return rows.map((row) => {
    const value = row[field.name];
    return typeof value === "number" ? value : null;
  });
}

/** The period before, set against this one from its end: the last with the last. */
export function valuesBefore(rows: readonly Row[], field: Field, before: Block | null): (number | null)[] | null {
  if (before?.kind !== "series" || before.rows.length === 0) return null;
  const values = valuesOf(before.rows, field);
  return rows.map((_, index) => values[values.length - rows.length + index] ?? null);
}

/** What the periods are called that this one's are set against so. */
export function labelsBefore(block: Block, before: Block | null): (string | null)[] {
  if (block.kind !== "series" || before?.kind !== "series") return [];
  const { rows } = before;
  return block.rows.map((_, index) => {
    const row = rows[rows.length - block.rows.length + index];
    return row === undefined ? null : String(row[before.label]);
  });
}

/** The cohorts of the period before, set against these from the end as well: the last with the last, each as old as the one beside it. */
export function cohortsBefore(rows: readonly CohortRow[], before: Block | null): (CohortRow | null)[] {
  const others = before?.kind === "cohorts" ? before.rows : [];
  return rows.map((_, index) => others[others.length - rows.length + index] ?? null);
}

/** Each column's mean, weighed by the cohorts' sizes. */
export function meansOf(rows: readonly CohortRow[]): (number | null)[] {
  const columns = Math.max(0, ...rows.map((row) => row.cells.length));
  return Array.from({ length: columns }, (_, column) => {
    let members = 0;
    let returned = 0;
    for (const row of rows) {
      const cell = row.cells[column];
      if (cell === null || cell === undefined) continue;
      members += row.size ?? 1;
      returned += cell * (row.size ?? 1);
    }
    return members === 0 ? null : returned / members;
  });
}
