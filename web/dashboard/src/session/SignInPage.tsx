/** Signing in: a token is pasted, and asked about at the server before it is kept. */
import { useState } from "react";
import { useLocation, useNavigate } from "react-router";
import { ask } from "../api/client.ts";
import { useFormat } from "../format/useFormat.ts";
import { useT } from "../i18n/i18n.tsx";
import { Logo } from "../shell/Logo.tsx";
import { ProblemNotice } from "../ui/Notice.tsx";
import { type Claims, claimsOf, tokensIn } from "./claims.ts";
import { useSession } from "./session.tsx";

export default function SignInPage() {
  const t = useT();
  const { add, signIns } = useSession();
  const navigate = useNavigate();
  const { state } = useLocation() as { readonly state: unknown };
  const [text, setText] = useState("");
  const [failed, setFailed] = useState<unknown>(null);
  const [busy, setBusy] = useState(false);
  const tokens = tokensIn(text);
  const enter = async () => {
    setBusy(true);
    setFailed(null);
    try {
      for (const token of tokens) for (const app of claimsOf(token)?.apps ?? []) await ask({ token, app }, "/v1/schema");
      add(tokens);
      const apps = tokens.flatMap((token) => claimsOf(token)?.apps ?? []);
      await navigate(wantedOf(state, apps) ?? (apps.length === 1 ? `/app/${apps[0]}` : "/app"), { replace: true });
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <main className="sign-in" id="content">
      <form
        className="sign-in-card"
        onSubmit={(event) => {
          event.preventDefault();
          void enter();
        }}
      >
        <h1 className="brand is-large">
          <Logo /> Ebbtide
        </h1>
        <p>{t(signIns.length === 0 ? "sign_in.lead" : "sign_in.lead.more")}</p>
        <label className="field">
          <span>{t("sign_in.token")}</span>
          <textarea className="input is-code" rows={5} spellCheck={false} autoComplete="off" required value={text} placeholder="eyJ…" onChange={(event) => setText(event.target.value)} />
        </label>
        {tokens.map((token) => {
          const claims = claimsOf(token);
          return claims === null ? null : <Told key={token} claims={claims} />;
        })}
        {text.trim() !== "" && tokens.length === 0 ? <p className="param-bad" role="alert">{t("sign_in.no_token")}</p> : null}
        {failed === null ? null : <ProblemNotice error={failed} />}
        <button type="submit" className="button is-primary is-wide" disabled={tokens.length === 0 || busy}>
          {t("sign_in.enter", { count: tokens.length })}
        </button>
        <p className="soft is-small-text">{t("sign_in.kept")}</p>
      </form>
    </main>
  );
}

/** The page that was asked for before signing in, where it is of an app that the tokens are for. */
function wantedOf(state: unknown, apps: readonly string[]): string | null {
  const wanted = typeof state === "object" && state !== null && "wanted" in state ? state.wanted : null;
  if (typeof wanted !== "string") return null;
  const [, app] = /^\/(?:app\/)?([^/?#]+)/.exec(wanted) ?? [];
  return app !== undefined && apps.includes(app) ? wanted : null;
}

function Told({ claims }: { readonly claims: Claims }) {
  const t = useT();
  const format = useFormat();
  const facts: readonly (readonly [string, string | null])[] = [
    [t("claim.app"), claims.apps.join(", ")],
    [t("claim.role"), claims.role],
    [t("claim.tenant"), claims.tenant],
    [t("claim.sub"), claims.sub],
    [t("claim.plan"), claims.plan],
    [t("claim.expires"), claims.expires === null ? null : format.instant(new Date(claims.expires).toISOString())],
  ];
  return (
    <dl className="facts is-claims">
      {facts.map(([name, value]) =>
        value === null ? null : (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ),
      )}
    </dl>
  );
}
