import { describe, expect, it } from "vitest";
import { type Claims, claimsOf, rightsOf, tokensIn } from "./claims.ts";

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const tokenOf = (payload: object): string => `${encode({ alg: "HS256" })}.${encode(payload)}.c2lnbmF0dXJl`;

describe("claimsOf", () => {
  it("reads texts, numbers and several audiences", () => {
    const claims = claimsOf(tokenOf({ aud: ["loyalty", "itsm"], role: "merchant", tenant: 7, sub: "ünïcode", exp: 1_700_000_000 }));
    expect(claims).toEqual({ apps: ["loyalty", "itsm"], role: "merchant", tenant: "7", sub: "ünïcode", plan: null, expires: 1_700_000_000_000 });
  });

  it.each([["", "a.b", "a.b.c", "not a token", tokenOf({ role: "admin" })].map((text) => [text])].flat())("takes %j for no token", (text) => {
    expect(claimsOf(text)).toBeNull();
  });
});

it("finds tokens in the lines of a shell, each once", () => {
  const one = tokenOf({ aud: "a" });
  const two = tokenOf({ aud: "b" });
  expect(tokensIn(`export A=${one} # the admin\nexport B=${two}\n${one}`)).toEqual([one, two]);
});

const claims = (role: string | null, tenant: string | null): Claims => ({ apps: ["a"], role, tenant, sub: null, plan: null, expires: null });

describe("rightsOf", () => {
  it.each([
    ["an admin of all", claims("admin", null), { explore: true, sql: true, keys: true, cards: true, rejects: true, platform: true }],
    ["an admin of a tenant", claims("admin", "1"), { explore: true, sql: true, keys: true, cards: true, rejects: true, platform: false }],
    ["an analyst", claims("analyst", "1"), { explore: true, sql: true, keys: false, cards: true, rejects: false, platform: false }],
    ["a viewer", claims("viewer", "1"), { explore: true, sql: false, keys: false, cards: false, rejects: false, platform: false }],
    ["somebody without a tenant", claims("owner", null), { explore: false, sql: false, keys: false, cards: false, rejects: false, platform: false }],
  ])("shows %s what the server allows", (_, own, rights) => {
    expect(rightsOf(own)).toEqual(rights);
  });
});
