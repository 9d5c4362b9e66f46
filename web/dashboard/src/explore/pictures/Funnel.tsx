/** A funnel: a bar for each step, as wide as its share of those who entered, and who dropped on the way. */
import { useFormat } from "../../format/useFormat.ts";
import { useT } from "../../i18n/i18n.tsx";
import { Empty } from "../../ui/Notice.tsx";
import type { Place } from "../actors.ts";
import type { Matcher, Query } from "../query.ts";
import { type FunnelResult, nameOf, shareOf } from "../results.ts";
import { useNameOf } from "../useNameOf.ts";

interface FunnelProps {
  readonly query: Query;
  readonly result: FunnelResult;
  readonly onOpen: (place: Place) => (() => void) | undefined;
}

/** What a step is called: its event, and what must hold. */
export function nameOfStep(matcher: Matcher | undefined, any: string): string {
  const where = (matcher?.where ?? []).map((filter) => `${filter.prop} ${filter.op === "eq" ? "=" : filter.op} ${nameOf(filter.value)}`);
  return [matcher?.event ?? any, ...where].join(" · ");
}

export function Funnel({ query, result, onOpen }: FunnelProps) {
  const t = useT();
  const format = useFormat();
  const { counts } = result;
  const [entered = 0] = counts;
  if (entered === 0) return <Empty title={t("empty.funnel")}>{t("empty.query.hint")}</Empty>;
  const steps = Array.isArray(query.steps) ? (query.steps as readonly Matcher[]) : [];
  const last = counts.at(-1) ?? 0;
  return (
    <div className="stack">
      <p className="funnel-total">
        <strong className="big">{format.percent(shareOf(last, entered) ?? 0)}</strong>
        <span className="soft">{t("funnel.total", { entered, converted: last })}</span>
      </p>
      <ol className="funnel">
        {counts.map((count, step) => {
          const name = nameOfStep(steps[step], t("q.event.any"));
          const before = counts[step - 1];
          const dropped = before === undefined ? 0 : before - count;
          const median = result.median_seconds[step];
          return (
            // oxlint-disable-next-line react/no-array-index-key
            <li key={step} className="funnel-step" data-step={step}>
              {before === undefined ? null : (
                <div className="funnel-between">
                  <OpenButton onOpen={dropped === 0 ? undefined : onOpen({ step: step - 1, dropped: true })}>{t("funnel.dropped", { count: dropped, share: format.percent(shareOf(dropped, before) ?? 0) })}</OpenButton>
                  {median === null || median === undefined ? null : <span className="soft">{t("funnel.median", { time: format.seconds(median) })}</span>}
                </div>
              )}
              <div className="funnel-head">
                <span>
                  <span className="step-number">{step + 1}</span> {name}
                </span>
                <span className="funnel-numbers">
                  <OpenButton onOpen={count === 0 ? undefined : onOpen({ step })}>{format.number(count)}</OpenButton>
                  <span className="soft">{format.percent(shareOf(count, entered) ?? 0)}</span>
                </span>
              </div>
              <div className="funnel-track">
                <div className="funnel-fill" style={{ inlineSize: `${shareOf(count, entered) ?? 0}%` }} />
              </div>
            </li>
          );
        })}
      </ol>
      {result.groups === undefined || result.groups.length === 0 ? null : <Groups result={result} onOpen={onOpen} />}
    </div>
  );
}

/** A number that opens who is behind it, where it can. */
export function OpenButton({ onOpen, children }: { readonly onOpen: (() => void) | undefined; readonly children: string }) {
  if (onOpen === undefined) return <span>{children}</span>;
  return (
    <button type="button" className="link" onClick={onOpen}>
      {children}
    </button>
  );
}

function Groups({ result, onOpen }: Pick<FunnelProps, "result" | "onOpen">) {
  const t = useT();
  const named = useNameOf();
  const format = useFormat();
  const groups = result.groups ?? [];
  return (
    <section className="table-scroll" aria-label={t("q.breakdown")} tabIndex={0}>
      <table className="table">
        <caption className="hidden">{t("q.breakdown")}</caption>
        <thead>
          <tr>
            <th scope="col">{t("group")}</th>
            {result.counts.map((_, step) => (
              // oxlint-disable-next-line react/no-array-index-key
              <th key={step} scope="col" className="is-number">
                {t("q.step.of", { count: step + 1 })}
              </th>
            ))}
            <th scope="col" className="is-number">
              {t("funnel.conversion")}
            </th>
          </tr>
        </thead>
        <tbody>
          {groups.map((group) => {
            const share = shareOf(group.counts.at(-1) ?? 0, group.counts[0] ?? 0) ?? 0;
            return (
              <tr key={nameOf(group.value)}>
                <th scope="row">{named(group.value)}</th>
                {group.counts.map((count, step) => (
                  // oxlint-disable-next-line react/no-array-index-key
                  <td key={step} className="is-number">
                    <OpenButton onOpen={count === 0 ? undefined : onOpen({ step, group: group.value ?? [] })}>{format.number(count)}</OpenButton>
                  </td>
                ))}
                <td className="is-number">
                  <span className="share">
                    <span className="share-track">
                      <span className="share-fill" style={{ inlineSize: `${share}%` }} />
                    </span>
                    <span className="share-text">{format.percent(share)}</span>
                  </span>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </section>
  );
}
