import { useState } from "react";
import { useT } from "../i18n/i18n.tsx";
import { Icon } from "./icons.tsx";

export function CopyButton({ text }: { readonly text: string }) {
  const t = useT();
  const [copied, setCopied] = useState<string | null>(null);
  const done = copied === text;
  return (
    <button type="button" className="button is-small" onClick={() => void navigator.clipboard.writeText(text).then(() => setCopied(text))}>
      <Icon name={done ? "check" : "copy"} size={14} /> <span aria-live="polite">{t(done ? "copied" : "copy")}</span>
    </button>
  );
}
