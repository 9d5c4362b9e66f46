import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Declared, drawnOf, originOf } from "./declared.ts";
import { forElement } from "./forElement.ts";

const declared = (change: Partial<Declared>): Declared => ({
  report: "visits",
  description: null,
  timezone: "UTC",
  path: "/clubs/{club_id}/visits",
  answer: "/v1/embed/answer",
  live: "/v1/embed/live",
  fixed: {},
  expires_in_s: 600,
  operation: {
    parameters: [
      { name: "club_id", in: "path", required: true, schema: { type: "integer" } },
      { name: "limit", in: "query", schema: { type: "integer", default: 10 } },
      { $ref: "#/components/parameters/as_of" },
    ],
    responses: { 200: { content: { "application/json": { schema: { type: "object", properties: { visits: { type: "integer" } } } } } } },
  },
  ...change,
});

const token = (payload: object) => `x.${Buffer.from(JSON.stringify(payload)).toString("base64url")}.y`;

describe("the request of an embedded report", () => {
  it("fills the query from what is fixed and what is asked for", () => {
    const drawn = drawnOf(declared({ fixed: { club_id: "2" } }), "limit=5&as_of=2026-01-01");
    expect(drawn.address).toBe("/v1/embed/answer?limit=5&as_of=2026-01-01&club_id=2");
    expect(drawn.live).toBe("/v1/embed/live?limit=5&as_of=2026-01-01&club_id=2");
    expect(drawn.route.answer.properties).toEqual({ visits: { type: "integer" } });
  });

  it("is what the token fixes, whatever the page asks for", () => {
    expect(drawnOf(declared({ fixed: { club_id: "2", limit: "1" } }), "limit=9&club_id=3").address).toBe("/v1/embed/answer?limit=1&club_id=2");
  });

  it("holds nothing that is no parameter of the report", () => {
    expect(drawnOf(declared({ fixed: { club_id: "2" } }), "format=csv&refresh=true&other=1").address).toBe("/v1/embed/answer?club_id=2");
  });

  it("is none where the path lacks a parameter", () => {
    expect(drawnOf(declared({}), "limit=5").address).toBeNull();
    expect(drawnOf(declared({}), "club_id=7").address).toBe("/v1/embed/answer?club_id=7");
  });
});

describe("the origin that is told how it goes", () => {
  it("is the token's", () => {
    expect(originOf(token({ embed: { origin: "https://a.example" } }))).toBe("https://a.example");
  });

  it("is nobody where the token says none", () => {
    for (const other of ["", "abc", "a.b.c", token({}), token({ embed: {} }), token({ embed: { origin: 7 } })]) expect(originOf(other)).toBeNull();
  });
});

describe("the dashboard's styles inside of an element", () => {
  const theme = join(import.meta.dirname, "../theme");

  it("hold for the element and its theme, and for no page", () => {
    expect(forElement(':root{a:b}:root[data-theme=dark]{a:c}:root:not([data-theme=light]){a:d}')).toBe(":host{a:b}:host([theme=dark]){a:c}:host(:not([theme=light])){a:d}");
    for (const name of ["tokens", "base", "parts", "pages"]) {
      const css = forElement(readFileSync(join(theme, `${name}.css`), "utf8"));
      expect(css, name).not.toMatch(/:root|data-theme/);
    }
  });
});
