/** Who is behind a number: which questions list them, and which of their actors count. */
import { type Access, type QueryAnswer, ask } from "../api/client.ts";
import type { Matcher, Query } from "./query.ts";
import { type Actor, type FunnelResult, type LifecycleResult, type LifecycleState, type RetentionResult, nameOf } from "./results.ts";

/** A place in an answer that counts actors. */
export type Place =
  | { readonly kind: "step"; readonly step: number; readonly dropped: boolean }
  | { readonly kind: "cell"; readonly row: number; readonly column: number }
  | { readonly kind: "state"; readonly bucket: number; readonly state: LifecycleState }
  | { readonly kind: "bucket"; readonly bucket: number };

export const keyOf = (actor: Actor): string => (typeof actor === "object" ? JSON.stringify([actor.tenant, actor.actor]) : JSON.stringify(actor));
export const labelOf = (actor: Actor): string => (typeof actor === "object" ? `${actor.tenant} · ${actor.actor}` : nameOf(actor));

/** What of the place a cohort is saved from (`docs/queries.md`, Cohorts). */
export function cohortFrom(place: Place): object {
  switch (place.kind) {
    case "step":
      return place.dropped ? { step: place.step, dropped: true } : { step: place.step };
    case "cell":
      return { cell: [place.row, place.column] };
    case "state":
      return { bucket: place.bucket, state: place.state };
    case "bucket":
      return { bucket: place.bucket };
  }
}

/** In `all` and not in `others`. */
export function without(all: readonly Actor[], others: readonly Actor[]): Actor[] {
  const known = new Set(others.map(keyOf));
  return all.filter((actor) => !known.has(keyOf(actor)));
}

export function within(all: readonly Actor[], others: readonly Actor[]): Actor[] {
  const known = new Set(others.map(keyOf));
  return all.filter((actor) => known.has(keyOf(actor)));
}

/** Who did it at least `times` times in [from, to): a funnel with that many of the same step. */
export function whoDid(asked: Query, matcher: Matcher, from: string, to: string | undefined, times: number): object {
  const { stream, filters, tz, week_start, aggregate_by } = asked;
  const scope = Object.fromEntries(Object.entries({ stream, filters, tz, week_start, aggregate_by }).filter(([, value]) => value !== undefined));
  const steps = Array.from({ length: times }, () => matcher);
  return { ...scope, kind: "funnel", steps, from, ...(to === undefined ? {} : { to }), window: "400d", list_actors: true };
}

/** Whether the place can be opened: some questions count what no list is made of. */
export function isOpen(asked: Query, place: Place): boolean {
  if (place.kind === "step") return asked.viz !== "trends";
  if (place.kind === "cell") return asked["window"] !== "rolling" && asked["cumulative"] !== true;
  if (place.kind === "bucket") return asked["formula"] === undefined && asked["entities"] === undefined && asked["cumulative"] !== true && asked.interval !== "all";
  return true;
}

const MEMBERS = 10_000;

/** Asks for the actors of a place. `asked` is the request whose answer has the place. */
export async function fetchActors(access: Access, asked: Query, answer: unknown, place: Place, signal: AbortSignal): Promise<Actor[]> {
  const query = async (body: object) => (await ask<QueryAnswer>(access, "/v1/query", { method: "POST", body, signal })).result as unknown;
  switch (place.kind) {
    case "step": {
      const { actors_at_step: steps = [] } = (await query({ ...asked, list_actors: true })) as FunnelResult;
      return place.dropped ? without(steps[place.step] ?? [], steps[place.step + 1] ?? []) : [...(steps[place.step] ?? [])];
    }
    case "cell": {
      const { members = [] } = (await query({ ...asked, list_actors: true })) as RetentionResult;
      const row = members[place.row] ?? [];
      if (place.column === 0 && asked["cell_zero"] !== "returned") return [...row];
      const { starts } = answer as RetentionResult;
      const from = starts[place.row + place.column];
      if (from === undefined) return [];
      const times = typeof asked["min_occurrences"] === "number" && place.column > 0 ? asked["min_occurrences"] : 1;
      const did = (await query(whoDid(asked, asked.return ?? {}, from, starts[place.row + place.column + 1], times))) as FunnelResult;
      return within(row, did.actors_at_step?.[times - 1] ?? []);
    }
    case "state": {
      const { actors } = (await query({ ...asked, members_limit: MEMBERS })) as LifecycleResult;
      return [...(actors[place.state][place.bucket] ?? [])];
    }
    case "bucket": {
      const { starts } = answer as { readonly starts: readonly (string | null)[] };
      const [from, to] = boundsOf(asked, starts, place.bucket);
      const did = (await query(whoDid(asked, asked.entity ?? {}, from, to, 1))) as FunnelResult;
      return [...(did.actors_at_step?.[0] ?? [])];
    }
  }
}

/** A bucket counts only what lies inside of the question's own range. */
function boundsOf(asked: Query, starts: readonly (string | null)[], bucket: number): [string, string | undefined] {
  const start = starts[bucket] ?? "1970-01-01";
  const from = typeof asked["from"] === "string" && bucket === 0 ? asked["from"] : start;
  const to = starts[bucket + 1] ?? (typeof asked["to"] === "string" ? asked["to"] : undefined);
  return [from, to];
}

