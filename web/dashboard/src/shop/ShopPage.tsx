/** A shop to walk through beside the numbers that each step of it moves. */
import { useMemo, useState } from "react";
import { useReports } from "../api/queries.ts";
import { useFormat } from "../format/useFormat.ts";
import { useI18n, useT } from "../i18n/i18n.tsx";
import { InsightList } from "../insights/InsightList.tsx";
import { insightsIn } from "../insights/insight.ts";
import { useSignIn } from "../session/session.tsx";
import { Page } from "../shell/Page.tsx";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Icon } from "../ui/icons.tsx";
import { Dropoff, Reach } from "./Funnel.tsx";
import { Latencies } from "./Latencies.tsx";
import { LineBadge } from "./LineBadge.tsx";
import { ResetData } from "./ResetData.tsx";
import { Simulator } from "./Simulator.tsx";
import { summaryRoute } from "./place.ts";
import type { Summary } from "./summary.ts";
import { type Live, useLive } from "./useLive.ts";
import { useStepName } from "./useStepName.ts";
import { useVisit } from "./useVisit.ts";
import "./shop.css";

export default function ShopPage() {
  const t = useT();
  const signIn = useSignIn();
  const reports = useReports(signIn);
  const route = summaryRoute(reports.data ?? []);
  if (route !== null) return <Shop speaks={route.speaks} />;
  return (
    <Page title={t("shop")}>
      {reports.isPending ? <Skeleton rows={6} /> : reports.isError ? <ProblemNotice error={reports.error} onRetry={() => void reports.refetch()} /> : <Empty title={t("shop.none")} />}
    </Page>
  );
}

function Shop({ speaks }: { readonly speaks: boolean }) {
  const { t, language } = useI18n();
  const signIn = useSignIn();
  const live = useLive(signIn, speaks ? language : null);
  const walk = useVisit(live.expect);
  const [cleared, setCleared] = useState<number | null>(null);
  const tools = (
    <>
      <LineBadge live={live} />
      {signIn.claims.role === "admin" && live.refusal === null ? <ResetData onCleared={setCleared} /> : null}
    </>
  );
  return (
    <Page title={t("shop")} subtitle={t("shop.subtitle")} tools={tools}>
      {cleared === null ? null : (
        <div className="notice shop-cleared">
          <output>{t("shop.reset.done", { count: cleared })}</output>
          <button type="button" className="button is-bare is-square" aria-label={t("close")} onClick={() => setCleared(null)}>
            <Icon name="close" />
          </button>
        </div>
      )}
      <div className="shop">
        <Simulator walk={walk} />
        <div className="shop-live">
          <Numbers live={live} />
        </div>
      </div>
    </Page>
  );
}

function Numbers({ live }: { readonly live: Live }) {
  const t = useT();
  const { summary, refusal, state } = live;
  const insights = useMemo(() => insightsIn(summary?.insights), [summary?.insights]);
  if (refusal !== null) return <ProblemNotice error={refusal} />;
  if (summary === null) return <Skeleton rows={8} />;
  return (
    <div className={state.kind === "live" ? "stack" : "stack is-behind"} data-sessions={summary.sessions}>
      <section className="panel" aria-label={t("shop.numbers")}>
        <KeyNumbers summary={summary} />
      </section>
      <section className="panel" aria-labelledby="shop-reach">
        <Title id="shop-reach" title={t("shop.reach")} what={t("shop.reach.what")} />
        <Reach summary={summary} />
      </section>
      <section className="panel" aria-labelledby="shop-dropoff">
        <Title id="shop-dropoff" title={t("shop.dropoff")} what={t("shop.dropoff.what")} />
        <Dropoff summary={summary} />
      </section>
      <section className="panel" aria-labelledby="shop-insights">
        <Title id="shop-insights" title={t("shop.insights")} what={t("shop.insights.what")} />
        <InsightList insights={insights} label={t("shop.insights")} />
      </section>
      <section className="panel" aria-labelledby="shop-latency">
        <Title id="shop-latency" title={t("shop.latency")} what={t("shop.latency.what")} />
        <Latencies summary={summary} />
      </section>
    </div>
  );
}

function Title({ id, title, what }: { readonly id: string; readonly title: string; readonly what: string }) {
  return (
    <header className="report-words">
      <h3 id={id}>{title}</h3>
      <p className="soft">{what}</p>
    </header>
  );
}

function KeyNumbers({ summary }: { readonly summary: Summary }) {
  const t = useT();
  const format = useFormat();
  const nameOf = useStepName();
  const cards = [
    ["sessions", t("shop.visits"), format.number(summary.sessions)],
    ["conversion", t("shop.conversion"), format.percent(summary.conversionRate)],
    ["converted", t("shop.bought"), format.number(summary.converted)],
    ["exits", t("shop.left"), format.number(summary.exits)],
    ["worst", t("shop.worst"), summary.worstStep === null ? "—" : nameOf(summary.worstStep)],
  ] as const;
  return (
    <dl className="cards shop-cards">
      {cards.map(([key, label, value]) => (
        <div key={key} className="card-stat">
          <dt>{label}</dt>
          <dd className="card-value" data-number={key}>
            {value}
          </dd>
        </div>
      ))}
    </dl>
  );
}
