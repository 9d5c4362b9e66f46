/** A report that is listened to: its newest answer, for as long as the component is shown. */
import { useEffect, useState } from "react";
import { listen } from "./events.ts";
import { useEbbtide } from "./provider.tsx";
import { EbbtideError, type Params, addressOf } from "./request.ts";

export interface Live<Answer> {
  /** The newest answer; it stays while the connection is away. */
  readonly data: Answer | undefined;
  /** What is wrong at the moment; null again with the next answer. */
  readonly error: EbbtideError | null;
  /** `connecting` at first and after each break, `open`, and `closed` where the server says that it will never answer. */
  readonly status: "connecting" | "open" | "closed";
}

export interface LiveOptions {
  readonly enabled?: boolean;
}

const NOTHING = { data: undefined, error: null, status: "connecting" } as const;

/**
 * Listens to the report of that name, with its parameters, those of its path too. Connections that break are made anew, and a token that has
 * ended is renewed.
 */
export function useLive<Answer = unknown>(report: string, params: Params = {}, { enabled = true }: LiveOptions = {}): Live<Answer> {
  const server = useEbbtide();
  const address = addressOf(`/v1/live/${encodeURIComponent(report)}`, params);
  const question = `${server.baseUrl} ${server.identity} ${address}`;
  const [state, setState] = useState<{ readonly question: string; readonly live: Live<Answer> }>({ question, live: NOTHING });
  useEffect(() => {
    if (!enabled) return undefined;
    const controller = new AbortController();
    const change = (next: Partial<Live<Answer>>) =>
      setState((now) => ({ question, live: { ...(now.question === question ? now.live : NOTHING), ...next } }));
    void listen<Answer>({
      url: server.baseUrl + address,
      token: async (reason) => server.getToken(reason),
      onOpen: () => change({ status: "open" }),
      onAnswer: (data) => change({ data, error: null, status: "open" }),
      onProblem: (problem, goesOn) => change({ error: new EbbtideError(problem), status: goesOn ? "connecting" : "closed" }),
      signal: controller.signal,
    });
    return () => controller.abort();
  }, [server, address, question, enabled]);
  // Of another question nothing is shown, not for a moment.
  return state.question === question ? state.live : NOTHING;
}
