/** What is asked of the server for a token. Pure. */

export const LIVES = ["15m", "1h", "12h", "7d", "30d"] as const;
export type Life = (typeof LIVES)[number];

export interface Wanted {
  readonly role: string;
  readonly tenant: string;
  readonly sub: string;
  readonly plan: string;
  readonly life: Life;
}

/** The body of the request. What is empty is left out; an admin of a tenant names none but its own. */
export function bodyOf(wanted: Wanted, own: string | null): Record<string, string> {
  const given = { role: wanted.role.trim(), tenant: own ?? wanted.tenant.trim(), sub: wanted.sub.trim(), plan: wanted.plan.trim(), ttl: wanted.life };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ""));
}
