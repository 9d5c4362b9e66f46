/** What a token is bound to, and the request for it. */
import { type RawOperation, type Route, routeOf } from "../api/document.ts";
import type { operations } from "../api/types.gen.ts";
import { lacking } from "../reports/address.ts";

export type Declared = operations["embed"]["responses"][200]["content"]["application/json"];

export interface Drawn {
  readonly route: Route;
  /** Where to ask, path and query; null where a parameter of the report's path is neither fixed nor given. */
  readonly address: string | null;
  /** Where to listen. */
  readonly live: string;
  readonly given: Readonly<Record<string, string>>;
}

/** `params` is what the page around asks for, as a query string; what the token fixes holds, whatever that says. */
export function drawnOf(declared: Declared, params: string): Drawn {
  const document = { paths: { [declared.path]: { get: declared.operation as RawOperation } } };
  const route = routeOf(document, declared.path);
  const asked = { ...Object.fromEntries(new URLSearchParams(params)), ...declared.fixed };
  const names = new Set([...route.params.map((param) => param.name), "as_of"]);
  const given = Object.fromEntries(Object.entries(asked).filter(([name]) => names.has(name)));
  const search = new URLSearchParams(given).toString();
  const withSearch = (path: string) => (search === "" ? path : `${path}?${search}`);
  const address = lacking(route, given).length === 0 ? withSearch(declared.answer) : null;
  return { route, address, live: withSearch(declared.live), given };
}

/** The origin whose pages the token is for, so that nobody else is told how it goes. */
export function originOf(token: string): string | null {
  try {
    const part = token.split(".")[1] ?? "";
    const payload = JSON.parse(atob(part.replaceAll("-", "+").replaceAll("_", "/"))) as { readonly embed?: { readonly origin?: unknown } };
    return typeof payload.embed?.origin === "string" ? payload.embed.origin : null;
  } catch {
    return null;
  }
}
