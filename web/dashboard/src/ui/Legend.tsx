/** Which colour is whose. */
import { useT } from "../i18n/i18n.tsx";
import type { Line } from "./Chart.tsx";

const COLOURS = 8;

/** Which of the series' colours a line has. A line of the period before has its own line's, or none where there is but one. */
export function seriesPlaceOf(lines: readonly Line[], place: number): number | null {
  const own = lines.slice(0, place).filter((line) => line.before !== true).length;
  if (lines[place]?.before !== true) return own % COLOURS;
  const several = lines.filter((line) => line.before !== true).length > 1;
  return several ? (own - 1) % COLOURS : null;
}

/** As classes. */
export function colourOf(lines: readonly Line[], place: number): string {
  const own = seriesPlaceOf(lines, place);
  return own === null ? "series-before" : `series-${own + 1}${lines[place]?.before === true ? " is-before" : ""}`;
}

interface LegendProps {
  readonly lines: readonly Line[];
  /** How many there are besides those that are drawn. */
  readonly others?: number;
}

export function Legend({ lines, others = 0 }: LegendProps) {
  const t = useT();
  return (
    <ul className="legend">
      {lines.map((line, place) => (
        <li key={line.name}>
          <span className={`legend-dot ${colourOf(lines, place)}`} /> {line.name}
        </li>
      ))}
      {others <= 0 ? null : <li className="soft">{t("more", { count: others })}</li>}
    </ul>
  );
}
