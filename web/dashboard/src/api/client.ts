/** Asks the server. Every answer is the value, or throws a `Refusal` that holds the server's problem. */
import type { components, operations } from "./types.gen.ts";

export type Problem = components["schemas"]["Problem"];
export type AppDescription = components["schemas"]["Schema"];
export type Table = components["schemas"]["SchemaTable"];
export type ReportDescription = components["schemas"]["SchemaReport"];
export type WriteKey = components["schemas"]["WriteKey"];
export type QueryAnswer = components["schemas"]["QueryAnswer"];
export type SqlAnswer = components["schemas"]["SqlAnswer"];
export type Explanation = components["schemas"]["Explanation"];
export type Card = operations["card"]["responses"][200]["content"]["application/json"];
export type Rejects = operations["list_rejects"]["responses"][200]["content"]["application/json"];
export type Reject = Rejects["rejects"][number];
export type Retried = operations["retry_rejects"]["responses"][200]["content"]["application/json"];
export type Meta = components["schemas"]["Meta"];

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

/** Who asks, and which of the token's apps is meant. */
export interface Access {
  readonly token: string;
  readonly app: string;
}

export class Refusal extends Error {
  override readonly name = "Refusal";
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/** A problem of ours, where none came from the server. */
function ownProblem(status: number, code: string, title: string, detail: string, hint: string): Problem {
  return { type: `urn:ebbtide:error:${code}`, title, status, detail, code, hint, request_id: "" };
}

async function refusalOf(response: Response): Promise<Refusal> {
  const text = await response.text();
  try {
    const body = JSON.parse(text) as Partial<Problem>;
    if (typeof body.detail === "string" && typeof body.code === "string") return new Refusal(body as Problem);
  } catch {
    // Not the server's own answer: a proxy's page, most likely.
  }
  const title = response.statusText || `HTTP ${response.status}`;
  return new Refusal(ownProblem(response.status, "not_ours", title, text.slice(0, 300) || title, ""));
}

export interface Asked {
  readonly method?: "GET" | "POST" | "PUT" | "DELETE";
  readonly search?: URLSearchParams;
  readonly body?: unknown;
  readonly signal?: AbortSignal | undefined;
}

/** Sends a request; an answer that is no success is thrown. */
export async function send(token: string | null, path: string, asked: Asked = {}): Promise<Response> {
  const search = asked.search?.toString() ?? "";
  const headers = new Headers();
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  if (asked.body !== undefined) headers.set("Content-Type", "application/json");
  const init: RequestInit = { method: asked.method ?? "GET", headers, credentials: "omit" };
  if (asked.body !== undefined) init.body = JSON.stringify(asked.body);
  if (asked.signal) init.signal = asked.signal;
  let response: Response;
  try {
    response = await fetch(search === "" ? path : `${path}?${search}`, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    const detail = error instanceof Error ? error.message : "";
    throw new Refusal(ownProblem(0, "unreachable", "No answer", detail, ""));
  }
  if (!response.ok) throw await refusalOf(response);
  return response;
}

/** One of the server's own paths, for an app. */
export async function ask<Answer>(access: Access, path: string, asked: Asked = {}): Promise<Answer> {
  const search = new URLSearchParams(asked.search);
  search.set("app", access.app);
  const response = await send(access.token, path, { ...asked, search });
  return (await response.json()) as Answer;
}

/** Which answers are worth another try: those that another moment may change. */
export function mayPass(error: unknown): boolean {
  if (!(error instanceof Refusal)) return false;
  return [0, 429, 502, 503, 504].includes(error.problem.status);
}
