/** How the line to the server is, in a word and a dot; read out when it changes. */
import { useEffect, useState } from "react";
import { useT } from "../i18n/i18n.tsx";
import type { Live } from "./useLive.ts";

export function LineBadge({ live }: { readonly live: Live }) {
  const t = useT();
  const { state, refusal } = live;
  const kind = refusal === null ? state.kind : "refused";
  return (
    <span className="line">
      <output className={`line-badge is-${kind}`} data-line={kind}>
        <span className="line-dot" aria-hidden="true" />
        {t(`shop.line.${kind}`)}
      </output>
      {refusal === null && state.kind === "waiting" ? (
        <>
          <Countdown until={state.until} />
          <button type="button" className="button is-small" onClick={live.retry}>
            {t("shop.line.retry")}
          </button>
        </>
      ) : null}
    </span>
  );
}

function Countdown({ until }: { readonly until: number }) {
  const t = useT();
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250);
    return () => clearInterval(timer);
  }, []);
  return <span className="soft is-small-text">{t("shop.line.again", { count: Math.max(0, Math.ceil((until - now) / 1000)) })}</span>;
}
