/** How far sessions get, and at which step those end that do not buy. */
import { useFormat } from "../format/useFormat.ts";
import { useT } from "../i18n/i18n.tsx";
import { type Summary, onwardOf } from "./summary.ts";
import { useStepName } from "./useStepName.ts";

export function Reach({ summary }: { readonly summary: Summary }) {
  const t = useT();
  const format = useFormat();
  const nameOf = useStepName();
  const captionOf = (place: number): string => {
    const onward = onwardOf(summary.steps, place);
    return typeof onward === "number" ? t("shop.reach.onward", { share: format.percent(onward, 0) }) : t(`shop.reach.${onward}`);
  };
  return (
    <ol className="reach" aria-label={t("shop.reach")}>
      {summary.steps.map((step, place) => (
        <li key={step.step} className="reach-step" data-step={step.step}>
          <span className="reach-name">{nameOf(step.step)}</span>
          <span className="reach-numbers">
            <strong data-number="sessions">{format.number(step.sessions)}</strong> <span className="soft">{format.percent(step.reachRate)}</span>
          </span>
          <span className="reach-track">
            <span className="reach-fill" style={{ blockSize: `${Math.min(100, step.reachRate)}%` }} />
          </span>
          <span className="soft is-small-text">{captionOf(place)}</span>
        </li>
      ))}
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
