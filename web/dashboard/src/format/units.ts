/** What a field's name tells of its values: a share, money, hours, a key. Packs name units last. */

export type Unit =
  | { readonly kind: "number" }
  | { readonly kind: "percent" }
  | { readonly kind: "cents" }
  | { readonly kind: "amount" }
  | { readonly kind: "money"; readonly currency: string }
  | { readonly kind: "duration"; readonly of: "hour" | "day" | "minute" | "second" | "millisecond" }
  | { readonly kind: "hour_of_day" }
  | { readonly kind: "key" }
  | { readonly kind: "text" };

const DURATIONS = { hours: "hour", days: "day", minutes: "minute", seconds: "second", ms: "millisecond" } as const;

const isDuration = (word: string): word is keyof typeof DURATIONS => Object.hasOwn(DURATIONS, word);

/** `currency` is that of the object which holds the field, where it says one. */
export function unitOf(name: string, currency: string | null = null): Unit {
  const words = name.toLowerCase().split("_");
  const last = words.at(-1) ?? "";
  if (name === "id" || last === "id" || last === "key") return { kind: "key" };
  if (["rate", "percent", "pct", "share", "percentage", "retention"].includes(last)) return { kind: "percent" };
  if (last === "progress") return { kind: "percent" };
  if (words.includes("percent") || /^(?:rate|share|retention)_/.test(name)) return { kind: "percent" };
  if (name === "peak_hour") return { kind: "hour_of_day" };
  if (last === "cents") return { kind: "cents" };
  if (isDuration(last)) return { kind: "duration", of: DURATIONS[last] };
  if (words[0] === "days") return { kind: "duration", of: "day" };
  const isMoney = ["revenue", "amount", "price", "transaction"].includes(last);
  if (currency !== null && (isMoney || name === "total")) return { kind: "money", currency };
  if (isMoney) return { kind: "amount" };
  return { kind: "number" };
}

/** Fields of one family are drawn on one axis. */
export const familyOf = (unit: Unit): string =>
  unit.kind === "money" ? `money ${unit.currency}` : unit.kind === "duration" ? `duration ${unit.of}` : unit.kind;

const WRITTEN: Readonly<Record<string, string>> = {
  id: "ID", sr: "SR", avg: "average", url: "URL", p50: "median", p90: "90th percentile", api: "API", rag: "RAG", kpi: "KPI", kpis: "KPIs",
};

/** `avg_interval_days` → `Average interval`: what the unit tells is not said twice. */
export function humanise(name: string): string {
  const words = name.split(/[_\s]+/).filter((word) => word !== "");
  const last = words.at(-1) ?? "";
  const isUnit = last === "cents" || (isDuration(last) && words.length > 1);
  const shown = isUnit ? words.slice(0, -1) : words;
  const text = shown.map((word) => WRITTEN[word] ?? word).join(" ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
