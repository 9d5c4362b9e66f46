/** One length of time for all reports of a page that have one. Pure. */
import type { Param, Report } from "../api/document.ts";
import { isAllowed, periodOf, readGiven, valueOf, writeGiven } from "./address.ts";

/** A month's reports are asked for whole months, at least one. */
export const SPANS = {
  "7d": { days: 7, months: 1 },
  "30d": { days: 30, months: 1 },
  "90d": { days: 90, months: 3 },
  "6m": { days: 182, months: 6 },
  "12m": { days: 365, months: 12 },
} as const;

export type Span = keyof typeof SPANS;

interface Spanned {
  readonly report: Report;
  readonly param: Param;
  readonly unit: "days" | "months";
}

function spannedOf(reports: readonly Report[]): Spanned[] {
  return reports.flatMap((report) => {
    const period = periodOf(report.routes[0]);
    return period === null ? [] : [{ report, ...period }];
  });
}

const lengthOf = (span: Span, { unit }: Spanned): string => String(SPANS[span][unit]);

/** The spans that every report with a length would take; none where fewer than two have one. */
export function spansFor(reports: readonly Report[]): Span[] {
  const all = spannedOf(reports);
  const spans = (Object.keys(SPANS) as Span[]).filter((span) => all.every((own) => isAllowed(own.param, lengthOf(span, own))));
  // Of two spans that ask the same, such as a week and a month where months are counted, the longer says what is asked.
  const told = (span: Span) => all.map((own) => lengthOf(span, own)).join(" ");
  return all.length < 2 ? [] : spans.filter((span, place) => spans.findLastIndex((other) => told(other) === told(span)) === place);
}

/** The span that all of them have; null where they differ. */
export function spanOf(search: URLSearchParams, reports: readonly Report[]): Span | null {
  const all = spannedOf(reports);
  const holds = (span: Span) => all.every((own) => valueOf(own.param, readGiven(search, own.report, own.report.routes[0])) === lengthOf(span, own));
  return spansFor(reports).find(holds) ?? null;
}

export const writeSpan = (search: URLSearchParams, reports: readonly Report[], span: Span): URLSearchParams =>
  spannedOf(reports).reduce((next, own) => writeGiven(next, own.report, own.param, lengthOf(span, own)), new URLSearchParams(search));
