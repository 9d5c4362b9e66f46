/** SQL over one's own rows. */
import { useQuery } from "@tanstack/react-query";
import { useMemo, useRef, useState } from "react";
import type { SqlAnswer, Table } from "../api/client.ts";
import { sqlOptions, useSchema } from "../api/queries.ts";
import { csvOf } from "../format/csv.ts";
import { useFormat } from "../format/useFormat.ts";
import { saidWarning } from "../format/warnings.ts";
import { useT } from "../i18n/i18n.tsx";
import { save } from "../ui/save.ts";
import { useSignIn } from "../session/session.tsx";
import { Page } from "../shell/Page.tsx";
import { type Column, DataTable } from "../ui/DataTable.tsx";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { Icon } from "../ui/icons.tsx";
import { namesIn, paramsIn } from "./statement.ts";

const PLACE = "ebbtide.sql";

/** The first thing to ask of an app: how many rows its first stream has, by day. */
function exampleOf(tables: readonly Table[]): string {
  const table = tables.find((own) => own.kind === "events") ?? tables[0];
  if (table === undefined) return "SELECT 1 AS one";
  if (table.time === null) return `SELECT * FROM ${table.name} LIMIT 100`;
  return `SELECT bucket_label('day', ${table.time}) AS day, count(*) AS rows\nFROM ${table.name}\nWHERE ${table.time} >= bucket('day', $as_of, -29)\nGROUP BY 1\nORDER BY 1`;
}

export default function SqlPage() {
  const t = useT();
  const signIn = useSignIn();
  const schema = useSchema(signIn);
  return (
    <Page title={t("sql")} subtitle={t("sql.subtitle")}>
      {schema.isError ? <ProblemNotice error={schema.error} /> : null}
      {schema.data === undefined ? <Skeleton rows={6} /> : <Editor app={signIn.app} tables={schema.data.tables} />}
    </Page>
  );
}

function Editor({ app, tables }: { readonly app: string; readonly tables: readonly Table[] }) {
  const t = useT();
  const signIn = useSignIn();
  const place = useRef<HTMLTextAreaElement>(null);
  const [sql, setSql] = useState(() => sessionStorage.getItem(`${PLACE}.${app}`) ?? exampleOf(tables));
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>({});
  const [asked, setAsked] = useState<{ readonly sql: string; readonly params: object } | null>(null);
  const names = useMemo(() => namesIn(sql), [sql]);
  const answer = useQuery({ ...sqlOptions(signIn, asked?.sql ?? "", asked?.params ?? {}), enabled: asked !== null });
  const put = (text: string) => {
    setSql(text);
    sessionStorage.setItem(`${PLACE}.${app}`, text);
  };
  const run = () => {
    const next = { sql, params: paramsIn(names, typed) };
    if (asked !== null && JSON.stringify(asked) === JSON.stringify(next)) void answer.refetch();
    else setAsked(next);
  };
  const insert = (text: string) => {
    const area = place.current;
    const [start, end] = [area?.selectionStart ?? sql.length, area?.selectionEnd ?? sql.length];
    put(sql.slice(0, start) + text + sql.slice(end));
    area?.focus();
  };
  return (
    <div className="sql">
      <div className="stack">
        <section className="panel" aria-label={t("sql.statement")}>
          <textarea
            ref={place}
            className="input is-code sql-text"
            aria-label={t("sql.statement")}
            aria-describedby="sql-keys"
            spellCheck={false}
            autoCapitalize="off"
            rows={Math.min(20, Math.max(7, sql.split("\n").length + 1))}
            value={sql}
            onChange={(event) => put(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
              event.preventDefault();
              run();
            }}
          />
          <div className="row is-wrap">
            {names.map((name) => (
              <label key={name} className="param">
                <code>${name}</code>
                <input className="input is-medium" value={typed[name] ?? ""} placeholder="null" onChange={(event) => setTyped({ ...typed, [name]: event.target.value })} />
              </label>
            ))}
            <span className="soft is-small-text row-end" id="sql-keys">
              {t("sql.keys")}
            </span>
            <button type="button" className="button is-primary" disabled={answer.isFetching || sql.trim() === ""} onClick={run}>
              <Icon name="play" size={14} /> {t("sql.run")}
            </button>
          </div>
        </section>
        {asked === null ? null : (
          <section className="panel" aria-label={t("q.answer")} aria-live="polite">
            {answer.isError ? <ProblemNotice error={answer.error} /> : null}
            {answer.isPending ? <Skeleton rows={5} /> : null}
            {answer.data === undefined || answer.isError ? null : <Rows answer={answer.data} />}
          </section>
        )}
      </div>
      <Tables tables={tables} onInsert={insert} />
    </div>
  );
}

function Rows({ answer }: { readonly answer: SqlAnswer }) {
  const t = useT();
  const format = useFormat();
  const columns = useMemo(
    () =>
      answer.columns.map(({ name, type }): Column<Record<string, unknown>> => {
        const numeric = ["int", "float", "decimal"].includes(type);
        // Numbers stand as the server writes them: a key is no amount.
        const draw = (row: Record<string, unknown>) => (row[name] === null ? "∅" : type === "timestamp" || typeof row[name] === "object" ? format.any(row[name], { kind: "text" }) : String(row[name]));
        return { name, title: name, numeric, long: answer.rows.some((row) => typeof row[name] === "string" && String(row[name]).length > 60), value: (row) => row[name], draw };
      }),
    [answer, format],
  );
  if (answer.rows.length === 0) return <Empty title={t("sql.no_rows")} />;
  return (
    <div className="stack">
      <div className="row is-wrap">
        <span className="soft">{t("sql.rows", { count: answer.rows.length })}</span>
        <button type="button" className="button is-small row-end" onClick={() => save(new Blob([csvOf(answer.rows)], { type: "text/csv" }), "answer.csv")}>
          <Icon name="download" size={14} /> CSV
        </button>
        <button type="button" className="button is-small" onClick={() => save(new Blob([JSON.stringify(answer.rows, null, 2)], { type: "application/json" }), "answer.json")}>
          <Icon name="download" size={14} /> JSON
        </button>
      </div>
      {answer.meta.warnings.map((warning) => (
        <p key={warning} className="soft">
          {saidWarning(warning, t)}
        </p>
      ))}
      <DataTable caption={t("q.answer")} columns={columns} rows={answer.rows} pageSize={25} />
    </div>
  );
}

function Tables({ tables, onInsert }: { readonly tables: readonly Table[]; readonly onInsert: (text: string) => void }) {
  const t = useT();
  return (
    <section className="panel sql-tables" aria-label={t("data.tables")}>
      <h2 className="block-title">{t("data.tables")}</h2>
      {tables.map((table, index) => (
        <details key={table.name} open={index === 0}>
          <summary>
            <code>{table.name}</code>
          </summary>
          <ul>
            <li>
              <button type="button" className="sql-column" onClick={() => onInsert(table.name)}>
                <code>{table.name}</code>
                <span className="soft">{t("data.table")}</span>
              </button>
            </li>
            {table.columns.map((column) => (
              <li key={column.name}>
                <button type="button" className="sql-column" onClick={() => onInsert(column.name)}>
                  <code>{column.name}</code>
                  <span className="soft">{column.type}</span>
                </button>
              </li>
            ))}
            {table.properties?.map((property) => (
              <li key={`${property.name} ${property.type}`}>
                <button type="button" className="sql-column" onClick={() => onInsert(`json_get_${property.type === "text" ? "str" : property.type === "mixed" ? "str" : property.type}(${table.open ?? "props"}, '${property.name.replaceAll("'", "''")}')`)}>
                  <code>
                    {table.open}.{property.name}
                  </code>
                  <span className="soft">{property.type}</span>
                </button>
              </li>
            ))}
          </ul>
        </details>
      ))}
    </section>
  );
}
