/** What each step costs in time: the system's, the shopper's, and what the browser took to show it; the last one and the mean. */
import { useFormat } from "../format/useFormat.ts";
import { useT } from "../i18n/i18n.tsx";
import { MEASURED, type Measured, type Summary } from "./summary.ts";
import { useDuration } from "./useDuration.ts";
import { useStepName } from "./useStepName.ts";

const KINDS = ["avg", "latest"] as const;

export function Latencies({ summary }: { readonly summary: Summary }) {
  const t = useT();
  return (
    <div className="stack">
      <ul className="legend">
        {KINDS.map((kind) => (
          <li key={kind}>
            <span className={`legend-dot latency-${kind}`} /> {t(`shop.latency.${kind}`)}
          </li>
        ))}
      </ul>
      <div className="latencies">
        {MEASURED.map((measured) => (
          <OfOne key={measured} measured={measured} summary={summary} />
        ))}
      </div>
    </div>
  );
}

function OfOne({ measured, summary }: { readonly measured: Measured; readonly summary: Summary }) {
  const t = useT();
  const format = useFormat();
  const duration = useDuration();
  const nameOf = useStepName();
  const all = summary.steps.flatMap(({ latency }) => KINDS.flatMap((kind) => latency[measured][kind] ?? []));
  const greatest = Math.max(1, ...all);
  return (
    <section className="latency" aria-label={t(`shop.latency.${measured}`)} data-latency={measured}>
      <header>
        <h4>{t(`shop.latency.${measured}`)}</h4>
        <p className="soft is-small-text">{t(`shop.latency.what.${measured}`)}</p>
      </header>
      <ul>
        {summary.steps.map(({ step, latency }) => (
          <li key={step} className="latency-step" data-step={step}>
            <span className="latency-name">{nameOf(step)}</span>
            {KINDS.map((kind) => {
              const value = latency[measured][kind];
              return (
                <span key={kind} className="latency-bar" data-kind={kind} title={value === null ? undefined : `${t(`shop.latency.${kind}`)}: ${format.number(value)} ms`}>
                  <span className="latency-track">
                    <span className={`latency-fill latency-${kind}`} style={{ inlineSize: value === null ? 0 : `${(value / greatest) * 100}%` }} />
                  </span>
                  <span className="latency-value">
                    <span className="hidden">{t(`shop.latency.${kind}`)} </span>
                    {value === null ? "—" : duration(value)}
                  </span>
                </span>
              );
            })}
          </li>
        ))}
      </ul>
    </section>
  );
}
