/** Which events: a name, and what must hold of them. */
import { useState } from "react";
import type { Table } from "../../api/client.ts";
import { useFormat } from "../../format/useFormat.ts";
import { useT } from "../../i18n/i18n.tsx";
import { Icon } from "../../ui/icons.tsx";
import type { Named } from "../names.ts";
import type { Matcher } from "../query.ts";
import { FilterList } from "./Filters.tsx";

interface MatcherFieldProps<Own extends Matcher> {
  readonly label: string;
  readonly matcher: Own;
  readonly stream: Table;
  readonly events: readonly Named[];
  readonly onChange: (matcher: Own) => void;
}

export function MatcherField<Own extends Matcher>({ label, matcher, stream, events, onChange }: MatcherFieldProps<Own>) {
  const t = useT();
  const format = useFormat();
  const [open, setOpen] = useState(false);
  const where = matcher.where ?? [];
  const event = matcher.event ?? null;
  const isUnknown = event !== null && events.every((own) => own.name !== event);
  return (
    <div className="matcher">
      <div className="row">
        {stream.event_name === null ? (
          <span className="matcher-any">{t("q.event.row", { table: stream.name })}</span>
        ) : (
          <select className="input matcher-event" aria-label={label} value={event ?? ""} onChange={(change) => onChange({ ...matcher, event: change.target.value === "" ? null : change.target.value })}>
            <option value="">{t("q.event.any")}</option>
            {isUnknown ? <option value={event}>{event}</option> : null}
            {events.map((own) => (
              <option key={own.name} value={own.name}>
                {own.name} ({format.compact(own.count)})
              </option>
            ))}
          </select>
        )}
        <button type="button" className="button is-bare is-square" aria-expanded={open || where.length > 0} aria-label={t("q.where.of", { name: label })} title={t("q.where.of", { name: label })} onClick={() => setOpen(!open)}>
          <Icon name="filter" size={14} />
        </button>
      </div>
      {open || where.length > 0 ? <FilterList stream={stream} filters={where} onChange={(filters) => onChange({ ...matcher, where: filters })} /> : null}
    </div>
  );
}
