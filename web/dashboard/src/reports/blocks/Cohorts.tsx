import { useChange } from "../../format/useChange.ts";
import { useFormat } from "../../format/useFormat.ts";
import { useName } from "../../format/useName.ts";
import { useT } from "../../i18n/i18n.tsx";
import { type HeatCell, type HeatMean, type HeatRow, Heatmap } from "../../ui/Heatmap.tsx";
import { cohortsBefore, meansOf } from "../compare.ts";
import type { Block, CohortRow } from "../shape.ts";

type CohortsBlock = Extract<Block, { kind: "cohorts" }>;

interface CohortsProps {
  readonly block: CohortsBlock;
  readonly before: Block | null;
  readonly caption: string;
}

export function Cohorts({ block, before, caption }: CohortsProps) {
  const t = useT();
  const format = useFormat();
  const name = useName();
  const change = useChange();
  const { unit, rows } = block;
  const others = cohortsBefore(rows, before);
  const greatest = unit.kind === "percent" ? 100 : Math.max(1, ...rows.flatMap((row) => row.cells.map((cell) => cell ?? 0)));
  const rowOf = (row: CohortRow, index: number): HeatRow => {
    const other = others[index] ?? null;
    const of = other === null ? "" : format.period(other.label);
    return {
      key: row.label,
      label: format.period(row.label),
      size: row.size === null ? "—" : format.number(row.size),
      sizeChange: change({ now: row.size, before: other?.size, unit: { kind: "number" }, of }),
      cells: row.cells.map((cell, column): HeatCell | null => {
        if (cell === null) return null;
        const text = format.value(cell, unit);
        const title = t("cohort.cell", { cohort: format.period(row.label), period: column, value: text });
        return { share: cell / greatest, text, title, partial: false, change: isWhole(cell, column, unit.kind) ? undefined : change({ now: cell, before: other?.cells[column], unit, of }) };
      }),
    };
  };
  const meansBefore = before?.kind === "cohorts" ? meansOf(before.rows) : [];
  const meanOf = (mean: number | null, column: number): HeatMean =>
    mean === null ? { text: "" } : { text: format.percent(mean), change: isWhole(mean, column, unit.kind) ? undefined : change({ now: mean, before: meansBefore[column], unit, of: t("compare.previous.short") }) };
  return (
    <div className="stack">
      {others.every((other) => other === null) ? null : <p className="soft is-small-text">{t(unit.kind === "percent" ? "compare.matrix.points" : "compare.matrix")}</p>}
      <Heatmap
        caption={caption}
        corner={name(block.label)}
        sizeTitle={block.size === null ? null : name(block.size)}
        columnsTitle={t(`cohort.after.${periodOf(block)}`)}
        rows={rows.map(rowOf)}
        foot={unit.kind === "percent" ? { label: t("cohort.mean"), cells: meansOf(rows).map(meanOf) } : undefined}
      />
    </div>
  );
}

/** Of a first column that is all of each cohort, there is nothing to compare. */
const isWhole = (cell: number, column: number, kind: string): boolean => kind === "percent" && column === 0 && cell === 100;

const DAY_MS = 86_400_000;

/** How long a column's period is, as far as the rows' names tell. */
function periodOf({ rows }: CohortsBlock): "day" | "week" | "month" | "year" | "period" {
  const label = rows[0]?.label ?? "";
  if (/^\d{4}-\d{2}$/.test(label)) return "month";
  if (/^\d{4}$/.test(label)) return "year";
  // Days name weeks as well: how far one row is from the next tells which are meant.
  const [first = 0, second = 0] = rows.slice(0, 2).map((row) => Date.parse(row.label));
  const days = Math.abs(second - first) / DAY_MS;
  return days === 1 ? "day" : days === 7 ? "week" : "period";
}
