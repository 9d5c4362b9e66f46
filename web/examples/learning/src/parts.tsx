/** What the pages are made of. */
import type { EbbtideError, ReportResult } from "@ebbtide/react";
import type { ReactNode } from "react";

const LOCALE = "en";
const whole = new Intl.NumberFormat(LOCALE, { maximumFractionDigits: 2 });
const roubles = new Intl.NumberFormat(LOCALE, { style: "currency", currency: "RUB", currencyDisplay: "narrowSymbol", maximumFractionDigits: 0 });
const days = new Intl.DateTimeFormat(LOCALE, { day: "numeric", month: "short", timeZone: "UTC" });

type Value = number | null | undefined;
const written = (value: Value, format: (value: number) => string): string => (value === null || value === undefined ? "—" : format(value));

export const number = (value: Value): string => written(value, whole.format);
export const money = (value: Value): string => written(value, roubles.format);
export const percent = (value: Value): string => written(value, (share) => `${whole.format(share)}%`);
export const day = (date: string): string => days.format(new Date(date));

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
  /** What stands beside the title. */
  readonly aside?: ReactNode;
  readonly wide?: boolean;
  readonly children: (answer: Answer) => ReactNode;
}

/** A report while it is asked for, when it is there, and when there is none. */
export function Panel<Answer>({ title, result, aside, wide = false, children }: PanelProps<Answer>) {
  return (
    <section className={wide ? "panel is-wide" : "panel"} aria-label={title} aria-busy={result.isFetching}>
      <header>
        <h2>{title}</h2>
        {aside}
      </header>
      {result.isError ? <Problem error={result.error} /> : null}
      {result.isPending && result.fetchStatus !== "idle" ? <p className="waits">Loading…</p> : null}
      {result.data === undefined ? null : children(result.data)}
    </section>
  );
}

/** Names with the numbers that they stand for. */
export function Numbers({ of }: { readonly of: Readonly<Record<string, string>> }) {
  return (
    <dl className="numbers">
      {Object.entries(of).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

export interface Bar {
  readonly name: string;
  readonly value: number;
  readonly text: string;
}

const greatestOf = (bars: readonly Bar[]): number => Math.max(1, ...bars.map((bar) => bar.value));

/** A column for each day: the first, the middle and the last are named below, all of them to whoever listens. */
export function Columns({ label, bars }: { readonly label: string; readonly bars: readonly Bar[] }) {
  const greatest = greatestOf(bars);
  const named = [bars[0], bars[Math.floor(bars.length / 2)], bars.at(-1)].filter((bar) => bar !== undefined);
  return (
    <figure>
      <p className="greatest">{bars.find((bar) => bar.value === greatest)?.text}</p>
      <ol className="columns" aria-label={label}>
        {bars.map((bar) => (
          <li key={bar.name} title={`${bar.name}: ${bar.text}`}>
            <span className="column" style={{ blockSize: `${(100 * bar.value) / greatest}%` }} />
            <span className="heard">
              <span>{bar.name}</span>: {bar.text}
            </span>
          </li>
        ))}
      </ol>
      <p className="axis" aria-hidden="true">
        {[...new Set(named)].map((bar) => (
          <span key={bar.name}>{bar.name}</span>
        ))}
      </p>
    </figure>
  );
}

export function Bars({ label, bars }: { readonly label: string; readonly bars: readonly Bar[] }) {
  const greatest = greatestOf(bars);
  return (
    <ol className="bars" aria-label={label}>
      {bars.map((bar) => (
        <li key={bar.name}>
          <span className="bar" style={{ inlineSize: `${(100 * bar.value) / greatest}%` }} />
          <span>{bar.name}</span>
          <span>{bar.text}</span>
        </li>
      ))}
    </ol>
  );
}

/** How much of a hundred. */
export function Share({ value }: { readonly value: Value }) {
  if (value === null || value === undefined) return "—";
  return (
    <span className="share">
      <span className="track" aria-hidden="true">
        <span style={{ inlineSize: `${Math.min(100, value)}%` }} />
      </span>
      {percent(value)}
    </span>
  );
}
