/** What a report says of itself in words: what was found, and what to do about it. Pure. */
import { type Schema, settled } from "../api/document.ts";

/** The gravest first. */
export const SEVERITIES = ["high", "medium", "low", "info"] as const;
export type Severity = (typeof SEVERITIES)[number];

export interface Insight {
  readonly severity: Severity;
  readonly title: string;
  readonly finding: string;
  /** What to do; empty where there is nothing to do. */
  readonly action: string;
  /** The numbers behind it, by name. */
  readonly evidence: Readonly<Record<string, unknown>>;
  /** The declaration that found it. */
  readonly rule: string;
  /** How sure it is, where numbers were compared. */
  readonly test: Readonly<Record<string, unknown>> | null;
}

export const bySeverity = (a: Insight, b: Insight): number => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity);

const SCHEMA = /\/Insight$/;

/** Whether a list is declared to hold insights. */
export function holdsInsights(schema: Schema): boolean {
  const { items } = settled(schema);
  return items !== undefined && SCHEMA.test(settled(items).$ref ?? "");
}

/** Whether there are insights anywhere in an answer. */
export function tellsInsights(schema: Schema, depth = 3): boolean {
  const open = settled(schema);
  if (holdsInsights(open)) return true;
  return depth > 0 && Object.values(open.properties ?? {}).some((own) => tellsInsights(own, depth - 1));
}

type Raw = Readonly<Record<string, unknown>>;
const isRaw = (value: unknown): value is Raw => typeof value === "object" && value !== null && !Array.isArray(value);
const isSeverity = (value: unknown): value is Severity => SEVERITIES.includes(value as Severity);
const textOf = (value: unknown): string => (typeof value === "string" ? value : "");

function insightIn(value: unknown): Insight[] {
  if (!isRaw(value) || typeof value["title"] !== "string" || typeof value["finding"] !== "string" || !isSeverity(value["severity"])) return [];
  return [
    {
      severity: value["severity"],
      title: value["title"],
      finding: value["finding"],
      action: textOf(value["action"]),
      evidence: isRaw(value["evidence"]) ? value["evidence"] : {},
      rule: textOf(value["rule"]),
      test: isRaw(value["test"]) ? value["test"] : null,
    },
  ];
}

/** The insights of a list, the gravest first; those of equal weight as they came. */
export function insightsIn(value: unknown): Insight[] {
  const all = Array.isArray(value) ? value.flatMap(insightIn) : [];
  return all.sort(bySeverity);
}

/** Whether a list without a declared shape is one of insights. */
export const areInsights = (list: readonly unknown[]): boolean => list.length > 0 && insightsIn(list).length === list.length;

/** All insights of an answer, wherever they stand in it. */
export function insightsOf(schema: Schema, value: unknown, depth = 3): Insight[] {
  const open = settled(schema);
  if (holdsInsights(open)) return insightsIn(value);
  if (!isRaw(value) || depth === 0) return [];
  const found = Object.entries(open.properties ?? {}).flatMap(([name, own]) => insightsOf(own, value[name], depth - 1));
  return found.sort(bySeverity);
}

/**
 * What tells a list's insights apart, and stays while their numbers move: the rule, and the words of the evidence. So an insight that is open, or has
 * the focus, keeps both when the next answer comes.
 */
export function keysOf(insights: readonly Insight[]): string[] {
  const seen = new Map<string, number>();
  return insights.map(({ rule, evidence }) => {
    const key = [rule, ...Object.values(evidence).filter((value) => typeof value === "string")].join("\n");
    const before = seen.get(key) ?? 0;
    seen.set(key, before + 1);
    return before === 0 ? key : `${key}\n${before}`;
  });
}

export interface Fact {
  readonly name: string;
  readonly value: unknown;
}

/** The evidence's plain values; of an object in it, each by its own name. */
export function factsOf(evidence: Insight["evidence"]): Fact[] {
  return Object.entries(evidence).flatMap(([name, value]): Fact[] => {
    if (isRaw(value)) return Object.entries(value).flatMap(([inner, own]) => (isPlain(own) ? [{ name: `${name}_${inner}`, value: own }] : []));
    return isPlain(value) ? [{ name, value }] : [];
  });
}

const isPlain = (value: unknown): boolean => ["string", "number", "boolean"].includes(typeof value);
