/** The shop's live summary, and how the line to it is. */
import { useCallback, useEffect, useRef, useState } from "react";
import { Refusal, mayPass, send } from "../api/client.ts";
import type { SignIn } from "../session/session.tsx";
import { Line, type LineState } from "./line.ts";
import { SOCKET, SUMMARY } from "./paths.ts";
import { type Summary, messageIn, shows, summaryIn } from "./summary.ts";


/** An event whose showing is waited for, to tell the server how long it took. */
export interface Awaited {
  readonly id: string;
  readonly step: string;
  readonly thought: number;
  /** When the shopper clicked, by the page's clock. */
  readonly clickedAt: number;
}

export interface Live {
  readonly summary: Summary | null;
  readonly state: LineState;
  /** Why there is no line, and will be none. */
  readonly refusal: Refusal | null;
  readonly retry: () => void;
  /** Reports, once the event is on the screen, how long that took. */
  readonly expect: (event: Awaited) => void;
}

function socketUrl(token: string, language: string | null): string {
  const url = new URL(SOCKET, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("token", token);
  if (language !== null) url.searchParams.set("lang", language);
  return url.href;
}

/** `language`: that of the words in it, where the server takes one. */
export function useLive({ token }: SignIn, language: string | null): Live {
  const [summary, setSummary] = useState<Summary | null>(null);
  const [state, setState] = useState<LineState>({ kind: "connecting" });
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const line = useRef<Line | null>(null);
  const awaited = useRef<Awaited[]>([]);

  useEffect(() => {
    let current = true;
    const take = (next: Summary) => {
      setSummary(next);
      const shown = awaited.current.filter((event) => shows(next, event));
      awaited.current = awaited.current.filter((event) => !shown.includes(event));
      // The frame after the one in which it is drawn begins when it can be seen.
      if (shown.length > 0) requestAnimationFrame(() => requestAnimationFrame((now) => shown.forEach((event) => report(event, now))));
    };
    const report = ({ id, clickedAt }: Awaited, now: number) =>
      own.send({ type: "latency", event_id: id, client_latency_ms: Math.max(0, Math.round((now - clickedAt) * 10) / 10) });
    // A page is not told why a socket was refused; a request is. Where sockets do not get through, numbers come this way.
    const ask = async () => {
      try {
        const answer = summaryIn(await (await send(token, language === null ? SUMMARY : `${SUMMARY}?lang=${language}`)).json());
        if (current && answer !== null) take(answer);
      } catch (error) {
        if (!current || !(error instanceof Refusal) || mayPass(error) || error.problem.status >= 500) return;
        own.close();
        setRefusal(error);
      }
    };
    const own = new Line({
      open: ({ onText, onClose }) => {
        const socket = new WebSocket(socketUrl(token, language));
        socket.addEventListener("message", ({ data }) => (typeof data === "string" ? onText(data) : undefined));
        socket.addEventListener("close", ({ code }) => onClose(code));
        return socket;
      },
      onState: setState,
      onText: (text) => {
        const message = messageIn(text);
        if (message.kind === "summary") take(message.summary);
      },
      onRefused: () => void ask(),
      now: Date.now,
      random: Math.random,
      after: (milliseconds, then) => {
        const timer = setTimeout(then, milliseconds);
        return () => clearTimeout(timer);
      },
    });
    line.current = own;
    const retry = () => own.retry();
    addEventListener("online", retry);
    return () => {
      current = false;
      removeEventListener("online", retry);
      own.close();
      line.current = null;
    };
  }, [token, language]);

  const retry = useCallback(() => line.current?.retry(), []);
  const expect = useCallback((event: Awaited) => {
    // Whose numbers others' clicks have covered is never seen: the last few are enough.
    awaited.current = [...awaited.current, event].slice(-4);
  }, []);
  return { summary, state, refusal, retry, expect };
}
