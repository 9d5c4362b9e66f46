/** Cards: questions that are saved for all who may ask them, and what of Explore's state they hold. */
import { type UseQueryResult, queryOptions, useQuery } from "@tanstack/react-query";
import { type Access, type Card, ask } from "../api/client.ts";
import { whoOf } from "../api/queries.ts";
import { addDays } from "../format/dates.ts";
import { KINDS, type Kind, type Query, takesRange } from "./query.ts";
import { PICTURES, type Picture, RANGES, type Range, START, type State, askedOf } from "./state.ts";

export type { Card } from "../api/client.ts";

export interface NewCard {
  readonly title: string;
  readonly query: object;
  readonly range: string | null;
  readonly picture: string;
  /** Of a retention, which is compared by asking twice. A trend's query says it itself. */
  readonly compare: "previous_period" | null;
}

export const cardsOptions = (access: Access) =>
  queryOptions({
    queryKey: ["cards", whoOf(access)],
    staleTime: 60_000,
    queryFn: async ({ signal }) => (await ask<{ readonly cards: readonly Card[] }>(access, "/v1/cards", { signal })).cards,
  });

export function useCards(access: Access): UseQueryResult<readonly Card[]> {
  return useQuery(cardsOptions(access));
}

/** A name for the path of a title: letters and digits of ASCII, told apart from those that are taken. */
export function nameFor(title: string, taken: readonly string[]): string {
  const plain = title.normalize("NFKD").replaceAll(/[^A-Za-z0-9]+/g, "-").replaceAll(/^-+|-+$/g, "").toLowerCase().slice(0, 48).replaceAll(/-+$/g, "");
  const base = plain === "" ? "card" : plain;
  for (let number = 1; ; number += 1) {
    const name = number === 1 ? base : `${base}-${number}`;
    if (!taken.includes(name)) return name;
  }
}

/** What is saved of the page's state. */
export function cardOf(title: string, state: State): NewCard {
  const { from: _, to: __, ...plain } = state.query;
  const picture = state.view === "table" ? "table" : state.picture;
  const compare = (state.query.kind === "retention" ? state.query.compare : undefined) ?? null;
  const kept = { title, picture, compare };
  if (!takesRange(state.query.kind)) return { ...kept, query: askedOf(state.query), range: null };
  if (typeof state.range !== "string") return { ...kept, query: { ...plain, from: state.range.from, to: addDays(state.range.to, 1) }, range: null };
  return { ...kept, query: plain, range: state.range === "all" ? null : state.range };
}

const DAY = /^\d{4}-\d{2}-\d{2}$/;

function rangeOf(card: Card, query: Query): { readonly query: Query; readonly range: Range } {
  const { from, to, ...plain } = query;
  if (!takesRange(query.kind)) return { query, range: START.range };
  const rolling = RANGES.find((range) => range === card.range);
  if (rolling !== undefined) return { query: plain as Query, range: rolling };
  if (typeof from === "string" && typeof to === "string" && DAY.test(from) && DAY.test(to)) return { query: plain as Query, range: { from, to: addDays(to, -1) } };
  return { query, range: "all" };
}

/** The state that shows a card; null where this dashboard does not know its kind of question. */
export function stateOf(card: Card): State | null {
  const kind = KINDS.find((own): own is Kind => own === card.query["kind"]);
  if (kind === undefined) return null;
  const picture = PICTURES.find((own): own is Picture => own === card.picture) ?? "own";
  const query = { ...card.query, ...(card.compare === null ? {} : { compare: card.compare }) } as unknown as Query;
  return { ...rangeOf(card, query), view: card.picture === "table" ? "table" : "picture", picture };
}
