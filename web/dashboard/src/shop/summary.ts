/** What the storefront tells over its socket, read with care: what is no summary is none. Pure. */

export const STEPS = ["home", "product", "cart", "success"] as const;
export type Step = (typeof STEPS)[number];

/** Milliseconds; null where nothing was measured. */
export interface Latency {
  readonly latest: number | null;
  readonly avg: number | null;
}

export const MEASURED = ["system", "user", "client"] as const;
export type Measured = (typeof MEASURED)[number];

export interface StepSummary {
  readonly step: string;
  readonly sessions: number;
  /** Shares are in percent. */
  readonly reachRate: number;
  readonly exits: number;
  readonly exitShare: number;
  readonly latency: Readonly<Record<Measured, Latency>>;
}

export interface Summary {
  readonly sessions: number;
  readonly exits: number;
  readonly converted: number;
  readonly conversionRate: number;
  readonly worstStep: string | null;
  readonly steps: readonly StepSummary[];
  /** As the server told them: read by `insightsIn`. */
  readonly insights: unknown;
  readonly asOf: string | null;
}

type Raw = Readonly<Record<string, unknown>>;

const isRaw = (value: unknown): value is Raw => typeof value === "object" && value !== null && !Array.isArray(value);
const numberIn = (raw: Raw, name: string): number => (typeof raw[name] === "number" ? raw[name] : 0);
const measureIn = (raw: Raw, name: string): number | null => (typeof raw[name] === "number" ? raw[name] : null);
const textIn = (raw: Raw, name: string): string | null => (typeof raw[name] === "string" ? raw[name] : null);
const rawIn = (raw: Raw, name: string): Raw => (isRaw(raw[name]) ? raw[name] : {});

function latencyIn(raw: Raw, of: Measured): Latency {
  const own = rawIn(raw, of);
  return { latest: measureIn(own, "latest"), avg: measureIn(own, "avg") };
}

function stepIn(raw: Raw): StepSummary {
  const latency = rawIn(raw, "latency");
  return {
    step: textIn(raw, "step") ?? "",
    sessions: numberIn(raw, "sessions"),
    reachRate: numberIn(raw, "reach_rate"),
    exits: numberIn(raw, "exits"),
    exitShare: numberIn(raw, "exit_share"),
    latency: { system: latencyIn(latency, "system"), user: latencyIn(latency, "user"), client: latencyIn(latency, "client") },
  };
}

export function summaryIn(value: unknown): Summary | null {
  if (!isRaw(value) || !Array.isArray(value["steps"]) || typeof value["total_sessions"] !== "number") return null;
  return {
    sessions: value["total_sessions"],
    exits: numberIn(value, "total_exits"),
    converted: numberIn(value, "converted"),
    conversionRate: numberIn(value, "conversion_rate"),
    worstStep: textIn(rawIn(value, "kpis"), "worst_step"),
    steps: value["steps"].filter(isRaw).map(stepIn),
    insights: value["insights"],
    asOf: textIn(value, "as_of"),
  };
}

/** Of the sessions at the step before, those at this one, in percent: the first step has all of them, and of nobody there is no share. */
export function onwardOf(steps: readonly StepSummary[], place: number): number | "all" | "nobody" {
  const [before, step] = [steps[place - 1], steps[place]];
  if (before === undefined || step === undefined) return "all";
  return before.sessions === 0 ? "nobody" : (step.sessions / before.sessions) * 100;
}

export type Message = { readonly kind: "summary"; readonly summary: Summary } | { readonly kind: "error"; readonly detail: string } | { readonly kind: "other" };

/** A message of the socket: `{"type": "summary", …}` or `{"type": "error", …}`. */
export function messageIn(text: string): Message {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: "other" };
  }
  if (!isRaw(value)) return { kind: "other" };
  if (value["type"] === "error") return { kind: "error", detail: textIn(value, "detail") ?? "" };
  const summary = value["type"] === "summary" ? summaryIn(value) : null;
  return summary === null ? { kind: "other" } : { kind: "summary", summary };
}

/** Whether a summary shows an event: the last think time of its step is the event's own. */
export const shows = (summary: Summary, event: { readonly step: string; readonly thought: number }): boolean =>
  summary.steps.some(({ step, latency }) => step === event.step && latency.user.latest === event.thought);
