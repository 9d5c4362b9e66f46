/** The cards of the app, and the question at hand as one more. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { Link } from "react-router";
import { type Card, ask } from "../api/client.ts";
import { useT } from "../i18n/i18n.tsx";
import { rightsOf } from "../session/claims.ts";
import { useSignIn } from "../session/session.tsx";
import { ProblemNotice } from "../ui/Notice.tsx";
import { Icon } from "../ui/icons.tsx";
import { cardOf, cardsOptions, nameFor, stateOf, useCards } from "./cards.ts";
import { type State, writeState } from "./state.ts";

export function SavedBar({ state }: { readonly state: State }) {
  const t = useT();
  const signIn = useSignIn();
  const client = useQueryClient();
  const cards = useCards(signIn);
  const [title, setTitle] = useState<string | null>(null);
  const edits = rightsOf(signIn.claims).cards;
  const changed = () => client.invalidateQueries({ queryKey: cardsOptions(signIn).queryKey });
  const saving = useMutation({
    mutationFn: (wanted: string) => {
      const known = cards.data ?? [];
      const same = known.find((card) => card.title === wanted.trim());
      const name = same?.name ?? nameFor(wanted, known.map((card) => card.name));
      return ask<Card>(signIn, `/v1/cards/${encodeURIComponent(name)}`, { method: "PUT", body: cardOf(wanted, state) });
    },
    onSuccess: () => {
      setTitle(null);
      return changed();
    },
  });
  const removing = useMutation({ mutationFn: (name: string) => ask(signIn, `/v1/cards/${encodeURIComponent(name)}`, { method: "DELETE" }), onSuccess: changed });
  const failed = saving.error ?? removing.error ?? cards.error;
  return (
    <>
      <div className="saved">
        {cards.data?.map((card) => <SavedOne key={card.name} card={card} onRemove={edits ? () => removing.mutate(card.name) : null} />)}
        {!edits ? null : title === null ? (
          <button type="button" className="button is-bare is-small" onClick={() => setTitle("")}>
            <Icon name="star" size={12} /> {t("saved.keep")}
          </button>
        ) : (
          <form
            className="row"
            onSubmit={(event) => {
              event.preventDefault();
              saving.mutate(title);
            }}
          >
            {/* Whoever pressed the button is about to type. */}
            {/* oxlint-disable-next-line jsx-a11y/no-autofocus */}
            <input className="input" autoFocus aria-label={t("saved.name")} placeholder={t("saved.name")} required maxLength={120} value={title} onChange={(event) => setTitle(event.target.value)} />
            <button type="submit" className="button is-small is-primary" disabled={saving.isPending}>
              {t("save")}
            </button>
            <button type="button" className="button is-bare is-square" aria-label={t("close")} onClick={() => setTitle(null)}>
              <Icon name="close" size={12} />
            </button>
          </form>
        )}
        {edits ? <span className="soft is-small-text">{t("saved.where")}</span> : null}
      </div>
      {failed === null ? null : <ProblemNotice error={failed} />}
    </>
  );
}

function SavedOne({ card, onRemove }: { readonly card: Card; readonly onRemove: (() => void) | null }) {
  const t = useT();
  const [asked, setAsked] = useState(false);
  const state = stateOf(card);
  if (state === null) return null;
  return (
    <span className="saved-one">
      <Link to={{ search: writeState(state).toString() }}>{card.title}</Link>
      {onRemove === null ? null : (
        <button type="button" className={asked ? "button is-small is-bad" : "button is-bare is-square"} aria-label={t("saved.remove", { name: card.title })} onBlur={() => setAsked(false)} onClick={() => (asked ? onRemove() : setAsked(true))}>
          {asked ? t("sure") : <Icon name="close" size={12} />}
        </button>
      )}
    </span>
  );
}
