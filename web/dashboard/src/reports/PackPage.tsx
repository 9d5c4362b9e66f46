/** An app's reports, made from their declarations. */
import { useIsFetching, useQueryClient } from "@tanstack/react-query";
import { Link, useLocation, useParams, useSearchParams } from "react-router";
import { useEffect } from "react";
import type { Report } from "../api/document.ts";
import { useReports, useSchema } from "../api/queries.ts";
import { useFormat, useToday } from "../format/useFormat.ts";
import { useT } from "../i18n/i18n.tsx";
import { rightsOf } from "../session/claims.ts";
import { useSignIn } from "../session/session.tsx";
import { Page } from "../shell/Page.tsx";
import { Choice } from "../ui/Choice.tsx";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Icon } from "../ui/icons.tsx";
import { readPage, writePage } from "./address.ts";
import { spanOf, spansFor, writeSpan } from "./span.ts";
import { ReportSection } from "./ReportSection.tsx";

export default function PackPage() {
  const t = useT();
  const signIn = useSignIn();
  const { report: only } = useParams();
  const schema = useSchema(signIn);
  const reports = useReports(signIn);
  const { hash } = useLocation();
  const { zone } = useFormat();
  const ready = reports.data !== undefined;
  useEffect(() => {
    if (ready && hash !== "") document.querySelector(hash)?.scrollIntoView();
  }, [ready, hash]);
  const app = schema.data;
  const shown = reports.data?.filter((report) => only === undefined || report.name === only) ?? [];
  const failed = schema.error ?? reports.error;
  return (
    <Page title={app?.title ?? signIn.app} subtitle={`${t("reports.subtitle", { count: shown.length })} · ${t("reports.zone", { zone })}`} tools={shown.length === 0 ? undefined : <PageTools reports={shown} />}>
      {failed === null ? null : <ProblemNotice error={failed} onRetry={() => void schema.refetch()} />}
      {failed === null && (app === undefined || reports.data === undefined) ? <Skeleton rows={6} /> : null}
      {app === undefined ? null : shown.map((report) => <ReportSection key={report.name} report={report} reports={reports.data ?? []} app={app} />)}
      {reports.data?.length === 0 ? (
        <Empty title={t("reports.none")}>
          {rightsOf(signIn.claims).explore ? <Link to={`/app/${signIn.app}/explore`}>{t("reports.none.explore")}</Link> : t("reports.none.hint")}
        </Empty>
      ) : null}
    </Page>
  );
}

/** What holds for all reports of the page. */
function PageTools({ reports }: { readonly reports: readonly Report[] }) {
  const t = useT();
  const { zone } = useFormat();
  const today = useToday();
  const client = useQueryClient();
  const busy = useIsFetching() > 0;
  const [search, setSearch] = useSearchParams();
  const { asOf, compare } = readPage(search);
  const spans = spansFor(reports);
  return (
    <>
      {spans.length < 2 ? null : (
        <Choice label={t("range")} value={spanOf(search, reports)} options={spans.map((span) => ({ value: span, label: t(`range.${span}`) }))} onChange={(span) => setSearch((now) => writeSpan(now, reports, span), { replace: true })} />
      )}
      <label className="switch">
        <input type="checkbox" checked={compare} onChange={(event) => setSearch((now) => writePage(now, { compare: event.target.checked }), { replace: true })} />
        <span>{t("compare.previous")}</span>
      </label>
      <label className="param">
        <span className="param-name">{t("as_of")}</span>
        <input
          type="date"
          className="input is-date"
          value={asOf ?? today}
          max={today}
          title={t("as_of.hint", { zone })}
          onChange={(event) => setSearch((now) => writePage(now, { asOf: event.target.value === today ? null : event.target.value }), { replace: true })}
        />
      </label>
      <button type="button" className="button is-square" aria-label={t("refresh")} title={t("refresh")} data-busy={busy} onClick={() => void client.invalidateQueries()}>
        <Icon name="refresh" />
      </button>
    </>
  );
}
