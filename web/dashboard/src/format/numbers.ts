/** Values as text, in the reader's language and the app's time zone. */
import type { Unit } from "./units.ts";

export interface Locale {
  readonly language: string;
  readonly zone: string;
}

const formats = new Map<string, Intl.NumberFormat>();

function numberFormat(language: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  const key = language + JSON.stringify(options);
  const known = formats.get(key) ?? new Intl.NumberFormat(language, options);
  formats.set(key, known);
  return known;
}

export function formatNumber(value: number, language: string, options: Intl.NumberFormatOptions = {}): string {
  return numberFormat(language, { maximumFractionDigits: 2, ...options }).format(value);
}

/** By its first digits, however small: for what is near to nothing, such as a probability. */
export function formatDigits(value: number, language: string): string {
  return numberFormat(language, { maximumSignificantDigits: 2 }).format(value);
}

/** `12.3K`: for axes and tiles. */
export function formatCompact(value: number, language: string, currency?: string): string {
  const plain = { notation: "compact", maximumFractionDigits: 1 } as const;
  try {
    return numberFormat(language, currency === undefined ? plain : { ...plain, style: "currency", currency, currencyDisplay: "narrowSymbol", minimumFractionDigits: 0 }).format(value);
  } catch {
    return numberFormat(language, plain).format(value);
  }
}

/** A share in percent, as the server gives it. */
export function formatPercent(value: number, language: string, digits = 1, least = 0): string {
  return numberFormat(language, { style: "percent", minimumFractionDigits: Math.min(least, digits), maximumFractionDigits: digits }).format(value / 100);
}

/** So many digits after the point has the value that needs the most of them, as far as they are shown. */
export function digitsIn(values: readonly unknown[], unit: Unit): number {
  const most = unit.kind === "percent" ? 1 : 2;
  const digitsOf = (value: unknown): number => {
    if (typeof value !== "number" || !Number.isFinite(value)) return 0;
    const [, fraction = ""] = /\.(\d*?)0*$/.exec(value.toFixed(most)) ?? [];
    return fraction.length;
  };
  return values.reduce((found: number, value) => Math.max(found, digitsOf(value)), 0);
}

/** From so many times as much on, percents say little. */
const TIMES_MIN = 10;

/** `12.3 %`, or `×102`, without a sign; null where there is nothing to compare with. */
export function formatChange(now: number, before: number, language: string): string | null {
  if (before === 0) return null;
  if (now / before >= TIMES_MIN) return `×${formatNumber(now / before, language, { maximumFractionDigits: 0 })}`;
  const change = (now - before) / Math.abs(before);
  return numberFormat(language, { style: "percent", maximumFractionDigits: 1, signDisplay: "never" }).format(change);
}

/** `digits`: after the point at least so many, so that the numbers of a column stand below each other. */
export function formatValue(value: number, unit: Unit, language: string, digits = 0): string {
  switch (unit.kind) {
    case "percent":
      return formatPercent(value, language, 1, digits);
    case "cents":
      return formatNumber(value / 100, language, { minimumFractionDigits: 2 });
    case "amount":
      return formatNumber(value, language, { minimumFractionDigits: Number.isInteger(value) && digits === 0 ? 0 : 2 });
    case "money":
      return formatMoney(value, unit.currency, language, digits);
    case "duration":
      if (unit.of === "millisecond" && Math.abs(value) >= 1000) return formatSeconds(value / 1000, language);
      return formatNumber(value, language, { style: "unit", unit: unit.of, unitDisplay: "short", minimumFractionDigits: digits });
    case "hour_of_day":
      return `${String(value).padStart(2, "0")}:00`;
    case "key":
    case "text":
      return String(value);
    case "number":
      return formatNumber(value, language, { minimumFractionDigits: digits });
  }
}

function formatMoney(value: number, currency: string, language: string, digits: number): string {
  try {
    const least = Number.isInteger(value) && digits === 0 ? 0 : 2;
    return formatNumber(value, language, { style: "currency", currency, currencyDisplay: "narrowSymbol", minimumFractionDigits: least });
  } catch {
    return `${formatNumber(value, language)} ${currency}`;
  }
}

const SPANS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]] as const;

/** Seconds in the unit that fits: `3.2 days`. */
export function formatSeconds(seconds: number, language: string): string {
  const [unit, size] = SPANS.find(([, length]) => Math.abs(seconds) >= length * 1.5) ?? ["second", 1];
  return formatNumber(seconds / size, language, { style: "unit", unit, unitDisplay: "short", maximumFractionDigits: 1 });
}

export function formatBytes(bytes: number, language: string): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;
  const place = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const unit = units[place] ?? "byte";
  // The short form of bytes knows no plural.
  return formatNumber(bytes / 1000 ** place, language, { style: "unit", unit, unitDisplay: place === 0 ? "long" : "short", maximumFractionDigits: 1 });
}
