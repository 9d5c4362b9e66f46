/**
 * What to draw of a report's answer, from its declared shape and its values alone: plain values become cards, maps
 * become bars, lists of periods become lines, lists that hold lists of numbers become cohorts, insights are read as such, other lists become tables.
 */
import { type Schema, isOfType, settled } from "../api/document.ts";
import { isPeriod } from "../format/dates.ts";
import { type Unit, familyOf, unitOf } from "../format/units.ts";
import { type Insight, areInsights, holdsInsights, insightsIn } from "../insights/insight.ts";

export type Row = Readonly<Record<string, unknown>>;

export interface Field {
  readonly name: string;
  readonly unit: Unit;
  readonly numeric: boolean;
}

export interface Stat extends Field {
  readonly value: unknown;
}

interface Placed {
  /** The dotted path in the answer; empty for the answer itself. */
  readonly path: string;
}

export type Block =
  | (Placed & { readonly kind: "insights"; readonly insights: readonly Insight[] })
  | (Placed & { readonly kind: "cards"; readonly stats: readonly Stat[] })
  | (Placed & { readonly kind: "bars"; readonly unit: Unit; readonly bars: readonly Bar[] })
  | (Placed & { readonly kind: "cohorts"; readonly label: string; readonly size: string | null; readonly unit: Unit; readonly rows: readonly CohortRow[] })
  | (Placed & { readonly kind: "series"; readonly label: string; readonly families: readonly (readonly Field[])[]; readonly fields: readonly Field[]; readonly rows: readonly Row[] })
  | (Placed & { readonly kind: "table"; readonly fields: readonly Field[]; readonly nested: readonly string[]; readonly item: Schema; readonly rows: readonly Row[] });

export interface Bar {
  readonly label: string;
  /** Of what the label is a key: `mentor` of `mentor_id`. */
  readonly key?: string;
  readonly value: number;
}

export interface CohortRow {
  readonly label: string;
  readonly size: number | null;
  readonly cells: readonly (number | null)[];
}

/** A report's values: `echoes` are the parameters, which an answer often repeats. */
export interface Shaped {
  readonly schema: Schema;
  readonly value: unknown;
  readonly echoes: Readonly<Record<string, unknown>>;
  /** In which the report's money is, where its declaration says so. */
  readonly currency?: string | null;
}

const isRow = (value: unknown): value is Row => typeof value === "object" && value !== null && !Array.isArray(value);
const isNumber = (value: unknown): value is number => typeof value === "number";
/** A list of words is one value. */
const areWords = (value: unknown): value is readonly string[] => Array.isArray(value) && value.length > 0 && value.every((own) => typeof own === "string");
const joined = (path: string, name: string): string => (path === "" ? name : `${path}.${name}`);

/** `period_days: 30` repeats the parameter `days`. */
function isEcho(name: string, value: unknown, echoes: Shaped["echoes"]): boolean {
  if (name === "as_of" || name === "metric") return true;
  return Object.entries(echoes).some(([param, given]) => (name === param || name.endsWith(`_${param}`)) && String(given) === String(value));
}

const currencyOf = (row: Row): string | null => (typeof row["currency"] === "string" ? row["currency"] : null);

export function blocksOf(shaped: Shaped): Block[] {
  const schema = settled(shaped.schema);
  const currency = shaped.currency ?? null;
  if (Array.isArray(shaped.value)) return listBlocks("", schema, shaped.value, currency);
  return isRow(shaped.value) ? objectBlocks("", schema, shaped.value, { echoes: shaped.echoes, isFirst: firsts(), currency }) : [];
}

/** Tells whether a value is the first of its kind: what stands under several names is shown by the first of them. */
function firsts(): (declared: Schema | undefined) => boolean {
  const seen = new Set<string>();
  return (declared) => {
    const value = declared?.["x-ebbtide-value"];
    const isFirst = value === undefined || !seen.has(value);
    if (value !== undefined) seen.add(value);
    return isFirst;
  };
}

interface Around {
  readonly echoes: Shaped["echoes"];
  readonly isFirst: ReturnType<typeof firsts>;
  readonly currency: string | null;
}

function objectBlocks(path: string, schema: Schema, value: Row, around: Around): Block[] {
  const { echoes, isFirst } = around;
  const said = currencyOf(value);
  const currency = said ?? around.currency;
  const stats: Stat[] = [];
  const blocks: Block[] = [];
  for (const [name, own] of Object.entries(value)) {
    const declared = settled(schema.properties?.[name] ?? {});
    if (areWords(own)) stats.push(statOf(name, own, declared, currency));
    else if (Array.isArray(own)) blocks.push(...listBlocks(joined(path, name), declared, own, currency));
    else if (isRow(own) && isMap(declared)) blocks.push(barsOf(joined(path, name), own));
    else if (isRow(own)) blocks.push(...objectBlocks(joined(path, name), declared, own, { ...around, echoes: {} }));
    else if (!isEcho(name, own, echoes) && name !== "currency" && isFirst(schema.properties?.[name])) stats.push(statOf(name, own, declared, name === "total" ? said : currency));
  }
  return stats.length === 0 ? blocks : [{ kind: "cards", path, stats }, ...blocks];
}

const isMap = (schema: Schema): boolean => schema.properties === undefined && typeof schema.additionalProperties === "object";

function statOf(name: string, value: unknown, schema: Schema, currency: string | null): Stat {
  const numeric = isNumber(value) || isOfType(schema, "integer", "number");
  return { name, value, numeric, unit: numeric ? unitOf(name, currency) : { kind: "text" } };
}

function barsOf(path: string, map: Row): Block {
  // An object has no order that means anything.
  const bars = Object.entries(map).flatMap(([label, value]) => (isNumber(value) ? [{ label, value }] : [])).sort((a, b) => b.value - a.value);
  return { kind: "bars", path, unit: { kind: "number" }, bars };
}

function fieldsOf(item: Schema, rows: readonly Row[], currency: string | null): Field[] {
  const isFirst = firsts();
  const names = Object.keys(item.properties ?? rows[0] ?? {}).filter((name) => isFirst(item.properties?.[name]));
  return names.map((name) => {
    const declared = item.properties?.[name];
    const some = rows.find((row) => row[name] !== null && row[name] !== undefined)?.[name];
    const numeric = isOfType(declared, "integer", "number") || isNumber(some);
    return { name, numeric, unit: numeric ? unitOf(name, currency) : { kind: "text" } };
  });
}

const isNested = (item: Schema, rows: readonly Row[], name: string): boolean => {
  const declared = settled(item.properties?.[name] ?? {});
  const some = rows.find((row) => row[name] !== null && row[name] !== undefined && (!Array.isArray(row[name]) || row[name].length > 0))?.[name];
  if (areWords(some) || isOfType(declared.items, "string")) return false;
  return typeof some === "object" || isOfType(declared, "array", "object");
};

function listBlocks(path: string, schema: Schema, list: readonly unknown[], currency: string | null): Block[] {
  if (holdsInsights(schema) || areInsights(list)) return [{ kind: "insights", path, insights: insightsIn(list) }];
  const item = settled(schema.items ?? {});
  const rows = list.filter(isRow);
  if (rows.length === 0 && item.properties === undefined) return [];
  const all = fieldsOf(item, rows, currency);
  const nested = all.filter((field) => isNested(item, rows, field.name)).map((field) => field.name);
  const fields = all.filter((field) => !nested.includes(field.name));
  return [cohortsOf(path, rows, fields, nested) ?? seriesOf(path, rows, fields, nested) ?? rankingOf(path, rows, fields, nested) ?? { kind: "table", path, fields, nested, item, rows }];
}

/** The field that names a row's period: the first text whose values all do. */
function periodOf(rows: readonly Row[], fields: readonly Field[]): string | null {
  const first = fields.find((field) => !field.numeric);
  if (first === undefined || rows.length === 0) return null;
  return rows.every((row) => isPeriod(String(row[first.name]))) ? first.name : null;
}

function cohortsOf(path: string, rows: readonly Row[], fields: readonly Field[], nested: readonly string[]): Block | null {
  const label = periodOf(rows, fields);
  const [cells] = nested;
  if (label === null || cells === undefined || nested.length !== 1) return null;
  const isCells = rows.every((row) => Array.isArray(row[cells]) && row[cells].every((cell) => cell === null || isNumber(cell)));
  if (!isCells) return null;
  const size = fields.find((field) => field.numeric)?.name ?? null;
  const named = unitOf(cells);
  const unit: Unit = named.kind === "percent" || cells.includes("retention") ? { kind: "percent" } : named;
  const rowOf = (row: Row): CohortRow => ({
    label: String(row[label]),
    size: size !== null && isNumber(row[size]) ? row[size] : null,
    cells: row[cells] as (number | null)[],
  });
  return { kind: "cohorts", path, label, size, unit, rows: rows.map(rowOf) };
}

function seriesOf(path: string, rows: readonly Row[], fields: readonly Field[], nested: readonly string[]): Block | null {
  const label = periodOf(rows, fields);
  const drawn = fields.filter((field) => field.numeric && field.unit.kind !== "key");
  if (label === null || drawn.length === 0 || nested.length > 0) return null;
  const families = new Map<string, Field[]>();
  for (const field of drawn) {
    // Plain counts may differ by orders of magnitude: each is drawn by itself.
    const family = field.unit.kind === "number" ? `number ${field.name}` : familyOf(field.unit);
    families.set(family, [...(families.get(family) ?? []), field]);
  }
  return { kind: "series", path, label, families: [...families.values()], fields, rows };
}

/** A text (or key) with one number: what comes first is best seen as bars. */
function rankingOf(path: string, rows: readonly Row[], fields: readonly Field[], nested: readonly string[]): Block | null {
  const [label, value] = fields;
  if (fields.length !== 2 || nested.length > 0 || label === undefined || value?.numeric !== true || rows.length === 0) return null;
  if (label.numeric && label.unit.kind !== "key") return null;
  const bars = rows.flatMap((row) => {
    const number = row[value.name];
    if (!isNumber(number)) return [];
    const bar = { label: String(row[label.name]), value: number };
    return [label.unit.kind === "key" ? { ...bar, key: label.name.replace(/_(?:id|key)$/, "") } : bar];
  });
  return { kind: "bars", path, unit: value.unit, bars };
}
