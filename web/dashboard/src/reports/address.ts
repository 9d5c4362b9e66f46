/** A report page's state ↔ the page's URL ↔ the request. Pure: what is not allowed is left out, never an error. */
import type { Param, Report, Route } from "../api/document.ts";
import { addDays, addMonths } from "../format/dates.ts";

export type Given = Readonly<Record<string, string>>;

export interface PageState {
  /** A date, or null for now. */
  readonly asOf: string | null;
  readonly compare: boolean;
}

const DATE = /^\d{4}-\d{2}-\d{2}$/;

export function readPage(search: URLSearchParams): PageState {
  const asOf = search.get("as_of");
  return { asOf: asOf !== null && DATE.test(asOf) ? asOf : null, compare: search.get("compare") === "1" };
}

export function writePage(search: URLSearchParams, change: Partial<PageState>): URLSearchParams {
  const next = new URLSearchParams(search);
  if (change.asOf !== undefined) put(next, "as_of", change.asOf);
  if (change.compare !== undefined) put(next, "compare", change.compare ? "1" : null);
  return next;
}

function put(search: URLSearchParams, name: string, value: string | null): void {
  if (value === null || value === "") search.delete(name);
  else search.set(name, value);
}

/** Parameters of a path (a merchant, a bot) are the page's: reports that have one of that name share it. */
export const nameInUrl = (report: Report, param: Param): string => (param.place === "path" ? param.name : `${report.name}.${param.name}`);

const isWhole = (param: Param): boolean => param.schema.type === "integer" || (Array.isArray(param.schema.type) && param.schema.type.includes("integer"));
const isNumeric = (param: Param): boolean => isWhole(param) || param.schema.type === "number";

/** Whether the server would take it. */
export function isAllowed(param: Param, text: string): boolean {
  if (text === "") return false;
  if (param.schema.enum !== undefined) return param.schema.enum.map(String).includes(text);
  if (!isNumeric(param)) return true;
  const number = Number(text);
  if (!Number.isFinite(number) || (isWhole(param) && !Number.isInteger(number))) return false;
  return number >= (param.schema.minimum ?? -Infinity) && number <= (param.schema.maximum ?? Infinity);
}

/** The values that the URL gives and the server would take. */
export function readGiven(search: URLSearchParams, report: Report, route: Route): Given {
  const found = route.params.flatMap((param): [string, string][] => {
    const text = search.get(nameInUrl(report, param));
    return text !== null && isAllowed(param, text) ? [[param.name, text]] : [];
  });
  return Object.fromEntries(found);
}

export function writeGiven(search: URLSearchParams, report: Report, param: Param, value: string | null): URLSearchParams {
  const next = new URLSearchParams(search);
  const isDefault = value !== null && param.place === "query" && value === String(param.schema.default);
  put(next, nameInUrl(report, param), isDefault ? null : value);
  return next;
}

/** What holds for a parameter: what is given, else its default. */
export function valueOf(param: Param, given: Given): string | null {
  const own = given[param.name];
  if (own !== undefined) return own;
  const fallback = param.schema.default;
  return fallback === undefined || fallback === null ? null : String(fallback);
}

/** Parameters that must be given and are not. */
export const lacking = (route: Route, given: Given): Param[] => route.params.filter((param) => param.required && given[param.name] === undefined);

export interface Extras {
  readonly asOf: string | null;
  readonly format?: string;
  readonly table?: string;
  /** The reader's, for answers that have words. */
  readonly language?: string;
}

/** The request's path and query; null where a required parameter is lacking. */
export function addressOf(route: Route, given: Given, extras: Extras): string | null {
  if (lacking(route, given).length > 0) return null;
  const path = route.path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(given[name] ?? ""));
  const search = new URLSearchParams();
  for (const param of route.params) {
    const value = given[param.name];
    if (param.place === "query" && value !== undefined) search.set(param.name, value);
  }
  put(search, "as_of", extras.asOf);
  put(search, "format", extras.format ?? null);
  put(search, "table", extras.table ?? null);
  put(search, "lang", route.speaks ? (extras.language ?? null) : null);
  const text = search.toString();
  return text === "" ? path : `${path}?${text}`;
}

const DAYS = /^(?:period_)?days$/;
const MONTHS = /months/;

/** A report without a period of its own is compared with itself a month before. */
const OTHERWISE_DAYS = 30;

/** The parameter that says how long a time a report tells of. */
export function periodOf(route: Route): { readonly param: Param; readonly unit: "days" | "months" } | null {
  const days = route.params.find((param) => DAYS.test(param.name));
  if (days !== undefined) return { param: days, unit: "days" };
  const months = route.params.find((param) => MONTHS.test(param.name));
  return months === undefined ? null : { param: months, unit: "months" };
}

/** A day, or an instant, as of which the period before this one is asked: so much earlier, at the same time of the day. */
export function previousAsOf(route: Route, given: Given, asOf: string): string {
  const [day = asOf, ...time] = asOf.split("T");
  return [dayBefore(route, given, day), ...time].join("T");
}

function dayBefore(route: Route, given: Given, day: string): string {
  const period = periodOf(route);
  if (period === null) return addDays(day, -OTHERWISE_DAYS);
  const length = valueOf(period.param, given);
  return period.unit === "days" ? addDays(day, -Number(length ?? OTHERWISE_DAYS)) : addMonths(day, -Number(length ?? 1));
}
