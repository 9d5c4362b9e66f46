/** A socket that is opened anew when it breaks: later each time, and at once when the network is back. No timer or socket of its own. */

export type LineState =
  | { readonly kind: "connecting" }
  | { readonly kind: "live" }
  /** Broken; it is tried again at `until`, in milliseconds since 1970. */
  | { readonly kind: "waiting"; readonly until: number }
  /** The server closed it for good: the token has ended. */
  | { readonly kind: "ended" };

/** As much of a WebSocket as a line needs. */
export interface Socket {
  readonly send: (text: string) => void;
  readonly close: () => void;
}

/** What a socket tells. */
export interface Heard {
  readonly onText: (text: string) => void;
  readonly onClose: (code: number) => void;
}

export interface LineNeeds {
  readonly open: (heard: Heard) => Socket;
  readonly onState: (state: LineState) => void;
  readonly onText: (text: string) => void;
  /** It broke before anything was heard, and why is not told to pages: there is a chance to ask. */
  readonly onRefused?: () => void;
  readonly now: () => number;
  readonly random: () => number;
  /** Calls back once after a time; what it gives calls that off. */
  readonly after: (milliseconds: number, then: () => void) => () => void;
}

const FIRST_MS = 500;
const MOST_MS = 30_000;
const TOKEN_ENDED = 4401;

/** How long to wait before the next try: doubled each time, and never the same for all who were cut off at once. */
export const delayOf = (tries: number, random: number): number => Math.min(MOST_MS, FIRST_MS * 2 ** tries) * (0.5 + random / 2);

export class Line {
  readonly #needs: LineNeeds;
  #socket: Socket | null = null;
  #tries = 0;
  #heard = false;
  #callOff: (() => void) | null = null;
  #closed = false;

  constructor(needs: LineNeeds) {
    this.#needs = needs;
    this.#connect();
  }

  #connect(): void {
    this.#heard = false;
    this.#needs.onState({ kind: "connecting" });
    // What comes after it was closed is no matter of ours.
    const socket: Socket = this.#needs.open({
      onText: (text) => (this.#closed ? undefined : this.#took(text)),
      onClose: (code) => this.#broke(code),
    });
    this.#socket = socket;
  }

  #took(text: string): void {
    if (!this.#heard) {
      this.#heard = true;
      this.#tries = 0;
      this.#needs.onState({ kind: "live" });
    }
    this.#needs.onText(text);
  }

  #broke(code: number): void {
    this.#socket = null;
    if (this.#closed) return;
    if (code === TOKEN_ENDED) {
      this.#needs.onState({ kind: "ended" });
      return;
    }
    const delay = delayOf(this.#tries, this.#needs.random());
    this.#tries += 1;
    this.#needs.onState({ kind: "waiting", until: this.#needs.now() + delay });
    this.#callOff = this.#needs.after(delay, () => {
      this.#callOff = null;
      this.#connect();
    });
    if (!this.#heard) this.#needs.onRefused?.();
  }

  /** Does not wait any longer. */
  retry(): void {
    if (this.#callOff === null) return;
    this.#callOff();
    this.#callOff = null;
    this.#connect();
  }

  /** Whether it was sent: while the line is broken nothing is. */
  send(message: object): boolean {
    if (this.#socket === null || !this.#heard) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  close(): void {
    this.#closed = true;
    this.#callOff?.();
    this.#callOff = null;
    this.#socket?.close();
    this.#socket = null;
  }
}
