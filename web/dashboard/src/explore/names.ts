/** What can be named in a question: streams, events, properties, and the values that these have. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import type { AppDescription, Table } from "../api/client.ts";
import { answerOptions } from "../api/queries.ts";
import { useSignIn } from "../session/session.tsx";
import type { TrendResult } from "./results.ts";

export interface Named {
  readonly name: string;
  readonly count: number;
}

export interface Property {
  readonly name: string;
  readonly type: string;
}

/** Tables that questions can be about: their rows have a time and somebody. */
export const streamsOf = (app: AppDescription): Table[] => {
  const asked = app.tables.filter((table) => table.time !== null && (table.actor !== null || table.kind === "entity"));
  return asked.sort((a, b) => Number(b.kind === "events") - Number(a.kind === "events"));
};

/** Columns and properties that a filter can name. */
export function propertiesOf(stream: Table): Property[] {
  const tenant = stream.tenant.column;
  const columns = stream.columns.filter((column) => column.name !== stream.time && column.name !== tenant);
  const event = stream.event_name === null ? [] : [{ name: "event", type: "text" }];
  const own = [...columns, ...(stream.properties ?? [])].filter((property) => property.name !== stream.event_name && property.name !== "event");
  return [...event, ...own.map(({ name, type }) => ({ name, type }))];
}

const NAMES = 200;

function namedIn(result: unknown): Named[] {
  const { groups = [] } = (result ?? {}) as Partial<TrendResult>;
  return groups.flatMap((group) => (group.value === null ? [] : [{ name: String(group.value), count: group.data[0] ?? 0 }]));
}

/** The names of the stream's events, the commonest first. */
export function useEventNames(stream: Table | null): readonly Named[] {
  const signIn = useSignIn();
  const query = { kind: "trend", stream: stream?.name, interval: "all", breakdown: { prop: "event", limit: NAMES } };
  const answer = useQuery({ ...answerOptions(signIn, query), enabled: stream !== null && stream.event_name !== null, staleTime: 300_000 });
  return useMemo(() => namedIn(answer.data?.result), [answer.data]);
}

/** Values of a property, once somebody is about to choose one. */
export function useValues(stream: Table, prop: string, scope: "actor" | undefined, wanted: boolean): readonly Named[] {
  const signIn = useSignIn();
  const breakdown = { prop, limit: 50, ...(scope === undefined ? {} : { scope }) };
  const answer = useQuery({ ...answerOptions(signIn, { kind: "trend", stream: stream.name, interval: "all", breakdown }), enabled: wanted && prop !== "", staleTime: 300_000, retry: false });
  return useMemo(() => namedIn(answer.data?.result), [answer.data]);
}
