/** Who is behind a number, and why each of them counts. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { ask, type Explanation } from "../api/client.ts";
import { whoOf } from "../api/queries.ts";
import { csvOf } from "../format/csv.ts";
import { useFormat } from "../format/useFormat.ts";
import { useI18n, useT } from "../i18n/i18n.tsx";
import { useSignIn } from "../session/session.tsx";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Sheet } from "../ui/Sheet.tsx";
import { save } from "../ui/save.ts";
import { Icon } from "../ui/icons.tsx";
import { type Place, fetchMembers, keyOf, labelOf } from "./actors.ts";
import { CohortForm } from "./CohortForm.tsx";
import type { Query } from "./query.ts";
import { type Actor, nameOf } from "./results.ts";

interface ActorsSheetProps {
  readonly title: string;
  /** The request whose answer has the place. */
  readonly asked: Query;
  readonly place: Place | null;
  /** Told of at once, without the list. */
  readonly actor: Actor | null;
  readonly onClose: () => void;
}

const SHOWN = 200;

export function ActorsSheet({ title, asked, place, actor, onClose }: ActorsSheetProps) {
  const t = useT();
  const signIn = useSignIn();
  const [open, setOpen] = useState<Actor | null>(actor);
  const actors = useQuery({
    queryKey: ["members", whoOf(signIn), asked, place],
    enabled: place !== null,
    queryFn: ({ signal }) => fetchMembers(signIn, asked, place ?? {}, SHOWN, signal),
  });
  const count = actors.data?.total ?? 0;
  return (
    <Sheet title={open === null ? title : labelOf(open)} subtitle={open === null ? (actors.data === undefined ? undefined : t("actors.count", { count })) : title} onClose={onClose}>
      {open !== null ? (
        <>
          {place === null ? null : (
            <button type="button" className="button is-small" onClick={() => setOpen(null)}>
              {t("actors.back")}
            </button>
          )}
          <Why asked={asked} actor={open} />
        </>
      ) : (
        <div className="stack">
          {place === null ? null : <CohortForm query={asked} from={place} />}
          {actors.isError ? <ProblemNotice error={actors.error} onRetry={() => void actors.refetch()} /> : null}
          {actors.isPending ? <Skeleton rows={8} /> : null}
          <ul className="actors">
            {actors.data?.members.map((own) => (
              <li key={keyOf(own)}>
                <button type="button" className="actor" onClick={() => setOpen(own)}>
                  <span>{labelOf(own)}</span>
                  <span className="soft is-small-text">{t("actors.why")}</span>
                  <Icon name="right" size={12} />
                </button>
              </li>
            ))}
          </ul>
          {actors.data !== undefined && count === 0 ? <Empty title={t("actors.none")} /> : null}
          {place === null || count === 0 ? null : <MembersFile asked={asked} place={place} />}
          {count > SHOWN ? <p className="soft">{t("actors.more", { count: count - SHOWN })}</p> : null}
        </div>
      )}
    </Sheet>
  );
}

/** As many as the server lists at once. */
const FILE_MAX = 10_000;

function MembersFile({ asked, place }: { readonly asked: Query; readonly place: Place }) {
  const t = useT();
  const signIn = useSignIn();
  const taking = useMutation({
    mutationFn: async () => {
      const { members } = await fetchMembers(signIn, asked, place, FILE_MAX, new AbortController().signal);
      save(new Blob([csvOf(members.map((own) => (typeof own === "object" ? { ...own } : { actor: own })))], { type: "text/csv" }), "actors.csv");
    },
  });
  return (
    <div>
      <button type="button" className="button is-small" disabled={taking.isPending} onClick={() => taking.mutate()}>
        <Icon name="download" size={14} /> {t("actors.file")}
      </button>
      {taking.isError ? <ProblemNotice error={taking.error} /> : null}
    </div>
  );
}

function Why({ asked, actor }: { readonly asked: Query; readonly actor: Actor }) {
  const { t, language } = useI18n();
  const format = useFormat();
  const signIn = useSignIn();
  const { list_actors: _, ...query } = asked;
  const told = useQuery({
    queryKey: ["explain", whoOf(signIn), query, actor, language],
    queryFn: ({ signal }) => ask<Explanation>(signIn, "/v1/explain", { method: "POST", search: new URLSearchParams({ lang: language }), body: { query, actor }, signal }),
  });
  if (told.isError) return <ProblemNotice error={told.error} onRetry={() => void told.refetch()} />;
  if (told.data === undefined) return <Skeleton rows={6} />;
  const { rule, events, events_total: total, elsewhere } = told.data;
  const others = elsewhere.filter((other) => !other.same);
  return (
    <div className="stack why">
      <p className="why-rule">{rule.text}</p>
      {events.length === 0 ? <p className="soft">{t("why.no_events")}</p> : null}
      <ol className="why-events">
        {events.map((event, index) => (
          // oxlint-disable-next-line react/no-array-index-key
          <li key={index} className={event.matched.length > 0 ? "why-event is-matched" : "why-event"}>
            <div className="why-head">
              <strong>{nameOf(event.event)}</strong>
              <time className="soft is-small-text" dateTime={event.time}>
                {format.instant(event.time)}
              </time>
            </div>
            <p className="is-small-text">{event.rule.text}</p>
          </li>
        ))}
      </ol>
      {total > events.length ? <p className="soft">{t("why.cut", { shown: events.length, count: total })}</p> : null}
      {others.length === 0 ? null : (
        <details>
          <summary>{t("why.elsewhere")}</summary>
          <ul className="why-events">
            {others.map((other) => (
              <li key={`${other.engine} ${other.rules}`} className="why-event">
                <strong>{`${other.engine} · ${other.rules}`}</strong>
                <p className="is-small-text">{other.why}</p>
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}
