/** What a parameter of a path may be: looked up by SQL where the token may, else found in another report's list. */
import { useQuery } from "@tanstack/react-query";
import type { AppDescription, SqlAnswer, Table } from "../api/client.ts";
import { type Param, type Report, type Route, type Schema, settled } from "../api/document.ts";
import { reportOptions, sqlOptions } from "../api/queries.ts";
import { rightsOf } from "../session/claims.ts";
import { useSignIn } from "../session/session.tsx";
import { addressOf } from "./address.ts";

export interface Option {
  readonly value: string;
  readonly label: string;
}

const LISTED = 500;

/** `merchant_id` → the entity `merchants`, whose key is one column. */
export function tableOf(param: string, app: AppDescription): Table | null {
  const stem = param.replace(/_id$/, "");
  return app.tables.find((table) => table.kind === "entity" && table.key.length === 1 && [`${stem}s`, `${stem}es`, stem].includes(table.name)) ?? null;
}

/** Lists its keys, with the first column that reads like a name. */
export function statementFor(table: Table): string {
  const [key = "id"] = table.key;
  const texts = table.columns.filter((column) => column.type === "text" && column.name !== key);
  const label = texts.find((column) => /name|title/.test(column.name)) ?? texts[0];
  const columns = label === undefined ? `"${key}" AS value` : `"${key}" AS value, "${label.name}" AS label`;
  return `SELECT ${columns} FROM "${table.name}" ORDER BY 1 LIMIT ${LISTED}`;
}

export function optionsOfRows(answer: SqlAnswer): Option[] {
  return answer.rows.map((row) => {
    const { value, label } = row;
    return { value: String(value), label: typeof label === "string" && label !== "" ? `${label} · ${String(value)}` : String(value) };
  });
}

/** The report that lists such keys and asks for nothing. */
function listing(reports: readonly Report[], param: string): Report | null {
  const holds = (schema: Schema, depth: number): boolean =>
    depth > 0 && Object.values(settled(schema).properties ?? {}).some((own) => {
      const open = settled(own);
      return (open.items !== undefined && settled(open.items).properties?.[param] !== undefined) || holds(open, depth - 1);
    });
  return reports.find((report) => report.routes[0].params.every((own) => !own.required) && holds(report.routes[0].answer, 3)) ?? null;
}

export function optionsIn(value: unknown, param: string): Option[] {
  if (Array.isArray(value)) return value.flatMap((entry) => optionOf(entry, param));
  return typeof value === "object" && value !== null ? Object.values(value).flatMap((own) => (Array.isArray(own) ? optionsIn(own, param) : [])) : [];
}

function optionOf(entry: unknown, param: string): Option[] {
  if (typeof entry !== "object" || entry === null) return [];
  const row = entry as Record<string, unknown>;
  const key = row[param];
  if (typeof key !== "string" && typeof key !== "number") return [];
  const stem = param.replace(/_id$/, "");
  const label = row[`${stem}_name`] ?? row[`${stem}_title`] ?? row["name"];
  return [{ value: String(key), label: typeof label === "string" ? label : String(key) }];
}

export interface Options {
  /** Null while they are looked up; empty where nobody can tell. */
  readonly found: readonly Option[] | null;
  /** Why they could not be looked up. */
  readonly error: unknown;
}

const NONE: Options = { found: [], error: null };

export function useOptions(param: Param | null, app: AppDescription, reports: readonly Report[]): Options {
  const signIn = useSignIn();
  const table = param !== null && rightsOf(signIn.claims).sql ? tableOf(param.name, app) : null;
  const report = param === null || table !== null ? null : listing(reports, param.name);
  const address = report === null ? null : addressOf(report.routes[0], {}, { asOf: null });
  const bySql = useQuery({ ...sqlOptions(signIn, table === null ? "" : statementFor(table), {}), enabled: table !== null });
  const byReport = useQuery({ ...reportOptions(signIn, address ?? ""), enabled: address !== null });
  if (param === null) return NONE;
  if (param.schema.enum !== undefined) return { found: param.schema.enum.map((value) => ({ value: String(value), label: String(value) })), error: null };
  if (table !== null) return { found: bySql.isError ? [] : bySql.data === undefined ? null : optionsOfRows(bySql.data), error: bySql.error };
  if (address !== null) return { found: byReport.isError ? [] : byReport.data === undefined ? null : optionsIn(byReport.data.value, param.name), error: byReport.error };
  return NONE;
}

/** The parameter that says about whom or what a report is: of its path, else a key. */
export const keyParamOf = (route: Route): Param | null => route.params.find((param) => param.place === "path") ?? route.params.find((param) => param.name.endsWith("_id")) ?? null;

/** Parameters of paths that several reports of a page have: they are chosen once, for all of them. */
export function sharedParams(reports: readonly Report[]): Param[] {
  const all = reports.flatMap((report) => report.routes[0].params.filter((param) => param.place === "path"));
  return all.filter((param, place) => all.findIndex((other) => other.name === param.name) === place && all.filter((other) => other.name === param.name).length > 1);
}
