/** Insights as they are read: how grave, what was found, what to do, and by which numbers. */
import { useFormat } from "../format/useFormat.ts";
import { useName } from "../format/useName.ts";
import { unitOf } from "../format/units.ts";
import { useT } from "../i18n/i18n.tsx";
import { Icon, type IconName } from "../ui/icons.tsx";
import { type Fact, type Insight, type Severity, factsOf, keysOf } from "./insight.ts";
import "./insights.css";

const ICONS: Readonly<Record<Severity, IconName>> = { high: "warning", medium: "warning", low: "info", info: "bulb" };

export function SeverityMark({ severity }: { readonly severity: Severity }) {
  const t = useT();
  return (
    <span className={`severity is-${severity}`}>
      <Icon name={ICONS[severity]} size={13} /> {t(`severity.${severity}`)}
    </span>
  );
}

export function InsightList({ insights, label }: { readonly insights: readonly Insight[]; readonly label: string }) {
  const t = useT();
  if (insights.length === 0) {
    return (
      <p className="insights-none soft">
        <Icon name="check" /> {t("insights.none")}
      </p>
    );
  }
  const keys = keysOf(insights);
  return (
    <ol className="insights" aria-label={label}>
      {insights.map((insight, index) => (
        <li key={keys[index]} className={`insight is-${insight.severity}`}>
          <InsightCard insight={insight} />
        </li>
      ))}
    </ol>
  );
}

function InsightCard({ insight }: { readonly insight: Insight }) {
  const t = useT();
  const evidence = factsOf(insight.evidence);
  const test = insight.test === null ? [] : factsOf(insight.test);
  return (
    <>
      <header className="insight-head">
        <SeverityMark severity={insight.severity} />
        <strong>{insight.title}</strong>
      </header>
      <p>{insight.finding}</p>
      {insight.action === "" ? null : (
        <p className="insight-action">
          <span className="insight-do">{t("insights.action")}</span> {insight.action}
        </p>
      )}
      {evidence.length + test.length === 0 ? null : (
        <details className="insight-why">
          <summary>{t("insights.evidence")}</summary>
          <Facts facts={evidence} />
          {test.length === 0 ? null : (
            <>
              <p className="block-title">{t("insights.test")}</p>
              <Facts facts={test} fine />
            </>
          )}
          {insight.rule === "" ? null : (
            <p className="soft is-small-text">
              {t("insights.rule")} <code>{insight.rule}</code>
            </p>
          )}
        </details>
      )}
    </>
  );
}

interface FactsProps {
  readonly facts: readonly Fact[];
  /** Of probabilities, which are small. */
  readonly fine?: boolean;
}

function Facts({ facts, fine = false }: FactsProps) {
  const format = useFormat();
  const name = useName();
  return (
    <dl className="facts">
      {facts.map((fact) => (
        <div key={fact.name}>
          <dt>{name(fact.name)}</dt>
          <dd>{fine && typeof fact.value === "number" ? format.digits(fact.value) : format.any(fact.value, unitOf(fact.name))}</dd>
        </div>
      ))}
    </dl>
  );
}
