/** Walking through the shop: each click is an event, and the next screen comes once the server has it. */
import { useCallback, useEffect, useRef, useState } from "react";
import { send } from "../api/client.ts";
import { useSignIn } from "../session/session.tsx";
import { EVENTS } from "./paths.ts";
import type { Awaited } from "./useLive.ts";
import { IDLE_MS, type Leave, type Screen, type ShopEvent, type Visit, arrive, begin, eventOf, isOver, newId } from "./visit.ts";

export interface Sent {
  readonly event: ShopEvent;
  /** Milliseconds until the server had it. */
  readonly took: number;
}

export interface Walk {
  readonly visit: Visit;
  /** What was sent in this visit, the last first. */
  readonly sent: readonly Sent[];
  readonly busy: boolean;
  readonly failed: unknown;
  readonly go: (next: Screen) => void;
  readonly again: () => void;
}

const newVisit = (user: string): Visit => begin(user, newId(), performance.now());

export function useVisit(expect: (event: Awaited) => void): Walk {
  const { token } = useSignIn();
  const [user] = useState(() => `shopper-${newId().slice(0, 8)}`);
  const [visit, setVisit] = useState(() => newVisit(user));
  const [sent, setSent] = useState<readonly Sent[]>([]);
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>(null);
  const present = useRef(true);

  useEffect(() => {
    present.current = true;
    return () => {
      present.current = false;
    };
  }, []);

  // Of the first screen, the server's time is that of the page which it stands in.
  const { session } = visit;
  useEffect(() => {
    const asked = new AbortController();
    const since = performance.now();
    const measure = async () => {
      await send(null, location.pathname, { signal: asked.signal });
      const took = performance.now() - since;
      setVisit((now) => (now.session === session && now.screen === "home" && now.took === null ? { ...now, took } : now));
    };
    measure().catch(() => undefined);
    return () => asked.abort();
  }, [session]);

  const move = useCallback(
    async (next: Screen, how: Leave) => {
      const clickedAt = performance.now();
      const event = eventOf(visit, next, newId(), clickedAt);
      setBusy(true);
      setFailed(null);
      try {
        expect({ id: event.event_id, step: event.screen, thought: event.user_think_time, clickedAt });
        await send(token, EVENTS, { method: "POST", body: event });
        if (!present.current) return;
        const now = performance.now();
        setVisit(arrive(visit, next, now - clickedAt, now, how));
        setSent((before) => [{ event, took: now - clickedAt }, ...before]);
      } catch (error) {
        if (present.current) setFailed(error);
      } finally {
        if (present.current) setBusy(false);
      }
    },
    [visit, token, expect],
  );

  useEffect(() => {
    if (isOver(visit)) return undefined;
    const timer = setTimeout(() => void move("exit", "idle"), IDLE_MS);
    return () => clearTimeout(timer);
  }, [visit, move]);

  const go = useCallback((next: Screen) => void move(next, "left"), [move]);
  const again = useCallback(() => {
    setVisit(newVisit(user));
    setSent([]);
    setFailed(null);
  }, [user]);
  return { visit, sent, busy, failed, go, again };
}
