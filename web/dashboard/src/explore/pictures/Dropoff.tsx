import { useFormat } from "../../format/useFormat.ts";
import { useT } from "../../i18n/i18n.tsx";
import { Empty } from "../../ui/Notice.tsx";
import type { DropoffResult } from "../results.ts";

export function Dropoff({ result }: { readonly result: DropoffResult }) {
  const t = useT();
  const format = useFormat();
  if (result.total_sessions === 0) return <Empty title={t("empty.query")}>{t("empty.query.hint")}</Empty>;
  const facts = [
    [t("dropoff.sessions"), format.number(result.total_sessions)],
    [t("dropoff.converted"), `${format.number(result.converted)} · ${format.percent(result.conversion_rate)}`],
    [t("dropoff.exits"), format.number(result.total_exits)],
  ] as const;
  return (
    <div className="stack">
      <dl className="cards">
        {facts.map(([name, value]) => (
          <div key={name} className="card-stat">
            <dt>{name}</dt>
            <dd className="card-value">{value}</dd>
          </div>
        ))}
      </dl>
      <ol className="funnel">
        {result.steps.map((step) => (
          <li key={step.step} className="funnel-step">
            <div className="funnel-head">
              <span>{step.step}</span>
              <span className="funnel-numbers">
                {format.number(step.sessions)} <span className="soft">{format.percent(step.reach_rate)}</span>
              </span>
            </div>
            <div className="funnel-track">
              <div className="funnel-fill" style={{ inlineSize: `${step.reach_rate}%` }} />
            </div>
            <div className="funnel-between">
              <span>{t("dropoff.left", { count: step.exits, share: format.percent(step.exit_share) })}</span>
            </div>
          </li>
        ))}
      </ol>
    </div>
  );
}
