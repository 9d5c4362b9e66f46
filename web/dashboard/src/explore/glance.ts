/** An answer at one glance: the one number that says most, and what is drawn beside it. Pure. */
import type { Query } from "./query.ts";
import { type ChurnResult, type DropoffResult, type Edge, type FunnelResult, type FunnelTrend, type LifecycleResult, type Numbers, type PrecedingResult, type RetentionResult, type StickinessResult, type TrendResult, nameOf, shareOf } from "./results.ts";

export interface Bar {
  readonly name: string;
  readonly value: number;
}

export interface Glance {
  readonly headline: { readonly value: number; readonly unit: "number" | "percent" } | null;
  /** Over periods, the oldest first. */
  readonly line: Numbers;
  readonly bars: readonly Bar[];
}

const NOTHING: Glance = { headline: null, line: [], bars: [] };
const BARS = 4;

const number = (value: number | null | undefined) => (value === null || value === undefined ? null : ({ value, unit: "number" } as const));
const percent = (value: number | null | undefined) => (value === null || value === undefined ? null : ({ value, unit: "percent" } as const));

/** The last period that has ended: one under way says little. */
function latest(data: Numbers, complete: readonly boolean[]): number | null {
  const whole = data.filter((value, index) => complete[index] === true && value !== null);
  return whole.at(-1) ?? data.findLast((value) => value !== null) ?? null;
}

function ofTrend(query: Query, result: TrendResult): Glance {
  // Several measures answer by name: their first speaks.
  const data = Array.isArray(result.data) ? result.data : (Object.values(result.data as unknown as Record<string, Numbers>)[0] ?? []);
  const bars = (result.groups ?? []).map((group) => ({ name: nameOf(group.value), value: group.data.reduce((sum: number, value) => sum + (value ?? 0), 0) }));
  if (query.interval === "all") return { headline: number(data[0]), line: [], bars: bars.slice(0, BARS) };
  return { headline: number(latest(data, result.complete)), line: bars.length > 0 ? [] : data, bars: bars.slice(0, BARS) };
}

function ofRetention(result: RetentionResult): Glance {
  const [, next] = result.mean_pooled;
  return { headline: percent(next), line: result.mean_pooled, bars: [] };
}

function ofFunnel(query: Query, result: FunnelResult | FunnelTrend): Glance {
  if (query.viz === "trends") {
    const { percent: shares, complete } = result as FunnelTrend;
    return { headline: percent(latest(shares, complete)), line: shares, bars: [] };
  }
  const { counts } = result as FunnelResult;
  return { headline: percent(shareOf(counts.at(-1) ?? 0, counts[0] ?? 0)), line: [], bars: counts.slice(0, BARS).map((value, step) => ({ name: stepName(query, step), value })) };
}

function stepName(query: Query, step: number): string {
  const own = Array.isArray(query.steps) ? (query.steps as readonly unknown[])[step] : undefined;
  const event = typeof own === "object" && own !== null && "event" in own ? own.event : null;
  return typeof event === "string" ? event : String(step + 1);
}

/** What an answer says first. */
export function glanceOf(query: Query, result: unknown): Glance {
  switch (query.kind) {
    case "trend":
      return ofTrend(query, result as TrendResult);
    case "funnel":
      return ofFunnel(query, result as FunnelResult | FunnelTrend);
    case "retention":
      return ofRetention(result as RetentionResult);
    case "lifecycle": {
      const { new: fresh, returning, resurrecting, complete } = result as LifecycleResult;
      const active = fresh.map((value, index) => (value === null ? null : value + (returning[index] ?? 0) + (resurrecting[index] ?? 0)));
      return { headline: number(latest(active, complete)), line: active, bars: [] };
    }
    case "stickiness": {
      const { data, actors_total: total } = result as StickinessResult;
      return { headline: number(total), line: [], bars: data.map((value, index) => ({ name: String(index + 1), value })).filter((bar) => bar.value > 0).slice(0, BARS) };
    }
    case "paths": {
      const { edges } = result as { readonly edges: readonly Edge[] };
      return { ...NOTHING, bars: edges.slice(0, BARS).map((edge) => ({ name: `${nameOf(edge.from)} → ${nameOf(edge.to)}`, value: edge.count })) };
    }
    case "churn": {
      const { at_risk: risky, total } = result as ChurnResult;
      return { ...NOTHING, headline: percent(shareOf(risky, total)) };
    }
    case "preceding": {
      const { total, values } = result as PrecedingResult;
      return { headline: number(total), line: [], bars: values.slice(0, BARS).map(({ value, count }) => ({ name: nameOf(value), value: count })) };
    }
    case "dropoff": {
      const { conversion_rate: rate, steps } = result as DropoffResult;
      return { headline: percent(rate), line: [], bars: steps.slice(0, BARS).map(({ step, sessions }) => ({ name: step, value: sessions })) };
    }
  }
}
