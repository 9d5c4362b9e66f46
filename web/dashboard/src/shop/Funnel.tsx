/** How far sessions get, and at which step those end that do not buy. */
import { useFormat } from "../format/useFormat.ts";
import { useT } from "../i18n/i18n.tsx";
import type { Summary } from "./summary.ts";
import { useStepName } from "./useStepName.ts";

export function Reach({ summary }: { readonly summary: Summary }) {
  const t = useT();
  const format = useFormat();
  const nameOf = useStepName();
  return (
    <ol className="reach" aria-label={t("shop.reach")}>
      {summary.steps.map((step, place) => {
        const before = summary.steps[place - 1];
        const onward = before === undefined || before.sessions === 0 ? null : (step.sessions / before.sessions) * 100;
        return (
          <li key={step.step} className="reach-step" data-step={step.step}>
            <span className="reach-name">{nameOf(step.step)}</span>
            <span className="reach-numbers">
              <strong data-number="sessions">{format.number(step.sessions)}</strong> <span className="soft">{format.percent(step.reachRate)}</span>
            </span>
            <span className="reach-track">
              <span className="reach-fill" style={{ blockSize: `${Math.min(100, step.reachRate)}%` }} />
            </span>
            <span className="soft is-small-text">{onward === null ? t("shop.reach.all") : t("shop.reach.onward", { share: format.percent(onward, 0) })}</span>
          </li>
        );
      })}
    </ol>
  );
}

export function Dropoff({ summary }: { readonly summary: Summary }) {
  const t = useT();
  const format = useFormat();
  const nameOf = useStepName();
  return (
    <div className="stack" data-block="dropoff">
      <div className="split" aria-hidden="true">
        {summary.steps.map((step, place) => (step.exits === 0 ? null : <span key={step.step} className={`split-part series-${place + 1}`} style={{ flexGrow: step.exits }} />))}
      </div>
      {summary.exits === 0 ? <p className="soft">{t("shop.dropoff.none")}</p> : null}
      <ul className="split-list" aria-label={t("shop.dropoff")}>
        {summary.steps.map((step, place) => (
          <li key={step.step} data-step={step.step}>
            <span className={`legend-dot series-${place + 1}`} />
            <span className="reach-name">{nameOf(step.step)}</span>
            <span className="split-numbers">
              <strong data-number="share">{format.percent(step.exitShare)}</strong> <span className="soft" data-number="exits">{format.number(step.exits)}</span>
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}
