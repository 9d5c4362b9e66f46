/** Single controls of the builder. What is typed counts when it is done: each change is a question. */
import { useId, useState } from "react";
import type { Property } from "../names.ts";

interface SelectFieldProps<Value extends string> {
  readonly label: string;
  readonly value: Value;
  readonly options: readonly { readonly value: Value; readonly label: string }[];
  readonly onChange: (value: Value) => void;
}

export function SelectField<Value extends string>({ label, value, options, onChange }: SelectFieldProps<Value>) {
  return (
    <label className="control">
      <span>{label}</span>
      <select className="input" value={value} onChange={(event) => onChange(event.target.value as Value)}>
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </label>
  );
}

interface TextFieldProps {
  readonly label: string;
  readonly value: string;
  readonly placeholder?: string;
  readonly suggestions?: readonly string[];
  readonly bare?: boolean;
  readonly onFocus?: () => void;
  readonly onChange: (value: string) => void;
}

const NOTHING: readonly string[] = [];

export function TextField({ label, value, placeholder = "", suggestions = NOTHING, bare = false, onFocus, onChange }: TextFieldProps) {
  const id = useId();
  const [typed, setTyped] = useState<string | null>(null);
  const done = (text: string) => {
    setTyped(null);
    if (text !== value) onChange(text);
  };
  return (
    <label className="control">
      <span className={bare ? "hidden" : undefined}>{label}</span>
      <input
        className="input"
        value={typed ?? value}
        placeholder={placeholder}
        list={suggestions.length === 0 ? undefined : id}
        onFocus={onFocus}
        onChange={(event) => {
          // What is taken from the list is done at once.
          if (suggestions.includes(event.target.value)) done(event.target.value);
          else setTyped(event.target.value);
        }}
        onBlur={() => (typed === null ? undefined : done(typed))}
        onKeyDown={(event) => {
          if (event.key === "Enter" && typed !== null) done(typed);
        }}
      />
      {suggestions.length === 0 ? null : (
        <datalist id={id}>
          {suggestions.map((suggestion) => (
            <option key={suggestion} value={suggestion} />
          ))}
        </datalist>
      )}
    </label>
  );
}

interface NumberFieldProps {
  readonly label: string;
  readonly value: number;
  readonly min: number;
  readonly max: number;
  readonly onChange: (value: number) => void;
}

export function NumberField({ label, value, min, max, onChange }: NumberFieldProps) {
  const put = (text: string) => {
    const number = Number(text);
    if (text.trim() !== "" && Number.isFinite(number)) onChange(Math.max(min, Math.min(max, number)));
  };
  return <TextField label={label} value={String(value)} onChange={put} />;
}

interface PropFieldProps {
  readonly label: string;
  readonly value: string;
  readonly properties: readonly Property[];
  /** What stands for no property, where none may be chosen. */
  readonly none?: string;
  readonly bare?: boolean;
  readonly onChange: (value: string) => void;
}

/** A property by its name: of the actor's own ones only their owner knows all, so any name can be typed. */
export function PropField({ label, value, properties, none, bare = false, onChange }: PropFieldProps) {
  return <TextField label={label} value={value} bare={bare} placeholder={none ?? ""} suggestions={properties.map((property) => property.name)} onChange={onChange} />;
}

interface ToggleFieldProps {
  readonly label: string;
  readonly value: boolean;
  readonly onChange: (value: boolean) => void;
}

export function ToggleField({ label, value, onChange }: ToggleFieldProps) {
  return (
    <label className="switch">
      <input type="checkbox" checked={value} onChange={(event) => onChange(event.target.checked)} />
      <span>{label}</span>
    </label>
  );
}
