/** What the server's metrics say of an app's tables. Pure. */

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

const LINE = /^(\w+)(?:\{(.*)\})?\s+(\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Prometheus' text format; what is no sample is passed over. */
export function samplesIn(text: string): Sample[] {
  return text.split("\n").flatMap((line): Sample[] => {
    const [, name, labels = "", value] = LINE.exec(line) ?? [];
    if (name === undefined || value === undefined) return [];
    const found = [...labels.matchAll(LABEL)].map((match) => [match[1] ?? "", (match[2] ?? "").replaceAll(/\\(.)/g, "$1")] as const);
    return [{ name, labels: Object.fromEntries(found), value: Number(value) }];
  });
}

export const FATES = ["accepted", "duplicate", "waiting", "rejected"] as const;
export type Fate = (typeof FATES)[number];

/**
 * Rows that arrived since the server started, by table and by what became of them. A row may be refused before the store sees it, or
 * by the store: of the two accounts the greater number is told.
 */
export function arrivalsIn(samples: readonly Sample[], app: string): ReadonlyMap<string, Readonly<Record<Fate, number>>> {
  const arrivals = new Map<string, Record<Fate, number>>();
  for (const { name, labels, value } of samples) {
    const { app: of, table, outcome } = labels;
    const fate = FATES.find((known) => outcome === known);
    if ((name !== "ebbtide_rows_total" && name !== "ebbtide_stored_rows_total") || of !== app || table === undefined || fate === undefined) continue;
    const own = arrivals.get(table) ?? { accepted: 0, duplicate: 0, waiting: 0, rejected: 0 };
    own[fate] = Math.max(own[fate], value);
    arrivals.set(table, own);
  }
  return arrivals;
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

export interface Countable {
  readonly name: string;
  readonly time: string | null;
}

/** A statement that counts the reader's own rows of each table, and says the latest time of one. */
export function countingStatement(tables: readonly Countable[]): string {
  const counts = tables.map(({ name, time }) => `SELECT '${name.replaceAll("'", "''")}' AS name, count(*) AS rows, ${time === null ? "CAST(NULL AS timestamp)" : `max(${quoted(time)})`} AS latest FROM ${quoted(name)}`);
  return counts.join(" UNION ALL ");
}
