import { useMemo, useState } from "react";
import { type Schema, settled } from "../../api/document.ts";
import { digitsIn } from "../../format/numbers.ts";
import { type Format, useFormat } from "../../format/useFormat.ts";
import { useName } from "../../format/useName.ts";
import { useT } from "../../i18n/i18n.tsx";
import { type Column, DataTable } from "../../ui/DataTable.tsx";
import { Sheet } from "../../ui/Sheet.tsx";
import { Sparkline } from "../../ui/Sparkline.tsx";
import { type Field, type Row, blocksOf } from "../shape.ts";
import { Blocks } from "./Blocks.tsx";
import { Delta, isBadWhenMore } from "./Cards.tsx";

interface ListTableProps {
  readonly caption: string;
  readonly fields: readonly Field[];
  /** Fields that hold lists or objects: shown when a row is opened. */
  readonly nested: readonly string[];
  readonly rows: readonly Row[];
  readonly item: Schema;
  /** Of the period before: how a row's first number changed stands beside it. */
  readonly before?: readonly Row[];
  readonly pageSize?: number;
}

const NOTHING: readonly Row[] = [];

/** Of many columns these are shown; a row that is opened tells all. */
const COLUMNS_MAX = 9;

/** Letters that fit on one line of a cell. */
const LINE = 44;

export function ListTable({ caption, fields, nested, rows, item, before = NOTHING, pageSize = 10 }: ListTableProps) {
  const t = useT();
  const format = useFormat();
  const name = useName();
  const [open, setOpen] = useState<Row | null>(null);
  const columns = useMemo(() => columnsOf({ fields, nested, rows, item, before }, format, name), [fields, nested, rows, item, before, format, name]);
  const opens = nested.length > 0 || fields.length > COLUMNS_MAX;
  if (rows.length === 0) return <p className="soft">{t("empty.list")}</p>;
  return (
    <>
      <DataTable caption={caption} columns={columns} rows={rows} pageSize={pageSize} onOpen={opens ? setOpen : undefined} openLabel={t("row.open")} />
      {open === null ? null : (
        <Sheet title={titleOf(open, fields)} subtitle={caption} onClose={() => setOpen(null)}>
          <Blocks blocks={blocksOf({ schema: item, value: open, echoes: {} })} before={null} caption={titleOf(open, fields)} inner />
        </Sheet>
      )}
    </>
  );
}

/** A list of words may be as long as a text. */
const isLong = (value: unknown): boolean => (typeof value === "string" || Array.isArray(value)) && String(value).length > LINE;

const titleOf = (row: Row, fields: readonly Field[]): string => {
  const named = fields.find((field) => !field.numeric && /name|title/.test(field.name)) ?? fields[0];
  return named === undefined ? "" : String(row[named.name]);
};

type Listed = Required<Pick<ListTableProps, "fields" | "nested" | "rows" | "item" | "before">>;

function columnsOf({ fields, nested, rows, item, before }: Listed, format: Format, name: (field: string) => string): Column<Row>[] {
  // Where a name stands beside a key, the name is enough.
  const isNamed = (key: string) => fields.some((field) => /_(?:name|title)$/.test(field.name) && field.name.replace(/_(?:name|title)$/, "") === key.replace(/_id$/, ""));
  const shown = fields.filter((field) => !(field.name.endsWith("_id") && isNamed(field.name))).slice(0, COLUMNS_MAX);
  const first = shown.find((field) => field.numeric && field.unit.kind !== "key");
  // How long somebody has been away grows by itself.
  const compared = first?.unit.kind === "duration" ? undefined : first;
  const plain = shown.map((field): Column<Row> => {
    const digits = digitsIn(rows.map((row) => row[field.name]), field.unit);
    const text = (row: Row) => format.any(row[field.name], field.unit, digits);
    return {
      name: field.name,
      title: name(field.name),
      numeric: field.numeric && field.unit.kind !== "key",
      long: rows.some((row) => isLong(row[field.name])),
      value: (row) => row[field.name],
      draw: (row) => {
        if (field.unit.kind === "percent") return <Share value={row[field.name]} text={text(row)} />;
        const [now, earlier] = field === compared ? [row[field.name], sameRow(row, fields, before)?.[field.name]] : [];
        if (typeof now !== "number" || typeof earlier !== "number") return text(row);
        return (
          <span className="compared">
            <Delta now={now} before={earlier} text={format.any(earlier, field.unit)} badWhenMore={isBadWhenMore(field.name)} /> {text(row)}
          </span>
        );
      },
    };
  });
  const lines = nested.flatMap((list): Column<Row>[] => (isLine(settled(item.properties?.[list] ?? {}), rows, list) ? [lineColumn(list, name(list))] : []));
  return [...plain, ...lines.slice(0, 1)];
}

/** The row about the same: of the same key, or what else comes first. */
function sameRow(row: Row, [first]: readonly Field[], before: readonly Row[]): Row | undefined {
  return first === undefined ? undefined : before.find((other) => other[first.name] === row[first.name]);
}

const numbersIn = (value: unknown): number[] =>
  Array.isArray(value) ? value.flatMap((entry: unknown) => (typeof entry === "object" && entry !== null ? Object.values(entry).filter((own) => typeof own === "number") : [])) : [];

function isLine(schema: Schema, rows: readonly Row[], list: string): boolean {
  const some = rows.find((row) => Array.isArray(row[list]) && row[list].length > 0)?.[list];
  const first: unknown = Array.isArray(some) ? some[0] : undefined;
  const isDaily = typeof first === "object" && first !== null && "date" in first;
  return isDaily && (schema.items === undefined || Object.keys(settled(schema.items).properties ?? {}).length === 2);
}

function lineColumn(list: string, title: string): Column<Row> {
  const totalOf = (row: Row) => numbersIn(row[list]).reduce((sum, value) => sum + value, 0);
  return { name: list, title, numeric: true, value: totalOf, draw: (row) => <Sparkline values={numbersIn(row[list])} label={title} /> };
}

function Share({ value, text }: { readonly value: unknown; readonly text: string }) {
  const share = typeof value === "number" ? Math.max(0, Math.min(100, value)) : null;
  return (
    <span className="share">
      {share === null ? null : (
        <span className="share-track">
          <span className="share-fill" style={{ inlineSize: `${share}%` }} />
        </span>
      )}
      <span className="share-text">{text}</span>
    </span>
  );
}
