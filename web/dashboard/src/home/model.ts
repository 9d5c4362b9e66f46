/** What Home asks of an app, and what it makes of the answers. Pure. */
import type { AppDescription, Table } from "../api/client.ts";
import type { Report } from "../api/document.ts";
import { addDays } from "../format/dates.ts";
import type { Block, Stat } from "../reports/shape.ts";

/** Home compares four weeks with the four before: the same weekdays in both. */
export const DAYS = 28;
const WEEKS = 12;

/** Whether it can be asked without choosing anything first. */
export const isFree = (report: Report): boolean => report.routes[0].params.every((param) => !param.required);

/** The stream whose actors an app is about. */
export const streamOf = (app: AppDescription): Table | null => app.tables.find((table) => table.kind === "events" && table.actor !== null && table.time !== null) ?? null;

export interface HomeQueries {
  readonly totals: object;
  readonly days: object;
  readonly weeks: object;
  /** Null where the stream does not say what happened. */
  readonly events: object | null;
}

/** `today` is the day in the app's zone. */
export function homeQueries(stream: Table, today: string): HomeQueries {
  const from = addDays(today, 1 - DAYS);
  const common = { stream: stream.name };
  return {
    totals: { ...common, kind: "trend", interval: "all", measure: ["total", "unique"], from, compare: "previous_period" },
    days: { ...common, kind: "lifecycle", interval: "day", from: addDays(from, -DAYS), members_limit: 0 },
    weeks: { ...common, kind: "lifecycle", interval: "week", from: addDays(today, -7 * (WEEKS - 1)), members_limit: 0 },
    events: stream.event_name === null ? null : { ...common, kind: "trend", interval: "all", from, breakdown: { prop: "event", limit: 12 }, compare: "previous_period" },
  };
}

export interface Change {
  readonly now: number;
  readonly before: number;
}

interface Totals {
  readonly data?: Readonly<Record<string, readonly (number | null)[]>>;
  readonly compare?: { readonly data?: Readonly<Record<string, readonly (number | null)[]>> };
}

export function totalOf(result: Totals | undefined, measure: "total" | "unique"): Change | null {
  const now = result?.data?.[measure]?.[0];
  return typeof now === "number" ? { now, before: result?.compare?.data?.[measure]?.[0] ?? 0 } : null;
}

const sum = (values: readonly (number | null)[]): number => values.reduce((total: number, value) => total + (value ?? 0), 0);

/** Who came for the first time in the last four weeks, and in the four before. */
export function newOf(result: { readonly new?: readonly (number | null)[] } | undefined): Change | null {
  const days = result?.new;
  return days === undefined ? null : { now: sum(days.slice(-DAYS)), before: sum(days.slice(-2 * DAYS, -DAYS)) };
}

export interface Mover extends Change {
  readonly name: string;
}

interface Groups {
  readonly groups?: readonly { readonly value: unknown; readonly data: readonly (number | null)[]; readonly compare?: readonly (number | null)[] }[];
}

/** Of fewer events than this, a change says nothing. */
const EVENTS_MIN = 20;
const CHANGE_MIN = 0.05;

/** What happened more or less often than before, the greatest change first. */
export function moversOf(result: Groups | undefined, shown = 3): Mover[] {
  const movers = (result?.groups ?? []).flatMap((group): Mover[] => {
    const mover = { name: String(group.value), now: group.data[0] ?? 0, before: group.compare?.[0] ?? 0 };
    return Math.max(mover.now, mover.before) >= EVENTS_MIN && Math.abs(shareOf(mover)) >= CHANGE_MIN ? [mover] : [];
  });
  return movers.sort((a, b) => Math.abs(shareOf(b)) - Math.abs(shareOf(a)) || a.name.localeCompare(b.name)).slice(0, shown);
}

export const shareOf = ({ now, before }: Change): number => (before === 0 ? (now === 0 ? 0 : 1) : (now - before) / before);

export interface Headline {
  readonly label: string;
  readonly stat: Stat;
  readonly path: string;
}

/** A report's first numbers: of several groups one each, called by the group. */
export function headlinesOf(blocks: readonly Block[], shown: number): Headline[] {
  const cards = blocks.flatMap((block) => (block.kind === "cards" ? [block] : []));
  const numbers = (block: (typeof cards)[number]) => block.stats.filter((stat) => stat.numeric && stat.unit.kind !== "key" && stat.value !== null);
  const all =
    cards.length > 1
      ? cards.flatMap((block) => numbers(block).slice(0, 1).map((stat) => ({ stat, path: block.path, label: labelOf(block.path, stat.name) })))
      : cards.flatMap((block) => numbers(block).map((stat) => ({ stat, path: block.path, label: stat.name })));
  return all.slice(0, shown);
}

/** `users.total` is called users. */
function labelOf(path: string, name: string): string {
  const group = path.split(".").at(-1) ?? "";
  return name === "total" && group !== "" && group !== "analytics" ? group : name;
}
