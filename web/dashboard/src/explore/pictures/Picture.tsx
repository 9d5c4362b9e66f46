/** An answer as a picture. Numbers of actors open who they are. */
import { type ReactNode, useState } from "react";
import { useFormat } from "../../format/useFormat.ts";
import { useT } from "../../i18n/i18n.tsx";
import { Delta } from "../../reports/blocks/Cards.tsx";
import { BarList } from "../../ui/BarList.tsx";
import { Chart, type Line } from "../../ui/Chart.tsx";
import { Empty } from "../../ui/Notice.tsx";
import type { Place } from "../actors.ts";
import { type Query, measureKey } from "../query.ts";
import type { Picture } from "../state.ts";
import { type ChurnActor, type ChurnResult, type DropoffResult, type FunnelResult, type FunnelTrend, type LifecycleResult, type Numbers, type PrecedingResult, type RetentionResult, STATES, type StickinessResult, type TrendGroup, type TrendResult, nameOf } from "../results.ts";
import { useNameOf } from "../useNameOf.ts";
import { Churn } from "./Churn.tsx";
import { Dropoff } from "./Dropoff.tsx";
import { Funnel } from "./Funnel.tsx";
import { Paths } from "./Paths.tsx";
import { Retention } from "./Retention.tsx";

export interface PictureProps {
  readonly query: Query;
  /** How a trend is drawn. */
  readonly as: Picture;
  readonly result: unknown;
  /** The result of the period before, where that is an answer of its own. */
  readonly before: unknown;
  /** Null where a place cannot be opened. */
  readonly onOpen: (place: Place) => (() => void) | undefined;
  readonly onActor: (actor: ChurnActor) => void;
}

export function AnswerPicture({ query, as, result, before, onOpen, onActor }: PictureProps) {
  switch (query.kind) {
    case "funnel":
      return query.viz === "trends" ? <FunnelTrends query={query} result={result as FunnelTrend} onOpen={onOpen} /> : <Funnel query={query} result={result as FunnelResult} onOpen={onOpen} />;
    case "retention":
      return <Retention query={query} result={result as RetentionResult} before={before as RetentionResult | undefined} onOpen={onOpen} />;
    case "trend":
      return <Trend query={query} as={as} result={result as TrendResult} onOpen={onOpen} />;
    case "lifecycle":
      return <Lifecycle query={query} result={result as LifecycleResult} onOpen={onOpen} />;
    case "stickiness":
      return <Stickiness query={query} result={result as StickinessResult} onOpen={onOpen} />;
    case "paths":
      return <Paths result={result as never} onOpen={onOpen} />;
    case "churn":
      return <Churn result={result as ChurnResult} onOpen={onOpen} onActor={onActor} />;
    case "preceding":
      return <Preceding result={result as PrecedingResult} onOpen={onOpen} />;
    case "dropoff":
      return <Dropoff result={result as DropoffResult} onOpen={onOpen} />;
  }
}

const SHOWN_GROUPS = 8;

const partialIn = (complete: readonly boolean[]): number => complete.filter((ended) => !ended).length;

type OnOpen = PictureProps["onOpen"];

function Trend({ query, as, result, onOpen }: Pick<PictureProps, "query" | "as" | "onOpen"> & { readonly result: TrendResult }) {
  const t = useT();
  const named = useNameOf();
  const format = useFormat();
  const interval = query.interval ?? "day";
  const groups = result.groups ?? [];
  const name = t(measureKey(query));
  if (groups.length > 0 && (interval === "all" || as === "number")) {
    const total = (data: Numbers) => (interval === "all" ? (data[0] ?? 0) : data.reduce((sum: number, value) => sum + (value ?? 0), 0));
    const open = (value: unknown) => (interval === "all" ? onOpen({ bucket: 0, group: [value] }) : undefined);
    return <BarList label={t("kind.trend")} items={groups.map((group) => ({ key: nameOf(group.value), label: named(group.value), value: total(group.data), text: format.number(total(group.data)), onOpen: open(group.value) }))} />;
  }
  if (interval === "all") return <WholeRange name={name} now={result.data[0]} before={result.compare?.data[0]} onOpen={onOpen({ bucket: 0 })} />;
  if (result.data.every((value) => value === null || value === 0)) return <Empty title={t("empty.query")}>{t("empty.query.hint")}</Empty>;
  if (as === "number") {
    const last = result.complete.findLastIndex((ended, index) => ended && result.data[index] !== null);
    return <WholeRange name={`${name} · ${format.start(result.starts[last] ?? null, interval)}`} now={result.data[last]} before={result.compare?.data[last]} onOpen={onOpen({ bucket: last })} />;
  }
  return groups.length > 0 ? <TrendGroups {...{ query, as, result, onOpen, groups }} /> : <TrendLine {...{ query, as, result, onOpen, name }} />;
}

type TrendProps = Pick<PictureProps, "query" | "as" | "onOpen"> & { readonly result: TrendResult };

function TrendLine({ query, as, result, onOpen, name }: TrendProps & { readonly name: string }) {
  const t = useT();
  const format = useFormat();
  const interval = query.interval ?? "day";
  const before: Line[] = result.compare === undefined ? [] : [{ name: t("compare.previous.of", { name }), data: result.compare.data, before: true, labels: result.compare.starts.map((start) => format.start(start, interval)) }];
  const opens = onOpen({ bucket: 0 }) !== undefined;
  return (
    <div className="stack">
      <Chart
        label={name}
        labels={result.starts.map((start) => format.start(start, interval))}
        lines={[{ name, data: result.data }, ...before]}
        shape={as === "bar" ? "bar" : "line"}
        format={format.number}
        axis={format.compact}
        partial={partialIn(result.complete)}
        height="tall"
        onOpen={opens ? (bucket) => onOpen({ bucket })?.() : undefined}
      />
      {opens ? <p className="soft is-small-text">{t("actors.click")}</p> : null}
    </div>
  );
}

/** Of more groups than this, the lines of the period before would hide those of this one. */
const COMPARED_GROUPS = 4;

/** A line for each group, and all of them at one period, which is chosen: each number opens who is behind it. */
function TrendGroups({ query, as, result, onOpen, groups }: TrendProps & { readonly groups: readonly TrendGroup[] }) {
  const t = useT();
  const named = useNameOf();
  const format = useFormat();
  const interval = query.interval ?? "day";
  const labels = result.starts.map((start) => format.start(start, interval));
  const [bucket, choose] = useBucket(result.complete);
  const labelsBefore = result.compare?.starts.map((start) => format.start(start, interval));
  const drawn = groups.slice(0, SHOWN_GROUPS);
  const compares = as !== "bar" && groups.length <= COMPARED_GROUPS;
  const lines = drawn.flatMap((group): Line[] => {
    const own: Line = { name: named(group.value), data: group.data };
    return compares && group.compare !== undefined ? [own, { name: t("compare.previous.of", { name: own.name }), data: group.compare, before: true, ...(labelsBefore === undefined ? {} : { labels: labelsBefore }) }] : [own];
  });
  const items = groups.map((group) => {
    const value = group.data[bucket] ?? 0;
    const before = group.compare?.[bucket];
    return {
      key: nameOf(group.value),
      label: named(group.value),
      value,
      text: format.number(value),
      note: typeof before === "number" ? <Delta now={value} before={before} text={format.number(before)} /> : undefined,
      onOpen: value === 0 ? undefined : onOpen({ bucket, group: [group.value] }),
    };
  });
  return (
    <div className="stack">
      <Chart label={t(measureKey(query))} labels={labels} lines={lines} others={groups.length - drawn.length} shape={as === "bar" ? "stack" : "line"} format={format.number} axis={format.compact} partial={partialIn(result.complete)} height="tall" onOpen={choose} />
      <AtPeriod labels={labels} bucket={bucket} onChange={choose}>
        <BarList label={labels[bucket] ?? ""} items={items} />
      </AtPeriod>
    </div>
  );
}

/** The period that is looked at: the last one that has ended, until another is chosen. */
function useBucket(complete: readonly boolean[]): readonly [number, (bucket: number) => void] {
  const [chosen, choose] = useState<number | null>(null);
  const last = Math.max(0, complete.lastIndexOf(true));
  return [chosen === null || chosen >= complete.length ? last : chosen, choose];
}

interface AtPeriodProps {
  readonly labels: readonly string[];
  readonly bucket: number;
  readonly onChange: (bucket: number) => void;
  readonly children: ReactNode;
}

/** What lies at one period of a picture: clicked there, or chosen here by whoever uses no mouse. */
function AtPeriod({ labels, bucket, onChange, children }: AtPeriodProps) {
  const t = useT();
  return (
    <section className="stack">
      <label className="param">
        <span className="param-name">{t("period")}</span>
        <select className="input" value={bucket} onChange={(event) => onChange(Number(event.target.value))}>
          {labels.map((label, index) => (
            // Periods have no names of their own beside their places.
            // oxlint-disable-next-line react/no-array-index-key
            <option key={index} value={index}>
              {label}
            </option>
          ))}
        </select>
        <span className="soft is-small-text">{t("actors.choose")}</span>
      </label>
      {children}
    </section>
  );
}

/** One number, and the one of the period before. */
function WholeRange({ name, now, before, onOpen }: { readonly name: string; readonly now: number | null | undefined; readonly before: number | null | undefined; readonly onOpen: (() => void) | undefined }) {
  const format = useFormat();
  const text = now === null || now === undefined ? "—" : format.number(now);
  return (
    <dl className="cards">
      <div className="card-stat">
        <dt>{name}</dt>
        <dd className="big">
          {onOpen === undefined || now === null || now === undefined || now === 0 ? (
            text
          ) : (
            <button type="button" className="link" onClick={onOpen}>
              {text}
            </button>
          )}{" "}
          {typeof now === "number" && typeof before === "number" ? <Delta now={now} before={before} text={format.number(before)} /> : null}
        </dd>
      </div>
    </dl>
  );
}

function FunnelTrends({ query, result, onOpen }: { readonly query: Query; readonly result: FunnelTrend; readonly onOpen: OnOpen }) {
  const t = useT();
  const format = useFormat();
  return (
    <Chart
      label={t("funnel.conversion")}
      labels={result.starts.map((start) => format.start(start, query.interval ?? "day"))}
      lines={[{ name: t("funnel.conversion"), data: result.percent }]}
      shape="line"
      format={(value) => format.percent(value)}
      axis={(value) => format.percent(value, 0)}
      partial={partialIn(result.complete)}
      height="tall"
      onOpen={(bucket) => onOpen({ bucket })?.()}
    />
  );
}

function Lifecycle({ query, result, onOpen }: Pick<PictureProps, "query" | "onOpen"> & { readonly result: LifecycleResult }) {
  const t = useT();
  const format = useFormat();
  const interval = query.interval ?? "day";
  const lines = (["returning", "resurrecting", "new", "dormant"] as const).map((state) => ({ name: t(`lifecycle.${state}`), data: result[state] }));
  const labels = result.starts.map((start) => format.start(start, interval));
  const [bucket, choose] = useBucket(result.complete);
  return (
    <div className="stack">
      <Chart label={t("kind.lifecycle")} labels={labels} lines={lines} shape="stack" format={(value) => format.number(Math.abs(value))} axis={(value) => format.compact(Math.abs(value))} partial={partialIn(result.complete)} height="tall" onOpen={choose} />
      <AtPeriod labels={labels} bucket={bucket} onChange={choose}>
        <BarList
          label={labels[bucket] ?? ""}
          items={STATES.map((state) => {
            const value = Math.abs(result[state][bucket] ?? 0);
            return { key: state, label: t(`lifecycle.${state}`), value, text: format.number(value), onOpen: value === 0 ? undefined : onOpen({ bucket, state }) };
          })}
        />
      </AtPeriod>
    </div>
  );
}

function Stickiness({ query, result, onOpen }: { readonly query: Query; readonly result: StickinessResult; readonly onOpen: OnOpen }) {
  const t = useT();
  const format = useFormat();
  const most = result.data.findLastIndex((actors) => actors > 0) + 1;
  const unit = t(`interval.${query.interval === undefined || query.interval === "all" ? "day" : query.interval}`);
  return (
    <div className="stack">
      <p>{t("stickiness.total", { count: result.actors_total, unit })}</p>
      <Chart
        label={t("kind.stickiness")}
        labels={result.data.slice(0, Math.max(1, most)).map((_, index) => String(index + 1))}
        lines={[
          { name: t("stickiness.exactly"), data: result.data.slice(0, Math.max(1, most)) },
        ]}
        shape="bar"
        format={format.number}
        axis={format.compact}
        height="tall"
        onOpen={(index) => ((result.data[index] ?? 0) > 0 ? onOpen({ exactly: index + 1 })?.() : undefined)}
      />
      <p className="soft is-small-text">{t("actors.click")}</p>
    </div>
  );
}

function Preceding({ result, onOpen }: { readonly result: PrecedingResult; readonly onOpen: OnOpen }) {
  const t = useT();
  const named = useNameOf();
  const format = useFormat();
  if (result.total === 0) return <Empty title={t("empty.query")}>{t("empty.query.hint")}</Empty>;
  return (
    <div className="stack">
      <p>{t("preceding.total", { count: result.total })}</p>
      <BarList label={t("kind.preceding")} items={result.values.map(({ value, count }) => ({ key: nameOf(value), label: named(value), value: count, text: `${format.number(count)} · ${format.percent((100 * count) / result.total)}`, onOpen: onOpen({ value }) }))} />
    </div>
  );
}
