/** An answer at one glance: the one number that says most, and what is drawn beside it. Pure. */
import type { Query } from "./query.ts";
import { type ChurnResult, type DropoffResult, type Edge, type FunnelResult, type FunnelTrend, type LifecycleResult, type Numbers, type PrecedingResult, type RetentionResult, type StickinessResult, type TrendResult, nameOf, shareOf } from "./results.ts";

export interface Bar {
  readonly name: string;
  readonly value: number;
}

export interface Headline {
  readonly value: number;
  readonly unit: "number" | "percent";
  /** Of the period before, where the question compares with it. */
  readonly before?: number;
}

export interface Glance {
  readonly headline: Headline | null;
  /** Over periods, the oldest first. */
  readonly line: Numbers;
  readonly bars: readonly Bar[];
}

const NOTHING: Glance = { headline: null, line: [], bars: [] };
const BARS = 4;

const headlineIn = (unit: Headline["unit"]) => (value: number | null | undefined, before?: number | null): Headline | null =>
  value === null || value === undefined ? null : { value, unit, ...(typeof before === "number" ? { before } : {}) };
const number = headlineIn("number");
const percent = headlineIn("percent");

/** Where the last period is that has ended: one under way says little. */
function latestIn(data: Numbers, complete: readonly boolean[]): number {
  const whole = data.findLastIndex((value, index) => complete[index] === true && value !== null);
  return whole === -1 ? data.findLastIndex((value) => value !== null) : whole;
}

const latest = (data: Numbers, complete: readonly boolean[]): number | null => data[latestIn(data, complete)] ?? null;

function ofTrend(query: Query, result: TrendResult): Glance {
  const { data } = result;
  const bars = (result.groups ?? []).map((group) => ({ name: nameOf(group.value), value: group.data.reduce((sum: number, value) => sum + (value ?? 0), 0) }));
  const shown = query.interval === "all" ? 0 : latestIn(data, result.complete);
  return { headline: number(data[shown], result.compare?.data[shown]), line: bars.length > 0 || query.interval === "all" ? [] : data, bars: bars.slice(0, BARS) };
}

function ofRetention(result: RetentionResult, before: RetentionResult | undefined): Glance {
  return { headline: percent(result.mean_pooled[1], before?.mean_pooled[1]), line: result.mean_pooled, bars: [] };
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

/** What an answer says first. `before`: that of the period before, where it is an answer of its own. */
export function glanceOf(query: Query, result: unknown, before?: unknown): Glance {
  switch (query.kind) {
    case "trend":
      return ofTrend(query, result as TrendResult);
    case "funnel":
      return ofFunnel(query, result as FunnelResult | FunnelTrend);
    case "retention":
      return ofRetention(result as RetentionResult, before as RetentionResult | undefined);
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
