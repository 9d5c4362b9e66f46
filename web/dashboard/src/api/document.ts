/** What the OpenAPI document says of a report's route: its parameters and the shape of its answer. */
import type { AppDescription, ReportDescription } from "./client.ts";

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly format?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly additionalProperties?: Schema | boolean;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly default?: string | number | boolean | null;
  /** Fields with the same one are one value under several names. */
  readonly "x-ebbtide-value"?: string;
}

interface RawParameter {
  readonly $ref?: string;
  readonly name?: string;
  readonly in?: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Schema;
}

export interface RawOperation {
  /** In which the report's money is. */
  readonly "x-ebbtide-currency"?: string;
  readonly parameters?: readonly RawParameter[];
  readonly responses?: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> }>>;
}

export interface Document {
  readonly paths: Readonly<Record<string, { readonly get?: RawOperation }>>;
}

export interface Param {
  readonly name: string;
  readonly place: "path" | "query";
  readonly required: boolean;
  readonly description: string;
  readonly schema: Schema;
}

/** One way to a report: a path that the token may call. */
export interface Route {
  readonly path: string;
  readonly params: readonly Param[];
  /** Whether it takes `lang`, in which its words are then. */
  readonly speaks: boolean;
  readonly answer: Schema;
  /** In which its money is, where it says so. */
  readonly currency: string | null;
}

export interface Report {
  readonly name: string;
  readonly description: string | null;
  /** What files hold, by dotted paths. */
  readonly lists: readonly string[];
  /** At least one; the one that asks for the fewest parameters first. */
  readonly routes: readonly [Route, ...Route[]];
}

function paramOf(raw: RawParameter): Param[] {
  const place = raw.in;
  // What every report takes (`as_of`, `format`, …) stands there by reference, or is `table` or `lang`.
  if (raw.name === undefined || raw.name === "table" || raw.name === "lang" || (place !== "path" && place !== "query")) return [];
  return [{ name: raw.name, place, required: raw.required === true, description: raw.description ?? "", schema: raw.schema ?? {} }];
}

const isLanguage = (raw: RawParameter): boolean => raw.name === "lang" || raw.$ref?.endsWith("/lang") === true;

export function routeOf(document: Document, path: string): Route {
  const operation = document.paths[path]?.get;
  const answer = operation?.responses?.["200"]?.content?.["application/json"]?.schema ?? {};
  const parameters = operation?.parameters ?? [];
  return { path, params: parameters.flatMap(paramOf), speaks: parameters.some(isLanguage), answer, currency: operation?.["x-ebbtide-currency"] ?? null };
}

const asked = (route: Route): number => route.params.filter((param) => param.required).length;

function reportOf(document: Document, described: ReportDescription): Report[] {
  const routes = described.routes.map((path) => routeOf(document, path)).sort((a, b) => asked(a) - asked(b));
  const [first, ...others] = routes;
  if (first === undefined) return [];
  return [{ name: described.name, description: described.description, lists: described.lists, routes: [first, ...others] }];
}

/** The reports that the token may call, in the pack's order. */
export function reportsOf(document: Document, app: AppDescription): Report[] {
  return app.reports.flatMap((described) => reportOf(document, described));
}

/** Of a schema that may be null or one of several, the one that says most. */
export function settled(schema: Schema): Schema {
  const choices = schema.oneOf ?? schema.anyOf;
  if (choices === undefined) return schema;
  const open = choices.map(settled);
  return open.find((choice) => choice.properties ?? choice.items ?? choice.additionalProperties) ?? open[0] ?? {};
}

export function isOfType(schema: Schema | undefined, ...names: readonly string[]): boolean {
  const own = schema === undefined ? undefined : settled(schema).type;
  return typeof own === "string" ? names.includes(own) : (own ?? []).some((name) => names.includes(name));
}
