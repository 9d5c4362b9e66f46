/**
 * What a page tells of its visitor. Everything is put into a queue that outlives the page (bounded, in localStorage), and leaves it once the
 * server has answered for it; each event has an id, so one that is sent twice counts once.
 */

type Props = Record<string, unknown>;
type Kind = "events" | "actors" | "aliases";

/** One thing to tell: of which kind, under which name in the queue, and what. */
type Item = [Kind, string, Props];

export interface Options {
  /** The server, without a path. */
  readonly url: string;
  /** A write key: it is in the page's source, and opens nothing but capture. */
  readonly key: string;
}

/** What is kept at most while nothing can be sent: the oldest goes first. */
export const ITEMS_MAX = 1000;
/** A browser sends no more for a page that is left. A letter takes three bytes at most. */
const LETTERS_MAX = 65_536 / 3;
const BATCH = 100;
const WAIT_MS = 2000;
const RETRY_MS_MAX = 300_000;
const QUEUE = "ebbtide.queue";
const VISITOR = "ebbtide.visitor";

function read<Value>(name: string, otherwise: Value): Value {
  try {
    return (JSON.parse(localStorage.getItem(name) ?? "null") as Value | null) ?? otherwise;
  } catch {
    return otherwise;
  }
}

function write(name: string, value: unknown): void {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // Without storage it holds until the page is left.
  }
}

const newId = (): string => Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");

/** Whether the visitor has asked not to be tracked, in either way that browsers have. */
const refused = (): boolean => {
  const asked = navigator as { doNotTrack?: string | null; globalPrivacyControl?: boolean };
  return asked.doNotTrack === "1" || asked.globalPrivacyControl === true;
};

/** What waits to be sent, and its sending. */
function createQueue({ url, key }: Options) {
  const address = `${url}/v1/beacon`;
  let queue = read<Item[]>(QUEUE, []);
  let timer: ReturnType<typeof setTimeout> | undefined;
  let sending = false;
  let failures = 0;
  let stopped = false;
  let left = "";

  const plan = (wait: number): void => {
    timer ??= setTimeout(() => {
      timer = undefined;
      void flush();
    }, wait);
  };

  /** Other tabs have the same queue: what this one has sent is taken out of it, and nothing else. */
  const change = (how: (items: Item[]) => Item[]): void => {
    queue = how(read(QUEUE, queue)).slice(-ITEMS_MAX);
    write(QUEUE, queue);
  };

  const add = (kind: Kind, what: Props): void => {
    change((items) => [...items, [kind, newId(), what]]);
    plan(queue.length < BATCH ? WAIT_MS : 0);
  };

  /** As much as one request takes. */
  const batch = (): Item[] => {
    let letters = 0;
    return queue.slice(0, BATCH).filter((item, index) => (letters += JSON.stringify(item).length + 30) < LETTERS_MAX || index === 0);
  };

  const bodyOf = (items: Item[]): string => {
    const body: Partial<Record<Kind, Props[]>> & { key: string } = { key };
    for (const [kind, id, what] of items) (body[kind] ??= []).push(kind === "events" ? { ...what, event_id: id } : what);
    return JSON.stringify(body);
  };

  const done = (items: Item[]): void => {
    const ids = new Set(items.map((item) => item[1]));
    change((all) => all.filter((item) => !ids.has(item[1])));
  };

  /** Sends what waits. Plain text needs no question beforehand, which a page that is left could not wait for. */
  async function flush(): Promise<void> {
    queue = read(QUEUE, queue);
    const items = batch();
    if (items.length === 0 || sending || stopped) return;
    sending = true;
    const body = bodyOf(items);
    let answer: Response | undefined;
    try {
      answer = await fetch(address, { method: "POST", body, keepalive: body.length < LETTERS_MAX, credentials: "omit" });
    } catch {
      // Not reached: as if the server were away.
    }
    const status = answer?.status ?? 0;
    sending = false;
    if (status === 200) {
      failures = 0;
      done(items);
      if (queue.length > 0) plan(0);
    } else if (status === 0 || status === 408 || status === 429 || status >= 500) {
      failures += 1;
      plan(Math.min(RETRY_MS_MAX, 1000 * 2 ** failures) * (0.5 + Math.random() / 2));
    } else {
      // The key, the page's origin or the server's rules: another try would end alike, and the next page may know better.
      stopped = true;
      // oxlint-disable-next-line no-console -- whoever has set the key up wrongly looks there
      console.warn(`ebbtide: HTTP ${status}; what is captured waits for the next page`, await answer?.text());
    }
  }

  /** The last chance of a page that is left. Nobody hears how it ended, so the next page sends it again; it counts once. */
  const leave = (): void => {
    const items = batch();
    if (items.length === 0 || stopped) return;
    const body = bodyOf(items);
    if (body !== left && navigator.sendBeacon(address, body)) left = body;
  };

  addEventListener("pagehide", leave);
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "hidden") leave();
  });
  addEventListener("online", () => void flush());
  if (queue.length > 0) plan(0);
  return { add, flush };
}

export function createTracker(options: Options) {
  const queue = refused() ? undefined : createQueue(options);
  const visitor = queue ? read<string[]>(VISITOR, [newId()]) : [""];
  const keep = (): void => {
    if (queue) write(VISITOR, visitor);
  };
  const add = (kind: Kind, what: Props): void => queue?.add(kind, what);
  /** Who acts: the visitor's own name once it is known, before that a random one. */
  const actor = (): string => visitor[1] ?? visitor[0] ?? "";
  const capture = (event: string, props: Props = {}): void => add("events", { event, actor: actor(), ts: new Date().toISOString(), props });
  keep();

  return {
    capture,
    /** A page is seen: without its query string, which may tell more than it should. */
    page: (props: Props = {}): void => capture("page", { path: location.pathname, title: document.title, referrer: document.referrer.split("?")[0], ...props }),
    /** The visitor is known from now on; what was captured before is theirs, too. */
    identify: (id: string, props?: Props): void => {
      if (visitor[1] !== id) {
        // A random name is one person's: another person on the same machine gets another.
        if (visitor[1] === undefined) add("aliases", { alias: visitor[0], actor: id });
        else visitor[0] = newId();
        visitor[1] = id;
        keep();
      }
      if (props) add("actors", { actor: id, props });
    },
    alias: (alias: string, of: string = actor()): void => add("aliases", { alias, actor: of }),
    /** Signed out: who acts next is somebody new. */
    reset: (): void => {
      visitor.splice(0, 2, newId());
      keep();
    },
    flush: async (): Promise<void> => queue?.flush(),
  };
}

export type Tracker = ReturnType<typeof createTracker>;
