/** One request for a report: its address of path and parameters, its token, its answer or the server's problem. */
import type { Reason } from "./events.ts";
import type { components } from "./types.gen.ts";

/** RFC 9457, as the server writes it: tell problems apart by `code`. */
export type Problem = components["schemas"]["Problem"];

export class EbbtideError extends Error {
  override readonly name = "EbbtideError";
  /** 0 where no answer came. */
  readonly status: number;
  readonly code: string;
  readonly hint: string;
  readonly requestId: string;

  constructor(problem: Pick<Problem, "status" | "code" | "detail"> & Partial<Problem>) {
    super(problem.detail);
    this.status = problem.status;
    this.code = problem.code;
    this.hint = problem.hint ?? "";
    this.requestId = problem.request_id ?? "";
  }
}

/** A token for the server, from wherever the application has it. `expired`: the last one does not hold any more. */
export type TokenGetter = (reason: Reason) => string | Promise<string>;

/** Whom to ask. */
export interface Server {
  /** Without a path: `https://analytics.example.com`; empty for the page's own. */
  readonly baseUrl: string;
  readonly getToken: TokenGetter;
}

export type Params = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Parameters of the path go there, others into the query string, by name; what is null or undefined is left out. */
export function addressOf(path: string, params: Params): string {
  const given = Object.entries(params).filter(([, value]) => value !== null && value !== undefined);
  const used = new Set<string>();
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = given.find(([own]) => own === name)?.[1];
    if (value === undefined || value === "") throw new TypeError(`${path}: the parameter ${name} is missing`);
    used.add(name);
    return encodeURIComponent(String(value));
  });
  const search = new URLSearchParams();
  for (const [name, value] of given.sort(([a], [b]) => (a < b ? -1 : 1))) if (!used.has(name)) search.set(name, String(value));
  return search.size === 0 ? filled : `${filled}?${search.toString()}`;
}

async function errorOf(response: Response): Promise<EbbtideError> {
  const text = await response.text();
  try {
    const problem = JSON.parse(text) as Partial<Problem>;
    if (typeof problem.code === "string" && typeof problem.detail === "string") return new EbbtideError(problem as Problem);
  } catch {
    // A proxy's page, most likely.
  }
  return new EbbtideError({ status: response.status, code: "not_ours", detail: text.slice(0, 300) || response.statusText });
}

async function send(server: Server, address: string, reason: Reason, signal: AbortSignal | undefined): Promise<Response> {
  const token = await server.getToken(reason);
  const init: RequestInit = { headers: { Authorization: `Bearer ${token}`, Accept: "application/json" }, credentials: "omit" };
  if (signal !== undefined) init.signal = signal;
  try {
    return await fetch(server.baseUrl + address, init);
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new EbbtideError({ status: 0, code: "unreachable", detail: error instanceof Error ? error.message : "No answer came." });
  }
}

/** The answer, or an `EbbtideError`. A token that has expired is renewed once. */
export async function ask<Answer>(server: Server, address: string, signal?: AbortSignal): Promise<Answer> {
  const response = await send(server, address, "first", signal);
  if (response.ok) return (await response.json()) as Answer;
  const error = await errorOf(response);
  if (error.code !== "token_expired") throw error;
  const again = await send(server, address, "expired", signal);
  if (!again.ok) throw await errorOf(again);
  return (await again.json()) as Answer;
}

/** What another moment may change. */
export const mayPass = (error: unknown): boolean => error instanceof EbbtideError && (error.status === 0 || [408, 429, 502, 503, 504].includes(error.status));
