/** A cohort matrix: a table, whose cells are also coloured. */
import { useMemo } from "react";

export interface HeatCell {
  /** What the colour says, from 0 to 1. */
  readonly share: number;
  readonly text: string;
  readonly title: string;
  /** The period has not ended. */
  readonly partial: boolean;
  readonly onOpen?: (() => void) | undefined;
}

export interface HeatRow {
  readonly key: string;
  readonly label: string;
  readonly size: string | null;
  /** Null: not begun. */
  readonly cells: readonly (HeatCell | null)[];
}

interface HeatmapProps {
  readonly caption: string;
  readonly corner: string;
  readonly sizeTitle: string | null;
  /** What the columns count, such as months after the first. */
  readonly columnsTitle: string;
  readonly rows: readonly HeatRow[];
  readonly foot?: { readonly label: string; readonly cells: readonly string[] } | undefined;
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
              {sizeTitle === null ? null : <td className="heat-size">{row.size}</td>}
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
                <td key={column} className="heat-mean">
                  {foot.cells[column] ?? ""}
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
  if (cell.onOpen === undefined) {
    return (
      <td className={className} title={cell.title}>
        {cell.text}
      </td>
    );
  }
  return (
    <td className={className}>
      <button type="button" title={cell.title} onClick={cell.onOpen}>
        {cell.text}
      </button>
    </td>
  );
}
