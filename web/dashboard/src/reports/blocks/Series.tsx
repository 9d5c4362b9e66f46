import { useState } from "react";
import { daysBetween, isUnderWay } from "../../format/dates.ts";
import { type Unit } from "../../format/units.ts";
import { type Format, useFormat, useToday } from "../../format/useFormat.ts";
import { useName } from "../../format/useName.ts";
import { useT } from "../../i18n/i18n.tsx";
import { Chart, ChartTable, type Line } from "../../ui/Chart.tsx";
import { Choice } from "../../ui/Choice.tsx";
import { labelsBefore as labelsOf, valuesBefore, valuesOf } from "../compare.ts";
import type { Block } from "../shape.ts";
import { ListTable } from "./ListTable.tsx";

type SeriesBlock = Extract<Block, { kind: "series" }>;

interface SeriesProps {
  readonly block: SeriesBlock;
  readonly before: Block | null;
  readonly caption: string;
}

/** Names of fields that say nothing without what is around them. */
const PLAIN = new Set(["count", "value", "total"]);

/** Above so many periods lines read better than bars. */
const BARS_MAX = 24;

export function Series({ block, before, caption }: SeriesProps) {
  const t = useT();
  const format = useFormat();
  const name = useName();
  const [chosen, choose] = useState(0);
  const [asTable, setAsTable] = useState(false);
  const family = block.families[chosen] ?? block.families[0] ?? [];
  const unit = family[0]?.unit ?? { kind: "number" };
  const labels = block.rows.map((row) => format.period(String(row[block.label])));
  const labelsBefore = labelsOf(block, before).map((label) => (label === null ? "—" : format.period(label)));
  const partial = partialOf(block, useToday());
  const lines = family.flatMap((field): Line[] => {
    const own: Line = { name: PLAIN.has(field.name) ? caption : name(field.name), data: valuesOf(block.rows, field) };
    const other = valuesBefore(block.rows, field, before);
    return other === null ? [own] : [own, { name: t("compare.previous.of", { name: own.name }), data: other, before: true, labels: labelsBefore }];
  });
  const shape = family.length === 1 && block.rows.length <= BARS_MAX && block.rows.every((row) => String(row[block.label]).length <= 7) ? "bar" : "line";
  const options = block.families.map((fields, index) => ({ value: String(index), label: fields.map((field) => name(field.name)).join(" · ") }));
  return (
    <div className="stack">
      <div className="row is-wrap">
        {options.length < 2 ? null : <Choice label={t("measure")} value={String(chosen)} options={options} onChange={(value) => choose(Number(value))} />}
        <ViewToggle asTable={asTable} onChange={setAsTable} />
      </div>
      {asTable && block.fields.length > 2 ? <ListTable caption={caption} fields={block.fields} nested={[]} rows={block.rows} item={{}} pageSize={12} /> : null}
      {asTable && block.fields.length <= 2 ? <ChartTable label={caption} labels={labels} lines={lines} format={(value) => format.value(value, unit)} /> : null}
      {asTable ? null : (
        <Chart
          label={caption}
          labels={labels}
          lines={lines}
          shape={shape}
          partial={partial}
          format={(value) => format.value(value, unit)}
          axis={(value) => axisOf(value, unit, format)}
        />
      )}
    </div>
  );
}

/** A number beside the picture: short, with its unit where that is as short. */
export function axisOf(value: number, unit: Unit, format: Format): string {
  if (unit.kind === "percent") return format.percent(value, 0);
  if (unit.kind === "money") return format.compactMoney(value, unit.currency);
  return format.compact(unit.kind === "cents" ? value / 100 : value);
}

/** How many of the periods have not ended: the last one, where today is in it. */
export function partialOf({ rows, label }: SeriesBlock, today: string): number {
  const [before, last] = rows.slice(-2).map((row) => String(row[label]));
  const only = last ?? before;
  if (only === undefined) return 0;
  return isUnderWay(only, today, last === undefined ? 1 : daysBetween(before ?? only, only)) ? 1 : 0;
}

export function ViewToggle({ asTable, onChange }: { readonly asTable: boolean; readonly onChange: (asTable: boolean) => void }) {
  const t = useT();
  const options = [
    { value: "chart", label: t("view.chart") },
    { value: "table", label: t("view.table") },
  ] as const;
  return (
    <div className="row-end">
      <Choice label={t("view")} value={asTable ? "table" : "chart"} options={options} onChange={(value) => onChange(value === "table")} />
    </div>
  );
}
