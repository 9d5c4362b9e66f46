/** What Explore shows ↔ its URL ↔ the request. Pure. */
import { addDays, addMonths, today as dayIn } from "../format/dates.ts";
import { KINDS, type Kind, type Query, takesRange } from "./query.ts";

export const VIEWS = ["picture", "table", "json", "curl"] as const;
export type View = (typeof VIEWS)[number];

/** How an answer is drawn: as its kind has it, or otherwise. A trend alone has a choice. */
export const PICTURES = ["own", "line", "bar", "number"] as const;
export type Picture = (typeof PICTURES)[number];

/** Rolling ranges end with today, whenever the page is opened. */
export const RANGES = ["7d", "28d", "90d", "12m", "all"] as const;
export type Range = (typeof RANGES)[number] | { readonly from: string; readonly to: string };

export interface State {
  readonly query: Query;
  readonly range: Range;
  readonly view: View;
  readonly picture: Picture;
}

export const START: State = { query: { kind: "trend", interval: "day", measure: "unique" }, range: "28d", view: "picture", picture: "own" };

const isOneOf = <Value extends string>(values: readonly Value[], text: string | null): text is Value => text !== null && (values as readonly string[]).includes(text);

const SPAN = /^(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})$/;

function rangeIn(text: string | null): Range {
  if (isOneOf(RANGES, text)) return text;
  const [, from, to] = SPAN.exec(text ?? "") ?? [];
  return from === undefined || to === undefined ? START.range : { from, to };
}

function queryIn(text: string | null): Query | null {
  try {
    const found: unknown = JSON.parse(text ?? "");
    if (typeof found !== "object" || found === null || !("kind" in found)) return null;
    return isOneOf<Kind>(KINDS, String(found.kind)) ? (found as Query) : null;
  } catch {
    return null;
  }
}

/** What a URL does not say, or says wrongly, is as at the start. */
export function readState(search: URLSearchParams): State {
  const view = search.get("view");
  const picture = search.get("as");
  return {
    query: queryIn(search.get("q")) ?? START.query,
    range: rangeIn(search.get("range")),
    view: isOneOf(VIEWS, view) ? view : START.view,
    picture: isOneOf(PICTURES, picture) ? picture : START.picture,
  };
}

export function writeState(state: State): URLSearchParams {
  const search = new URLSearchParams({ q: JSON.stringify(state.query) });
  if (takesRange(state.query.kind)) search.set("range", typeof state.range === "string" ? state.range : `${state.range.from}..${state.range.to}`);
  if (state.view !== START.view) search.set("view", state.view);
  if (state.picture !== START.picture) search.set("as", state.picture);
  return search;
}

/** First and last day of a range; null for all of history. */
export function daysOf(range: Range, today: string): { readonly from: string; readonly to: string } | null {
  if (typeof range !== "string") return range;
  if (range === "all") return null;
  const from = range === "12m" ? addDays(addMonths(today, -12), 1) : addDays(today, 1 - Number.parseInt(range, 10));
  return { from, to: today };
}

/** What the server is asked: the language compares trends alone, so a retention is compared by asking twice. */
export function askedOf(query: Query): Query {
  const { compare: _, ...others } = query;
  return query.kind === "retention" ? (others as Query) : query;
}

const MONTHS = { month: 1, quarter: 3, year: 12 } as const;
const DAYS = { day: 1, week: 7 } as const;
const HOUR_MS = 3_600_000;

/** The same question of as many periods before the ones that were answered; null where nothing is compared so. */
export function requestBefore(query: Query, request: Readonly<Record<string, unknown>>, starts: readonly string[], zone: string): Record<string, unknown> | null {
  const [first] = starts;
  if (query.kind !== "retention" || query.compare === undefined || first === undefined) return null;
  const period = query.period ?? "day";
  const begun = new Date(first);
  const day = dayIn(zone, begun);
  if (period === "hour") return { ...request, from: new Date(begun.getTime() - starts.length * HOUR_MS).toISOString() };
  const from = period === "day" || period === "week" ? addDays(day, -starts.length * DAYS[period]) : addMonths(day, -starts.length * MONTHS[period]);
  return { ...request, from };
}

/** The body of the request. Its `to` is exclusive, so it is the day after the last one; a range that ends today has none. */
export function requestOf(state: State, today: string): Record<string, unknown> {
  const days = takesRange(state.query.kind) ? daysOf(state.range, today) : null;
  const asked: Record<string, unknown> = { ...askedOf(state.query) };
  if (days !== null) {
    asked["from"] = days.from;
    if (days.to !== today) asked["to"] = addDays(days.to, 1);
  } else if (takesRange(state.query.kind) && state.range === "all" && ["lifecycle", "stickiness"].includes(state.query.kind)) {
    // These have no "all of history": a year of it is what fits a screen.
    asked["from"] = addDays(addMonths(today, -12), 1);
  }
  return asked;
}

/** A command that asks the same; the token is for the reader to put in. */
export function curlOf(origin: string, app: string, body: object): string {
  const text = JSON.stringify(body).replaceAll("'", String.raw`'\''`);
  return `curl -sS '${origin}/v1/query?app=${encodeURIComponent(app)}' \\\n  -H "Authorization: Bearer $TOKEN" \\\n  -H 'Content-Type: application/json' \\\n  -d '${text}'`;
}
