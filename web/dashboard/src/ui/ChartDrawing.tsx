/** Draws a chart by ECharts: its lines, bars, grid and tooltip, and nothing else of it. */
import { BarChart, LineChart } from "echarts/charts";
import { GridComponent, TooltipComponent } from "echarts/components";
import { type EChartsType, init, use as register } from "echarts/core";
import { CanvasRenderer } from "echarts/renderers";
import { useEffect, useRef, useState } from "react";
import type { ChartProps } from "./Chart.tsx";
import { type Palette, optionOf } from "./chartOption.ts";

register([BarChart, LineChart, GridComponent, TooltipComponent, CanvasRenderer]);

function paletteOf(element: Element): Palette {
  const style = getComputedStyle(element);
  const token = (name: string) => style.getPropertyValue(name).trim();
  const series = Array.from({ length: 8 }, (_, place) => token(`--series-${place + 1}`));
  return { series, text: token("--text-soft"), line: token("--line"), before: token("--series-before"), ground: token("--surface"), font: style.fontFamily };
}

/** Counts the changes of theme: colours are read anew after each. */
function useThemeChanges(): number {
  const [changes, setChanges] = useState(0);
  useEffect(() => {
    const changed = () => setChanges((count) => count + 1);
    const observer = new MutationObserver(changed);
    observer.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", changed);
    return () => {
      observer.disconnect();
      system.removeEventListener("change", changed);
    };
  }, []);
  return changes;
}

/** Tells pictures apart: what looks the same is not drawn again, so a page that renders anew leaves an open tooltip alone. */
const SAMPLE = 1234.5;
const lookOf = ({ labels, lines, shape, partial, format, axis }: ChartProps): string => JSON.stringify([labels, lines, shape, partial, format(SAMPLE), axis(SAMPLE)]);

export default function ChartDrawing(props: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<EChartsType | null>(null);
  const latest = useRef(props);
  const isFirst = useRef(true);
  const pointer = useRef<{ readonly x: number; readonly y: number } | null>(null);
  const theme = useThemeChanges();
  const look = lookOf(props);
  const { onOpen } = props;
  useEffect(() => {
    latest.current = props;
  });
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const own = init(element, null, { renderer: "canvas" });
    chart.current = own;
    isFirst.current = true;
    const observer = new ResizeObserver(() => own.resize());
    observer.observe(element);
    own.getZr().on("mousemove", (event) => {
      pointer.current = { x: event.offsetX, y: event.offsetY };
    });
    own.getZr().on("globalout", () => {
      pointer.current = null;
    });
    return () => {
      observer.disconnect();
      own.dispose();
      chart.current = null;
    };
  }, []);
  useEffect(() => {
    if (place.current === null) return;
    // Numbers that change under the reader's eyes change at once: what moves draws the eye away from them.
    const moves = isFirst.current && !matchMedia("(prefers-reduced-motion: reduce)").matches;
    isFirst.current = false;
    chart.current?.setOption({ ...optionOf(latest.current, paletteOf(place.current)), animation: moves }, { notMerge: true });
    // Whoever points at a period goes on reading it.
    if (pointer.current !== null) chart.current?.dispatchAction({ type: "showTip", ...pointer.current });
  }, [look, theme]);
  useEffect(() => {
    const own = chart.current;
    if (own === null || onOpen === undefined) return undefined;
    const pressed = (event: { readonly offsetX: number; readonly offsetY: number }) => {
      const point = own.convertFromPixel({ gridIndex: 0 }, [event.offsetX, event.offsetY]);
      const index = Array.isArray(point) ? point[0] : undefined;
      if (index !== undefined && own.containPixel({ gridIndex: 0 }, [event.offsetX, event.offsetY])) onOpen(Math.round(index));
    };
    own.getZr().on("click", pressed);
    return () => own.getZr()?.off("click", pressed);
  }, [onOpen]);
  return <div ref={place} className={onOpen === undefined ? "chart-canvas" : "chart-canvas is-open"} role="img" aria-label={props.label} />;
}
