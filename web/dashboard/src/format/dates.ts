/** Instants, days and the names of periods as text. */
import type { Locale } from "./numbers.ts";

const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/;
const LABEL = /^(\d{4})(?:-(?:Q([1-4])|(\d{2})(?:-(\d{2}))?))?$/;

export const isInstant = (text: string): boolean => INSTANT.test(text) && !Number.isNaN(Date.parse(text));

/** Whether it names a calendar period, as `bucket_label` writes them: `2026`, `2026-Q2`, `2026-06`, `2026-06-01`. */
export const isPeriod = (text: string): boolean => LABEL.test(text);

const format = (locale: Locale, options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(locale.language, options);

export function formatInstant(text: string, locale: Locale): string {
  return withoutYearSign(format(locale, { dateStyle: "medium", timeStyle: "short", timeZone: locale.zone }).format(new Date(text)));
}

export function formatTime(text: string, locale: Locale): string {
  return format(locale, { dateStyle: "short", timeStyle: "medium", timeZone: locale.zone }).format(new Date(text));
}

/** A period's name; other text as it is. A label holds no zone: its day is what it says. */
export function formatPeriod(label: string, locale: Locale): string {
  const [, year, quarter, month, day] = LABEL.exec(label) ?? [];
  if (year === undefined) return isInstant(label) ? formatStart(label, "hour", locale) : label;
  if (quarter !== undefined) return `Q${quarter} ${year}`;
  if (month === undefined) return year;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day ?? 1)));
  const options: Intl.DateTimeFormatOptions = day === undefined ? { month: "short", year: "numeric" } : { month: "short", day: "numeric" };
  return withoutYearSign(format(locale, { ...options, timeZone: "UTC" }).format(date));
}

/** Russian writes "г." after a year in running text; a name in a list or on an axis does without. */
const withoutYearSign = (text: string): string => text.replace(/\sг\.(?=,|$)/u, "");

/** The start of a bucket, by how long the bucket is. */
export function formatStart(start: string | null, interval: string, locale: Locale): string {
  if (start === null) return "—";
  const options: Intl.DateTimeFormatOptions =
    interval === "year" ? { year: "numeric" }
    : interval === "month" || interval === "quarter" ? { month: "short", year: "numeric" }
    : interval === "hour" ? { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" }
    : { month: "short", day: "numeric" };
  return withoutYearSign(format(locale, { ...options, timeZone: locale.zone }).format(new Date(start)));
}

/** Today's date in the zone, as `2026-11-20`. */
export function today(zone: string, now: Date): string {
  const parts = new Intl.DateTimeFormat("en-CA", { timeZone: zone, year: "numeric", month: "2-digit", day: "2-digit" });
  return parts.format(now);
}

/** Whether a day is in the period that a label names; days name weeks as well, which `days` tells. */
export function isUnderWay(label: string, day: string, days = 1): boolean {
  const [, year, quarter, month, date] = LABEL.exec(label) ?? [];
  if (year === undefined) return false;
  if (quarter !== undefined) return day.startsWith(year) && Math.ceil(Number(day.slice(5, 7)) / 3) === Number(quarter);
  if (month === undefined || date === undefined) return day.startsWith(label);
  return label <= day && day < addDays(label, days);
}

/** So many days are from one label to another; a month's labels are its own. */
export const daysBetween = (first: string, second: string): number => Math.round((Date.parse(second) - Date.parse(first)) / 86_400_000);

const dateOf = (day: string): Date => new Date(`${day}T00:00:00Z`);
const dayOf = (date: Date): string => date.toISOString().slice(0, 10);

export function addDays(day: string, days: number): string {
  const date = dateOf(day);
  date.setUTCDate(date.getUTCDate() + days);
  return dayOf(date);
}

/** The same day of another month; its last day where the month is shorter. */
export function addMonths(day: string, months: number): string {
  const date = dateOf(day);
  const wanted = date.getUTCDate();
  date.setUTCDate(1);
  date.setUTCMonth(date.getUTCMonth() + months);
  const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  date.setUTCDate(Math.min(wanted, last));
  return dayOf(date);
}
