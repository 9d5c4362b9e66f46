/** Any question, built by hand. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useState } from "react";
import { useSearchParams } from "react-router";
import type { AppDescription, Table } from "../api/client.ts";
import { answerOptions, useSchema } from "../api/queries.ts";
import { useToday } from "../format/useFormat.ts";
import { useT } from "../i18n/i18n.tsx";
import { useSignIn } from "../session/session.tsx";
import { Page } from "../shell/Page.tsx";
import { Choice } from "../ui/Choice.tsx";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Builder } from "./builder/Builder.tsx";
import { streamsOf, useEventNames } from "./names.ts";
import { KINDS, type Kind, isUnfinished, startOf, takesRange } from "./query.ts";
import { RangeControl } from "./RangeControl.tsx";
import { Result } from "./Result.tsx";
import { SavedBar } from "./SavedBar.tsx";
import { type State, VIEWS, readState, requestOf, writeState } from "./state.ts";
import { useBefore } from "./useBefore.ts";

export default function ExplorePage() {
  const t = useT();
  const schema = useSchema(useSignIn());
  const streams = useMemo(() => (schema.data === undefined ? [] : streamsOf(schema.data)), [schema.data]);
  const [first] = streams;
  return (
    <Page title={t("explore")} subtitle={t("explore.subtitle")}>
      {schema.isError ? <ProblemNotice error={schema.error} onRetry={() => void schema.refetch()} /> : null}
      {schema.isPending ? <Skeleton rows={6} /> : null}
      {schema.data !== undefined && first === undefined ? <Empty title={t("explore.no_stream")} /> : null}
      {schema.data === undefined || first === undefined ? null : <Explore app={schema.data} streams={streams} first={first} />}
    </Page>
  );
}

interface ExploreProps {
  readonly app: AppDescription;
  readonly streams: readonly Table[];
  readonly first: Table;
}

function Explore({ app, streams, first }: ExploreProps) {
  const t = useT();
  const signIn = useSignIn();
  const today = useToday();
  const [search, setSearch] = useSearchParams();
  const state = useMemo(() => readState(search), [search]);
  const stream = streams.find((own) => own.name === state.query.stream) ?? first;
  const events = useEventNames(stream);
  const [draft, setDraft] = useState(0);
  const change = (next: Partial<State>) => setSearch(writeState({ ...state, ...next }), { replace: next.query === undefined });
  const request = useMemo(() => requestOf(withStream(state, app, first), today), [state, app, first, today]);
  const answer = useQuery({ ...answerOptions(signIn, request), enabled: !isUnfinished(state.query), placeholderData: (kept) => kept });
  const before = useBefore(state, request, answer.isPlaceholderData ? undefined : answer.data?.result);
  const choose = (kind: Kind) => {
    setDraft(draft + 1);
    change({ query: startOf(kind, state.query, events.map((event) => event.name)) });
  };
  const { kind } = state.query;
  return (
    <>
      <div className="explore-bar">
        <Choice label={t("q.kind")} value={kind} options={KINDS.map((value) => ({ value, label: t(`kind.${value}`) }))} onChange={choose} />
      </div>
      <SavedBar state={state} />
      <div className="explore">
        <section className="panel explore-builder" aria-label={t("q.question")}>
          <p className="soft">{t(`kind.${kind}.what`)}</p>
          <Builder key={`${kind} ${draft}`} query={state.query} stream={stream} streams={streams} events={events} onChange={(query) => change({ query })} />
        </section>
        <section className="panel explore-result" aria-label={t("q.answer")}>
          <div className="row is-wrap">
            {takesRange(kind) ? <RangeControl range={state.range} today={today} onChange={(range) => change({ range })} /> : null}
            <div className="row is-wrap row-end">
              {kind === "trend" && state.view === "picture" ? <Choice label={t("explore.as")} value={state.picture === "own" ? "line" : state.picture} options={(["line", "bar", "number"] as const).map((value) => ({ value, label: t(`explore.as.${value}`) }))} onChange={(picture) => change({ picture: picture === "line" ? "own" : picture })} /> : null}
              <Choice label={t("view")} value={state.view} options={VIEWS.map((value) => ({ value, label: t(`explore.view.${value}`) }))} onChange={(view) => change({ view })} />
            </div>
          </div>
          {isUnfinished(state.query) ? <Empty title={t("q.unfinished")}>{t("q.unfinished.hint")}</Empty> : <Result state={state} request={request} answer={answer} before={before} />}
        </section>
      </div>
    </>
  );
}

/** An app without an event stream has no default: the first table that can be asked about is named. */
function withStream(state: State, app: AppDescription, first: Table): State {
  const hasDefault = app.tables.some((table) => table.kind === "events" && table.actor !== null);
  return hasDefault || state.query.stream !== undefined ? state : { ...state, query: { ...state.query, stream: first.name } };
}
