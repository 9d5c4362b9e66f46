/** Saves the actors of a number under a name. */
import { useMutation } from "@tanstack/react-query";
import { useState } from "react";
import { ask } from "../api/client.ts";
import { useT } from "../i18n/i18n.tsx";
import { useSignIn } from "../session/session.tsx";
import { ProblemNotice } from "../ui/Notice.tsx";
import type { Query } from "./query.ts";

interface Saved {
  readonly name: string;
  readonly size: number;
}

export function CohortForm({ query, from }: { readonly query: Query; readonly from: object }) {
  const t = useT();
  const signIn = useSignIn();
  const [name, setName] = useState("");
  const [live, setLive] = useState(false);
  const saving = useMutation({
    mutationFn: () => ask<Saved>(signIn, "/v1/cohorts", { method: "POST", body: { name, query, from, mode: live ? "live" : "static" } }),
  });
  if (saving.data !== undefined) return <p className="cohort-saved">{t("cohort.saved", { name: saving.data.name, count: saving.data.size })}</p>;
  return (
    <form
      className="cohort-form"
      onSubmit={(event) => {
        event.preventDefault();
        saving.mutate();
      }}
    >
      <label className="control">
        <span>{t("cohort.save")}</span>
        <input className="input" value={name} required maxLength={64} pattern="[A-Za-z0-9][A-Za-z0-9_.\-]*" placeholder={t("cohort.name")} title={t("cohort.name.rule")} onChange={(event) => setName(event.target.value)} />
      </label>
      <label className="switch" title={t("cohort.live.hint")}>
        <input type="checkbox" checked={live} onChange={(event) => setLive(event.target.checked)} />
        <span>{t("cohort.live")}</span>
      </label>
      <button type="submit" className="button" disabled={saving.isPending}>
        {t("save")}
      </button>
      {saving.isError ? <ProblemNotice error={saving.error} /> : null}
    </form>
  );
}
