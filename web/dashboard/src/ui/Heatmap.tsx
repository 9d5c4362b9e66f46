/** A cohort matrix: a table, whose cells are also coloured. */
import { useMemo } from "react";

/** How a number differs from the one that it is compared with. */
export interface Change {
  readonly way: "more" | "less" | "same";
  /** How much, without a sign. */
  readonly text: string;
  /** In full, with what it was before. */
  readonly said: string;
}

export interface HeatCell {
  /** What the colour says, from 0 to 1. */
  readonly share: number;
  readonly text: string;
  readonly title: string;
  /** The period has not ended. */
  readonly partial: boolean;
  readonly change?: Change | undefined;
  readonly onOpen?: (() => void) | undefined;
}

export interface HeatRow {
  readonly key: string;
  readonly label: string;
  readonly size: string | null;
  readonly sizeChange?: Change | undefined;
  /** Null: not begun. */
  readonly cells: readonly (HeatCell | null)[];
}

export interface HeatMean {
  readonly text: string;
  readonly change?: Change | undefined;
}

interface HeatmapProps {
  readonly caption: string;
  readonly corner: string;
  readonly sizeTitle: string | null;
  /** What the columns count, such as months after the first. */
  readonly columnsTitle: string;
  readonly rows: readonly HeatRow[];
  readonly foot?: { readonly label: string; readonly cells: readonly HeatMean[] } | undefined;
}

const LEVELS = 8;

/** Which of the eight colours of the scale (`--heat-0` … `--heat-7`). */
export const levelOf = (share: number): number => Math.max(0, Math.min(LEVELS - 1, Math.floor(share * LEVELS)));

export function Heatmap({ caption, corner, sizeTitle, columnsTitle, rows, foot }: HeatmapProps) {
  const columns = useMemo(() => Array.from({ length: Math.max(0, ...rows.map((row) => row.cells.length)) }, (_, column) => column), [rows]);
  return (
    <section className="table-scroll" aria-label={caption} tabIndex={0}>
      <table className="heat" style={{ maxInlineSize: `${columns.length * 9 + 16}rem` }}>
        <caption className="hidden">{caption}</caption>
        <thead>
          <tr>
            <th scope="col" rowSpan={2} className="heat-row">
              {corner}
            </th>
            {sizeTitle === null ? null : (
              <th scope="col" rowSpan={2} className="heat-size">
                {sizeTitle}
              </th>
            )}
            <th scope="colgroup" colSpan={Math.max(1, columns.length)} className="heat-columns">
              {columnsTitle}
            </th>
          </tr>
          <tr>
            {columns.map((column) => (
              <th key={column} scope="col" className="heat-column">
                {column}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={row.key}>
              <th scope="row" className="heat-row">
                {row.label}
              </th>
              {sizeTitle === null ? null : (
                <td className="heat-size" title={row.sizeChange?.said}>
                  {row.size}
                  <Changed change={row.sizeChange} />
                </td>
              )}
              {columns.map((column) => (
                <Cell key={column} cell={row.cells[column]} />
              ))}
            </tr>
          ))}
        </tbody>
        {foot === undefined ? null : (
          <tfoot>
            <tr>
              <th scope="row" className="heat-row">
                {foot.label}
              </th>
              {sizeTitle === null ? null : <td className="heat-size" />}
              {columns.map((column) => (
                <td key={column} className="heat-mean" title={foot.cells[column]?.change?.said}>
                  {foot.cells[column]?.text ?? ""}
                  <Changed change={foot.cells[column]?.change} />
                </td>
              ))}
            </tr>
          </tfoot>
        )}
      </table>
    </section>
  );
}

function Cell({ cell }: { readonly cell: HeatCell | null | undefined }) {
  if (cell === undefined || cell === null) return <td className="heat-none" />;
  const className = `heat-cell heat-${levelOf(cell.share)}${cell.partial ? " is-partial" : ""}`;
  const title = cell.change === undefined ? cell.title : `${cell.title}\n${cell.change.said}`;
  const inner = (
    <>
      {cell.text}
      <Changed change={cell.change} />
    </>
  );
  if (cell.onOpen === undefined) {
    return (
      <td className={className} title={title}>
        {inner}
      </td>
    );
  }
  return (
    <td className={className}>
      <button type="button" title={title} onClick={cell.onOpen}>
        {inner}
      </button>
    </td>
  );
}

const ARROWS = { more: "↑", less: "↓", same: "=" } as const;

/** An arrow and how much, small; read aloud in full. */
export function Changed({ change }: { readonly change: Change | undefined }) {
  if (change === undefined) return null;
  return (
    <>
      <span className="heat-change" aria-hidden="true">
        {ARROWS[change.way]}
        {change.way === "same" ? "" : `\u2009${change.text}`}
      </span>
      <span className="hidden">. {change.said}</span>
    </>
  );
}
