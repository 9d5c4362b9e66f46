/** Rows with columns that sort, in pages. */
import { type ColumnDef, createPaginatedRowModel, createSortedRowModel, rowPaginationFeature, rowSortingFeature, sortFn_basic, sortFn_text, tableFeatures, useTable } from "@tanstack/react-table";
import { type ReactNode, useMemo } from "react";
import { csvOf } from "../format/csv.ts";
import { useT } from "../i18n/i18n.tsx";
import { save } from "./save.ts";
import { Icon } from "./icons.tsx";

const features = tableFeatures({
  rowSortingFeature,
  rowPaginationFeature,
  sortedRowModel: createSortedRowModel(),
  paginatedRowModel: createPaginatedRowModel(),
  sortFns: { basic: sortFn_basic, text: sortFn_text },
});

export interface Column<Item> {
  readonly name: string;
  readonly title: string;
  readonly numeric: boolean;
  /** Of words that may need more than one line. */
  readonly long?: boolean;
  /** Of what can be done with a row: it does not sort, stands in no file, and its title need not be seen. */
  readonly acts?: boolean;
  /** Of what a file holds in a column of its own, and the table beside another's number. */
  readonly inFileOnly?: boolean;
  readonly value: (item: Item) => unknown;
  readonly draw: (item: Item) => ReactNode;
}

interface DataTableProps<Item> {
  readonly caption: string;
  readonly columns: readonly Column<Item>[];
  readonly rows: readonly Item[];
  readonly pageSize?: number;
  readonly onOpen?: ((item: Item) => void) | undefined;
  readonly openLabel?: string;
  /** What its rows are called as a file; without, there is none to take. */
  readonly file?: string;
}

/** What sorts: nothing counts as missing, and comes last. */
const sortable = (value: unknown): string | number | undefined =>
  typeof value === "number" || typeof value === "string" ? value : value === null || value === undefined ? undefined : String(value);

export function DataTable<Item extends object>({ caption, columns, rows, pageSize = 10, onOpen, openLabel, file }: DataTableProps<Item>) {
  const data = useMemo(() => [...rows], [rows]);
  const shown = useMemo(() => columns.filter((column) => column.inFileOnly !== true), [columns]);
  const definitions = useMemo(
    () =>
      shown.map((column): ColumnDef<typeof features, Item> => ({
        id: column.name,
        accessorFn: (item) => sortable(column.value(item)),
        sortFn: column.numeric ? "basic" : "text",
        sortUndefined: "last",
        sortDescFirst: column.numeric,
      })),
    [shown],
  );
  const table = useTable({ features, columns: definitions, data, initialState: { pagination: { pageIndex: 0, pageSize } } });
  const sorted = table.state.sorting[0];
  const page = table.state.pagination.pageIndex;
  const pages = Math.max(1, Math.ceil(rows.length / pageSize));
  return (
    <div className="table-wrap">
      {/* A wide table scrolls by itself, and so must be reachable by the keyboard. It is no landmark beside the panel that it stands in. */}
      <div className="table-scroll" role="group" aria-label={caption} tabIndex={0}>
        <table className="table">
          <caption className="hidden">{caption}</caption>
          <thead>
            <tr>
              {shown.map((column) => {
                if (column.acts === true)
                  return (
                    <th key={column.name} scope="col">
                      <span className="hidden">{column.title}</span>
                    </th>
                  );
                const order = sorted?.id === column.name ? (sorted.desc ? "descending" : "ascending") : "none";
                return (
                  <th key={column.name} scope="col" aria-sort={order} className={column.numeric ? "is-number" : undefined}>
                    <button type="button" className="table-sort" onClick={table.getColumn(column.name)?.getToggleSortingHandler()}>
                      {column.title}
                      <span className="table-order">{order === "none" ? null : <Icon name={order === "ascending" ? "up" : "down"} size={12} />}</span>
                    </button>
                  </th>
                );
              })}
              {onOpen === undefined ? null : (
                <th scope="col" className="table-open">
                  <span className="hidden">{openLabel}</span>
                </th>
              )}
            </tr>
          </thead>
          <tbody>
            {table.getRowModel().rows.map((row) => (
              <tr key={row.id}>
                {shown.map((column) => (
                  <td key={column.name} className={column.numeric ? "is-number" : column.long === true ? "is-long" : undefined}>
                    {column.draw(row.original)}
                  </td>
                ))}
                {onOpen === undefined ? null : (
                  <td className="table-open">
                    <button type="button" className="button is-bare is-square" aria-label={openLabel} onClick={() => onOpen(row.original)}>
                      <Icon name="right" size={14} />
                    </button>
                  </td>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {file === undefined && pages === 1 ? null : (
        <div className="pager">
          {file === undefined ? null : <FileButton columns={columns} rows={rows} name={file} />}
          {pages === 1 ? null : <Pages page={page} pages={pages} size={pageSize} count={rows.length} onPrevious={() => table.previousPage()} onNext={() => table.nextPage()} />}
        </div>
      )}
    </div>
  );
}

interface PagesProps {
  readonly page: number;
  readonly pages: number;
  readonly size: number;
  readonly count: number;
  readonly onPrevious: () => void;
  readonly onNext: () => void;
}

function Pages({ page, pages, size, count, onPrevious, onNext }: PagesProps) {
  const t = useT();
  return (
    <>
      <span className="soft">{t("table.range", { from: page * size + 1, to: Math.min(count, (page + 1) * size), count })}</span>
      <button type="button" className="button is-small" disabled={page === 0} onClick={onPrevious}>
        {t("table.previous")}
      </button>
      <button type="button" className="button is-small" disabled={page + 1 >= pages} onClick={onNext}>
        {t("table.next")}
      </button>
    </>
  );
}

interface FileButtonProps<Item> {
  readonly columns: readonly Column<Item>[];
  readonly rows: readonly Item[];
  readonly name: string;
}

/** All rows that are shown or could be, as they came. */
function FileButton<Item>({ columns, rows, name }: FileButtonProps<Item>) {
  const take = () => {
    const told = columns.filter((column) => column.acts !== true);
    const lines = rows.map((row) => Object.fromEntries(told.map((column) => [column.name, column.value(row)])));
    save(new Blob([csvOf(lines)], { type: "text/csv" }), `${name}.csv`);
  };
  return (
    <button type="button" className="button is-small is-file" onClick={take}>
      <Icon name="download" size={14} /> CSV
    </button>
  );
}
