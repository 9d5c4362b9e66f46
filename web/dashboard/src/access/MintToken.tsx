/** A token for somebody else, signed by the server: shown this once. */
import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";
import { ask } from "../api/client.ts";
import { useFormat } from "../format/useFormat.ts";
import { useT } from "../i18n/i18n.tsx";
import { useSignIn } from "../session/session.tsx";
import { CopyButton } from "../ui/CopyButton.tsx";
import { ProblemNotice } from "../ui/Notice.tsx";
import { LIVES, type Life, type Wanted, bodyOf } from "./mint.ts";

interface Minted {
  readonly token: string;
  readonly expires_at: string;
  readonly claims: Readonly<Record<string, unknown>>;
}

const ROLES = ["viewer", "analyst", "writer", "admin"];

export function MintToken() {
  const t = useT();
  const format = useFormat();
  const signIn = useSignIn();
  const roles = useId();
  const own = signIn.claims.tenant;
  const [wanted, setWanted] = useState<Wanted>({ role: "viewer", tenant: own ?? "", sub: "", plan: "", life: "1h" });
  const change = (part: Partial<Wanted>) => setWanted({ ...wanted, ...part });
  const minting = useMutation({ mutationFn: () => ask<Minted>(signIn, "/v1/tokens", { method: "POST", body: bodyOf(wanted, own) }) });
  return (
    <section className="panel" aria-labelledby="mint-title">
      <div>
        <h2 className="panel-title" id="mint-title">{t("mint")}</h2>
        <p className="soft">{t("mint.what")}</p>
      </div>
      <form
        className="cohort-form"
        onSubmit={(event) => {
          event.preventDefault();
          minting.mutate();
        }}
      >
        <label className="control">
          <span>{t("claim.role")}</span>
          <input className="input" list={roles} value={wanted.role} required maxLength={100} onChange={(event) => change({ role: event.target.value })} />
          <datalist id={roles}>
            {ROLES.map((role) => (
              <option key={role} value={role} />
            ))}
          </datalist>
        </label>
        <label className="control">
          <span>{t("claim.tenant")}</span>
          <input className="input" value={wanted.tenant} disabled={own !== null} placeholder={own === null && wanted.role === "admin" ? t("bearer.all_tenants") : ""} required={own === null && wanted.role !== "admin"} onChange={(event) => change({ tenant: event.target.value })} />
        </label>
        <label className="control">
          <span>{t("claim.sub")}</span>
          <input className="input" value={wanted.sub} placeholder={t("mint.optional")} onChange={(event) => change({ sub: event.target.value })} />
        </label>
        <label className="control">
          <span>{t("claim.plan")}</span>
          <input className="input" value={wanted.plan} placeholder={t("mint.optional")} onChange={(event) => change({ plan: event.target.value })} />
        </label>
        <label className="control">
          <span>{t("mint.life")}</span>
          <select className="input" value={wanted.life} onChange={(event) => change({ life: event.target.value as Life })}>
            {LIVES.map((life) => (
              <option key={life} value={life}>
                {t(`mint.life.${life}`)}
              </option>
            ))}
          </select>
        </label>
        <button type="submit" className="button is-primary" disabled={minting.isPending}>
          {t("mint.make")}
        </button>
      </form>
      {minting.isError ? <ProblemNotice error={minting.error} /> : null}
      {minting.data === undefined ? null : (
        <div className="notice is-upgrade" role="status">
          <div className="notice-text">
            <strong>{t("keys.once")}</strong>
            <code className="key">{minting.data.token}</code>
            <p className="soft is-small-text">{t("mint.until", { time: format.instant(minting.data.expires_at) })}</p>
            <CopyButton text={minting.data.token} />
          </div>
        </div>
      )}
    </section>
  );
}
