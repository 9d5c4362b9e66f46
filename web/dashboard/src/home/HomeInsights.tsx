/** The gravest of what an app's reports say of themselves. */
import { useQueries } from "@tanstack/react-query";
import { Link } from "react-router";
import type { AppDescription } from "../api/client.ts";
import type { Report } from "../api/document.ts";
import { reportOptions, useReports } from "../api/queries.ts";
import { useI18n } from "../i18n/i18n.tsx";
import { SeverityMark } from "../insights/InsightList.tsx";
import { type Insight, bySeverity, insightsOf, tellsInsights } from "../insights/insight.ts";
import { addressOf } from "../reports/address.ts";
import { useSignIn } from "../session/session.tsx";
import { isFree } from "./model.ts";

const SHOWN = 3;
/** What is only good to know is told where it stands. */
const isGrave = ({ severity }: Insight): boolean => severity !== "info";

/** So many reports are asked: Home is a glance. */
const ASKED = 3;

export function HomeInsights({ app }: { readonly app: AppDescription }) {
  const { t, language } = useI18n();
  const signIn = useSignIn();
  const reports = useReports(signIn);
  const asked = (reports.data ?? []).filter((report) => isFree(report) && tellsInsights(report.routes[0].answer)).slice(0, ASKED);
  const answers = useQueries({ queries: asked.map((report) => reportOptions(signIn, addressOf(report.routes[0], {}, { asOf: null, language }) ?? "")) });
  const found = gravestOf(asked.map((report, place) => ({ report, value: answers[place]?.data?.value })));
  if (found.length === 0) return null;
  return (
    <section className="insights-brief">
      <h3 className="block-title">{t("insights")}</h3>
      <ul>
        {found.map(({ report, insight }) => (
          <li key={`${report.name} ${insight.rule} ${insight.title}`}>
            <span className="insight-head">
              <SeverityMark severity={insight.severity} />
              <Link className="insight-link" to={`/app/${app.app}/reports/${report.name}`}>
                {insight.title}
              </Link>
            </span>
            <span className="soft">{insight.finding}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

interface Found {
  readonly report: Report;
  readonly insight: Insight;
}

function gravestOf(answers: readonly { readonly report: Report; readonly value: unknown }[]): Found[] {
  const all = answers.flatMap(({ report, value }) => insightsOf(report.routes[0].answer, value).filter(isGrave).map((insight) => ({ report, insight })));
  return all.sort((a, b) => bySeverity(a.insight, b.insight)).slice(0, SHOWN);
}
