/** What components ask of the server, by TanStack Query. */
import { type UseQueryResult, queryOptions, useQuery } from "@tanstack/react-query";
import { type Access, type AppDescription, type QueryAnswer, type SqlAnswer, ask, send } from "./client.ts";
import { type Document, type Report, reportsOf } from "./document.ts";

/** A token never stands in a key: keys are shown by tools and kept after signing out. */
export const whoOf = (access: Access): string => `${access.app} ${fingerprint(access.token)}`;

/** Tells tokens apart, and nothing more. */
function fingerprint(token: string): string {
  let hash = 5381;
  for (const character of token) hash = (hash * 33 + (character.codePointAt(0) ?? 0)) % 4294967296;
  return hash.toString(36);
}

export const documentOptions = queryOptions({
  queryKey: ["document"],
  staleTime: Number.POSITIVE_INFINITY,
  queryFn: async ({ signal }) => (await (await send(null, "/openapi.json", { signal })).json()) as Document,
});

export const schemaOptions = (access: Access) =>
  queryOptions({
    queryKey: ["schema", whoOf(access)],
    staleTime: 60_000,
    queryFn: ({ signal }) => ask<AppDescription>(access, "/v1/schema", { signal }),
  });

export function useSchema(access: Access): UseQueryResult<AppDescription> {
  return useQuery(schemaOptions(access));
}

/** The app's reports, as its declarations tell of them. */
export function useReports(access: Access): UseQueryResult<Report[]> {
  const schema = useSchema(access);
  const document = useQuery(documentOptions);
  const both = schema.data !== undefined && document.data !== undefined;
  const failed = schema.isError ? schema : document;
  const data = both ? reportsOf(document.data, schema.data) : undefined;
  return { ...failed, data, isPending: !both && !failed.isError } as UseQueryResult<Report[]>;
}

/** A report's answer, with what its headers tell. */
export interface Answered<Value> {
  readonly value: Value;
  readonly cached: boolean;
  readonly milliseconds: number | null;
}

function totalOf(timing: string | null): number | null {
  const found = timing === null ? null : /(?:^|,\s*)total;dur=([\d.]+)/.exec(timing) ?? /dur=([\d.]+)/.exec(timing);
  return found?.[1] === undefined ? null : Number(found[1]);
}

export const reportOptions = (access: Access, address: string) =>
  queryOptions({
    queryKey: ["report", whoOf(access), address],
    staleTime: 30_000,
    queryFn: async ({ signal }): Promise<Answered<unknown>> => {
      const response = await send(access.token, address, { signal });
      const cached = response.headers.get("X-Cache") === "hit";
      return { value: await response.json(), cached, milliseconds: totalOf(response.headers.get("Server-Timing")) };
    },
  });

export const answerOptions = (access: Access, query: object) =>
  queryOptions({
    queryKey: ["query", whoOf(access), query],
    staleTime: 30_000,
    queryFn: ({ signal }) => ask<QueryAnswer>(access, "/v1/query", { method: "POST", body: query, signal }),
  });

export const sqlOptions = (access: Access, sql: string, params: object) =>
  queryOptions({
    queryKey: ["sql", whoOf(access), sql, params],
    staleTime: 30_000,
    queryFn: ({ signal }) => ask<SqlAnswer>(access, "/v1/sql", { method: "POST", body: { sql, params }, signal }),
  });
