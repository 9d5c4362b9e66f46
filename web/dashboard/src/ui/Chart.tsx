/** Lines or bars over periods. ECharts is fetched when the first chart is shown. */
import { type RefObject, Suspense, lazy, useEffect, useRef, useState } from "react";
import { useT } from "../i18n/i18n.tsx";
import { Legend } from "./Legend.tsx";
import { Skeleton } from "./Notice.tsx";

export interface Line {
  readonly name: string;
  readonly data: readonly (number | null)[];
  /** Of the period before: fainter. */
  readonly before?: boolean;
  /** What its own periods are called, where these are others than the picture's. */
  readonly labels?: readonly string[];
}

export interface ChartProps {
  /** What it shows, in words: read out in place of the picture. */
  readonly label: string;
  readonly labels: readonly string[];
  readonly lines: readonly Line[];
  readonly shape: "line" | "bar" | "stack";
  readonly format: (value: number) => string;
  readonly axis: (value: number) => string;
  /** How many periods at the end have not ended. */
  readonly partial?: number;
  /** What is said of those. */
  readonly note?: string;
  readonly onOpen?: ((index: number) => void) | undefined;
  readonly height?: "low" | "normal" | "tall";
  /** How many lines there are besides those that are drawn. */
  readonly others?: number;
}

const Drawing = lazy(() => import("./ChartDrawing.tsx"));

export function Chart(props: ChartProps) {
  const t = useT();
  const place = useRef<HTMLDivElement>(null);
  const near = useNear(place);
  return (
    <div ref={place} className={`chart is-${props.height ?? "normal"}`}>
      {props.lines.length > 1 ? <Legend lines={props.lines} others={props.others ?? 0} /> : null}
      {near ? (
        <Suspense fallback={<Skeleton rows={1} tall />}>
          <Drawing note={t("chart.partial")} {...props} />
        </Suspense>
      ) : (
        <div className="chart-canvas" />
      )}
    </div>
  );
}

/** Whether it is, or was, about to be seen: what nobody scrolls to is not drawn. */
function useNear(place: RefObject<HTMLElement | null>): boolean {
  const [near, setNear] = useState(false);
  useEffect(() => {
    const element = place.current;
    if (element === null || near) return undefined;
    const observer = new IntersectionObserver(
      (entries) => {
        if (entries.some((entry) => entry.isIntersecting)) setNear(true);
      },
      { rootMargin: "400px" },
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [place, near]);
  return near;
}

/** The same numbers as a table, for whom a picture tells nothing. */
export function ChartTable({ label, labels, lines, format }: Pick<ChartProps, "label" | "labels" | "lines" | "format">) {
  const t = useT();
  return (
    <section className="table-scroll is-tall" aria-label={label} tabIndex={0}>
      <table className="table">
        <caption className="hidden">{label}</caption>
        <thead>
          <tr>
            <th scope="col">{t("period")}</th>
            {lines.map((line) => (
              <th key={line.name} scope="col" className="is-number">
                {line.name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {labels.map((name, index) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {lines.map((line) => {
                const value = line.data[index];
                return (
                  <td key={line.name} className="is-number">
                    {value === null || value === undefined ? "—" : format(value)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
