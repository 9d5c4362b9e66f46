import { useState } from "react";
import { useChange } from "../../format/useChange.ts";
import { useFormat } from "../../format/useFormat.ts";
import { useT } from "../../i18n/i18n.tsx";
import { Choice } from "../../ui/Choice.tsx";
import { type Change, type HeatCell, type HeatMean, type HeatRow, Heatmap } from "../../ui/Heatmap.tsx";
import { Empty } from "../../ui/Notice.tsx";
import type { Place } from "../actors.ts";
import type { Query } from "../query.ts";
import { type RetentionResult, isWhole, nameOf } from "../results.ts";
import { useNameOf } from "../useNameOf.ts";

interface RetentionProps {
  readonly query: Query;
  readonly result: RetentionResult;
  /** Of as many periods before, if it is asked for and there. */
  readonly before: RetentionResult | undefined;
  readonly onOpen: (place: Place) => (() => void) | undefined;
}

export function Retention({ query, result, before, onOpen }: RetentionProps) {
  const t = useT();
  const format = useFormat();
  const [asCounts, setAsCounts] = useState(false);
  const [chosen, choose] = useState("");
  const groups = result.groups ?? [];
  const group = groups.find((own) => nameOf(own.value) === chosen);
  const shown = group ?? result;
  const other = group === undefined ? before : before?.groups?.find((own) => nameOf(own.value) === chosen);
  const change = useChange();
  const named = useNameOf();
  const period = query.period ?? "day";
  if (result.sizes.every((size) => size === 0)) return <Empty title={t("empty.query")}>{t("empty.query.hint")}</Empty>;
  const place = (cell: readonly [number, number]): Place => (group === undefined ? { cell } : { cell, group: [group.value] });
  const unit = { kind: asCounts ? "number" : "percent" } as const;
  const startBefore = (row: number) => format.start(before?.starts[row] ?? null, period);
  const changeAt = (row: number, column: number): Change | undefined => {
    if (before === undefined || !isWhole(result, row, column) || !isWhole(before, row, column) || (column === 0 && shown.percent[row]?.[0] === 100 && !asCounts)) return undefined;
    const of = asCounts ? "matrix" : "percent";
    return change({ now: shown[of][row]?.[column], before: other?.[of][row]?.[column], unit, of: startBefore(row) });
  };
  const rows = shown.matrix.map((cells, row): HeatRow => {
    const label = format.start(result.starts[row] ?? null, period);
    return {
      key: result.starts[row] ?? String(row),
      label,
      size: format.number(shown.sizes[row] ?? 0),
      sizeChange: isWhole(result, row, 0) ? change({ now: shown.sizes[row], before: other?.sizes[row], unit: { kind: "number" }, of: startBefore(row) }) : undefined,
      cells: cells.map((count, column): HeatCell | null => {
        const share = shown.percent[row]?.[column] ?? null;
        if (count === null) return null;
        const text = asCounts ? format.number(count) : share === null ? "—" : format.percent(share);
        const title = t("retention.cell", { cohort: label, count, period: column });
        return { share: (share ?? 0) / 100, text, title, partial: result.complete[row]?.[column] === false, change: changeAt(row, column), onOpen: count === 0 ? undefined : onOpen(place([row, column])) };
      }),
    };
  });
  const meanOf = (mean: number | null, column: number): HeatMean =>
    mean === null ? { text: "" } : { text: format.percent(mean), change: column === 0 && mean === 100 ? undefined : change({ now: mean, before: other?.mean_pooled[column], unit: { kind: "percent" }, of: t("compare.previous.short") }) };
  return (
    <div className="stack">
      <div className="row is-wrap">
        {groups.length === 0 ? null : (
          <label className="param">
            <span className="param-name">{t("group")}</span>
            <select className="input" value={chosen} onChange={(event) => choose(event.target.value)}>
              <option value="">{t("all")}</option>
              {groups.map((own) => (
                <option key={nameOf(own.value)} value={nameOf(own.value)}>
                  {named(own.value)}
                </option>
              ))}
            </select>
          </label>
        )}
        <span className="soft is-small-text">
          {other === undefined ? null : `${t(asCounts ? "compare.matrix" : "compare.matrix.points")} `}
          {t("retention.partial")}
        </span>
        <div className="row-end">
          <Choice label={t("view")} value={asCounts ? "counts" : "percent"} options={[{ value: "percent", label: "%" }, { value: "counts", label: "#" }]} onChange={(value) => setAsCounts(value === "counts")} />
        </div>
      </div>
      <Heatmap
        caption={t("kind.retention")}
        corner={t(`interval.${period}`)}
        sizeTitle={t("retention.size")}
        columnsTitle={t(`cohort.after.${period}`)}
        rows={rows}
        foot={{ label: t("cohort.mean"), cells: shown.mean_pooled.map(meanOf) }}
      />
    </div>
  );
}
