/** A visit to the shop: which screen, since when, and the event that a click makes. Pure. */

export const SCREENS = ["home", "product", "cart", "success", "exit"] as const;
export type Screen = (typeof SCREENS)[number];

/** A tab that nobody clicks in for so long has left. */
export const IDLE_MS = 5 * 60 * 1000;

/** How an exit came about. */
export type Leave = "left" | "idle";

export interface Visit {
  readonly session: string;
  readonly user: string;
  readonly screen: Screen;
  /** When the screen was shown, in milliseconds of the page's own clock. */
  readonly shownAt: number;
  /** How long the server took until the screen could be shown; null where nothing was asked for it. */
  readonly took: number | null;
  /** Where a visit that is over ended, and how. */
  readonly ended: { readonly at: Screen; readonly how: Leave } | null;
}

/** What `POST /events` takes. The server says when: the browser's clock may be wrong. */
export interface ShopEvent {
  readonly event_id: string;
  readonly user_id: string;
  readonly session_id: string;
  readonly screen: Screen;
  readonly next_screen: Screen;
  readonly event_type: "navigate" | "exit";
  readonly user_think_time: number;
  readonly system_latency?: number;
}

/** Tenths of a millisecond: fine enough to tell an event by. */
const tenths = (milliseconds: number): number => Math.max(0, Math.round(milliseconds * 10) / 10);

export const begin = (user: string, session: string, now: number): Visit => ({ session, user, screen: "home", shownAt: now, took: null, ended: null });

export const isOver = (visit: Visit): boolean => visit.screen === "exit";

export function eventOf(visit: Visit, next: Screen, id: string, now: number): ShopEvent {
  const event = {
    event_id: id,
    user_id: visit.user,
    session_id: visit.session,
    screen: visit.screen,
    next_screen: next,
    event_type: next === "exit" ? "exit" : "navigate",
    user_think_time: tenths(now - visit.shownAt),
  } as const;
  return visit.took === null ? event : { ...event, system_latency: tenths(visit.took) };
}

/** The screen after the server has the event; `took` is how long it took to answer. */
export function arrive(visit: Visit, next: Screen, took: number, now: number, how: Leave = "left"): Visit {
  return { ...visit, screen: next, shownAt: now, took, ended: next === "exit" ? { at: visit.screen, how } : null };
}

/** Letters of which no two are alike by chance; `crypto.randomUUID` is not there without TLS. */
export function newId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
