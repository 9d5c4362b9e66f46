/** Listens to a report: server-sent events by `fetch`, since an `EventSource` can set no header and would have its token in an address. */

/** What a server says of a request that it refuses, as far as is needed here. */
export interface Told {
  readonly status: number;
  readonly code: string;
  readonly detail: string;
}

export type Reason = "first" | "expired";

export interface Listening<Answer> {
  readonly url: string;
  /** A token; `expired` when the last one does not hold any more. */
  readonly token: (reason: Reason) => Promise<string>;
  readonly onAnswer: (answer: Answer) => void;
  /** What went wrong; it goes on where another try may end better. */
  readonly onProblem: (problem: Told, goesOn: boolean) => void;
  readonly onOpen?: () => void;
  readonly signal: AbortSignal;
}

interface ServerEvent {
  readonly event: string;
  readonly data: string;
}

const WAIT_MS = 1_000;
const WAIT_MS_MAX = 30_000;

/** The events of a stream, as the HTML standard has them: fields line by line, an empty line after each event. */
export async function* eventsIn(stream: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let event = "message";
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + decoder.decode(value, { stream: true })).split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          if (data.length > 0) yield { event, data: data.join("\n") };
          [event, data] = ["message", []];
        } else if (!line.startsWith(":")) {
          const [, name, text] = /^([^:]*):? ?(.*)$/s.exec(line) ?? [];
          if (name === "data") data.push(text ?? "");
          if (name === "event") event = text ?? "";
        }
      }
    }
  } finally {
    reader.releaseLock();
    await stream.cancel().catch(() => undefined);
  }
}

function problemOf(text: string, status: number): Told {
  try {
    const { code, detail } = JSON.parse(text) as Partial<Told>;
    if (typeof code === "string" && typeof detail === "string") return { status, code, detail };
  } catch {
    // Not the server's own words.
  }
  return { status, code: "not_ours", detail: text.slice(0, 300) };
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}

const mayPass = (status: number): boolean => status === 0 || status === 408 || status === 429 || status >= 500;

/** What becomes of one connection: whether it was good for something, or ends it all. */
type Ended = "heard" | "nothing" | "expired" | "refused";

async function connect<Answer>(listening: Listening<Answer>, token: string): Promise<Ended> {
  const { url, signal, onAnswer, onProblem, onOpen } = listening;
  const response = await fetch(url, { headers: { Authorization: `Bearer ${token}`, Accept: "text/event-stream" }, credentials: "omit", cache: "no-store", signal });
  if (response.status === 401) return "expired";
  if (!response.ok || response.body === null) {
    onProblem(problemOf(await response.text(), response.status), mayPass(response.status));
    return mayPass(response.status) ? "nothing" : "refused";
  }
  onOpen?.();
  let ended: Ended = "nothing";
  for await (const { event, data } of eventsIn(response.body)) {
    if (event === "expired") return "expired";
    if (event === "answer") onAnswer(JSON.parse(data) as Answer);
    if (event === "error") onProblem(problemOf(data, 0), true);
    ended = "heard";
  }
  return ended;
}

/** Listens until the signal, or until the server says that it will never answer. Connections that end are made anew, after a pause that grows. */
export async function listen<Answer>(listening: Listening<Answer>): Promise<void> {
  const { signal, onProblem } = listening;
  let reason: Reason = "first";
  let failures = 0;
  while (!signal.aborted) {
    let ended: Ended = "nothing";
    try {
      ended = await connect(listening, await listening.token(reason));
    } catch (error) {
      if (signal.aborted) return;
      onProblem({ status: 0, code: "unreachable", detail: error instanceof Error ? error.message : "" }, true);
    }
    if (ended === "refused") return;
    if (ended === "expired" && reason === "expired" && failures > 0) {
      onProblem({ status: 401, code: "token_invalid", detail: "The new token is refused, too." }, false);
      return;
    }
    reason = ended === "expired" ? "expired" : "first";
    failures = ended === "heard" ? 0 : failures + 1;
    // A token that has ended is renewed at once, the first time.
    const wait = ended === "expired" && failures === 1 ? 0 : Math.min(WAIT_MS_MAX, WAIT_MS * 2 ** Math.min(failures, 10));
    if (wait > 0 && !signal.aborted) await pause(wait, signal);
  }
}
