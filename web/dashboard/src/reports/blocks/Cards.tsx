import { useFormat } from "../../format/useFormat.ts";
import { useName } from "../../format/useName.ts";
import type { Unit } from "../../format/units.ts";
import { useT } from "../../i18n/i18n.tsx";
import { statBefore } from "../compare.ts";
import type { Block, Stat } from "../shape.ts";

type CardsBlock = Extract<Block, { kind: "cards" }>;

export function Cards({ block, before }: { readonly block: CardsBlock; readonly before: Block | null }) {
  const numbers = block.stats.filter((stat) => stat.numeric && stat.unit.kind !== "key");
  const texts = block.stats.filter((stat) => !numbers.includes(stat));
  return (
    <div className="stack">
      {texts.length === 0 ? null : <Facts stats={texts} />}
      {numbers.length === 0 ? null : (
        <dl className="cards">
          {numbers.map((stat) => (
            <Card key={stat.name} stat={stat} before={statBefore(stat, before)} />
          ))}
        </dl>
      )}
    </div>
  );
}

function Card({ stat, before }: { readonly stat: Stat; readonly before: number | null }) {
  const format = useFormat();
  const name = useName();
  const now = typeof stat.value === "number" ? stat.value : null;
  return (
    <div className="card-stat">
      <dt>{name(stat.name)}</dt>
      <dd>
        <span className="card-value">{format.any(stat.value, stat.unit)}</span>
        {now === null || before === null ? null : <Delta now={now} before={before} text={format.any(before, stat.unit)} unit={stat.unit} badWhenMore={isBadWhenMore(stat.name)} />}
      </dd>
    </div>
  );
}

/** Of what there should be less. */
export const isBadWhenMore = (name: string): boolean => /risk|churn|unanswered|negative|inactive|dormant|cancel|refund|fail|resolution|exit/.test(name);

interface DeltaProps {
  readonly now: number;
  readonly before: number;
  /** What it was before, as text. */
  readonly text: string;
  /** Shares change by points, all else by its share. */
  readonly unit?: Unit;
  readonly badWhenMore?: boolean;
}

/** Points are shown with one digit: what rounds to none has not changed. */
const POINT_DIGITS = 1;

/** More or less than before: an arrow and a number, never colour alone. */
export function Delta({ now, before, text, unit, badWhenMore = false }: DeltaProps) {
  const t = useT();
  const format = useFormat();
  const isShare = unit?.kind === "percent";
  const points = Number(Math.abs(now - before).toFixed(POINT_DIGITS));
  const change = isShare ? t("compare.points", { change: format.number(points) }) : format.change(now, before);
  if (now === before || (isShare && points === 0)) return null;
  const way = now > before === badWhenMore ? "is-bad" : "is-good";
  return (
    <span className={`delta ${way}`} title={t("compare.before", { value: text })}>
      <span aria-hidden="true">{now > before ? "↑" : "↓"}</span>
      <span className="hidden">{now > before ? "+" : "−"}</span> {change ?? t("compare.new")}
    </span>
  );
}

function Facts({ stats }: { readonly stats: readonly Stat[] }) {
  const format = useFormat();
  const name = useName();
  return (
    <dl className="facts">
      {stats.map((stat) => (
        <div key={stat.name}>
          <dt>{name(stat.name)}</dt>
          <dd>{format.any(stat.value, stat.unit)}</dd>
        </div>
      ))}
    </dl>
  );
}
