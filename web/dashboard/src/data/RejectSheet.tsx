/** One row that was refused: why, as it came, mended and sent again. */
import { useMutation } from "@tanstack/react-query";
import { useId, useState } from "react";
import { type Reject, type Retried, type Table, ask } from "../api/client.ts";
import { useFormat } from "../format/useFormat.ts";
import { useT } from "../i18n/i18n.tsx";
import { useSignIn } from "../session/session.tsx";
import { ProblemNotice } from "../ui/Notice.tsx";
import { Sheet } from "../ui/Sheet.tsx";
import { Icon } from "../ui/icons.tsx";
import { Sure } from "./RejectsPanel.tsx";
import { draftOf, hintOf, placeOf, rowIn } from "./rejects.ts";

interface RejectSheetProps {
  readonly reject: Reject;
  readonly table: Table | undefined;
  readonly onClose: () => void;
  /** It is a reject no more. */
  readonly onGone: () => void;
}

export function RejectSheet({ reject, table, onClose, onGone }: RejectSheetProps) {
  const t = useT();
  const format = useFormat();
  const signIn = useSignIn();
  const id = useId();
  const [text, setText] = useState(() => draftOf(reject, table));
  const typed = rowIn(text);
  const retrying = useMutation({
    mutationFn: (row: unknown) => ask<Retried>(signIn, "/v1/rejects/retry", { method: "POST", body: { rows: [{ id: reject.id, row }] } }),
    onSuccess: (retried) => (retried.rejected.length === 0 ? onGone() : undefined),
  });
  const dismissing = useMutation({ mutationFn: () => ask(signIn, "/v1/rejects", { method: "DELETE", search: new URLSearchParams({ ids: reject.id }) }), onSuccess: onGone });
  const [again] = retrying.data?.rejected ?? [];
  const hint = hintOf(again?.code ?? reject.code);
  const column = again === undefined ? reject.column : again.column;
  return (
    <Sheet title={`${reject.table} · ${again?.code ?? reject.code}`} subtitle={`${placeOf(reject)} · ${format.instant(reject.at)}`} onClose={onClose}>
      <div className="stack">
        <div className={again === undefined ? "notice" : "notice is-bad"} role={again === undefined ? undefined : "alert"}>
          <Icon name="warning" size={18} />
          <div className="notice-text">
            {again === undefined ? null : <strong>{t("rejects.again")}</strong>}
            <p>
              {column === null ? null : <code>{column}</code>} {again?.detail ?? reject.detail}
            </p>
            {hint === null ? null : <p className="soft">{t(hint)}</p>}
          </div>
        </div>
        {reject.text === null || reject.text === undefined ? null : (
          <div className="stack">
            <h4 className="block-title">{t("rejects.line")}</h4>
            <div className="code">
              {/* A long line scrolls by itself, and so must be reachable by the keyboard. */}
              <pre tabIndex={0}>{reject.text}</pre>
            </div>
          </div>
        )}
        {reject.whole ? null : <p className="soft is-small-text">{t("rejects.cut", { size: format.number(reject.row_bytes) })}</p>}
        <label className="field" htmlFor={id}>
          <span>{t("rejects.row")}</span>
          <textarea id={id} className="input is-code" rows={Math.min(18, Math.max(6, text.split("\n").length + 1))} spellCheck={false} autoComplete="off" value={text} aria-invalid={typed === null} onChange={(event) => setText(event.target.value)} />
        </label>
        {typed === null ? (
          <p className="param-bad" role="alert">
            {t("rejects.no_json")}
          </p>
        ) : null}
        {table === undefined ? null : (
          <details>
            <summary>{t("rejects.columns", { table: table.name })}</summary>
            <ul className="reject-columns">
              {table.columns.map((own) => (
                <li key={own.name}>
                  <code>{own.name}</code> <span className="soft">{`${own.type}${own.nullable ? "?" : ""}`}</span>
                </li>
              ))}
            </ul>
          </details>
        )}
        {retrying.isError ? <ProblemNotice error={retrying.error} /> : null}
        {dismissing.isError ? <ProblemNotice error={dismissing.error} /> : null}
        <div className="row is-wrap">
          <button type="button" className="button is-primary" disabled={typed === null || retrying.isPending} onClick={() => (typed === null ? undefined : retrying.mutate(typed.row))}>
            <Icon name="refresh" size={14} /> {t("rejects.send")}
          </button>
          <Sure text={t("rejects.dismiss.one")} disabled={dismissing.isPending} onSure={() => dismissing.mutate()} />
        </div>
      </div>
    </Sheet>
  );
}
