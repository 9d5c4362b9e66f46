/** One report: its controls, its answer as blocks, its files. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useSearchParams } from "react-router";
import type { AppDescription } from "../api/client.ts";
import type { Param, Report, Route } from "../api/document.ts";
import { reportOptions } from "../api/queries.ts";
import { useHour } from "../format/useFormat.ts";
import { useName } from "../format/useName.ts";
import { useI18n, useT } from "../i18n/i18n.tsx";
import { useSignIn } from "../session/session.tsx";
import { Choice } from "../ui/Choice.tsx";
import { Menu } from "../ui/Menu.tsx";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Icon } from "../ui/icons.tsx";
import { type Given, addressOf, lacking, previousAsOf, readGiven, readPage, valueOf, writeGiven } from "./address.ts";
import { Blocks } from "./blocks/Blocks.tsx";
import { FORMATS, download } from "./download.ts";
import { ParamControl } from "./ParamControl.tsx";
import { keyParamOf, useOptions } from "./options.ts";
import { blocksOf } from "./shape.ts";

interface ReportSectionProps {
  readonly report: Report;
  readonly reports: readonly Report[];
  readonly app: AppDescription;
  /** Names of parameters that are chosen for the whole page. */
  readonly shared: readonly string[];
  /** Whether the page offers the usual lengths of time. */
  readonly spanned: boolean;
}

export function ReportSection({ report, reports, app, shared, spanned }: ReportSectionProps) {
  const name = useName();
  const { said } = useI18n();
  const [search, setSearch] = useSearchParams();
  const [variant, setVariant] = useState(0);
  const route = report.routes[variant] ?? report.routes[0];
  const keyParam = keyParamOf(route);
  const options = useOptions(keyParam, app, reports);
  const own = readGiven(search, report, route);
  const given = withFirst(own, keyParam, options.found?.[0]?.value);
  const isLacking = lacking(route, given).length > 0;
  const waits = options.found === null && isLacking;
  const change = (param: Param, value: string | null) => setSearch((now) => writeGiven(now, report, param, value), { replace: true });
  const shown = route.params.filter((param) => !shared.includes(param.name) && !(param === keyParam && options.error !== null));
  const title = name(report.name);
  return (
    <section className="report" id={report.name} aria-labelledby={`${report.name}-title`}>
      <header className="report-head">
        <div className="report-words">
          <h3 id={`${report.name}-title`}>{title}</h3>
          {report.description === null ? null : <p className="soft">{said(report.description)}</p>}
        </div>
        <div className="report-controls">
          {report.routes.length < 2 ? null : <RouteChoice report={report} variant={variant} onChange={setVariant} />}
          {shown.map((param) => (
            <ParamControl key={param.name} param={param} value={valueOf(param, given)} options={param === keyParam ? (options.found ?? []) : []} plain={spanned} onChange={(value) => change(param, value)} />
          ))}
        </div>
        {isLacking ? null : <Files report={report} route={route} given={given} />}
      </header>
      {waits ? <Skeleton rows={3} /> : null}
      {!waits && isLacking && options.error !== null ? <ProblemNotice error={options.error} /> : null}
      {waits || (isLacking && options.error !== null) ? null : <ReportBody report={report} route={route} given={given} title={title} />}
    </section>
  );
}

/** What must be given and is not, is the first of what it may be. */
function withFirst(given: Given, param: Param | null, first: string | undefined): Given {
  if (param?.place !== "path" || first === undefined || given[param.name] !== undefined) return given;
  return { ...given, [param.name]: first };
}

function RouteChoice({ report, variant, onChange }: { readonly report: Report; readonly variant: number; readonly onChange: (variant: number) => void }) {
  const t = useT();
  const name = useName();
  const options = report.routes.map((route, index) => {
    const param = route.params.find((own) => own.place === "path");
    return { value: String(index), label: param === undefined ? t("report.own") : name(param.name.replace(/_id$/, "")) };
  });
  return <Choice label={t("report.about")} value={String(variant)} options={options} onChange={(value) => onChange(Number(value))} />;
}

interface BodyProps {
  readonly report: Report;
  readonly route: Route;
  readonly given: Given;
  readonly title: string;
}

function ReportBody({ report, route, given, title }: BodyProps) {
  const { t, language } = useI18n();
  const name = useName();
  const signIn = useSignIn();
  const hour = useHour();
  const [search] = useSearchParams();
  const { asOf, compare } = readPage(search);
  const address = addressOf(route, given, { asOf, language });
  const previous = compare ? addressOf(route, given, { asOf: previousAsOf(route, given, asOf ?? hour), language }) : null;
  const answer = useQuery({ ...reportOptions(signIn, address ?? ""), enabled: address !== null, placeholderData: (kept) => kept });
  const other = useQuery({ ...reportOptions(signIn, previous ?? ""), enabled: previous !== null });
  const echoes = useMemo(() => Object.fromEntries(route.params.map((param) => [param.name, valueOf(param, given)])), [route, given]);
  const { answer: schema, currency } = route;
  const blocks = useMemo(() => (answer.data === undefined ? [] : blocksOf({ schema, value: answer.data.value, echoes, currency })), [schema, currency, answer.data, echoes]);
  const before = useMemo(() => (other.data === undefined ? null : blocksOf({ schema, value: other.data.value, echoes, currency })), [schema, currency, other.data, echoes]);
  if (address === null) return <Empty title={t("report.lacking", { names: lacking(route, given).map((param) => name(param.name)).join(", ") })} />;
  if (answer.isError) return <ProblemNotice error={answer.error} onRetry={() => void answer.refetch()} />;
  if (answer.isPending) return <Skeleton rows={4} />;
  if (blocks.length === 0) return <Empty title={t("empty.report")}>{t("empty.report.hint")}</Empty>;
  return (
    <div className={answer.isPlaceholderData ? "is-stale" : undefined} data-report={report.name}>
      <Blocks blocks={blocks} before={previous === null ? null : before} caption={title} of={report.name} />
    </div>
  );
}

function Files({ report, route, given }: { readonly report: Report; readonly route: Route; readonly given: Given }) {
  const { t, language } = useI18n();
  const name = useName();
  const signIn = useSignIn();
  const [search] = useSearchParams();
  const [failed, setFailed] = useState<unknown>(null);
  const { asOf } = readPage(search);
  const lists = report.lists.length > 1 ? report.lists : [null];
  const take = async (table: string | null, format: string) => {
    const address = addressOf(route, given, { asOf, format, language, ...(table === null ? {} : { table }) });
    if (address === null) return;
    setFailed(null);
    try {
      await download(signIn.token, address, `${report.name}.${format}`);
    } catch (error) {
      setFailed(error);
    }
  };
  const items = lists.flatMap((table) =>
    FORMATS.map((format) => ({
      key: `${table ?? ""} ${format}`,
      label: table === null ? format.toUpperCase() : `${name(table.split(".").at(-1) ?? "")} · ${format.toUpperCase()}`,
      onSelect: () => void take(table, format),
    })),
  );
  return (
    <>
      <Menu label={t("download.of", { name: name(report.name) })} className="button is-square" trigger={<Icon name="download" />} items={items} />
      {failed === null ? null : <ProblemNotice error={failed} />}
    </>
  );
}
