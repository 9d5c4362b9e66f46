/** The answer: as a picture, a table, JSON, or the command that asks for it. */
import type { UseQueryResult } from "@tanstack/react-query";
import { useCallback, useMemo, useState } from "react";
import type { Meta, QueryAnswer } from "../api/client.ts";
import { useChange } from "../format/useChange.ts";
import { useFormat } from "../format/useFormat.ts";
import { unitOf } from "../format/units.ts";
import { useName } from "../format/useName.ts";
import { saidWarning } from "../format/warnings.ts";
import type { Key } from "../i18n/en.ts";
import { useT } from "../i18n/i18n.tsx";
import { Delta } from "../reports/blocks/Cards.tsx";
import { useSignIn } from "../session/session.tsx";
import { CopyButton } from "../ui/CopyButton.tsx";
import { type Column, DataTable } from "../ui/DataTable.tsx";
import { Changed } from "../ui/Heatmap.tsx";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Icon } from "../ui/icons.tsx";
import { ActorsSheet } from "./ActorsSheet.tsx";
import { type Place, hasUnnameable, isNameable, isOpen } from "./actors.ts";
import { OpenButton, nameOfStep } from "./pictures/Funnel.tsx";
import { AnswerPicture } from "./pictures/Picture.tsx";
import { type Matcher, type Query, measureKey } from "./query.ts";
import { type Actor, type Cells, type ChurnActor, type RetentionResult, type TrendResult, NO_VALUE, PERIOD, beforeAt, byMeasure, nameOf, placeOf, rowsOf } from "./results.ts";
import { type State, curlOf } from "./state.ts";

interface ResultProps {
  readonly state: State;
  readonly request: Record<string, unknown>;
  readonly answer: UseQueryResult<QueryAnswer>;
  /** The result of the period before, where that is an answer of its own. */
  readonly before: unknown;
}

export function Result({ state, request, answer, before }: ResultProps) {
  const signIn = useSignIn();
  if (state.view === "curl") return <Code text={curlOf(location.origin, signIn.app, request)} command />;
  if (answer.isError) return <ProblemNotice error={answer.error} onRetry={() => void answer.refetch()} />;
  if (answer.data === undefined) return <Skeleton rows={1} tall />;
  const { result, meta, query } = answer.data;
  // While another kind's answer is still shown, it is no answer to this question.
  if (query["kind"] !== state.query.kind) return <Skeleton rows={1} tall />;
  return (
    <div className={answer.isPlaceholderData ? "stack is-stale" : "stack"}>
      <Warnings meta={meta} />
      {state.view === "json" ? <Code text={JSON.stringify(answer.data, null, 2)} /> : null}
      {state.view === "table" || state.view === "picture" ? <Opening state={state} asked={request as Query} result={result} before={before} /> : null}
      <Foot meta={meta} />
    </div>
  );
}

function Warnings({ meta }: { readonly meta: Meta }) {
  const t = useT();
  if (meta.warnings.length === 0) return null;
  return (
    <ul className="warnings">
      {meta.warnings.map((warning) => (
        <li key={warning}>
          <Icon name="info" size={14} /> {saidWarning(warning, t)}
        </li>
      ))}
    </ul>
  );
}

function Foot({ meta }: { readonly meta: Meta }) {
  const t = useT();
  const format = useFormat();
  return <p className="soft is-small-text">{t("answer.as_of", { time: format.instant(meta.as_of), hash: meta.definition ?? "" })}</p>;
}

interface OpeningProps {
  readonly state: State;
  readonly asked: Query;
  readonly result: unknown;
  readonly before: unknown;
}

/** The picture or the table, and who is behind the number that was clicked. */
function Opening({ state, asked, result, before }: OpeningProps) {
  const t = useT();
  const { query } = state;
  const [opened, setOpened] = useState<{ readonly place: Place | null; readonly actor: Actor | null } | null>(null);
  const opens = isOpen(asked);
  const onOpen = useCallback((place: Place) => (opens && isNameable(place) ? () => setOpened({ place, actor: null }) : undefined), [opens]);
  const onActor = ({ tenant, actor }: ChurnActor) => setOpened({ place: null, actor: tenant === undefined ? actor : { tenant, actor } });
  return (
    <>
      {byMeasure(query, result).map((own, _, all) => (
        <section key={String(own.query.measure)} className="stack">
          {all.length === 1 ? null : <h3 className="block-title">{t(measureKey(own.query))}</h3>}
          {state.view === "table" ? <ResultTable {...own} before={before} onOpen={onOpen} /> : <AnswerPicture {...own} as={state.picture} before={before} onOpen={onOpen} onActor={onActor} />}
        </section>
      ))}
      {opens && hasUnnameable(query, result) ? <p className="soft is-small-text">{t("actors.unnameable")}</p> : null}
      {opened === null ? null : <ActorsSheet title={titleOf(opened.place, t)} asked={asked} place={opened.place} actor={opened.actor} onClose={() => setOpened(null)} />}
    </>
  );
}

/** What a place is called. */
function titleOf(place: Place | null, t: ReturnType<typeof useT>): string {
  if (place === null) return t("actors.why");
  const named = (value: unknown) => nameOf(value, t("value.none"));
  const group = place.group === undefined ? "" : ` · ${named(place.group)}`;
  if (typeof place.step === "number") return t(place.dropped === true ? "actors.dropped" : "actors.step", { count: place.step + 1 }) + group;
  if (place.step !== undefined) return `${place.step}${place.exited === true ? ` · ${t("dropoff.exits")}` : ""}`;
  if (place.cell !== undefined) return t("actors.cell", { count: place.cell[1] });
  if (place.state !== undefined) return t(`lifecycle.${place.state}` as Key);
  if (place.at_least !== undefined) return t("actors.at_least", { count: place.at_least });
  if (place.exactly !== undefined) return t("actors.exactly", { count: place.exactly });
  if (place.at_risk !== undefined) return t("churn.at_risk");
  if (place.edge !== undefined) return `${named(place.edge.from)} → ${named(place.edge.to)}`;
  if (place.value !== undefined) return named(place.value);
  return t("actors.bucket") + group;
}

interface ResultTableProps {
  readonly query: Query;
  readonly result: unknown;
  readonly before: unknown;
  readonly onOpen: (place: Place) => (() => void) | undefined;
}

function ResultTable({ query, result, before, onOpen }: ResultTableProps) {
  const t = useT();
  const name = useName();
  const format = useFormat();
  const change = useChange();
  const steps = useMemo(() => (query.kind === "funnel" && Array.isArray(query.steps) ? (query.steps as readonly Matcher[]).map((step) => nameOfStep(step, t("q.event.any"))) : []), [query, t]);
  const rows = useMemo(() => rowsOf(query, result, steps), [query, result, steps]);
  const groups = useMemo(() => new Set(((result as Partial<TrendResult>).groups ?? []).map((group) => nameOf(group.value))), [result]);
  const columns = useMemo(() => {
    const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
    const interval = String(query.interval ?? query.period ?? "day");
    const places = new Map(rows.map((row, index) => [row, index]));
    const earlier = (row: Cells, own: string) => beforeAt(query, result, before, places.get(row) ?? 0, own);
    const shown = names.map((own): Column<Cells> => {
      const numeric = rows.some((row) => typeof row[own] === "number");
      const unit = own === "percent" ? ({ kind: "percent" } as const) : groups.has(own) ? ({ kind: "number" } as const) : unitOf(own);
      const text = (row: Cells) => (own === "start" ? format.start(row[own] === null ? null : String(row[own]), interval) : own.endsWith("_seconds") && typeof row[own] === "number" ? format.seconds(row[own]) : format.any(row[own], unit));
      const draw = (row: Cells) => {
        const index = places.get(row) ?? 0;
        const place = placeOf(query, result, row, index, own);
        const number = <OpenButton onOpen={place === null ? undefined : onOpen(place)}>{text(row)}</OpenButton>;
        const [now, then] = [row[own], earlier(row, own)];
        if (typeof now !== "number" || then === undefined) return number;
        const changed = query.kind === "retention" ? change({ now, before: then, unit, of: format.start((before as RetentionResult).starts[index] ?? null, interval) }) : undefined;
        return (
          <span className="compared" title={changed?.said}>
            {changed === undefined ? <Delta now={now} before={then} text={format.any(then, unit)} /> : <Changed change={changed} />}
            {number}
          </span>
        );
      };
      return { name: own, title: titleOfColumn(own, query, groups, name, t), numeric, value: (row) => row[own], draw };
    });
    // What the whole was before has a column that is seen.
    const compared = names.filter((own) => own !== "value" && rows.some((row) => earlier(row, own) !== undefined));
    return [...shown, ...compared.map((own): Column<Cells> => ({ name: `${own}_before`, title: "", numeric: true, inFileOnly: true, value: (row) => earlier(row, own), draw: () => null }))];
  }, [rows, name, format, change, query, result, before, groups, onOpen, t]);
  if (rows.length === 0) return <Empty title={t("empty.query")}>{t("empty.query.hint")}</Empty>;
  return (
    <>
      {query.kind === "retention" && before !== undefined ? <p className="soft is-small-text">{t("compare.matrix")}</p> : null}
      <DataTable caption={t("q.answer")} columns={columns} rows={rows} pageSize={20} file={query.kind} />
    </>
  );
}

/** Columns that are named by the answer's own values are called what these are. */
function titleOfColumn(column: string, query: Query, groups: ReadonlySet<string>, name: (field: string) => string, t: ReturnType<typeof useT>): string {
  if (groups.has(column)) return column === NO_VALUE ? t("value.none") : column;
  if (column === "start") return t("period");
  if (query.kind === "trend" && column === "value") return t(measureKey(query));
  if (query.kind === "trend" && column === "before") return t("compare.previous.short");
  if (query.kind === "lifecycle") return t(`lifecycle.${column}` as Key);
  if (query.kind === "retention" && column === "size") return t("retention.size");
  const [, period] = PERIOD.exec(column) ?? [];
  return period ?? name(column);
}

function Code({ text, command = false }: { readonly text: string; readonly command?: boolean }) {
  return (
    <div className={command ? "code is-command" : "code"}>
      <CopyButton text={text} />
      {/* Long text scrolls by itself, and so must be reachable by the keyboard. */}
      <pre tabIndex={0}>{text}</pre>
    </div>
  );
}
