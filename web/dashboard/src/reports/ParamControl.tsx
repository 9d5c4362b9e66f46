/** A report's parameter as a control, within the bounds that its declaration gives. */
import { useId, useState } from "react";
import type { Param } from "../api/document.ts";
import { useName } from "../format/useName.ts";
import { useT } from "../i18n/i18n.tsx";
import { Choice } from "../ui/Choice.tsx";
import { isAllowed } from "./address.ts";
import type { Option } from "./options.ts";

interface ParamControlProps {
  readonly param: Param;
  readonly value: string | null;
  readonly options: readonly Option[];
  /** Usual lengths of time are offered by the page. */
  readonly plain?: boolean;
  readonly onChange: (value: string | null) => void;
}

const USUAL: Readonly<Record<string, readonly number[]>> = { days: [7, 30, 90, 365], months: [3, 6, 12, 24] };

/** The usual lengths of time that the bounds allow. */
function usualOf(param: Param): readonly number[] {
  const kind = /(?:^|_)days$/.test(param.name) ? "days" : /months/.test(param.name) ? "months" : null;
  return kind === null ? [] : (USUAL[kind] ?? []).filter((length) => isAllowed(param, String(length)));
}

export function ParamControl({ param, value, options, plain = false, onChange }: ParamControlProps) {
  const t = useT();
  const name = useName();
  const usual = usualOf(param);
  // What is chosen by its name is not asked for by its key.
  const label = options.length > 0 ? name(param.name.replace(/_id$/, "")) : name(param.name);
  if (options.length > 0) return <OptionControl label={label} value={value} options={options} required={param.required} onChange={onChange} />;
  if (usual.length > 1 && !plain) {
    const unit = /days/.test(param.name) ? "days" : "months";
    const choices = usual.map((length) => ({ value: String(length), label: t(unit === "days" ? "span.days" : "span.months", { count: length }) }));
    return (
      <div className="param">
        <Choice label={label} value={value} options={choices} onChange={onChange} />
        <TextControl param={param} label={label} value={value} onChange={onChange} compact />
      </div>
    );
  }
  return <TextControl param={param} label={label} value={value} onChange={onChange} />;
}

interface OptionControlProps {
  readonly label: string;
  readonly value: string | null;
  readonly options: readonly Option[];
  readonly required: boolean;
  readonly onChange: (value: string | null) => void;
}

function OptionControl({ label, value, options, required, onChange }: OptionControlProps) {
  const t = useT();
  return (
    <label className="param">
      <span className="param-name">{label}</span>
      <select className="input" value={value ?? ""} onChange={(event) => onChange(event.target.value === "" ? null : event.target.value)}>
        {required && value !== null ? null : <option value="">{t("all")}</option>}
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </label>
  );
}

interface TextControlProps extends Omit<ParamControlProps, "options" | "plain"> {
  readonly label: string;
  readonly compact?: boolean;
}

/** Holds what is typed until it is done: each change is a request. */
function TextControl({ param, label, value, onChange, compact = false }: TextControlProps) {
  const t = useT();
  const id = useId();
  const [typed, setTyped] = useState<string | null>(null);
  const { minimum, maximum } = param.schema;
  const isNumber = minimum !== undefined || param.schema.type === "integer" || param.schema.type === "number";
  const shown = typed ?? value ?? "";
  const refused = typed !== null && typed !== "" && !isAllowed(param, typed);
  const isBounded = minimum !== undefined && maximum !== undefined && Math.abs(maximum) < Number.MAX_SAFE_INTEGER;
  const done = () => {
    if (typed === null) return;
    if (typed === "") onChange(null);
    else if (isAllowed(param, typed)) onChange(typed);
    setTyped(null);
  };
  return (
    <span className="param">
      <label className={compact ? "hidden" : "param-name"} htmlFor={id}>
        {label}
      </label>
      <input
        id={id}
        className={compact ? "input is-short" : "input is-medium"}
        inputMode={isNumber ? "decimal" : "text"}
        value={shown}
        placeholder={param.required ? "" : t("all")}
        title={isBounded ? t("param.bounds", { min: minimum, max: maximum }) : param.description}
        aria-invalid={refused}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={done}
        onKeyDown={(event) => {
          if (event.key === "Enter") done();
        }}
      />
      {refused && isBounded ? (
        <span className="param-bad" role="alert">
          {t("param.bounds", { min: minimum, max: maximum })}
        </span>
      ) : null}
    </span>
  );
}
