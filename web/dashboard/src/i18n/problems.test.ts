import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Catalogue, type Key, en } from "./en.ts";
import { ko } from "./ko.ts";
import { isTold } from "./problems.ts";
import { ru } from "./ru.ts";

/** What no page of the dashboard can be answered: it sends JSON, whole and by the methods that there are. */
const UNMET = new Set(["method_not_allowed", "body_slow", "upgrade_required", "media_type", "json_invalid"]);
/** Told by a notice of its own, in the pack's words. */
const OWN = new Set(["plan_required"]);

const errors = readFileSync(join(import.meta.dirname, "../../../../docs/errors.md"), "utf8");
const codes = [...(errors.split("\n## ")[0] ?? "").matchAll(/^\| `(\w+)` \| \d+ \|/gm)].map(([, code]) => code ?? "");

describe("every problem that a reader can meet", () => {
  it("is known by its code", () => {
    expect(codes.length).toBeGreaterThan(40);
    expect(codes.filter((code) => !isTold(code))).toEqual(codes.filter((code) => UNMET.has(code) || OWN.has(code)));
  });

  it.each<[string, Catalogue]>([["en", en], ["ko", ko], ["ru", ru]])("has a title and a hint in %s", (_, catalogue) => {
    for (const code of codes.filter(isTold)) {
      const [title, hint] = [catalogue[`problem.of.${code}`], catalogue[`problem.of.${code}.hint`]].map(String);
      expect(title, code).not.toMatch(/^undefined$|\.$/);
      expect(hint, code).toMatch(/\.$/);
      if (catalogue !== en) expect([title, hint], code).not.toEqual([en[`problem.of.${code}`], en[`problem.of.${code}.hint`]]);
    }
  });

  it("is one of the server's, or what stands between", () => {
    const told = (Object.keys(en) as Key[]).flatMap((key) => /^problem\.of\.(\w+)$/.exec(key)?.[1] ?? []);
    expect(told.filter((code) => !codes.includes(code))).toEqual(["not_ours"]);
  });
});
