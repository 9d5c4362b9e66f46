import { useFormat } from "../../format/useFormat.ts";
import { useName } from "../../format/useName.ts";
import { useT } from "../../i18n/i18n.tsx";
import { type HeatCell, type HeatRow, Heatmap } from "../../ui/Heatmap.tsx";
import type { Block, CohortRow } from "../shape.ts";

type CohortsBlock = Extract<Block, { kind: "cohorts" }>;

export function Cohorts({ block, caption }: { readonly block: CohortsBlock; readonly caption: string }) {
  const t = useT();
  const format = useFormat();
  const name = useName();
  const greatest = block.unit.kind === "percent" ? 100 : Math.max(1, ...block.rows.flatMap((row) => row.cells.map((cell) => cell ?? 0)));
  const rowOf = (row: CohortRow): HeatRow => ({
    key: row.label,
    label: format.period(row.label),
    size: row.size === null ? "—" : format.number(row.size),
    cells: row.cells.map((cell, column): HeatCell | null => {
      if (cell === null) return null;
      const text = format.value(cell, block.unit);
      return { share: cell / greatest, text, title: t("cohort.cell", { cohort: format.period(row.label), period: column, value: text }), partial: false };
    }),
  });
  return (
    <Heatmap
      caption={caption}
      corner={name(block.label)}
      sizeTitle={block.size === null ? null : name(block.size)}
      columnsTitle={t(`cohort.after.${periodOf(block)}`)}
      rows={block.rows.map(rowOf)}
      foot={block.unit.kind === "percent" ? { label: t("cohort.mean"), cells: meansOf(block).map((mean) => (mean === null ? "" : format.percent(mean))) } : undefined}
    />
  );
}

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

/** Each column's mean, weighed by the cohorts' sizes. */
function meansOf(block: CohortsBlock): (number | null)[] {
  const columns = Math.max(0, ...block.rows.map((row) => row.cells.length));
  return Array.from({ length: columns }, (_, column) => {
    let members = 0;
    let returned = 0;
    for (const row of block.rows) {
      const cell = row.cells[column];
      if (cell === null || cell === undefined) continue;
      members += row.size ?? 1;
      returned += cell * (row.size ?? 1);
    }
    return members === 0 ? null : returned / members;
  });
}
