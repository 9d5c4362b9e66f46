/** An answer as a picture. Numbers of actors open who they are. */
import { useFormat } from "../../format/useFormat.ts";
import { useT } from "../../i18n/i18n.tsx";
import { BarList } from "../../ui/BarList.tsx";
import { Chart, type Line } from "../../ui/Chart.tsx";
import { Empty } from "../../ui/Notice.tsx";
import type { Place } from "../actors.ts";
import type { Query } from "../query.ts";
import { type ChurnActor, type ChurnResult, type DropoffResult, type FunnelResult, type FunnelTrend, type LifecycleResult, type PrecedingResult, type RetentionResult, STATES, type StickinessResult, type TrendResult, nameOf } from "../results.ts";
import { Churn } from "./Churn.tsx";
import { Dropoff } from "./Dropoff.tsx";
import { Funnel } from "./Funnel.tsx";
import { Paths } from "./Paths.tsx";
import { Retention } from "./Retention.tsx";

export interface PictureProps {
  readonly query: Query;
  readonly result: unknown;
  /** Null where a place cannot be opened. */
  readonly onOpen: (place: Place) => (() => void) | undefined;
  readonly onActor: (actor: ChurnActor) => void;
}

export function Picture({ query, result, onOpen, onActor }: PictureProps) {
  switch (query.kind) {
    case "funnel":
      return query.viz === "trends" ? <FunnelTrends query={query} result={result as FunnelTrend} /> : <Funnel query={query} result={result as FunnelResult} onOpen={onOpen} />;
    case "retention":
      return <Retention query={query} result={result as RetentionResult} onOpen={onOpen} />;
    case "trend":
      return <Trend query={query} result={result as TrendResult} onOpen={onOpen} />;
    case "lifecycle":
      return <Lifecycle query={query} result={result as LifecycleResult} onOpen={onOpen} />;
    case "stickiness":
      return <Stickiness query={query} result={result as StickinessResult} />;
    case "paths":
      return <Paths result={result as never} />;
    case "churn":
      return <Churn result={result as ChurnResult} onActor={onActor} />;
    case "preceding":
      return <Preceding result={result as PrecedingResult} />;
    case "dropoff":
      return <Dropoff result={result as DropoffResult} />;
  }
}

const SHOWN_GROUPS = 8;

const partialIn = (complete: readonly boolean[]): number => complete.filter((ended) => !ended).length;

function Trend({ query, result, onOpen }: Pick<PictureProps, "query" | "onOpen"> & { readonly result: TrendResult }) {
  const t = useT();
  const format = useFormat();
  const interval = query.interval ?? "day";
  const groups = result.groups ?? [];
  if (interval === "all" && groups.length > 0) {
    return <BarList label={t("kind.trend")} items={groups.map((group) => ({ key: nameOf(group.value), label: nameOf(group.value), value: group.data[0] ?? 0, text: format.number(group.data[0] ?? 0) }))} />;
  }
  if (interval === "all") return <p className="big">{result.data[0] === null || result.data[0] === undefined ? "—" : format.number(result.data[0])}</p>;
  if (result.data.every((value) => value === null || value === 0)) return <Empty title={t("empty.query")}>{t("empty.query.hint")}</Empty>;
  const name = t(`measure.${query.measure ?? "total"}`);
  const own: Line[] = groups.length > 0 ? groups.slice(0, SHOWN_GROUPS).map((group) => ({ name: nameOf(group.value), data: group.data })) : [{ name, data: result.data }];
  const before: Line[] = groups.length === 0 && result.compare !== undefined ? [{ name: t("compare.previous.of", { name }), data: result.compare.data, before: true }] : [];
  return (
    <div className="stack">
      {groups.length === 0 ? null : <Legend lines={own} others={groups.length - own.length} />}
      <Chart
        label={name}
        labels={result.starts.map((start) => format.start(start, interval))}
        lines={[...own, ...before]}
        shape="line"
        format={format.number}
        axis={format.compact}
        partial={partialIn(result.complete)}
        height="tall"
        onOpen={groups.length > 0 ? undefined : (bucket) => onOpen({ kind: "bucket", bucket })?.()}
      />
    </div>
  );
}

export function Legend({ lines, others }: { readonly lines: readonly Line[]; readonly others: number }) {
  const t = useT();
  return (
    <ul className="legend">
      {lines.map((line, place) => (
        <li key={line.name}>
          <span className={`legend-dot series-${(place % SHOWN_GROUPS) + 1}`} /> {line.name}
        </li>
      ))}
      {others <= 0 ? null : <li className="soft">{t("more", { count: others })}</li>}
    </ul>
  );
}

function FunnelTrends({ query, result }: { readonly query: Query; readonly result: FunnelTrend }) {
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
    />
  );
}

function Lifecycle({ query, result, onOpen }: Pick<PictureProps, "query" | "onOpen"> & { readonly result: LifecycleResult }) {
  const t = useT();
  const format = useFormat();
  const interval = query.interval ?? "day";
  const lines = (["returning", "resurrecting", "new", "dormant"] as const).map((state) => ({ name: t(`lifecycle.${state}`), data: result[state] }));
  const last = result.starts.length - 1;
  return (
    <div className="stack">
      <Legend lines={lines} others={0} />
      <Chart
        label={t("kind.lifecycle")}
        labels={result.starts.map((start) => format.start(start, interval))}
        lines={lines}
        shape="stack"
        format={format.number}
        axis={format.compact}
        partial={partialIn(result.complete)}
        height="tall"
      />
      <div className="stack">
        <h4 className="block-title">{t("lifecycle.latest", { period: format.start(result.starts[last - 1] ?? null, interval) })}</h4>
        <BarList
          label={t("kind.lifecycle")}
          items={STATES.map((state) => {
            const value = Math.abs(result[state][last - 1] ?? 0);
            return { key: state, label: t(`lifecycle.${state}`), value, text: format.number(value), onOpen: onOpen({ kind: "state", bucket: last - 1, state }) };
          })}
        />
      </div>
    </div>
  );
}

function Stickiness({ query, result }: { readonly query: Query; readonly result: StickinessResult }) {
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
      />
    </div>
  );
}

function Preceding({ result }: { readonly result: PrecedingResult }) {
  const t = useT();
  const format = useFormat();
  if (result.total === 0) return <Empty title={t("empty.query")}>{t("empty.query.hint")}</Empty>;
  return (
    <div className="stack">
      <p>{t("preceding.total", { count: result.total })}</p>
      <BarList label={t("kind.preceding")} items={result.values.map(({ value, count }) => ({ key: nameOf(value), label: nameOf(value), value: count, text: `${format.number(count)} · ${format.percent((100 * count) / result.total)}` }))} />
    </div>
  );
}
