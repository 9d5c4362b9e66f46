/** What a token says of its bearer. Nothing here is checked: the server does that. */

export interface Claims {
  readonly apps: readonly string[];
  readonly role: string | null;
  readonly tenant: string | null;
  readonly sub: string | null;
  readonly plan: string | null;
  /** Milliseconds since 1970. */
  readonly expires: number | null;
}

const textOf = (value: unknown): string | null =>
  typeof value === "string" ? value : typeof value === "number" ? String(value) : null;

function payloadOf(token: string): Record<string, unknown> | null {
  const part = token.split(".")[1];
  if (part === undefined || token.split(".").length !== 3) return null;
  try {
    const text = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(text, (character) => character.codePointAt(0) ?? 0);
    const payload: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof payload === "object" && payload !== null ? (payload as Record<string, unknown>) : null;
  } catch {
    return null;
  }
}

/** Null where the text is no token. */
export function claimsOf(token: string): Claims | null {
  const payload = payloadOf(token);
  if (payload === null) return null;
  const audience = payload["aud"];
  const apps = (Array.isArray(audience) ? audience : [audience]).filter((app) => typeof app === "string");
  if (apps.length === 0) return null;
  const expires = payload["exp"];
  return {
    apps,
    role: textOf(payload["role"]),
    tenant: textOf(payload["tenant"]),
    sub: textOf(payload["sub"]),
    plan: textOf(payload["plan"]),
    expires: typeof expires === "number" ? expires * 1000 : null,
  };
}

/** The tokens in what somebody pasted: one, several, or the lines of a shell. */
export function tokensIn(text: string): string[] {
  const found = text.match(/[\w-]+\.[\w-]+\.[\w-]+/g) ?? [];
  return [...new Set(found)].filter((token) => claimsOf(token) !== null);
}

export interface Rights {
  readonly explore: boolean;
  readonly sql: boolean;
  readonly keys: boolean;
  /** Saves and deletes cards. */
  readonly cards: boolean;
  /** Sees rows that were refused. */
  readonly rejects: boolean;
  /** Sees all tenants of its app. */
  readonly platform: boolean;
}

/** What the server will not refuse (`docs/http.md`); what is refused is not shown. */
export function rightsOf(claims: Claims): Rights {
  const admin = claims.role === "admin";
  const scoped = admin || claims.tenant !== null;
  return {
    explore: scoped,
    sql: scoped && (admin || claims.role === "analyst"),
    keys: admin,
    cards: scoped && (admin || claims.role === "analyst"),
    rejects: admin,
    platform: admin && claims.tenant === null,
  };
}
