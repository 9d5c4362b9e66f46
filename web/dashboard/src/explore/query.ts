/** The questions that Explore builds: the query language (`docs/queries.md`), as much of it as there are controls for. */

export const KINDS = ["trend", "funnel", "retention", "lifecycle", "stickiness", "paths", "churn", "preceding", "dropoff"] as const;
export type Kind = (typeof KINDS)[number];

export const OPS = ["eq", "neq", "in", "not_in", "contains", "not_contains", "matches", "is_set", "is_not_set", "lt", "lte", "gt", "gte"] as const;
export type Op = (typeof OPS)[number];
/** Of somebody saved as a member of a cohort, or of anybody else. */
export interface CohortFilter {
  readonly cohort: string;
  readonly op?: "not_in";
}

export type Plain = string | number | boolean | null;

export interface Filter {
  readonly prop: string;
  readonly op: Op;
  readonly value?: Plain | readonly Plain[];
  readonly scope?: "actor";
}

export interface Matcher {
  readonly event?: string | null;
  readonly where?: readonly Filter[];
}

export interface Exclusion extends Matcher {
  readonly after?: number;
  readonly before?: number;
}

export const INTERVALS = ["hour", "day", "week", "month", "quarter", "year"] as const;
export type Interval = (typeof INTERVALS)[number];

export const MEASURES = ["total", "unique", "unique_prop", "sum", "avg", "min", "max", "median", "p90", "p95", "p99"] as const;
export type Measure = (typeof MEASURES)[number];

export interface Breakdown {
  readonly prop?: string;
  readonly props?: readonly string[];
  readonly scope?: "actor";
  readonly limit?: number;
}

/** A question. What is left out is the language's default; fields that no control knows are kept as they are. */
export interface Query {
  readonly kind: Kind;
  readonly stream?: string;
  readonly filters?: readonly (Filter | CohortFilter)[];
  readonly entities?: readonly Matcher[];
  readonly formula?: string;
  readonly breakdown?: Breakdown;
  readonly interval?: Interval | "all";
  readonly entity?: Matcher;
  readonly steps?: readonly Matcher[] | readonly string[] | number;
  readonly order?: "ordered" | "strict" | "unordered";
  readonly window?: string;
  readonly exclusions?: readonly Exclusion[];
  readonly viz?: "steps" | "trends";
  readonly start?: Matcher;
  readonly return?: Matcher;
  readonly type?: "recurring" | "first_time";
  readonly period?: Interval;
  readonly periods?: number;
  readonly cumulative?: boolean;
  /** A list of them is answered by name. */
  readonly measure?: Measure | readonly Measure[];
  readonly prop?: string;
  readonly compare?: "previous_period";
  readonly item?: string;
  readonly session_gap?: string;
  readonly start_at?: string;
  readonly limit?: number;
  readonly inactivity_multiplier?: number;
  readonly default_days?: number;
  readonly model?: "none" | "bg_nbd";
  readonly order_by?: string;
  readonly before?: Matcher;
  readonly of?: Matcher;
  readonly show?: string;
  readonly step?: string;
  readonly [field: string]: unknown;
}

/** Kinds that take a range of time from the page; the others say their own. */
export const takesRange = (kind: Kind): boolean => kind !== "retention" && kind !== "churn";

/** Measures that are of a property, which must be chosen before there is anything to ask. */
export const needsProp = (query: Query): boolean => query.kind === "trend" && query.entities === undefined && measuresOf(query).some((measure) => measure !== "total" && measure !== "unique");

export const measuresOf = ({ measure = "total" }: Query): readonly Measure[] => [measure].flat();

/** What the first of them is called. */
export const measureKey = (query: Query): `measure.${Measure}` => `measure.${measuresOf(query)[0] ?? "total"}`;

export const isUnfinished = (query: Query): boolean => needsProp(query) && (query.prop ?? "") === "";

export const takesInterval = (kind: Kind): boolean => kind === "trend" || kind === "lifecycle" || kind === "stickiness";

/** What a kind begins with; what the kinds have in common stays. */
export function startOf(kind: Kind, previous: Query, events: readonly string[]): Query {
  const kept = { ...(previous.stream === undefined ? {} : { stream: previous.stream }), ...(previous.filters === undefined ? {} : { filters: previous.filters }) };
  const [first = null, second = null] = events;
  switch (kind) {
    case "funnel":
      return { ...kept, kind, steps: [{ event: first }, { event: second }], window: "14d" };
    case "retention":
      return { ...kept, kind, period: "week", periods: 8 };
    case "trend":
      return { ...kept, kind, interval: "day", measure: "unique" };
    case "lifecycle":
    case "stickiness":
      return { ...kept, kind, interval: "week" };
    case "paths":
      return { ...kept, kind, steps: 3, limit: 40 };
    case "churn":
      return { ...kept, kind, inactivity_multiplier: 2, limit: 100 };
    case "preceding":
      return { ...kept, kind, before: { event: second }, of: { event: first }, show: "event", limit: 20 };
    case "dropoff":
      return { ...kept, kind, step: "event", steps: events.slice(0, 3) };
  }
}

/** Sets a field, or takes it away where the value is none. */
export function withField(query: Query, field: string, value: unknown): Query {
  const { [field]: _, ...others } = query;
  const isNone = value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
  return (isNone ? others : { ...others, [field]: value }) as Query;
}

/** What is typed as a value, in the type that the property has: typed values never equal those of other types. */
export function valueOf(text: string, type: string | null): Plain {
  const isNumber = /^-?\d+(?:\.\d+)?$/.test(text.trim());
  if (type === "bool") return text.trim() === "true";
  if (type === "text" || type === "timestamp" || type === "date") return text;
  return isNumber ? Number(text) : text;
}

/** What a filter's value says when it is edited. */
export function textOf(value: Filter["value"]): string {
  if (value === undefined || value === null) return "";
  return Array.isArray(value) ? value.map(String).join(", ") : String(value as Plain);
}

export function valuesOf(text: string, op: Op, type: string | null): Filter["value"] {
  if (op === "is_set" || op === "is_not_set") return undefined;
  if (op !== "in" && op !== "not_in") return valueOf(text, type);
  return text.split(",").map((part) => valueOf(part.trim(), type)).filter((part) => part !== "");
}
