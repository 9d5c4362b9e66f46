/** Rows that were refused: why, as they came, and another try. */
import { keepPreviousData, useInfiniteQuery, useMutation } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { type Reject, type Rejects, type Retried, type Table, ask } from "../api/client.ts";
import { whoOf } from "../api/queries.ts";
import { type Format, useFormat } from "../format/useFormat.ts";
import { type Translate, useT } from "../i18n/i18n.tsx";
import { rightsOf } from "../session/claims.ts";
import { type SignIn, useSignIn } from "../session/session.tsx";
import { type Column, DataTable } from "../ui/DataTable.tsx";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Icon } from "../ui/icons.tsx";
import { RejectSheet } from "./RejectSheet.tsx";
import { type Filter, choicesOf, countOf, placeOf } from "./rejects.ts";

const PAGE = 100;

function searchOf(filter: Filter): URLSearchParams {
  const search = new URLSearchParams();
  if (filter.table !== null) search.set("table", filter.table);
  if (filter.code !== null) search.set("code", filter.code);
  return search;
}

function useRejects(signIn: SignIn, filter: Filter, every: number | false) {
  return useInfiniteQuery({
    queryKey: ["rejects", whoOf(signIn), filter],
    initialPageParam: null as string | null,
    refetchInterval: every,
    placeholderData: keepPreviousData,
    queryFn: ({ pageParam, signal }) => {
      const search = searchOf(filter);
      search.set("limit", String(PAGE));
      if (pageParam !== null) search.set("after", pageParam);
      return ask<Rejects>(signIn, "/v1/rejects", { search, signal });
    },
    getNextPageParam: (page) => page.next,
  });
}

export function RejectsPanel({ tables, every }: { readonly tables: readonly Table[]; readonly every: number | false }) {
  const t = useT();
  const format = useFormat();
  const signIn = useSignIn();
  const [filter, setFilter] = useState<Filter>({ table: null, code: null });
  const [open, setOpen] = useState<Reject | null>(null);
  const answer = useRejects(signIn, filter, every);
  const [first] = answer.data?.pages ?? [];
  const rows = useMemo(() => answer.data?.pages.flatMap((page) => page.rejects) ?? [], [answer.data]);
  const columns = useMemo(() => columnsOf(t, format, rightsOf(signIn.claims).platform), [t, format, signIn]);
  const changed = () => void answer.refetch();
  return (
    <section className="panel" aria-labelledby="rejects-title">
      <div>
        <h2 className="panel-title" id="rejects-title">{t("rejects")}</h2>
        <p className="soft">{t("rejects.what")}</p>
      </div>
      {answer.isError ? <ProblemNotice error={answer.error} onRetry={changed} /> : null}
      {answer.isPending ? <Skeleton rows={3} /> : null}
      {first === undefined ? null : (
        <>
          {first.counts.length === 0 ? null : <Tools counts={first.counts} filter={filter} shown={rows} onFilter={setFilter} onChanged={changed} />}
          {rows.length === 0 ? <Empty title={t("rejects.none")}>{t(first.counts.length === 0 ? "rejects.none.hint" : "rejects.none.filter")}</Empty> : <DataTable caption={t("rejects")} columns={columns} rows={rows} pageSize={20} onOpen={setOpen} openLabel={t("rejects.open")} />}
          {answer.hasNextPage ? (
            <div>
              <button type="button" className="button is-small" disabled={answer.isFetchingNextPage} onClick={() => void answer.fetchNextPage()}>
                {t("rejects.older")}
              </button>
            </div>
          ) : null}
          {first.forgotten === 0 ? null : <p className="soft is-small-text">{t("rejects.forgotten", { count: first.forgotten, most: first.rows_max })}</p>}
        </>
      )}
      {open === null ? null : (
        <RejectSheet
          key={open.id}
          reject={open}
          table={tables.find((table) => table.name === open.table)}
          onClose={() => setOpen(null)}
          onGone={() => {
            setOpen(null);
            changed();
          }}
        />
      )}
    </section>
  );
}

function columnsOf(t: Translate, format: Format, platform: boolean): Column<Reject>[] {
  const own: Column<Reject>[] = [
    {
      name: "table",
      title: t("data.table"),
      numeric: false,
      value: (row) => row.table,
      draw: (row) => (
        <span className="reject-where">
          <code>{row.table}</code>
          <span className="soft is-small-text">{placeOf(row)}</span>
        </span>
      ),
    },
    {
      name: "code",
      title: t("rejects.reason"),
      numeric: false,
      long: true,
      value: (row) => row.code,
      draw: (row) => (
        <>
          <code>{row.code}</code> {row.column === null ? row.detail : `${row.column}: ${row.detail}`}
        </>
      ),
    },
    { name: "at", title: t("rejects.at"), numeric: false, value: (row) => row.at, draw: (row) => format.instant(row.at) },
  ];
  const tenant: Column<Reject> = { name: "tenant", title: t("claim.tenant"), numeric: false, value: (row) => row.tenant, draw: (row) => row.tenant ?? "—" };
  return platform ? [...own.slice(0, 2), tenant, ...own.slice(2)] : own;
}

interface ToolsProps {
  readonly counts: Rejects["counts"];
  readonly filter: Filter;
  readonly shown: readonly Reject[];
  readonly onFilter: (filter: Filter) => void;
  readonly onChanged: () => void;
}

function Tools({ counts, filter, shown, onFilter, onChanged }: ToolsProps) {
  const t = useT();
  const signIn = useSignIn();
  const count = countOf(counts, filter);
  const isFiltered = filter.table !== null || filter.code !== null;
  const retrying = useMutation({
    mutationFn: () => ask<Retried>(signIn, "/v1/rejects/retry", { method: "POST", body: isFiltered ? { table: filter.table, code: filter.code } : { ids: shown.map((reject) => reject.id) } }),
    onSuccess: onChanged,
  });
  const dismissing = useMutation({ mutationFn: () => ask(signIn, "/v1/rejects", { method: "DELETE", search: searchOf(filter) }), onSuccess: onChanged });
  const choose = (field: "table" | "code", title: string) => (
    <label className="control">
      <span>{title}</span>
      <select className="input" value={filter[field] ?? ""} onChange={(event) => onFilter({ ...filter, [field]: event.target.value === "" ? null : event.target.value })}>
        <option value="">{t("all")}</option>
        {choicesOf(counts, field, filter).map((choice) => (
          <option key={choice.name} value={choice.name}>
            {`${choice.name} (${choice.rows})`}
          </option>
        ))}
      </select>
    </label>
  );
  const failed = retrying.error ?? dismissing.error;
  return (
    <>
      <div className="reject-tools">
        {choose("table", t("data.table"))}
        {choose("code", t("rejects.reason"))}
        <div className="row is-wrap row-end">
          <button type="button" className="button" disabled={retrying.isPending || shown.length === 0} onClick={() => retrying.mutate()}>
            <Icon name="refresh" size={14} /> {t("rejects.retry", { count: isFiltered ? count : shown.length })}
          </button>
          <Sure key={count} text={t("rejects.dismiss", { count })} disabled={dismissing.isPending || count === 0} onSure={() => dismissing.mutate()} />
        </div>
      </div>
      {failed === null ? null : <ProblemNotice error={failed} />}
      {retrying.data === undefined ? null : (
        <output className="reject-outcome">
          {t("rejects.outcome", { taken: retrying.data.accepted + retrying.data.duplicates + retrying.data.waiting, count: retrying.data.rejected.length })}
          {retrying.data.more ? ` ${t("rejects.outcome.more")}` : ""}
        </output>
      )}
    </>
  );
}

/** A button that is pressed twice. */
export function Sure({ text, disabled, onSure }: { readonly text: string; readonly disabled: boolean; readonly onSure: () => void }) {
  const t = useT();
  const [asked, setAsked] = useState(false);
  return (
    <button type="button" className="button is-bad" disabled={disabled} onBlur={() => setAsked(false)} onClick={() => (asked ? onSure() : setAsked(true))}>
      <Icon name="trash" size={14} /> {asked ? t("sure") : text}
    </button>
  );
}
