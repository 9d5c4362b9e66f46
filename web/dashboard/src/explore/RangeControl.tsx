import { useT } from "../i18n/i18n.tsx";
import { Choice } from "../ui/Choice.tsx";
import { RANGES, type Range, daysOf } from "./state.ts";

interface RangeControlProps {
  readonly range: Range;
  readonly today: string;
  readonly onChange: (range: Range) => void;
}

export function RangeControl({ range, today, onChange }: RangeControlProps) {
  const t = useT();
  const options = [...RANGES, "custom" as const].map((value) => ({ value, label: t(`range.${value}`) }));
  const chosen = typeof range === "string" ? range : "custom";
  const days = daysOf(range, today) ?? { from: today, to: today };
  return (
    <div className="row is-wrap">
      <Choice label={t("range")} value={chosen} options={options} onChange={(value) => onChange(value === "custom" ? days : value)} />
      {typeof range === "string" ? null : (
        <span className="row">
          <input type="date" className="input is-date" aria-label={t("range.from")} value={range.from} max={range.to} onChange={(event) => (event.target.value === "" ? undefined : onChange({ ...range, from: event.target.value }))} />
          <span aria-hidden="true">–</span>
          <input type="date" className="input is-date" aria-label={t("range.to")} value={range.to} min={range.from} onChange={(event) => (event.target.value === "" ? undefined : onChange({ ...range, to: event.target.value }))} />
        </span>
      )}
    </div>
  );
}
