/** Who may do what: write keys, and what one's own token says. */
import { useMutation, useQuery } from "@tanstack/react-query";
import { useState } from "react";
import { type WriteKey, ask } from "../api/client.ts";
import { useFormat } from "../format/useFormat.ts";
import { useT } from "../i18n/i18n.tsx";
import { useSignIn } from "../session/session.tsx";
import { Page } from "../shell/Page.tsx";
import { CopyButton } from "../ui/CopyButton.tsx";
import { type Column, DataTable } from "../ui/DataTable.tsx";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { MintToken } from "./MintToken.tsx";

type NewKey = WriteKey & { readonly key: string };

export default function AccessPage() {
  const t = useT();
  return (
    <Page title={t("access")} subtitle={t("access.subtitle")}>
      <Keys />
      <MintToken />
      <OwnToken />
    </Page>
  );
}

function Keys() {
  const t = useT();
  const signIn = useSignIn();
  const keys = useQuery({ queryKey: ["keys", signIn.app], queryFn: ({ signal }) => ask<{ readonly keys: readonly WriteKey[] }>(signIn, "/v1/keys", { signal }) });
  const revoking = useMutation({ mutationFn: (id: string) => ask(signIn, `/v1/keys/${encodeURIComponent(id)}`, { method: "DELETE" }), onSuccess: () => keys.refetch() });
  return (
    <section className="panel" aria-labelledby="keys-title">
      <div>
        <h2 className="panel-title" id="keys-title">{t("keys")}</h2>
        <p className="soft">{t("keys.what")}</p>
      </div>
      <NewKeyForm onMade={() => void keys.refetch()} />
      {keys.isError ? <ProblemNotice error={keys.error} onRetry={() => void keys.refetch()} /> : null}
      {revoking.isError ? <ProblemNotice error={revoking.error} /> : null}
      {keys.isPending ? <Skeleton rows={3} /> : null}
      {keys.data?.keys.length === 0 ? <Empty title={t("keys.none")}>{t("keys.none.hint")}</Empty> : null}
      {keys.data === undefined || keys.data.keys.length === 0 ? null : <KeyTable keys={keys.data.keys} onRevoke={(id) => revoking.mutate(id)} />}
    </section>
  );
}

function KeyTable({ keys, onRevoke }: { readonly keys: readonly WriteKey[]; readonly onRevoke: (id: string) => void }) {
  const t = useT();
  const format = useFormat();
  const [asked, setAsked] = useState<string | null>(null);
  const columns: Column<WriteKey>[] = [
    { name: "name", title: t("keys.name"), numeric: false, value: (row) => row.name, draw: (row) => row.name ?? "—" },
    { name: "tenant", title: t("claim.tenant"), numeric: false, value: (row) => row.tenant, draw: (row) => row.tenant },
    { name: "id", title: "ID", numeric: false, value: (row) => row.id, draw: (row) => <code>{row.id}</code> },
    { name: "created_at", title: t("data.created"), numeric: false, value: (row) => row.created_at, draw: (row) => format.instant(row.created_at) },
    {
      name: "revoke",
      title: t("keys.revoke"),
      numeric: false,
      acts: true,
      value: () => null,
      draw: (row) => (
        <button type="button" className="button is-small is-bad" onClick={() => (asked === row.id ? onRevoke(row.id) : setAsked(row.id))} onBlur={() => setAsked(null)}>
          {t(asked === row.id ? "keys.revoke.sure" : "keys.revoke")}
        </button>
      ),
    },
  ];
  return <DataTable caption={t("keys")} columns={columns} rows={keys} />;
}

function NewKeyForm({ onMade }: { readonly onMade: () => void }) {
  const t = useT();
  const signIn = useSignIn();
  const fixed = signIn.claims.tenant;
  const [name, setName] = useState("");
  const [tenant, setTenant] = useState("");
  const making = useMutation({
    mutationFn: () => ask<NewKey>(signIn, "/v1/keys", { method: "POST", body: { name: name === "" ? null : name, tenant: fixed ?? tenant } }),
    onSuccess: () => {
      setName("");
      onMade();
    },
  });
  return (
    <>
      <form
        className="cohort-form"
        onSubmit={(event) => {
          event.preventDefault();
          making.mutate();
        }}
      >
        <label className="control">
          <span>{t("keys.name")}</span>
          <input className="input" value={name} maxLength={100} placeholder={t("keys.name.example")} onChange={(event) => setName(event.target.value)} />
        </label>
        {fixed === null ? (
          <label className="control">
            <span>{t("claim.tenant")}</span>
            <input className="input" value={tenant} required onChange={(event) => setTenant(event.target.value)} />
          </label>
        ) : null}
        <button type="submit" className="button is-primary" disabled={making.isPending}>
          {t("keys.make")}
        </button>
      </form>
      {making.isError ? <ProblemNotice error={making.error} /> : null}
      {making.data === undefined ? null : (
        <div className="notice is-upgrade" role="status">
          <div className="notice-text">
            <strong>{t("keys.once")}</strong>
            <code className="key">{making.data.key}</code>
            <CopyButton text={making.data.key} />
          </div>
        </div>
      )}
    </>
  );
}

function OwnToken() {
  const t = useT();
  const format = useFormat();
  const { claims } = useSignIn();
  const facts: readonly (readonly [string, string])[] = [
    [t("claim.app"), claims.apps.join(", ")],
    [t("claim.role"), claims.role ?? "—"],
    [t("claim.tenant"), claims.tenant ?? t("bearer.all_tenants")],
    [t("claim.sub"), claims.sub ?? "—"],
    [t("claim.expires"), claims.expires === null ? "—" : format.instant(new Date(claims.expires).toISOString())],
  ];
  return (
    <section className="panel" aria-labelledby="token-title">
      <div>
        <h2 className="panel-title" id="token-title">{t("token.own")}</h2>
        <p className="soft">{t("token.own.hint")}</p>
      </div>
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </section>
  );
}
