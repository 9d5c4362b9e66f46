/** A shop to walk through: its window, the way through it, and what was sent. */
import { useEffect, useRef, useState } from "react";
import { useT } from "../i18n/i18n.tsx";
import { ProblemNotice } from "../ui/Notice.tsx";
import { Icon } from "../ui/icons.tsx";
import { GOODS, type Good } from "./Goods.tsx";
import { ScreenOf } from "./Screens.tsx";
import { STEPS } from "./summary.ts";
import { useDuration } from "./useDuration.ts";
import type { Sent, Walk } from "./useVisit.ts";
import { isOver } from "./visit.ts";

const SENT_SHOWN = 4;

export function Simulator({ walk }: { readonly walk: Walk }) {
  const t = useT();
  const [good, setGood] = useState<Good>(GOODS[0]);
  const { visit, busy, go, again } = walk;
  return (
    <section className="shop-side" aria-labelledby="shop-window">
      <div className="shop-window" data-screen={visit.screen} aria-busy={busy}>
        <header className="shop-bar">
          <h2 id="shop-window" className="shop-name">
            <Icon name="shop" /> {t("shop.name")}
          </h2>
          <button type="button" className="button is-bare is-square" aria-label={t("shop.leave")} title={t("shop.leave")} disabled={busy || isOver(visit)} onClick={() => go("exit")}>
            <Icon name="close" />
          </button>
        </header>
        <Screen visitKey={`${visit.session} ${visit.screen}`} title={t(`shop.screen.${visit.screen}`)}>
          <ScreenOf visit={visit} good={good} busy={busy} onChoose={setGood} onGo={go} onAgain={again} />
        </Screen>
        <Way at={visit.screen} />
      </div>
      {walk.failed === null ? null : <ProblemNotice error={walk.failed} />}
      <SentList sent={walk.sent} />
    </section>
  );
}

/** Whoever came by the keyboard or listens is taken along to the next screen. */
function Screen({ visitKey, title, children }: { readonly visitKey: string; readonly title: string; readonly children: React.ReactNode }) {
  const place = useRef<HTMLElement>(null);
  const shown = useRef(visitKey);
  useEffect(() => {
    if (shown.current === visitKey) return;
    shown.current = visitKey;
    place.current?.focus({ preventScroll: true });
  }, [visitKey]);
  return (
    <section key={visitKey} ref={place} className="shop-screen" tabIndex={-1} aria-label={title}>
      {children}
    </section>
  );
}

function Way({ at }: { readonly at: string }) {
  const t = useT();
  return (
    <ol className="shop-way" aria-label={t("shop.way")}>
      {STEPS.map((step) => (
        <li key={step} aria-current={step === at ? "step" : undefined}>
          {t(`shop.screen.${step}`)}
        </li>
      ))}
    </ol>
  );
}

function SentList({ sent }: { readonly sent: readonly Sent[] }) {
  const t = useT();
  const duration = useDuration();
  return (
    <div className="stack shop-sent">
      <h3 className="block-title">{t("shop.sent")}</h3>
      {sent.length === 0 ? (
        <p className="soft is-small-text">{t("shop.sent.none")}</p>
      ) : (
        <ol>
          {sent.slice(0, SENT_SHOWN).map(({ event, took }) => (
            <li key={event.event_id}>
              <span>{t("shop.sent.move", { from: t(`shop.screen.${event.screen}`), to: t(`shop.screen.${event.next_screen}`) })}</span>
              <span className="soft">{t("shop.sent.times", { thought: duration(event.user_think_time), took: duration(took) })}</span>
            </li>
          ))}
        </ol>
      )}
    </div>
  );
}
