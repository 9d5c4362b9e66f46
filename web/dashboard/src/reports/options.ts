/** What a parameter of a path may be: looked up by SQL where the token may, else found in another report's list. */
import { useQuery } from "@tanstack/react-query";
import type { AppDescription, SqlAnswer, Table } from "../api/client.ts";
import { type Param, type Report, type Schema, settled } from "../api/document.ts";
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

/** Null while they are looked up; empty where nobody can tell. */
export function useOptions(param: Param | null, app: AppDescription, reports: readonly Report[]): readonly Option[] | null {
  const signIn = useSignIn();
  const table = param !== null && rightsOf(signIn.claims).sql ? tableOf(param.name, app) : null;
  const report = param === null || table !== null ? null : listing(reports, param.name);
  const address = report === null ? null : addressOf(report.routes[0], {}, { asOf: null });
  const bySql = useQuery({ ...sqlOptions(signIn, table === null ? "" : statementFor(table), {}), enabled: table !== null });
  const byReport = useQuery({ ...reportOptions(signIn, address ?? ""), enabled: address !== null });
  if (param === null) return [];
  if (param.schema.enum !== undefined) return param.schema.enum.map((value) => ({ value: String(value), label: String(value) }));
  if (table !== null) return bySql.data === undefined ? (bySql.isError ? [] : null) : optionsOfRows(bySql.data);
  if (address !== null) return byReport.data === undefined ? (byReport.isError ? [] : null) : optionsIn(byReport.data.value, param.name);
  return [];
}
