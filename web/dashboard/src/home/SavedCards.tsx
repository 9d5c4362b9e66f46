/** The app's cards on Home, each drawn small. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { Link } from "react-router";
import type { AppDescription, Card } from "../api/client.ts";
import { answerOptions } from "../api/queries.ts";
import { stateOf, useCards } from "../explore/cards.ts";
import { type Headline, glanceOf } from "../explore/glance.ts";
import { type Query, measureKey } from "../explore/query.ts";
import { byMeasure } from "../explore/results.ts";
import { type State, requestOf, writeState } from "../explore/state.ts";
import { useBefore } from "../explore/useBefore.ts";
import { useFormat, useToday } from "../format/useFormat.ts";
import type { Key } from "../i18n/en.ts";
import { useT } from "../i18n/i18n.tsx";
import { Delta } from "../reports/blocks/Cards.tsx";
import { useSignIn } from "../session/session.tsx";
import { Boundary } from "../ui/Boundary.tsx";
import { ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Sparkline } from "../ui/Sparkline.tsx";

/** More are in Explore. */
const SHOWN = 12;

export function SavedCards({ app }: { readonly app: AppDescription }) {
  const t = useT();
  const cards = useCards(useSignIn());
  const known = (cards.data ?? []).flatMap((card) => {
    const state = stateOf(card);
    return state === null ? [] : [{ card, state }];
  });
  if (known.length === 0) return null;
  return (
    <section className="stack" aria-labelledby={`saved-${app.app}`}>
      <h3 className="block-title" id={`saved-${app.app}`}>
        {t("saved")}
      </h3>
      <ul className="saved-cards">
        {known.slice(0, SHOWN).map(({ card, state }) => (
          <li key={card.name} className="saved-card">
            <Boundary place={card.updated_at}>
              <SavedCard app={app} card={card} state={state} />
            </Boundary>
          </li>
        ))}
      </ul>
      {known.length > SHOWN ? <Link to={`/app/${app.app}/explore`}>{t("more", { count: known.length - SHOWN })}</Link> : null}
    </section>
  );
}

function SavedCard({ app, card, state }: { readonly app: AppDescription; readonly card: Card; readonly state: State }) {
  const t = useT();
  const signIn = useSignIn();
  const today = useToday();
  const request = useMemo(() => requestOf(state, today), [state, today]);
  const answer = useQuery(answerOptions(signIn, request));
  const before = useBefore(state, request, answer.data?.result);
  return (
    <>
      <Link className="saved-card-title" to={{ pathname: `/app/${app.app}/explore`, search: writeState(state).toString() }}>
        {card.title}
      </Link>
      <span className="soft is-small-text">{[t(`kind.${state.query.kind}`), typeof state.range === "string" && card.range !== null ? t(`range.${state.range}`) : null].filter((part) => part !== null).join(" · ")}</span>
      {answer.isError ? <ProblemNotice error={answer.error} /> : null}
      {answer.isPending ? <Skeleton rows={2} /> : null}
      {answer.data === undefined ? null : <Drawn title={card.title} state={state} result={answer.data.result} before={before} />}
    </>
  );
}

/** What the number of a card counts. */
function captionOf(query: Query): Key {
  switch (query.kind) {
    case "trend":
      return measureKey(query);
    case "funnel":
      return "funnel.conversion";
    case "retention":
      return "actors.cell";
    case "lifecycle":
      return "lifecycle.active";
    case "stickiness":
      return "stickiness.exactly";
    case "churn":
      return "churn.at_risk";
    case "preceding":
    case "paths":
      return "measure.total";
    case "dropoff":
      return "dropoff.converted";
  }
}

interface DrawnProps {
  readonly title: string;
  readonly state: State;
  readonly result: unknown;
  readonly before: unknown;
}

function Drawn({ title, state, result, before }: DrawnProps) {
  const t = useT();
  const format = useFormat();
  // Of several measures the first speaks.
  const [first = { query: state.query, result }] = byMeasure(state.query, result);
  const { headline, line, bars } = glanceOf(first.query, first.result, before);
  const greatest = Math.max(1, ...bars.map((bar) => bar.value));
  if (headline === null && line.length === 0 && bars.length === 0) return <p className="soft">{t("empty.query")}</p>;
  return (
    <>
      {headline === null ? null : (
        <p className="saved-headline">
          <strong className="card-value">{headline.unit === "percent" ? format.percent(headline.value) : format.number(headline.value)}</strong>
          <Compared headline={headline} />
          <span className="soft is-small-text">{first.query.formula ?? t(captionOf(first.query), { count: 1 })}</span>
        </p>
      )}
      {line.length < 2 || state.picture === "number" ? null : <Sparkline values={line.map((value) => value ?? 0)} label={title} />}
      {bars.length === 0 ? null : (
        <ul className="saved-bars">
          {bars.map((bar) => (
            <li key={bar.name} className="bar">
              <span className="bar-fill" style={{ inlineSize: `${(bar.value / greatest) * 100}%` }} />
              <span className="bar-label">{bar.name}</span>
              <span className="bar-value">{format.compact(bar.value)}</span>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function Compared({ headline: { value, unit, before } }: { readonly headline: Headline }) {
  const format = useFormat();
  return before === undefined ? null : <Delta now={value} before={before} text={format.value(before, { kind: unit })} unit={{ kind: unit }} />;
}
