/** Which value of the period before belongs to which of this one. Pure. */
import type { Block, Field, Row, Stat } from "./shape.ts";

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
