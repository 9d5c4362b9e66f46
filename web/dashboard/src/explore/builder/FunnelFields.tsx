/** A funnel's steps in their order, and what voids an attempt. */
import { useT } from "../../i18n/i18n.tsx";
import { Icon } from "../../ui/icons.tsx";
import type { Exclusion, Matcher } from "../query.ts";
import { type FieldsProps, Group } from "./Builder.tsx";
import { SelectField, TextField } from "./fields.tsx";
import { MatcherField } from "./MatcherField.tsx";

const STEPS_MAX = 20;

const matchersIn = (steps: FieldsProps["query"]["steps"]): Matcher[] => (Array.isArray(steps) ? steps.filter((step): step is Matcher => typeof step === "object") : []);

function moved(steps: readonly Matcher[], from: number, by: number): Matcher[] {
  const next = [...steps];
  const [step] = next.splice(from, 1);
  if (step !== undefined) next.splice(from + by, 0, step);
  return next;
}

export function FunnelFields(props: FieldsProps) {
  const t = useT();
  const { query, stream, events, set } = props;
  const steps = matchersIn(query.steps);
  const put = (index: number, step: Matcher) => set("steps", steps.map((own, place) => (place === index ? step : own)));
  return (
    <>
      <Group title={t("q.steps")}>
        <ol className="steps">
          {steps.map((step, index) => (
            // oxlint-disable-next-line react/no-array-index-key
            <li key={index} className="step">
              <span className="step-number">{index + 1}</span>
              <MatcherField label={t("q.step.of", { count: index + 1 })} matcher={step} stream={stream} events={events} onChange={(next) => put(index, next)} />
              <StepTools index={index} count={steps.length} onMove={(by) => set("steps", moved(steps, index, by))} onRemove={() => set("steps", steps.filter((_, place) => place !== index))} />
            </li>
          ))}
        </ol>
        {steps.length >= STEPS_MAX ? null : (
          <button type="button" className="button is-small" onClick={() => set("steps", [...steps, { event: null }])}>
            <Icon name="plus" size={12} /> {t("q.step.add")}
          </button>
        )}
      </Group>
      <div className="fields-row">
        <SelectField label={t("q.order")} value={query.order ?? "ordered"} options={(["ordered", "strict", "unordered"] as const).map((value) => ({ value, label: t(`q.order.${value}`) }))} onChange={(value) => set("order", value)} />
        <TextField label={t("q.window")} value={query.window ?? "14d"} suggestions={["1h", "1d", "7d", "14d", "30d", "90d"]} onChange={(value) => set("window", value)} />
      </div>
      <SelectField label={t("q.viz")} value={query.viz ?? "steps"} options={[{ value: "steps", label: t("q.viz.steps") }, { value: "trends", label: t("q.viz.trends") }]} onChange={(value) => set("viz", value === "steps" ? undefined : value)} />
      <Exclusions {...props} />
    </>
  );
}

interface StepToolsProps {
  readonly index: number;
  readonly count: number;
  readonly onMove: (by: number) => void;
  readonly onRemove: () => void;
}

function StepTools({ index, count, onMove, onRemove }: StepToolsProps) {
  const t = useT();
  return (
    <span className="step-tools">
      <button type="button" className="button is-bare is-square" disabled={index === 0} aria-label={t("q.step.up", { count: index + 1 })} onClick={() => onMove(-1)}>
        <Icon name="up" size={12} />
      </button>
      <button type="button" className="button is-bare is-square" disabled={count < 2} aria-label={t("q.step.remove", { count: index + 1 })} onClick={onRemove}>
        <Icon name="close" size={12} />
      </button>
    </span>
  );
}

function Exclusions({ query, stream, events, set }: FieldsProps) {
  const t = useT();
  const exclusions = query.exclusions ?? [];
  const put = (index: number, exclusion: Exclusion | null) => set("exclusions", exclusions.flatMap((own, place) => (place !== index ? [own] : exclusion === null ? [] : [exclusion])));
  return (
    <Group title={t("q.exclusions")}>
      {exclusions.map((exclusion, index) => (
        // oxlint-disable-next-line react/no-array-index-key
        <div key={index} className="step">
          <MatcherField label={t("q.exclusions")} matcher={exclusion} stream={stream} events={events} onChange={(next) => put(index, next)} />
          <button type="button" className="button is-bare is-square" aria-label={t("q.filter.remove")} onClick={() => put(index, null)}>
            <Icon name="close" size={12} />
          </button>
        </div>
      ))}
      <button type="button" className="button is-bare is-small" onClick={() => set("exclusions", [...exclusions, { event: events[0]?.name ?? null }])}>
        <Icon name="plus" size={12} /> {t("q.exclusion.add")}
      </button>
    </Group>
  );
}
