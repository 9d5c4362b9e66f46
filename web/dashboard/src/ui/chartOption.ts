/** What ECharts is asked to draw. The tooltip is made of elements: the page's policy allows no style in text. */
import type { EChartsCoreOption } from "echarts/core";
import type { ChartProps } from "./Chart.tsx";
import { colourOf, seriesPlaceOf } from "./Legend.tsx";

export interface Palette {
  readonly series: readonly string[];
  readonly text: string;
  readonly line: string;
  readonly before: string;
  readonly ground: string;
  readonly font: string;
}

interface Hovered {
  readonly dataIndex?: number;
}

function element(name: string, className: string, text: string): HTMLElement {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}

function tooltipOf({ labels, lines, format, partial = 0, note }: ChartProps, index: number): HTMLElement {
  const made = element("div", "tip", "");
  made.append(element("div", "tip-head", labels[index] ?? ""));
  lines.forEach((line, place) => {
    const value = line.data[index];
    const row = element("div", "tip-row", "");
    const name = element("span", "tip-name", line.name);
    const own = line.labels?.[index];
    if (own !== undefined) name.append(" ", element("span", "tip-when", own));
    row.append(
      element("span", `tip-dot ${colourOf(lines, place)}`, ""),
      name,
      element("span", "tip-value", value === null || value === undefined ? "—" : format(value)),
    );
    made.append(row);
  });
  if (note !== undefined && index >= labels.length - partial) made.append(element("div", "tip-note", note));
  return made;
}

function seriesOf({ lines, shape, partial = 0 }: ChartProps, palette: Palette): object[] {
  return lines.flatMap((line, place): object[] => {
    const own = seriesPlaceOf(lines, place);
    const color = own === null ? palette.before : (palette.series[own] ?? palette.text);
    const faded = line.before === true && own !== null ? 0.55 : 1;
    // The period before has ended, all of it.
    const whole = shape === "line" && partial > 0 && line.before !== true ? line.data.length - partial : line.data.length;
    const base = { name: line.name, animationDuration: 250, emphasis: { disabled: true }, silent: true };
    if (shape !== "line") {
      const bar = { ...base, type: "bar", barMaxWidth: 44, barGap: "8%", itemStyle: { color, opacity: faded, borderRadius: shape === "bar" ? [3, 3, 0, 0] : 0 } };
      const faint = line.data.map((value, index) => (index >= line.data.length - partial ? { value, itemStyle: { opacity: 0.45 } } : value));
      return [shape === "stack" ? { ...bar, stack: "all", data: faint } : { ...bar, data: faint }];
    }
    const stroke = { ...base, type: "line", symbol: "circle", symbolSize: 5, showSymbol: line.data.length <= 2, itemStyle: { color } };
    const solid = { ...stroke, lineStyle: { color, opacity: faded, width: line.before === true ? 1.5 : 2, type: line.before === true ? "dashed" : "solid" }, data: line.data.slice(0, whole) };
    const area = lines.length === 1 ? { areaStyle: { color, opacity: 0.1 } } : {};
    if (whole === line.data.length || whole === 0) return [{ ...solid, ...area, data: line.data }];
    // A period that has not ended continues the line, dotted, from the last one that has.
    const rest = line.data.map((value, index) => (index >= whole - 1 ? value : null));
    return [{ ...solid, ...area }, { ...stroke, lineStyle: { color, width: 2, type: "dotted" }, data: rest }];
  });
}

export function optionOf(props: ChartProps, palette: Palette): EChartsCoreOption {
  const text = { color: palette.text, fontSize: 11, fontFamily: palette.font };
  return {
    grid: { left: 4, right: 16, top: 12, bottom: 4, containLabel: true },
    tooltip: {
      trigger: "axis",
      confine: true,
      className: "tip-place",
      borderWidth: 0,
      padding: 0,
      transitionDuration: 0,
      backgroundColor: "transparent",
      extraCssText: "box-shadow: none",
      axisPointer: { type: "line", lineStyle: { color: palette.text, type: "solid", opacity: 0.4 } },
      formatter: (hovered: Hovered | readonly Hovered[]) => {
        const [first] = Array.isArray(hovered) ? (hovered as readonly Hovered[]) : [hovered as Hovered];
        return tooltipOf(props, first?.dataIndex ?? 0);
      },
    },
    xAxis: {
      type: "category",
      data: [...props.labels],
      boundaryGap: props.shape !== "line",
      axisLine: { lineStyle: { color: palette.line } },
      axisTick: { show: false },
      // The last name stands to the left of its place where it would leave the picture.
      axisLabel: { ...text, hideOverlap: true, margin: 10, ...(props.shape === "line" ? { alignMaxLabel: "right" } : {}) },
    },
    yAxis: { type: "value", splitLine: { lineStyle: { color: palette.line } }, axisLabel: { ...text, formatter: props.axis }, splitNumber: 4 },
    series: seriesOf(props, palette),
  };
}
