/** Who is behind a number: which of an answer's actors are meant, as cohorts name them (`docs/queries.md`, Cohorts). */
import { type Access, ask } from "../api/client.ts";
import type { Query } from "./query.ts";
import { type Actor, isStructured, nameOf } from "./results.ts";

/** Fields of `from`, in the shape that the kind of question has. */
export interface Place {
  readonly step?: number | string;
  readonly dropped?: true;
  readonly exited?: true;
  readonly cell?: readonly [number, number];
  readonly bucket?: number;
  readonly state?: string;
  readonly converted?: true;
  readonly exactly?: number;
  readonly at_least?: number;
  readonly at_risk?: boolean;
  readonly edge?: { readonly from: unknown; readonly to: unknown; readonly step: number };
  readonly value?: unknown;
  /** In which group of a breakdown. */
  readonly group?: readonly unknown[];
}

export const keyOf = (actor: Actor): string => (typeof actor === "object" ? JSON.stringify([actor.tenant, actor.actor]) : JSON.stringify(actor));
export const labelOf = (actor: Actor): string => (typeof actor === "object" ? `${actor.tenant} · ${actor.actor}` : nameOf(actor));

/** Whether a place can be opened: a formula counts nobody. */
export function isOpen(asked: Query): boolean {
  return asked.formula === undefined && asked.entities === undefined;
}

/** Whether a place can be named to the server: it finds values that are plain. */
export const isNameable = ({ group = [], value, edge }: Place): boolean => ![...group, value, edge?.from, edge?.to].some(isStructured);

/** Whether an answer has groups that cannot be opened. A funnel's group has a value for each property. */
export function hasUnnameable({ kind }: Query, result: unknown): boolean {
  const { groups = [], values = [], edges = [] } = result as { readonly groups?: readonly { readonly value?: unknown }[]; readonly values?: readonly { readonly value: unknown }[]; readonly edges?: readonly { readonly from: unknown; readonly to: unknown }[] };
  const named = [...groups.flatMap((group) => (kind === "funnel" ? (group.value as readonly unknown[] | undefined) ?? [] : [group.value])), ...values.map((own) => own.value), ...edges.flatMap((edge) => [edge.from, edge.to])];
  return named.some(isStructured);
}

export interface Members {
  readonly members: readonly Actor[];
  readonly total: number;
}

/** The first so many of a place's actors, and how many there are. */
export function fetchMembers(access: Access, asked: Query, place: Place, limit: number, signal: AbortSignal): Promise<Members> {
  const { list_actors: _, members_limit: __, ...query } = asked;
  return ask<Members>(access, "/v1/members", { method: "POST", body: { query, from: place, limit }, signal });
}
