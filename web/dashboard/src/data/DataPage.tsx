/** What there is: tables, their columns, and what became of the rows that came. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { type Table, ask, send } from "../api/client.ts";
import { schemaOptions, sqlOptions } from "../api/queries.ts";
import { formatBytes } from "../format/numbers.ts";
import { type Format, useFormat } from "../format/useFormat.ts";
import { type Translate, useT } from "../i18n/i18n.tsx";
import { rightsOf } from "../session/claims.ts";
import { useSignIn } from "../session/session.tsx";
import { Page } from "../shell/Page.tsx";
import { type Column, DataTable } from "../ui/DataTable.tsx";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Sheet } from "../ui/Sheet.tsx";
import { FATES, type Fate, arrivalsIn, countingStatement, samplesIn } from "./counts.ts";
import { RejectsPanel } from "./RejectsPanel.tsx";
import { lagOf } from "./rejects.ts";

/** How often a page that is live asks anew. */
const EVERY_MS = 5_000;

export default function DataPage() {
  const t = useT();
  const signIn = useSignIn();
  const rights = rightsOf(signIn.claims);
  const [live, setLive] = useState(false);
  const every = live ? EVERY_MS : false;
  const schema = useQuery({ ...schemaOptions(signIn), refetchInterval: every });
  return (
    <Page
      title={t("data")}
      subtitle={t(rights.platform ? "data.subtitle.platform" : "data.subtitle")}
      tools={
        <label className="switch" title={t("data.live.hint")}>
          <input type="checkbox" checked={live} onChange={(event) => setLive(event.target.checked)} />
          <span>{t("data.live")}</span>
        </label>
      }
    >
      {schema.isError ? <ProblemNotice error={schema.error} onRetry={() => void schema.refetch()} /> : null}
      {schema.data === undefined ? <Skeleton rows={6} /> : <Tables tables={schema.data.tables} platform={rights.platform} every={every} now={schema.dataUpdatedAt} />}
      {rights.rejects && schema.data !== undefined ? <RejectsPanel tables={schema.data.tables} every={every} /> : null}
      {rights.explore ? <Cohorts /> : null}
    </Page>
  );
}

/** The server's own numbers know no tenant, so they are for those who see all of them. */
function useArrivals(wanted: boolean, every: number | false) {
  const { app } = useSignIn();
  const metrics = useQuery({ queryKey: ["metrics"], enabled: wanted, retry: false, refetchInterval: every, queryFn: async ({ signal }) => samplesIn(await (await send(null, "/metrics", { signal })).text()) });
  return useMemo(() => (metrics.data === undefined ? null : arrivalsIn(metrics.data, app)), [metrics.data, app]);
}

interface Own {
  readonly name: string;
  readonly rows: number;
  readonly latest: string | null;
}

/** How much a tenant has of each table: it is told nothing of what others have. */
function useOwn(tables: readonly Table[], wanted: boolean, every: number | false): ReadonlyMap<string, Own> {
  const signIn = useSignIn();
  const answer = useQuery({ ...sqlOptions(signIn, countingStatement(tables), {}), enabled: wanted && tables.length > 0, refetchInterval: every });
  return useMemo(() => new Map(((answer.data?.rows ?? []) as unknown as Own[]).map((own) => [own.name, own])), [answer.data]);
}

interface TablesProps {
  readonly tables: readonly Table[];
  readonly platform: boolean;
  readonly every: number | false;
  /** When the tables were asked about. */
  readonly now: number;
}

function Tables({ tables, platform, every, now }: TablesProps) {
  const t = useT();
  const format = useFormat();
  const arrivals = useArrivals(platform, every);
  const [open, setOpen] = useState<Table | null>(null);
  const { claims } = useSignIn();
  const own = useOwn(tables, !platform && rightsOf(claims).sql, every);
  const columns = useMemo(() => columnsOf({ t, format, platform, now, own }), [t, format, platform, now, own]);
  const came = useMemo(() => tables.flatMap((table) => (arrivals?.has(table.name) === true ? [{ table: table.name, ...arrivals.get(table.name) }] : [])), [tables, arrivals]);
  return (
    <>
      <section className="panel" aria-labelledby="tables-title">
        <h2 className="panel-title" id="tables-title">{t("data.tables")}</h2>
        {platform ? <Sums tables={tables} now={now} /> : null}
        <DataTable caption={t("data.tables")} columns={columns} rows={tables} pageSize={20} onOpen={setOpen} openLabel={t("data.columns")} file="tables" />
      </section>
      {platform && came.length > 0 ? (
        <section className="panel" aria-labelledby="arrivals-title">
          <div>
            <h2 className="panel-title" id="arrivals-title">{t("data.arrivals")}</h2>
            <p className="soft">{t("data.arrivals.hint")}</p>
          </div>
          <DataTable caption={t("data.arrivals")} columns={arrivalColumns(t, format)} rows={came} pageSize={20} file="arrivals" />
        </section>
      ) : null}
      {open === null ? null : <TableSheet table={open} onClose={() => setOpen(null)} />}
    </>
  );
}

/** Of all tables together. */
function Sums({ tables, now }: { readonly tables: readonly Table[]; readonly now: number }) {
  const t = useT();
  const format = useFormat();
  const sum = (of: (storage: NonNullable<Table["storage"]>) => number) => tables.reduce((total, table) => total + (table.storage === undefined ? 0 : of(table.storage)), 0);
  const lags = tables.flatMap((table) => lagOf(table.storage?.latest, now) ?? []);
  const facts: readonly (readonly [string, string])[] = [
    [t("data.rows"), format.number(sum((own) => own.rows))],
    [t("fate.waiting"), format.number(sum((own) => own.waiting))],
    [t("data.disk"), formatBytes(sum((own) => own.disk_bytes), format.language)],
    [t("data.memory"), formatBytes(sum((own) => own.memory_bytes), format.language)],
    [t("data.lag"), lags.length === 0 ? "—" : format.seconds(Math.min(...lags))],
  ];
  return (
    <dl className="cards">
      {facts.map(([name, value]) => (
        <div key={name} className="card-stat">
          <dt>{name}</dt>
          <dd className="card-value">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const kindOf = (table: Table, t: Translate): string => t(table.kind === "events" ? "data.events" : "data.entity");

interface Told {
  readonly t: Translate;
  readonly format: Format;
  readonly platform: boolean;
  readonly now: number;
  readonly own: ReadonlyMap<string, Own>;
}

function columnsOf({ t, format, platform, now, own }: Told): Column<Table>[] {
  const count = (name: "rows" | "waiting" | "segments", title: string): Column<Table> => ({
    name,
    title,
    numeric: true,
    value: (table) => table.storage?.[name],
    draw: (table) => (table.storage === undefined ? "—" : format.number(table.storage[name])),
  });
  const bytes = (name: "disk_bytes" | "memory_bytes", title: string): Column<Table> => ({
    name,
    title,
    numeric: true,
    value: (table) => table.storage?.[name],
    draw: (table) => (table.storage === undefined ? "—" : formatBytes(table.storage[name], format.language)),
  });
  const told: Column<Table>[] = [
    { name: "name", title: t("data.table"), numeric: false, value: (table) => table.name, draw: (table) => <code>{table.name}</code> },
    { name: "kind", title: t("data.kind"), numeric: false, value: (table) => table.kind, draw: (table) => kindOf(table, t) },
    { name: "columns", title: t("data.columns"), numeric: true, value: (table) => table.columns.length, draw: (table) => format.number(table.columns.length) },
  ];
  const latestOf = (table: Table) => table.storage?.latest ?? own.get(table.name)?.latest ?? null;
  const lag: Column<Table> = {
    name: "lag",
    title: t("data.lag"),
    numeric: true,
    value: (table) => lagOf(latestOf(table), now),
    draw: (table) => {
      const latest = latestOf(table);
      const seconds = lagOf(latest, now);
      return seconds === null || latest === null ? "—" : <span title={format.instant(latest)}>{format.seconds(seconds)}</span>;
    },
  };
  if (!platform) {
    const rows: Column<Table> = { name: "rows", title: t("data.rows"), numeric: true, value: (table) => own.get(table.name)?.rows, draw: (table) => format.any(own.get(table.name)?.rows, { kind: "number" }) };
    const time: Column<Table> = { name: "time", title: t("data.time"), numeric: false, value: (table) => table.time, draw: (table) => table.time ?? "—" };
    return own.size === 0 ? [...told, time] : [...told, rows, lag];
  }
  return [...told, count("rows", t("data.rows")), lag, count("waiting", t("fate.waiting")), bytes("disk_bytes", t("data.disk")), bytes("memory_bytes", t("data.memory")), count("segments", t("data.segments"))];
}

type Arrival = { readonly table: string } & Readonly<Partial<Record<Fate, number>>>;

function arrivalColumns(t: Translate, format: Format): Column<Arrival>[] {
  const fates = FATES.map((fate): Column<Arrival> => ({ name: fate, title: t(`fate.${fate}`), numeric: true, value: (row) => row[fate], draw: (row) => format.number(row[fate] ?? 0) }));
  return [{ name: "table", title: t("data.table"), numeric: false, value: (row) => row.table, draw: (row) => <code>{row.table}</code> }, ...fates];
}

function TableSheet({ table, onClose }: { readonly table: Table; readonly onClose: () => void }) {
  const t = useT();
  const roles = (name: string): string => [table.key.includes(name) ? t("data.is_key") : null, table.tenant.column === name ? t("claim.tenant") : null, table.actor === name ? t("churn.actor") : null, table.time === name ? t("data.time") : null, table.event_name === name ? t("data.event_name") : null].filter((role) => role !== null).join(" · ");
  const columns = [...table.columns.map((column) => ({ ...column, own: true })), ...(table.properties ?? []).map((property) => ({ ...property, nullable: true, own: false }))];
  return (
    <Sheet title={table.name} subtitle={kindOf(table, t)} onClose={onClose}>
      <table className="table">
        <caption className="hidden">{t("data.columns")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("data.column")}</th>
            <th scope="col">{t("data.type")}</th>
            <th scope="col">
              <span className="hidden">{t("data.role")}</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {columns.map((column) => (
            <tr key={`${column.own} ${column.name} ${column.type}`}>
              <th scope="row">
                <code>{column.own ? column.name : `${table.open ?? ""}.${column.name}`}</code>
              </th>
              <td className="soft">
                {column.type}
                {column.nullable ? "?" : ""}
              </td>
              <td className="soft">{column.own ? roles(column.name) : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Sheet>
  );
}

interface Cohort {
  readonly name: string;
  readonly mode: "static" | "live";
  readonly size: number;
  readonly created_at: string;
  readonly query: { readonly kind?: string };
}

function Cohorts() {
  const t = useT();
  const format = useFormat();
  const signIn = useSignIn();
  const cohorts = useQuery({ queryKey: ["cohorts", signIn.app], queryFn: ({ signal }) => ask<{ readonly cohorts: readonly Cohort[] }>(signIn, "/v1/cohorts", { signal }) });
  const [failed, setFailed] = useState<unknown>(null);
  const remove = async (name: string) => {
    setFailed(null);
    try {
      await ask(signIn, `/v1/cohorts/${encodeURIComponent(name)}`, { method: "DELETE" });
      await cohorts.refetch();
    } catch (error) {
      setFailed(error);
    }
  };
  const columns: Column<Cohort>[] = [
    { name: "name", title: t("cohort"), numeric: false, value: (row) => row.name, draw: (row) => row.name },
    { name: "kind", title: t("q.kind"), numeric: false, value: (row) => row.query.kind, draw: (row) => row.query.kind ?? "—" },
    { name: "mode", title: t("cohort.live"), numeric: false, value: (row) => row.mode, draw: (row) => t(row.mode === "live" ? "yes" : "no") },
    { name: "size", title: t("cohort.size"), numeric: true, value: (row) => row.size, draw: (row) => format.number(row.size) },
    { name: "created_at", title: t("data.created"), numeric: false, value: (row) => row.created_at, draw: (row) => format.instant(row.created_at) },
    {
      name: "remove",
      title: t("delete"),
      numeric: false,
      acts: true,
      value: () => null,
      draw: (row) => (
        <button type="button" className="button is-bare is-small is-bad" onClick={() => void remove(row.name)}>
          {t("delete")}
        </button>
      ),
    },
  ];
  return (
    <section className="panel" aria-labelledby="cohorts-title">
      <h2 className="panel-title" id="cohorts-title">{t("cohorts")}</h2>
      {cohorts.isError ? <ProblemNotice error={cohorts.error} /> : null}
      {failed === null ? null : <ProblemNotice error={failed} />}
      {cohorts.data?.cohorts.length === 0 ? <Empty title={t("cohorts.none")}>{t("cohorts.none.hint")}</Empty> : null}
      {cohorts.data === undefined || cohorts.data.cohorts.length === 0 ? null : <DataTable caption={t("cohorts")} columns={columns} rows={cohorts.data.cohorts} />}
    </section>
  );
}
