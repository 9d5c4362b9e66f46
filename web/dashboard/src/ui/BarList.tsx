/** Names with bars: how much of the greatest each one is. */
import { type ReactNode, useState } from "react";
import { useT } from "../i18n/i18n.tsx";

export interface BarItem {
  readonly key: string;
  readonly label: string;
  readonly value: number;
  readonly text: string;
  /** What stands before the number, such as how it changed. */
  readonly note?: ReactNode;
  readonly onOpen?: (() => void) | undefined;
}

const SHOWN = 8;

export function BarList({ label, items }: { readonly label: string; readonly items: readonly BarItem[] }) {
  const t = useT();
  const [all, setAll] = useState(false);
  const greatest = Math.max(1, ...items.map((item) => Math.abs(item.value)));
  const shown = all ? items : items.slice(0, SHOWN);
  return (
    <div>
      <ul className="bars" aria-label={label}>
        {shown.map((item) => (
          <li key={item.key} className="bar">
            <span className="bar-fill" style={{ inlineSize: `${(Math.abs(item.value) / greatest) * 100}%` }} />
            {item.onOpen === undefined ? (
              <span className="bar-label">{item.label}</span>
            ) : (
              <button type="button" className="bar-label link" onClick={item.onOpen}>
                {item.label}
              </button>
            )}
            <span className="bar-value">
              {item.note}
              {item.text}
            </span>
          </li>
        ))}
      </ul>
      {items.length <= SHOWN ? null : (
        <button type="button" className="button is-bare is-small" aria-expanded={all} onClick={() => setAll(!all)}>
          {all ? t("less") : t("more", { count: items.length - SHOWN })}
        </button>
      )}
    </div>
  );
}
