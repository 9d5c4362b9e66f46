/** The question, as controls. */
import { type ReactNode, useContext } from "react";
import type { Table } from "../../api/client.ts";
import { ZoneContext } from "../../format/useFormat.ts";
import { useT } from "../../i18n/i18n.tsx";
import { Icon } from "../../ui/icons.tsx";
import type { Named } from "../names.ts";
import { propertiesOf } from "../names.ts";
import { INTERVALS, type Matcher, type Query, needsProp, takesInterval, withField } from "../query.ts";
import { CohortFields, isPlain } from "./CohortFields.tsx";
import { FilterList } from "./Filters.tsx";
import { FunnelFields } from "./FunnelFields.tsx";
import { NumberField, PropField, SelectField, TextField, ToggleField } from "./fields.tsx";
import { MatcherField } from "./MatcherField.tsx";

export interface BuilderProps {
  readonly query: Query;
  readonly stream: Table;
  readonly streams: readonly Table[];
  readonly events: readonly Named[];
  readonly onChange: (query: Query) => void;
}

/** What every kind's fields work on. */
export interface FieldsProps {
  readonly query: Query;
  readonly stream: Table;
  readonly events: readonly Named[];
  readonly set: (field: string, value: unknown) => void;
  readonly onChange: (query: Query) => void;
}

export function Builder({ query, stream, streams, events, onChange }: BuilderProps) {
  const t = useT();
  const set = (field: string, value: unknown) => onChange(withField(query, field, value));
  const fields: FieldsProps = { query, stream, events, set, onChange };
  return (
    <div className="builder">
      {streams.length < 2 ? null : (
        <SelectField
          label={t("q.stream")}
          value={stream.name}
          options={streams.map((own) => ({ value: own.name, label: own.name }))}
          onChange={(value) => onChange({ kind: query.kind, ...(query.kind === "funnel" ? { steps: [{ event: null }, { event: null }] } : {}), stream: value })}
        />
      )}
      <KindFields {...fields} />
      {takesInterval(query.kind) || query.viz === "trends" ? (
        <SelectField
          label={t("q.interval")}
          value={query.interval ?? "day"}
          options={[...INTERVALS, ...(query.kind === "trend" ? (["all"] as const) : [])].map((value) => ({ value, label: t(`interval.${value}`) }))}
          onChange={(value) => set("interval", value)}
        />
      ) : null}
      <Group title={t("q.filters")}>
        <CohortFields filters={query.filters ?? []} onChange={(filters) => set("filters", filters)} />
        <FilterList stream={stream} filters={(query.filters ?? []).filter(isPlain)} onChange={(filters) => set("filters", [...(query.filters ?? []).filter((own) => !isPlain(own)), ...filters])} />
      </Group>
      {query.kind === "funnel" || query.kind === "trend" || query.kind === "retention" ? <BreakdownField {...fields} /> : null}
      <ClockFields {...fields} />
    </div>
  );
}

export function Group({ title, children }: { readonly title: string; readonly children: ReactNode }) {
  return (
    <fieldset className="group">
      <legend>{title}</legend>
      {children}
    </fieldset>
  );
}

const ZONES: readonly string[] = Intl.supportedValuesOf("timeZone");

/** By which clock and calendar days and weeks are counted, and as of when. */
function ClockFields({ query, set }: FieldsProps) {
  const t = useT();
  const zone = useContext(ZoneContext);
  const isSet = query["tz"] !== undefined || query["week_start"] !== undefined || query["as_of"] !== undefined;
  return (
    <details className="group" open={isSet}>
      <summary>{t("q.clock")}</summary>
      <div className="stack">
        <TextField label={t("q.tz")} value={typeof query["tz"] === "string" ? query["tz"] : ""} placeholder={zone} suggestions={ZONES} onChange={(value) => set("tz", value.trim())} />
        <div className="fields-row">
          <SelectField
            label={t("q.week_start")}
            value={typeof query["week_start"] === "string" ? query["week_start"] : ""}
            options={[{ value: "", label: t("q.week_start.own") }, { value: "monday", label: t("q.week_start.monday") }, { value: "sunday", label: t("q.week_start.sunday") }]}
            onChange={(value) => set("week_start", value)}
          />
          <label className="control">
            <span>{t("as_of")}</span>
            <input type="date" className="input" value={typeof query["as_of"] === "string" ? query["as_of"].slice(0, 10) : ""} onChange={(event) => set("as_of", event.target.value)} />
          </label>
        </div>
      </div>
    </details>
  );
}

function KindFields(props: FieldsProps) {
  switch (props.query.kind) {
    case "funnel":
      return <FunnelFields {...props} />;
    case "retention":
      return <RetentionFields {...props} />;
    case "trend":
      return <TrendFields {...props} />;
    case "lifecycle":
    case "stickiness":
      return <EntityField {...props} />;
    case "paths":
      return <PathsFields {...props} />;
    case "churn":
      return <ChurnFields {...props} />;
    case "preceding":
      return <PrecedingFields {...props} />;
    case "dropoff":
      return <DropoffFields {...props} />;
  }
}

function EntityField({ query, stream, events, set }: FieldsProps) {
  const t = useT();
  return (
    <Group title={t("q.entity")}>
      <MatcherField label={t("q.entity")} matcher={query.entity ?? {}} stream={stream} events={events} onChange={(entity) => set("entity", isAny(entity) ? undefined : entity)} />
    </Group>
  );
}

const isAny = (matcher: Matcher): boolean => (matcher.event ?? null) === null && (matcher.where ?? []).length === 0;

function TrendFields(props: FieldsProps) {
  const t = useT();
  const { query, stream, set, onChange } = props;
  const { measure = "total" } = query;
  const several = typeof measure === "string" ? [] : [{ value: String(measure), label: measure.map((own) => t(`measure.${own}`)).join(" · ") }];
  return (
    <>
      {query.entities === undefined ? <EntityField {...props} /> : <EntitiesField {...props} />}
      {query.entities === undefined ? (
        <button type="button" className="button is-bare is-small builder-add" onClick={() => onChange({ ...withField(query, "entity", undefined), entities: [query.entity ?? {}, {}], formula: "A / B" })}>
          <Icon name="plus" size={12} /> {t("q.formula.add")}
        </button>
      ) : null}
      <SelectField
        label={t("q.measure")}
        value={String(measure)}
        options={[...several, ...(["total", "unique", "unique_prop", "sum", "avg", "min", "max", "median", "p90", "p95", "p99"] as const).map((value) => ({ value, label: t(`measure.${value}`) }))]}
        onChange={(value) => set("measure", several.some((own) => own.value === value) ? measure : value)}
      />
      {needsProp(query) ? <PropField label={t("q.prop")} value={query.prop ?? ""} properties={propertiesOf(stream)} onChange={(value) => set("prop", value)} /> : null}
      <ToggleField label={t("q.compare")} value={query.compare !== undefined} onChange={(on) => set("compare", on ? "previous_period" : undefined)} />
      <ToggleField label={t("q.cumulative")} value={query.cumulative === true} onChange={(on) => set("cumulative", on ? true : undefined)} />
    </>
  );
}

/** Several kinds of events, called A, B, C …, and what is computed of them. */
function EntitiesField({ query, stream, events, set, onChange }: FieldsProps) {
  const t = useT();
  const entities = query.entities ?? [];
  const put = (index: number, entity: Matcher | null) => {
    const next = entities.flatMap((own, place) => (place !== index ? [own] : entity === null ? [] : [entity]));
    if (next.length > 1) return set("entities", next);
    const { entities: _, formula: __, ...others } = query;
    return onChange({ ...others, entity: next[0] ?? {} });
  };
  return (
    <Group title={t("q.entity")}>
      {entities.map((entity, index) => {
        const letter = String.fromCodePoint(65 + index);
        return (
          <div key={letter} className="step">
            <span className="step-number">{letter}</span>
            <MatcherField label={letter} matcher={entity} stream={stream} events={events} onChange={(next) => put(index, next)} />
            <button type="button" className="button is-bare is-square" aria-label={t("q.filter.remove")} onClick={() => put(index, null)}>
              <Icon name="close" size={12} />
            </button>
          </div>
        );
      })}
      {entities.length >= 26 ? null : (
        <button type="button" className="button is-bare is-small" onClick={() => set("entities", [...entities, {}])}>
          <Icon name="plus" size={12} /> {t("q.entity.add")}
        </button>
      )}
      <TextField label={t("q.formula")} value={query.formula ?? ""} placeholder="A / B * 100" onChange={(value) => set("formula", value)} />
    </Group>
  );
}

function RetentionFields({ query, stream, events, set }: FieldsProps) {
  const t = useT();
  return (
    <>
      <Group title={t("q.start")}>
        <MatcherField label={t("q.start")} matcher={query.start ?? {}} stream={stream} events={events} onChange={(value) => set("start", isAny(value) ? undefined : value)} />
      </Group>
      <Group title={t("q.return")}>
        <MatcherField label={t("q.return")} matcher={query.return ?? {}} stream={stream} events={events} onChange={(value) => set("return", isAny(value) ? undefined : value)} />
      </Group>
      <SelectField
        label={t("q.type")}
        value={query.type ?? "recurring"}
        options={[{ value: "recurring", label: t("q.type.recurring") }, { value: "first_time", label: t("q.type.first_time") }]}
        onChange={(value) => set("type", value)}
      />
      <div className="fields-row">
        <SelectField label={t("q.period")} value={query.period ?? "day"} options={(["day", "week", "month"] as const).map((value) => ({ value, label: t(`interval.${value}`) }))} onChange={(value) => set("period", value)} />
        <NumberField label={t("q.periods")} value={query.periods ?? 12} min={1} max={60} onChange={(value) => set("periods", value)} />
      </div>
      <ToggleField label={t("q.compare")} value={query.compare !== undefined} onChange={(on) => set("compare", on ? "previous_period" : undefined)} />
      <ToggleField label={t("q.cumulative.retention")} value={query.cumulative === true} onChange={(on) => set("cumulative", on ? true : undefined)} />
    </>
  );
}

const STEPS = ["2", "3", "4", "5", "6", "8"] as const;

function PathsFields({ query, stream, set }: FieldsProps) {
  const t = useT();
  return (
    <>
      <PropField label={t("q.item")} value={query.item ?? "event"} properties={propertiesOf(stream)} onChange={(value) => set("item", value)} />
      <TextField label={t("q.start_at")} value={query.start_at ?? ""} placeholder={t("q.start_at.any")} onChange={(value) => set("start_at", value)} />
      <div className="fields-row">
        <TextField label={t("q.session_gap")} value={query.session_gap ?? "30m"} onChange={(value) => set("session_gap", value)} />
        <TextField label={t("q.steps")} value={typeof query.steps === "number" ? String(query.steps) : ""} placeholder={t("all")} suggestions={STEPS} onChange={(value) => set("steps", Number.isInteger(Number(value)) && Number(value) > 0 ? Number(value) : undefined)} />
      </div>
    </>
  );
}

function ChurnFields(props: FieldsProps) {
  const t = useT();
  const { query, set } = props;
  return (
    <>
      <EntityField {...props} />
      <div className="fields-row">
        <NumberField label={t("q.multiplier")} value={query.inactivity_multiplier ?? 2} min={0.5} max={20} onChange={(value) => set("inactivity_multiplier", value)} />
        <NumberField label={t("q.default_days")} value={query.default_days ?? 60} min={1} max={3650} onChange={(value) => set("default_days", value)} />
      </div>
      <SelectField label={t("q.model")} value={query.model ?? "none"} options={[{ value: "none", label: t("q.model.none") }, { value: "bg_nbd", label: "BG/NBD" }]} onChange={(value) => set("model", value)} />
      <NumberField label={t("q.limit")} value={query.limit ?? 100} min={1} max={10_000} onChange={(value) => set("limit", value)} />
    </>
  );
}

function PrecedingFields({ query, stream, events, set }: FieldsProps) {
  const t = useT();
  return (
    <>
      <Group title={t("q.before")}>
        <MatcherField label={t("q.before")} matcher={query.before ?? {}} stream={stream} events={events} onChange={(value) => set("before", value)} />
      </Group>
      <Group title={t("q.of")}>
        <MatcherField label={t("q.of")} matcher={query.of ?? {}} stream={stream} events={events} onChange={(value) => set("of", value)} />
      </Group>
      <PropField label={t("q.show")} value={query.show ?? "event"} properties={propertiesOf(stream)} onChange={(value) => set("show", value)} />
    </>
  );
}

function DropoffFields({ query, stream, set }: FieldsProps) {
  const t = useT();
  const steps = Array.isArray(query.steps) ? query.steps.filter((step) => typeof step === "string") : [];
  return (
    <>
      <PropField label={t("q.step")} value={query.step ?? ""} properties={propertiesOf(stream)} onChange={(value) => set("step", value)} />
      <TextField label={t("q.dropoff.steps")} value={steps.join(", ")} onChange={(value) => set("steps", value.split(",").map((step) => step.trim()).filter((step) => step !== ""))} />
    </>
  );
}

function BreakdownField({ query, stream, set }: FieldsProps) {
  const t = useT();
  const { breakdown } = query;
  const prop = breakdown?.prop ?? breakdown?.props?.[0] ?? "";
  const put = (name: string, scope: string) => {
    if (name === "") return set("breakdown", undefined);
    const scoped = scope === "actor" ? ({ scope: "actor" } as const) : {};
    const limit = query.kind === "trend" || query.kind === "funnel" ? { limit: 8 } : {};
    return set("breakdown", query.kind === "funnel" ? { props: [name], ...scoped, ...limit } : { prop: name, ...scoped, ...limit });
  };
  return (
    <Group title={t("q.breakdown")}>
      <div className="fields-row">
        <PropField label={t("q.prop")} value={prop} properties={propertiesOf(stream)} none={t("q.breakdown.none")} onChange={(value) => put(value, breakdown?.scope ?? "event")} />
        {prop === "" ? null : (
          <SelectField label={t("q.scope")} value={breakdown?.scope ?? "event"} options={[{ value: "event", label: t("q.scope.event") }, { value: "actor", label: t("q.scope.actor") }]} onChange={(scope) => put(prop, scope)} />
        )}
      </div>
    </Group>
  );
}
