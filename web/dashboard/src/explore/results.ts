/** Answers as pictures and tables read them. Pure. */
import type { Place } from "./actors.ts";
import { type Query, measuresOf } from "./query.ts";

export type Numbers = readonly (number | null)[];
export type Actor = string | number | boolean | { readonly tenant: string; readonly actor: string | number };

export interface FunnelGroup {
  readonly value?: readonly unknown[];
  readonly counts: readonly number[];
  readonly median_seconds: Numbers;
}

export interface FunnelResult extends FunnelGroup {
  readonly groups?: readonly FunnelGroup[];
  readonly actors_at_step?: readonly (readonly Actor[])[];
}

export interface BucketResult {
  readonly starts: readonly (string | null)[];
  readonly complete: readonly boolean[];
}

export interface FunnelTrend extends BucketResult {
  readonly entered: Numbers;
  readonly converted: Numbers;
  readonly percent: Numbers;
}

export interface RetentionResult {
  readonly starts: readonly string[];
  readonly sizes: readonly number[];
  readonly matrix: readonly Numbers[];
  readonly percent: readonly Numbers[];
  readonly complete: readonly (readonly boolean[])[];
  readonly mean_pooled: Numbers;
  readonly members?: readonly (readonly Actor[])[];
  readonly groups?: readonly RetentionGroup[];
}

/** The same of those who have one value. */
export type RetentionGroup = Pick<RetentionResult, "sizes" | "matrix" | "percent" | "mean_pooled"> & { readonly value: unknown };

export interface TrendGroup {
  readonly value: unknown;
  readonly data: Numbers;
  /** Of the period before. */
  readonly compare?: Numbers;
}

export interface TrendResult extends BucketResult {
  readonly data: Numbers;
  readonly groups?: readonly TrendGroup[];
  readonly compare?: BucketResult & { readonly data: Numbers };
}

type ByName<List> = Readonly<Record<string, List>>;

/** A trend of several measures as one of each: whatever shows a trend knows of one alone. */
export function byMeasure(query: Query, result: unknown): readonly { readonly query: Query; readonly result: unknown }[] {
  if (query.kind !== "trend" || !Array.isArray(query.measure)) return [{ query, result }];
  return measuresOf(query).map((measure) => {
    const of = (data: unknown) => (data as ByName<Numbers> | undefined)?.[measure] ?? [];
    const { data, groups, compare, ...buckets } = result as TrendResult;
    const each = groups?.map((group) => ({ value: group.value, data: of(group.data), ...(group.compare === undefined ? {} : { compare: of(group.compare) }) }));
    const own = { ...buckets, data: of(data), ...(each === undefined ? {} : { groups: each }), ...(compare === undefined ? {} : { compare: { ...compare, data: of(compare.data) } }) };
    return { query: { ...query, measure }, result: own };
  });
}

export const STATES = ["new", "returning", "resurrecting", "dormant"] as const;
type LifecycleState = (typeof STATES)[number];

export interface LifecycleResult extends BucketResult, Readonly<Record<LifecycleState, Numbers>> {
  readonly actors: Readonly<Record<LifecycleState, readonly (readonly Actor[])[]>>;
}

export interface StickinessResult {
  readonly data: readonly number[];
  readonly at_least: readonly number[];
  readonly actors_total: number;
}

export interface Edge {
  readonly step: number;
  readonly from: unknown;
  readonly to: unknown;
  readonly count: number;
}

export interface ChurnActor {
  readonly tenant?: string;
  readonly actor: string | number;
  readonly events: number;
  readonly first: string;
  readonly last: string;
  readonly days_inactive: number;
  readonly interval_days: number | null;
  readonly ratio: number | null;
  readonly at_risk: boolean;
  readonly alive?: number | null;
  readonly expected?: number | null;
}

export interface ChurnResult {
  readonly actors: readonly ChurnActor[];
  readonly at_risk: number;
  readonly total: number;
}

export interface PrecedingResult {
  readonly total: number;
  readonly values: readonly { readonly value: unknown; readonly count: number }[];
}

export interface DropoffResult {
  readonly total_sessions: number;
  readonly total_exits: number;
  readonly converted: number;
  readonly conversion_rate: number;
  readonly steps: readonly { readonly step: string; readonly sessions: number; readonly reach_rate: number; readonly exits: number; readonly exit_share: number; readonly step_exit_rate: number }[];
}

export type Cells = Readonly<Record<string, unknown>>;

const byBucket = (buckets: BucketResult, lists: Readonly<Record<string, Numbers>>): Cells[] =>
  buckets.starts.map((start, index) => ({ start, ...Object.fromEntries(Object.entries(lists).map(([name, list]) => [name, list[index] ?? null])) }));

/** An answer's numbers as rows: what the table shows, and what its file holds. `names`: what a funnel's steps are called. */
export function rowsOf(query: Query, result: unknown, names: readonly string[] = []): Cells[] {
  switch (query.kind) {
    case "funnel":
      return query.viz === "trends" ? byBucket(result as FunnelTrend, trendLists(result as FunnelTrend)) : funnelRows(result as FunnelResult, names);
    case "retention":
      return retentionRows(result as RetentionResult);
    case "trend":
      return trendRows(result as TrendResult);
    case "lifecycle": {
      const { new: fresh, returning, resurrecting, dormant } = result as LifecycleResult;
      return byBucket(result as LifecycleResult, { new: fresh, returning, resurrecting, dormant });
    }
    case "stickiness": {
      const { data, at_least } = result as StickinessResult;
      return data.map((actors, index) => ({ periods: index + 1, actors, at_least: at_least[index] ?? 0 }));
    }
    case "paths":
      return (result as { readonly edges: readonly Edge[] }).edges.map((edge) => ({ ...edge }));
    case "churn":
      return (result as ChurnResult).actors.map((actor) => ({ ...actor }));
    case "preceding":
      return (result as PrecedingResult).values.map((row) => ({ ...row }));
    case "dropoff":
      return (result as DropoffResult).steps.map(({ step, sessions, reach_rate, exits, exit_share, step_exit_rate }) => ({ step, sessions, reach_rate, exits, exit_share, step_exit_rate }));
  }
}

/** Where a number of that table stands in the answer, and so who is behind it; null where nobody can be named. */
export function placeOf(query: Query, result: unknown, row: Cells, index: number, column: string): Place | null {
  if (typeof row[column] !== "number" || row[column] === 0) return null;
  switch (query.kind) {
    case "trend":
      return trendPlace(result as TrendResult, index, column);
    case "funnel":
      return query.viz === "trends" ? trendsPlace(index, column) : funnelPlace(result as FunnelResult, index, column);
    case "retention":
      return column === "size" ? { cell: [index, 0] } : PERIOD.test(column) ? { cell: [index, Number(column.slice("period_".length))] } : null;
    case "lifecycle":
      return { bucket: index, state: column };
    case "stickiness":
      return column === "actors" ? { exactly: index + 1 } : column === "at_least" ? { at_least: index + 1 } : null;
    case "paths":
      return column === "count" ? { edge: { from: row["from"], to: row["to"], step: Number(row["step"]) } } : null;
    case "preceding":
      return column === "count" ? { value: row["value"] } : null;
    case "dropoff":
      return column === "sessions" ? { step: String(row["step"]) } : column === "exits" ? { step: String(row["step"]), exited: true } : null;
    case "churn":
      return null;
  }
}

/** What a number of that table is compared with: undefined where nothing is, or nothing that is as whole. `before`: an answer of its own. */
export function beforeAt(query: Query, result: unknown, before: unknown, index: number, column: string): number | undefined {
  const found = query.kind === "trend" ? trendBefore(result as TrendResult, index, column) : query.kind === "retention" && before !== undefined ? retentionBefore(result as RetentionResult, before as RetentionResult, index, column) : undefined;
  return found ?? undefined;
}

function trendBefore(result: TrendResult, bucket: number, column: string): number | null | undefined {
  return (column === "value" ? result.compare?.data : result.groups?.find((own) => nameOf(own.value) === column)?.compare)?.[bucket];
}

function retentionBefore(result: RetentionResult, before: RetentionResult, row: number, column: string): number | null | undefined {
  if (column === "size") return isWhole(result, row, 0) ? before.sizes[row] : undefined;
  const [, period] = PERIOD.exec(column) ?? [];
  return period !== undefined && isWhole(result, row, Number(period)) && isWhole(before, row, Number(period)) ? before.matrix[row]?.[Number(period)] : undefined;
}

/** Columns of a retention are named by how many periods have passed. */
export const PERIOD = /^period_(\d+)$/;

/** A period that has not ended is less than a whole one, whatever came of it. */
export const isWhole = ({ complete }: RetentionResult, row: number, column: number): boolean => complete[row]?.[column] === true;

function trendPlace(result: TrendResult, bucket: number, column: string): Place | null {
  if (column === "value") return { bucket };
  const group = result.groups?.find((own) => nameOf(own.value) === column);
  return group === undefined ? null : { bucket, group: [group.value] };
}

const trendsPlace = (bucket: number, column: string): Place | null => (column === "entered" ? { bucket } : column === "converted" ? { bucket, converted: true } : null);

function funnelPlace(result: FunnelResult, index: number, column: string): Place | null {
  if (column !== "count") return null;
  const steps = result.counts.length;
  const group = result.groups?.[Math.floor(index / steps)];
  return group?.value === undefined ? { step: index % steps } : { step: index % steps, group: group.value };
}

const trendLists = ({ entered, converted, percent }: FunnelTrend) => ({ entered, converted, percent });

function funnelRows(result: FunnelResult, names: readonly string[]): Cells[] {
  const groups = result.groups === undefined || result.groups.length === 0 ? [result] : result.groups;
  return groups.flatMap((group) =>
    group.counts.map((count, step) => ({
      ...(group.value === undefined ? {} : { group: nameOf(group.value) }),
      step: step + 1,
      ...(names[step] === undefined ? {} : { name: names[step] }),
      count,
      rate: shareOf(count, group.counts[0] ?? 0),
      median_seconds: group.median_seconds[step] ?? null,
    })),
  );
}

export const shareOf = (part: number, whole: number): number | null => (whole === 0 ? null : (100 * part) / whole);

/** Values in a list of groups' values are named one by one; what is a list or an object itself, as it stands. */
export function nameOf(value: unknown, none: string = NO_VALUE): string {
  if (Array.isArray(value) && value.length > 0 && !value.some(isStructured)) return value.map((own) => nameOf(own, none)).join(" · ");
  if (isStructured(value)) return JSON.stringify(value);
  return value === null || value === undefined ? none : String(value);
}

/** What a lacking value is called where no words of a language are at hand: in keys and files. */
export const NO_VALUE = "∅";

/** A list or an object: the language of questions compares with neither. */
export const isStructured = (value: unknown): boolean => typeof value === "object" && value !== null;

function retentionRows(result: RetentionResult): Cells[] {
  const columns = Math.max(0, ...result.matrix.map((row) => row.length));
  return result.matrix.map((row, index) => ({
    start: result.starts[index],
    size: result.sizes[index] ?? 0,
    ...Object.fromEntries(Array.from({ length: columns }, (_, column) => [`period_${column}`, row[column] ?? null])),
  }));
}

function trendRows(result: TrendResult): Cells[] {
  const lists: Record<string, Numbers> = { value: result.data, ...(result.compare === undefined ? {} : { before: result.compare.data }) };
  for (const group of result.groups ?? []) lists[nameOf(group.value)] = group.data;
  return byBucket(result, lists);
}
