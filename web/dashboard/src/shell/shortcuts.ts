/** Two keys, one after the other, go to a page: `g` and its letter. */
import { useEffect } from "react";
import { useNavigate } from "react-router";
import { rightsOf } from "../session/claims.ts";
import type { SignIn } from "../session/session.tsx";

const WITHIN_MS = 1000;

/** Where a letter leads; null where it leads nowhere. */
export function placeOf(letter: string, signIn: SignIn | null): string | null {
  if (letter === "h") return "/app";
  if (signIn === null) return null;
  const rights = rightsOf(signIn.claims);
  const base = `/app/${signIn.app}`;
  const places: Readonly<Record<string, string | null>> = {
    r: base,
    e: rights.explore ? `${base}/explore` : null,
    s: rights.sql ? `${base}/sql` : null,
    d: `${base}/data`,
    a: rights.keys ? `${base}/access` : null,
  };
  return places[letter] ?? null;
}

const isTyping = (target: EventTarget | null): boolean => target instanceof HTMLElement && (target.isContentEditable || /^(?:INPUT|TEXTAREA|SELECT)$/.test(target.tagName));

export function useShortcuts(signIn: SignIn | null): void {
  const navigate = useNavigate();
  useEffect(() => {
    let pressedAt = 0;
    const pressed = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
      if (event.key === "g") {
        pressedAt = event.timeStamp;
        return;
      }
      const place = event.timeStamp - pressedAt < WITHIN_MS ? placeOf(event.key, signIn) : null;
      pressedAt = 0;
      if (place !== null) void navigate(place);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [navigate, signIn]);
}
