import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Catalogue, type Key, en } from "./en.ts";
import { ko } from "./ko.ts";
import { type Message, namesIn, write } from "./message.ts";
import { ru } from "./ru.ts";

const catalogues: readonly (readonly [string, Catalogue])[] = [["en", en], ["ko", ko], ["ru", ru]];
const keys = Object.keys(en) as Key[];

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name === "i18n" ? [] : sources(path);
    return /\.tsx?$/.test(entry.name) && !/\.(?:test|gen)\.ts$/.test(entry.name) ? [readFileSync(path, "utf8")] : [];
  });
}

describe.each(catalogues)("the catalogue %s", (language, catalogue) => {
  it("has every message, and no other", () => {
    expect(Object.keys(catalogue).sort()).toEqual([...keys].sort());
  });

  it("fills in the same names as English", () => {
    for (const key of keys) expect([key, namesIn(catalogue[key])]).toEqual([key, namesIn(en[key])]);
  });

  it("leaves no message empty", () => {
    for (const key of keys) expect(write(catalogue[key], language, { count: 2 }).trim(), key).not.toBe("");
  });

  it("has the forms of number that its language needs", () => {
    const forms = new Intl.PluralRules(language).resolvedOptions().pluralCategories.filter((form) => form !== "other");
    for (const key of keys) {
      const message: Message = catalogue[key];
      if (typeof message !== "string") expect(Object.keys(message), key).toEqual(expect.arrayContaining(forms));
    }
  });
});

it("says nothing that nobody asks for", () => {
  const text = sources(join(import.meta.dirname, "..")).join("\n");
  const isAsked = (key: string) => text.includes(`"${key}"`) || prefixes(text).some((prefix) => key.startsWith(prefix));
  expect(keys.filter((key) => !isAsked(key))).toEqual([]);
});

/** Of keys that are put together: t(`theme.${name}`). */
const prefixes = (text: string): string[] => [...text.matchAll(/`([a-z_.]+\.)\$\{/g)].map((match) => match[1] ?? "");

describe("write", () => {
  it.each<[string, Message, string, Record<string, string | number>, string]>([
    ["a name", "Download {name}", "en", { name: "x" }, "Download x"],
    ["a number in the language's way", "{count} rows", "ru", { count: 1234567 }, "1\u00A0234\u00A0567 rows"],
    ["the form of one", { one: "{count} day", other: "{count} days" }, "en", { count: 1 }, "1 day"],
    ["a form of its own", { few: "дня", many: "дней", one: "день", other: "дня" }, "ru", { count: 3 }, "дня"],
    ["a name that is not given, as it stands", "{name}", "en", {}, "{name}"],
  ])("fills in %s", (_, message, language, values, expected) => {
    expect(write(message, language, values)).toBe(expected);
  });
});
