/** Rejected rows: what is shown of them, and what is sent again. Pure. */
import type { Reject, Rejects, Table } from "../api/client.ts";

export interface Filter {
  readonly table: string | null;
  readonly code: string | null;
}

/** Names of one field of the counts, each with how many rejects the other field's choice leaves. */
export function choicesOf(counts: Rejects["counts"], field: "table" | "code", filter: Filter): { readonly name: string; readonly rows: number }[] {
  const other = field === "table" ? "code" : "table";
  const found = new Map<string, number>();
  for (const count of counts) {
    const left = filter[other] === null || filter[other] === count[other] ? count.rows : 0;
    found.set(count[field], (found.get(count[field]) ?? 0) + left);
  }
  return [...found].map(([name, rows]) => ({ name, rows })).sort((a, b) => b.rows - a.rows || (a.name < b.name ? -1 : 1));
}

/** How many rejects a filter is about. */
export function countOf(counts: Rejects["counts"], filter: Filter): number {
  return counts.filter((count) => (filter.table === null || filter.table === count.table) && (filter.code === null || filter.code === count.code)).reduce((sum, count) => sum + count.rows, 0);
}

/** The row as text, to be mended. Of a line of a file that is no JSON an object of the table's columns is begun. */
export function draftOf(reject: Reject, table: Table | undefined): string {
  if (reject.row !== null && reject.row !== undefined) return JSON.stringify(reject.row, null, 2);
  const begun = Object.fromEntries((table?.columns ?? []).map((column) => [column.name, null]));
  return JSON.stringify(begun, null, 2);
}

/** What was typed, as a row; null where it is no JSON. */
export function rowIn(text: string): { readonly row: unknown } | null {
  try {
    return { row: JSON.parse(text) as unknown };
  } catch {
    return null;
  }
}

/** The end of a row's way: `/v1/capture [3]`, `orders.csv:17`. */
export function placeOf(reject: Reject): string {
  if (reject.line !== null) return reject.line === 0 ? reject.source : `${reject.source}:${reject.line}`;
  return `${reject.source} [${reject.index ?? 0}]`;
}

/** What somebody can do about a code, where there is more to say than its sentence: the key of a message. */
const HINTS = {
  wrong_type: "reject.hint.type",
  unknown_column: "reject.hint.column",
  field_unknown: "reject.hint.column",
  repeated_column: "reject.hint.column",
  null: "reject.hint.null",
  field_missing: "reject.hint.null",
  tenant_missing: "reject.hint.tenant",
  tenant_foreign: "reject.hint.tenant",
  tenant_moved: "reject.hint.moved",
  waiting_full: "reject.hint.waiting",
  ts_invalid: "reject.hint.time",
  not_allowed: "reject.hint.allowed",
} as const;

export function hintOf(code: string): (typeof HINTS)[keyof typeof HINTS] | null {
  return Object.hasOwn(HINTS, code) ? HINTS[code as keyof typeof HINTS] : null;
}

/** Seconds since an instant; none where it is still to come. */
export function lagOf(instant: string | null | undefined, now: number): number | null {
  if (instant === null || instant === undefined) return null;
  const then = Date.parse(instant);
  return Number.isNaN(then) ? null : Math.max(0, (now - then) / 1000);
}
