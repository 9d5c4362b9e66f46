import { useMemo } from "react";
import { useFormat } from "../../format/useFormat.ts";
import { useT } from "../../i18n/i18n.tsx";
import { type Column, DataTable } from "../../ui/DataTable.tsx";
import { Empty } from "../../ui/Notice.tsx";
import type { Place } from "../actors.ts";
import type { ChurnActor, ChurnResult } from "../results.ts";

interface ChurnProps {
  readonly result: ChurnResult;
  readonly onOpen: (place: Place) => (() => void) | undefined;
  readonly onActor: (actor: ChurnActor) => void;
}

export function Churn({ result, onOpen, onActor }: ChurnProps) {
  const t = useT();
  const format = useFormat();
  const columns = useMemo((): Column<ChurnActor>[] => {
    const days = (value: number | null | undefined) => (value === null || value === undefined ? "—" : format.value(Math.round(value * 10) / 10, { kind: "duration", of: "day" }));
    const own: Column<ChurnActor>[] = [
      { name: "actor", title: t("churn.actor"), numeric: false, value: (row) => String(row.actor), draw: (row) => (row.tenant === undefined ? String(row.actor) : `${row.tenant} · ${row.actor}`) },
      { name: "events", title: t("home.events"), numeric: true, value: (row) => row.events, draw: (row) => format.number(row.events) },
      { name: "last", title: t("churn.last"), numeric: false, value: (row) => row.last, draw: (row) => format.instant(row.last) },
      { name: "days_inactive", title: t("churn.silent"), numeric: true, value: (row) => row.days_inactive, draw: (row) => days(row.days_inactive) },
      { name: "interval_days", title: t("churn.habit"), numeric: true, value: (row) => row.interval_days, draw: (row) => days(row.interval_days) },
      { name: "at_risk", title: t("churn.at_risk"), numeric: false, value: (row) => String(row.at_risk), draw: (row) => t(row.at_risk ? "yes" : "no") },
    ];
    const alive: Column<ChurnActor> = { name: "alive", title: t("churn.alive"), numeric: true, value: (row) => row.alive, draw: (row) => (row.alive === null || row.alive === undefined ? "—" : format.percent(row.alive * 100)) };
    return result.actors.some((row) => row.alive !== undefined) ? [...own, alive] : own;
  }, [t, format, result]);
  if (result.total === 0) return <Empty title={t("empty.query")}>{t("empty.query.hint")}</Empty>;
  return (
    <div className="stack">
      <dl className="cards">
        <div className="card-stat">
          <dt>{t("churn.at_risk")}</dt>
          <dd className="card-value">
            {result.at_risk === 0 ? (
              format.number(0)
            ) : (
              <button type="button" className="link" onClick={onOpen({ at_risk: true })}>
                {format.number(result.at_risk)}
              </button>
            )}
          </dd>
        </div>
        <div className="card-stat">
          <dt>{t("churn.total")}</dt>
          <dd className="card-value">{format.number(result.total)}</dd>
        </div>
        <div className="card-stat">
          <dt>{t("churn.share")}</dt>
          <dd className="card-value">{format.percent((100 * result.at_risk) / result.total)}</dd>
        </div>
      </dl>
      <DataTable caption={t("kind.churn")} columns={columns} rows={result.actors} pageSize={15} onOpen={onActor} openLabel={t("actors.why")} file="churn" />
    </div>
  );
}
