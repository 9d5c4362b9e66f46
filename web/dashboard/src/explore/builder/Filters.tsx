/** Conditions, all of which must hold. Groups of `any` and `all` are kept as they came. */
import { useState } from "react";
import type { Table } from "../../api/client.ts";
import { useT } from "../../i18n/i18n.tsx";
import { Icon } from "../../ui/icons.tsx";
import { propertiesOf, useValues } from "../names.ts";
import { type Filter, OPS, textOf, valuesOf } from "../query.ts";
import { PropField, SelectField, TextField } from "./fields.tsx";

interface FilterListProps {
  readonly stream: Table;
  readonly filters: readonly Filter[];
  readonly onChange: (filters: readonly Filter[]) => void;
}

export function FilterList({ stream, filters, onChange }: FilterListProps) {
  const t = useT();
  // A condition is asked with once it says something of some property.
  const [draft, setDraft] = useState<Filter | null>(null);
  const put = (index: number, filter: Filter | null) => onChange(filters.flatMap((own, place) => (place !== index ? [own] : filter === null ? [] : [filter])));
  const complete = (filter: Filter) => {
    const isWhole = filter.prop !== "" && (filter.op === "is_set" || filter.op === "is_not_set" || (filter.value !== undefined && filter.value !== ""));
    setDraft(isWhole ? null : filter);
    if (isWhole) onChange([...filters, filter]);
  };
  return (
    <div className="filters">
      {filters.map((filter, index) => (
        // Conditions have no names of their own: their place is what they are.
        // oxlint-disable-next-line react/no-array-index-key
        <FilterRow key={index} stream={stream} filter={filter} onChange={(next) => put(index, next)} onRemove={() => put(index, null)} />
      ))}
      {draft === null ? null : <FilterRow stream={stream} filter={draft} onChange={complete} onRemove={() => setDraft(null)} />}
      <button type="button" className="button is-bare is-small" onClick={() => setDraft({ prop: "", op: "eq" })}>
        <Icon name="plus" size={12} /> {t("q.filter.add")}
      </button>
    </div>
  );
}

interface FilterRowProps {
  readonly stream: Table;
  readonly filter: Filter;
  readonly onChange: (filter: Filter) => void;
  readonly onRemove: () => void;
}

function FilterRow({ stream, filter, onChange, onRemove }: FilterRowProps) {
  const t = useT();
  const [wanted, setWanted] = useState(false);
  const values = useValues(stream, filter.prop, filter.scope, wanted);
  const properties = propertiesOf(stream);
  const { scope: _, ...unscoped } = filter;
  if ("any" in filter || "all" in filter) {
    return (
      <div className="filter">
        <code className="filter-code">{JSON.stringify(filter)}</code>
        <Remove onRemove={onRemove} />
      </div>
    );
  }
  const type = filter.scope === "actor" ? null : (properties.find((property) => property.name === filter.prop)?.type ?? null);
  const takesValue = filter.op !== "is_set" && filter.op !== "is_not_set";
  return (
    <div className="filter">
      <SelectField label={t("q.scope")} value={filter.scope ?? "event"} options={[{ value: "event", label: t("q.scope.event") }, { value: "actor", label: t("q.scope.actor") }]} onChange={(scope) => onChange(scope === "actor" ? { ...filter, scope } : unscoped)} />
      <PropField bare label={t("q.prop")} value={filter.prop} properties={filter.scope === "actor" ? [] : properties} none={t("q.prop")} onChange={(prop) => onChange({ ...filter, prop })} />
      <SelectField label={t("q.op")} value={filter.op} options={OPS.map((value) => ({ value, label: t(`op.${value}`) }))} onChange={(op) => onChange({ ...filter, op })} />
      {takesValue ? (
        <TextField
          bare
          label={t("q.value")}
          value={textOf(filter.value)}
          placeholder={t("q.value")}
          suggestions={values.map((value) => value.name)}
          onFocus={() => setWanted(true)}
          onChange={(text) => {
            const value = valuesOf(text, filter.op, type);
            onChange(value === undefined ? filter : { ...filter, value });
          }}
        />
      ) : null}
      <Remove onRemove={onRemove} />
    </div>
  );
}

function Remove({ onRemove }: { readonly onRemove: () => void }) {
  const t = useT();
  return (
    <button type="button" className="button is-bare is-square" aria-label={t("q.filter.remove")} onClick={onRemove}>
      <Icon name="close" size={12} />
    </button>
  );
}
