/** An app's reports, made from their declarations. */
import { useIsFetching, useQueryClient } from "@tanstack/react-query";
import { Link, useLocation, useParams, useSearchParams } from "react-router";
import { useEffect } from "react";
import type { AppDescription } from "../api/client.ts";
import type { Param, Report } from "../api/document.ts";
import { useReports, useSchema } from "../api/queries.ts";
import { streamsOf, useEventNames } from "../explore/names.ts";
import { KINDS, type Kind, startOf } from "../explore/query.ts";
import { START, writeState } from "../explore/state.ts";
import { useFormat, useToday } from "../format/useFormat.ts";
import { AppGlance } from "../home/AppPanel.tsx";
import { useI18n, useT } from "../i18n/i18n.tsx";
import { rightsOf } from "../session/claims.ts";
import { useSignIn } from "../session/session.tsx";
import { Page } from "../shell/Page.tsx";
import { Choice } from "../ui/Choice.tsx";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Icon } from "../ui/icons.tsx";
import { nameInUrl, readPage, writeGiven, writePage } from "./address.ts";
import { sharedParams, useOptions } from "./options.ts";
import { ParamControl } from "./ParamControl.tsx";
import { spanOf, spansFor, writeSpan } from "./span.ts";
import { ReportSection } from "./ReportSection.tsx";

export default function PackPage() {
  const { t, said } = useI18n();
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
  const all = reports.data ?? [];
  const shown = all.filter((report) => only === undefined || report.name === only);
  const shared = sharedParams(shown);
  const failed = schema.error ?? reports.error;
  const subtitle = [shown.length === 0 ? null : t("reports.subtitle", { count: shown.length }), t("reports.zone", { zone })].filter((part) => part !== null).join(" · ");
  return (
    <Page title={said(app?.title ?? signIn.app)} subtitle={subtitle} tools={app === undefined || shown.length === 0 ? undefined : <PageTools app={app} reports={shown} shared={shared} />}>
      {failed === null ? null : <ProblemNotice error={failed} onRetry={() => void schema.refetch()} />}
      {failed === null && (app === undefined || reports.data === undefined) ? <Skeleton rows={6} /> : null}
      {app === undefined ? null : shown.map((report) => <ReportSection key={report.name} report={report} reports={all} app={app} shared={shared.map((param) => param.name)} spanned={spansFor(shown).length > 1} />)}
      {app !== undefined && ready && all.length === 0 ? <NoReports app={app} /> : null}
      {only !== undefined && all.length > 0 && shown.length === 0 ? (
        <Empty title={t("reports.unknown", { name: only })}>
          <Link to={`/app/${signIn.app}`}>{t("reports.all")}</Link>
        </Empty>
      ) : null}
    </Page>
  );
}

interface ToolsProps {
  readonly app: AppDescription;
  readonly reports: readonly Report[];
  readonly shared: readonly Param[];
}

/** What holds for all reports of the page. */
function PageTools({ app, reports, shared }: ToolsProps) {
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
      {shared.map((param) => (
        <SharedParam key={param.name} param={param} app={app} reports={reports} />
      ))}
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

/** About whom or what all of them are. */
function SharedParam({ param, app, reports }: { readonly param: Param; readonly app: AppDescription; readonly reports: readonly Report[] }) {
  const [search, setSearch] = useSearchParams();
  const options = useOptions(param, app, reports);
  const [report] = reports;
  if (report === undefined || options.error !== null) return null;
  const given = search.get(nameInUrl(report, param));
  return <ParamControl param={param} value={given ?? options.found?.[0]?.value ?? null} options={options.found ?? []} onChange={(value) => setSearch((now) => writeGiven(now, report, param, value), { replace: true })} />;
}

/** An app without reports of its own: what its stream says, and what could be asked of it. */
function NoReports({ app }: { readonly app: AppDescription }) {
  const t = useT();
  const signIn = useSignIn();
  const [stream = null] = rightsOf(signIn.claims).explore ? streamsOf(app) : [];
  const events = useEventNames(stream);
  if (stream === null) return <Empty title={t("reports.none")}>{t("reports.none.hint")}</Empty>;
  const placeOf = (kind: Kind) => {
    const query = startOf(kind, { kind, stream: stream.name }, events.map((event) => event.name));
    return { pathname: `/app/${app.app}/explore`, search: writeState({ ...START, query }).toString() };
  };
  return (
    <>
      <section className="panel" aria-labelledby="overview-title">
        <h2 id="overview-title" className="home-title">
          {t("overview")}
        </h2>
        <AppGlance app={app} />
      </section>
      <section className="panel" aria-labelledby="starters-title">
        <h2 id="starters-title" className="home-title">
          {t("starters")}
        </h2>
        <ul className="starters">
          {KINDS.map((kind) => (
            <li key={kind}>
              <Link className="starter" to={placeOf(kind)}>
                <strong>{t(`kind.${kind}`)}</strong>
                <span className="soft">{t(`kind.${kind}.what`)}</span>
              </Link>
            </li>
          ))}
        </ul>
      </section>
    </>
  );
}
