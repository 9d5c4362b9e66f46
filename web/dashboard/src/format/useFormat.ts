/** Formatting in the reader's language and the app's zone. */
import { createContext, useContext, useMemo, useState } from "react";
import { useI18n } from "../i18n/i18n.tsx";
import { formatInstant, formatPeriod, formatStart, isInstant, isPeriod, today } from "./dates.ts";
import { formatChange, formatCompact, formatDigits, formatNumber, formatPercent, formatSeconds, formatValue } from "./numbers.ts";
import type { Unit } from "./units.ts";

export const ZoneContext = createContext("UTC");

export function useFormat() {
  const { locale: language, t } = useI18n();
  const zone = useContext(ZoneContext);
  return useMemo(() => {
    const locale = { language, zone };
    const text = (value: string): string =>
      isInstant(value) ? formatInstant(value, locale) : isPeriod(value) ? formatPeriod(value, locale) : value;
    return {
      ...locale,
      number: (value: number) => formatNumber(value, language),
      digits: (value: number) => formatDigits(value, language),
      compact: (value: number) => formatCompact(value, language),
      compactMoney: (value: number, currency: string) => formatCompact(value, language, currency),
      percent: (value: number, digits?: number) => formatPercent(value, language, digits),
      change: (now: number, before: number) => formatChange(now, before, language),
      seconds: (value: number) => formatSeconds(value, language),
      value: (value: number, unit: Unit) => formatValue(value, unit, language),
      period: (label: string) => formatPeriod(label, locale),
      start: (start: string | null, interval: string) => formatStart(start, interval, locale),
      instant: (at: string) => formatInstant(at, locale),
      /** Any value of an answer. */
      any: (value: unknown, unit: Unit, digits?: number): string => {
        if (value === null || value === undefined) return "—";
        if (typeof value === "number") return formatValue(value, unit, language, digits);
        if (typeof value === "boolean") return t(value ? "yes" : "no");
        if (Array.isArray(value) && value.every((own) => typeof own === "string")) return value.length === 0 ? "—" : value.join(", ");
        return typeof value === "string" ? text(value) : JSON.stringify(value);
      },
    };
  }, [language, zone, t]);
}

export type Format = ReturnType<typeof useFormat>;

/** The day that it was in the app's zone when the page was opened. */
export function useToday(): string {
  const zone = useContext(ZoneContext);
  const [opened] = useState(() => new Date());
  return today(zone, opened);
}

/**
 * The hour in which the page was opened. What is under way is compared with as much of the period before: a day that has lasted for nine hours with nine
 * hours. By the hour, so that readers share the answer.
 */
export function useHour(): string {
  const [opened] = useState(() => `${new Date().toISOString().slice(0, 13)}:00:00Z`);
  return opened;
}
