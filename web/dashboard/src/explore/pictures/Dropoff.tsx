import { useFormat } from "../../format/useFormat.ts";
import { useT } from "../../i18n/i18n.tsx";
import { Empty } from "../../ui/Notice.tsx";
import type { Place } from "../actors.ts";
import type { DropoffResult } from "../results.ts";
import { OpenButton } from "./Funnel.tsx";

export function Dropoff({ result, onOpen }: { readonly result: DropoffResult; readonly onOpen: (place: Place) => (() => void) | undefined }) {
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
                <OpenButton onOpen={step.sessions === 0 ? undefined : onOpen({ step: step.step })}>{format.number(step.sessions)}</OpenButton> <span className="soft">{format.percent(step.reach_rate)}</span>
              </span>
            </div>
            <div className="funnel-track">
              <div className="funnel-fill" style={{ inlineSize: `${step.reach_rate}%` }} />
            </div>
            <div className="funnel-between">
              <OpenButton onOpen={step.exits === 0 ? undefined : onOpen({ step: step.step, exited: true })}>{t("dropoff.left", { count: step.exits, share: format.percent(step.exit_share) })}</OpenButton>
            </div>
          </li>
        ))}
      </ol>
    </div>
  );
}
