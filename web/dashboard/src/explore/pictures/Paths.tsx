/** Paths as bands from item to item; what each one is stands in the table beside. */
import { useMemo } from "react";
import { useFormat } from "../../format/useFormat.ts";
import { useT } from "../../i18n/i18n.tsx";
import { BarList } from "../../ui/BarList.tsx";
import { Empty } from "../../ui/Notice.tsx";
import type { Place } from "../actors.ts";
import { type Node, flowOf } from "../flow.ts";
import { type Edge, nameOf } from "../results.ts";
import { useNameOf } from "../useNameOf.ts";

const WIDTH = 900;
const HEIGHT = 420;
const NODE = 10;
const MARGIN = 150;

export function Paths({ result, onOpen }: { readonly result: { readonly edges: readonly Edge[] }; readonly onOpen: (place: Place) => (() => void) | undefined }) {
  const t = useT();
  const named = useNameOf();
  const format = useFormat();
  const flow = useMemo(() => flowOf(result.edges, HEIGHT), [result]);
  if (flow.columns === 0) return <Empty title={t("empty.query")}>{t("empty.query.hint")}</Empty>;
  const x = (node: Node) => (node.column / (flow.columns - 1)) * (WIDTH - MARGIN - NODE);
  return (
    <div className="stack">
    <section className="table-scroll" aria-label={t("kind.paths")} tabIndex={0}>
      <svg className="flow" viewBox={`-2 -4 ${WIDTH + 4} ${HEIGHT + 12}`} role="img" aria-label={t("paths.label", { count: result.edges.length })}>
        {flow.bands.map(({ edge, from, to, fromY, toY, height }) => {
          const [x1, x2] = [x(from) + NODE, x(to)];
          const middle = (x1 + x2) / 2;
          const [y1, y2] = [fromY + height / 2, toY + height / 2];
          return (
            <path key={`${edge.step} ${nameOf(edge.from)} ${nameOf(edge.to)}`} className={onOpen({}) === undefined ? "flow-band" : "flow-band is-open"} onClick={onOpen({ edge: { from: edge.from, to: edge.to, step: edge.step } })} d={`M${x1},${y1} C${middle},${y1} ${middle},${y2} ${x2},${y2}`} strokeWidth={height}>
              <title>{`${named(edge.from)} → ${named(edge.to)}: ${format.number(edge.count)}`}</title>
            </path>
          );
        })}
        {flow.nodes.map((node) => (
          <g key={`${node.column} ${node.name}`}>
            <rect className="flow-node" x={x(node)} y={node.y} width={NODE} height={node.height} rx={3} />
            <text className="flow-name" x={x(node) + NODE + 6} y={node.y + node.height / 2} dominantBaseline="middle">
              {node.name}
              <tspan className="flow-count" dx={6}>
                {format.compact(node.count)}
              </tspan>
            </text>
          </g>
        ))}
      </svg>
    </section>
    <BarList
      label={t("kind.paths")}
      items={result.edges.map((edge) => ({
        key: `${edge.step} ${nameOf(edge.from)} ${nameOf(edge.to)}`,
        label: `${edge.step}. ${named(edge.from)} → ${named(edge.to)}`,
        value: edge.count,
        text: format.number(edge.count),
        onOpen: onOpen({ edge: { from: edge.from, to: edge.to, step: edge.step } }),
      }))}
    />
    </div>
  );
}
