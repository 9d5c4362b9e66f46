/** What both pages are made of. */
import type { EbbtideError, ReportResult } from "@ebbtide/react";
import type { ReactNode } from "react";

export function Problem({ error }: { readonly error: EbbtideError }) {
  return (
    <p className="problem" role="alert">
      {error.message} {error.hint}
    </p>
  );
}

interface PanelProps<Answer> {
  readonly title: string;
  readonly result: ReportResult<Answer>;
  readonly children: (answer: Answer) => ReactNode;
}

/** A report while it is asked for, when it is there, and when there is none. */
export function Panel<Answer>({ title, result, children }: PanelProps<Answer>) {
  return (
    <section aria-label={title} aria-busy={result.isFetching}>
      <h2>{title}</h2>
      {result.isError ? <Problem error={result.error} /> : null}
      {result.isPending ? <p>…</p> : null}
      {result.data === undefined ? null : children(result.data)}
    </section>
  );
}

export function Numbers({ of }: { readonly of: Readonly<Record<string, ReactNode>> }) {
  return (
    <dl>
      {Object.entries(of).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value ?? "—"}</dd>
        </div>
      ))}
    </dl>
  );
}
