/** One app on Home. */
import { useQueries, useQuery } from "@tanstack/react-query";
import { type ReactNode, useMemo } from "react";
import { Link } from "react-router";
import type { AppDescription, Table } from "../api/client.ts";
import type { Report } from "../api/document.ts";
import { answerOptions, reportOptions, useReports } from "../api/queries.ts";
import { useFormat, useHour, useToday } from "../format/useFormat.ts";
import { useName } from "../format/useName.ts";
import { useI18n, useT } from "../i18n/i18n.tsx";
import { addressOf, previousAsOf } from "../reports/address.ts";
import { Delta, isBadWhenMore } from "../reports/blocks/Cards.tsx";
import { axisOf, partialOf } from "../reports/blocks/Series.tsx";
import { sameBlock, statBefore } from "../reports/compare.ts";
import { type Block, blocksOf } from "../reports/shape.ts";
import { rightsOf } from "../session/claims.ts";
import { useSignIn } from "../session/session.tsx";
import { isShop, shopPlace } from "../shop/place.ts";
import { Chart } from "../ui/Chart.tsx";
import { ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Icon } from "../ui/icons.tsx";
import { HomeInsights } from "./HomeInsights.tsx";
import { SavedCards } from "./SavedCards.tsx";
import { type Change, headlinesOf, homeQueries, isFree, moversOf, newOf, streamOf, totalOf } from "./model.ts";

export function AppPanel({ app }: { readonly app: AppDescription }) {
  const { t, said } = useI18n();
  const signIn = useSignIn();
  const { role, tenant } = signIn.claims;
  return (
    <section className="panel home-app" aria-labelledby={`home-${app.app}`}>
      <header className="row">
        <div>
          <h2 id={`home-${app.app}`} className="home-title">
            <Link to={`/app/${app.app}`}>{said(app.title ?? app.app)}</Link>
          </h2>
          <p className="soft is-small-text">{[role, tenant ?? (role === "admin" ? t("bearer.all_tenants") : null)].filter((part) => part !== null).join(" · ")}</p>
        </div>
        <span className="row row-end">
          {isShop(app) ? (
            <Link className="button is-bare" to={shopPlace(app.app)}>
              <Icon name="shop" size={14} /> {t("shop")}
            </Link>
          ) : null}
          <Link className="button is-bare" to={`/app/${app.app}`}>
            {t("reports")} <Icon name="right" size={14} />
          </Link>
        </span>
      </header>
      <AppGlance app={app} />
    </section>
  );
}

/** An app's numbers, how they grow, and the cards that are saved of it. */
export function AppGlance({ app }: { readonly app: AppDescription }) {
  const { claims } = useSignIn();
  const { explore } = rightsOf(claims);
  const stream = explore ? streamOf(app) : null;
  return (
    <>
      {stream === null ? <OfReports app={app} /> : <OfStream app={app} stream={stream} />}
      {explore ? <SavedCards app={app} /> : null}
    </>
  );
}

const resultOf = (answer: { readonly data: Result | undefined }) => answer.data?.result as never;

/** What a query answers, as much of it as Home reads. */
interface Result {
  readonly result: Readonly<Record<string, unknown>>;
}

function OfStream({ app, stream }: { readonly app: AppDescription; readonly stream: Table }) {
  const t = useT();
  const signIn = useSignIn();
  const format = useFormat();
  const today = useToday();
  const queries = useMemo(() => homeQueries(stream, today), [stream, today]);
  const [totals, days, weeks] = useQueries({ queries: [answerOptions(signIn, queries.totals), answerOptions(signIn, queries.days), answerOptions(signIn, queries.weeks)] });
  const events = useQuery({ ...answerOptions(signIn, queries.events ?? {}), enabled: queries.events !== null });
  if (totals.isError) return <ProblemNotice error={totals.error} onRetry={() => void totals.refetch()} />;
  if (totals.data === undefined) return <Skeleton rows={3} />;
  const movers = moversOf(resultOf(events));
  return (
    <div className="home-body">
      <div className="stack">
        <dl className="cards">
          <Headline label={t("home.active")} change={totalOf(resultOf(totals), "unique")} />
          <Headline label={t("home.new")} change={newOf(resultOf(days))} />
          <Headline label={t("home.events")} change={totalOf(resultOf(totals), "total")} />
          <ReportHeadlines app={app} shown={2} />
        </dl>
        {movers.length === 0 ? null : (
          <section className="changes">
            <h3 className="block-title">{t("home.changes")}</h3>
            <ul>
              {movers.map((mover) => (
                <li key={mover.name}>
                  <Delta now={mover.now} before={mover.before} text={format.number(mover.before)} badWhenMore={isBadWhenMore(mover.name)} />
                  <span>{t(mover.now > mover.before ? "home.more" : "home.less", { name: mover.name, now: mover.now, before: mover.before })}</span>
                </li>
              ))}
            </ul>
          </section>
        )}
        <HomeInsights app={app} />
      </div>
      {weeks.data === undefined ? <Skeleton rows={1} tall /> : <Growth result={weeks.data.result} />}
    </div>
  );
}

const STATES = ["returning", "resurrecting", "new"] as const;

function Growth({ result }: { readonly result: Readonly<Record<string, unknown>> }) {
  const t = useT();
  const format = useFormat();
  const { starts, complete } = result as { readonly starts: readonly string[]; readonly complete: readonly boolean[] };
  const lines = STATES.map((state) => ({ name: t(`lifecycle.${state}`), data: result[state] as (number | null)[] }));
  const nothing = lines.every((line) => line.data.every((value) => (value ?? 0) === 0));
  return (
    <figure className="stack">
      <figcaption>
        <h3 className="block-title">{t("home.growth")}</h3>
      </figcaption>
      {nothing ? (
        <p className="soft">{t("empty.list")}</p>
      ) : (
        <Chart
          label={t("home.growth")}
          labels={starts.map((start) => format.start(start, "week"))}
          lines={lines}
          shape="stack"
          format={format.number}
          axis={format.compact}
          partial={complete.filter((ended) => !ended).length}
          height="low"
        />
      )}
    </figure>
  );
}

function Headline({ label, change }: { readonly label: string; readonly change: Change | null }) {
  const format = useFormat();
  return (
    <div className="card-stat">
      <dt>{label}</dt>
      <dd>
        <span className="card-value">{change === null ? "—" : format.number(change.now)}</span>
        {change === null ? null : <Delta now={change.now} before={change.before} text={format.number(change.before)} />}
      </dd>
    </div>
  );
}

/** A report's blocks now and a period before. */
function useCompared(report: Report | undefined): { readonly blocks: readonly Block[]; readonly before: readonly Block[] | null; readonly error: unknown; readonly isPending: boolean } {
  const signIn = useSignIn();
  const hour = useHour();
  const { language } = useI18n();
  const route = report?.routes[0];
  const address = route === undefined ? null : addressOf(route, {}, { asOf: null, language });
  const previous = route === undefined ? null : addressOf(route, {}, { asOf: previousAsOf(route, {}, hour), language });
  const now = useQuery({ ...reportOptions(signIn, address ?? ""), enabled: address !== null });
  const then = useQuery({ ...reportOptions(signIn, previous ?? ""), enabled: previous !== null });
  const schema = route?.answer ?? {};
  const currency = route?.currency ?? null;
  const echoes = Object.fromEntries((route?.params ?? []).map((param) => [param.name, param.schema.default ?? null]));
  return {
    blocks: now.data === undefined ? [] : blocksOf({ schema, value: now.data.value, echoes, currency }),
    before: then.data === undefined ? null : blocksOf({ schema, value: then.data.value, echoes, currency }),
    error: now.error,
    isPending: now.isPending && address !== null,
  };
}

/** The first numbers of the first report that has some. */
function ReportHeadlines({ app, shown }: { readonly app: AppDescription; readonly shown: number }) {
  const name = useName();
  const format = useFormat();
  const reports = useReports(useSignIn());
  const report = reports.data?.find((own) => isFree(own) && hasNumbers(own, app));
  const { blocks, before } = useCompared(report);
  return headlinesOf(blocks, shown).map(({ label, stat, path }) => {
    const own = blocks.find((block) => block.kind === "cards" && block.path === path);
    const earlier = own === undefined ? null : statBefore(stat, sameBlock(own, before));
    return (
      <div key={`${path} ${stat.name}`} className="card-stat">
        <dt>{name(label)}</dt>
        <dd>
          <span className="card-value">{format.any(stat.value, stat.unit)}</span>
          {earlier === null || typeof stat.value !== "number" ? null : <Delta now={stat.value} before={earlier} text={format.any(earlier, stat.unit)} unit={stat.unit} badWhenMore={isBadWhenMore(stat.name)} />}
        </dd>
      </div>
    );
  });
}

/** Whether its answer has plain numbers besides the parameters that it repeats. */
function hasNumbers(report: Report, app: AppDescription): boolean {
  const declared = app.reports.find((own) => own.name === report.name);
  const properties = report.routes[0].answer.properties ?? {};
  const isParam = (own: string) => declared?.params.some((param) => own === param.name || own.endsWith(`_${param.name}`)) === true;
  return Object.entries(properties).some(([own, schema]) => !isParam(own) && own !== "as_of" && schema.items === undefined && own !== "metric");
}

/** Where there is no stream to ask: the first reports speak. */
function OfReports({ app }: { readonly app: AppDescription }) {
  const t = useT();
  const name = useName();
  const format = useFormat();
  const signIn = useSignIn();
  const reports = useReports(signIn);
  const today = useToday();
  const free = reports.data?.filter(isFree) ?? [];
  const first = useCompared(free.find((report) => hasNumbers(report, app)));
  const other = useCompared(free.find((report) => holdsSeries(report)));
  const series = other.blocks.find((block) => block.kind === "series") ?? nestedSeries(first.blocks);
  const field = series?.families[0]?.[0];
  let picture: ReactNode = null;
  if (series !== undefined && field !== undefined) {
    const title = name(field.name === "count" ? (series.path.split(".").at(-1) ?? field.name) : field.name);
    picture = (
      <figure className="stack">
        <figcaption className="block-title">{title}</figcaption>
        <Chart
          label={title}
          labels={series.rows.map((row) => format.period(String(row[series.label])))}
          lines={[{ name: title, data: series.rows.map((row) => (typeof row[field.name] === "number" ? Number(row[field.name]) : null)) }]}
          shape="line"
          format={(value) => format.value(value, field.unit)}
          axis={(value) => axisOf(value, field.unit, format)}
          partial={partialOf(series, today)}
          height="low"
        />
      </figure>
    );
  }
  if (first.error !== null) return <ProblemNotice error={first.error} />;
  if (reports.isPending || first.isPending) return <Skeleton rows={3} />;
  return (
    <div className="home-body">
      <div className="stack">
        <dl className="cards">
          <ReportHeadlines app={app} shown={6} />
        </dl>
        <HomeInsights app={app} />
      </div>
      {first.blocks.length === 0 ? <p className="soft">{t("reports.none")}</p> : picture}
    </div>
  );
}

const holdsSeries = (report: Report): boolean =>
  report.lists.some((list) => /daily|data|monthly|growth/.test(list)) && report.routes[0].params.some((param) => /days|months/.test(param.name));

/** The days of the first row that has some. */
function nestedSeries(blocks: readonly Block[]): Extract<Block, { kind: "series" }> | undefined {
  for (const block of blocks) {
    if (block.kind !== "table" || block.rows[0] === undefined) continue;
    const found = blocksOf({ schema: block.item, value: block.rows[0], echoes: {} }).find((own) => own.kind === "series");
    if (found?.kind === "series") return found;
  }
  return undefined;
}
