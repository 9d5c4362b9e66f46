/** What went wrong, and what to do next; what is empty, and why. */
import type { ReactNode } from "react";
import { type Problem, Refusal } from "../api/client.ts";
import { type Translate, useI18n, useT } from "../i18n/i18n.tsx";
import { isTold } from "../i18n/problems.ts";
import { Icon } from "./icons.tsx";

interface ProblemProps {
  readonly error: unknown;
  readonly onRetry?: (() => void) | undefined;
}

export function ProblemNotice({ error, onRetry }: ProblemProps) {
  const t = useT();
  const problem = error instanceof Refusal ? error.problem : null;
  if (problem?.status === 402) return <UpgradeNotice detail={problem.detail} />;
  const isOurs = problem === null || problem.code === "unreachable";
  const { title, hint, detail } = textsOf(error, problem, t);
  return (
    <div className="notice is-bad" role="alert">
      <Icon name="warning" size={18} />
      <div className="notice-text">
        <strong>{title}</strong>
        {hint === "" ? null : <p>{hint}</p>}
        {detail === "" ? null : (
          <p className="soft" lang="en">
            {detail}
          </p>
        )}
        {isOurs ? null : (
          <p className="notice-code">
            <code>{problem.code}</code>
            {problem.request_id === "" ? null : <span> · {t("problem.request", { id: problem.request_id })}</span>}
          </p>
        )}
        {onRetry === undefined || (problem !== null && isOfTheRequest(problem.status)) ? null : (
          <button type="button" className="button" onClick={onRetry}>
            <Icon name="refresh" size={14} /> {t("retry")}
          </button>
        )}
      </div>
    </div>
  );
}

/** In the reader's language what it is and what to do; in the server's own words the particulars. A code that this dashboard does not know has those alone. */
function textsOf(error: unknown, problem: Problem | null, t: Translate): Readonly<Record<"title" | "hint" | "detail", string>> {
  if (problem === null) return { title: t("problem.title"), hint: "", detail: String(error) };
  if (problem.code === "unreachable") return { title: t("problem.unreachable"), hint: t("problem.unreachable.detail"), detail: "" };
  const { code, title, hint = "", detail } = problem;
  return isTold(code) ? { title: t(`problem.of.${code}`), hint: t(`problem.of.${code}.hint`), detail } : { title, hint, detail };
}

/** Refusals that the same request meets again, however often it is made. */
const isOfTheRequest = (status: number): boolean => status >= 400 && status < 500 && ![401, 408, 429].includes(status);

/** A plan without the feature: the pack's own words, a bundled one's in the reader's language. */
function UpgradeNotice({ detail }: { readonly detail: string }) {
  const { t, said } = useI18n();
  return (
    <div className="notice is-upgrade">
      <Icon name="star" size={18} />
      <div className="notice-text">
        <strong>{t("upgrade.title")}</strong>
        <p>{said(detail)}</p>
      </div>
    </div>
  );
}

interface EmptyProps {
  readonly title: string;
  readonly children?: ReactNode;
}

export function Empty({ title, children }: EmptyProps) {
  return (
    <div className="empty">
      <svg className="empty-tide" viewBox="0 0 96 32" aria-hidden="true">
        <path d="M2 12q11.500-12 23 0t23 0 23 0 23 0M2 24q11.500-12 23 0t23 0 23 0 23 0" />
      </svg>
      <p className="empty-title">{title}</p>
      {children === undefined ? null : <div className="soft">{children}</div>}
    </div>
  );
}

export function Skeleton({ rows = 3, tall = false }: { readonly rows?: number; readonly tall?: boolean }) {
  const t = useT();
  return (
    <output className={tall ? "skeleton is-tall" : "skeleton"} aria-label={t("loading")}>
      {Array.from({ length: rows }, (_, row) => (
        <span key={row} className="skeleton-row" />
      ))}
    </output>
  );
}
