import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type Catalogue, type Key, en } from "./en.ts";
import { humanise } from "../format/units.ts";
import { fieldName } from "./fields.ts";
import { koPacks } from "./ko.packs.ts";
import { ko } from "./ko.ts";
import { type Message, namesIn, write } from "./message.ts";
import { ruPacks } from "./ru.packs.ts";
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

describe("the words of the bundled packs", () => {
  const folder = join(import.meta.dirname, "../../../../packs");
  const apps = readdirSync(folder);
  const packs = apps.map((name) => readFileSync(join(folder, name, "pack.yaml"), "utf8"));
  // Titles of apps, what reports say of themselves, and what is said where a plan lacks a feature.
  const words = packs.flatMap((text) => [/^title: (.+)$/m.exec(text)?.[1] ?? "", ...[...(text.split(/^reports:$/m)[1] ?? "").matchAll(/^ {4}description: (.+)$/gm), ...(/^ {2}upgrade:\n((?: {4}.+\n)+)/m.exec(text)?.[1] ?? "").matchAll(/^ {4}\w+: (.+)$/gm)].map((found) => found[1] ?? "")]);

  it.each([["ko", koPacks], ["ru", ruPacks]])("are said in %s, and no others", (_, said) => {
    expect(Object.keys(said).sort()).toEqual([...words].sort());
  });

  it.each(["ko", "ru"] as const)("are names of fields in %s too", (language) => {
    const { paths } = JSON.parse(readFileSync(join(import.meta.dirname, "../../openapi/openapi.json"), "utf8")) as { readonly paths: Readonly<Record<string, unknown>> };
    const answers = Object.values(paths).flatMap((path) => fieldsOf(answerIn(path, apps)));
    const shown = [...new Set(answers)].filter((field) => !UNSHOWN.has(field));
    expect(shown.length).toBeGreaterThan(100);
    expect(shown.filter((field) => fieldName(field, language) === humanise(field))).toEqual([]);
  });
});

/** What repeats a parameter or wraps an answer, and so has no name of its own on a page. */
const UNSHOWN = new Set(["analytics", "as_of", "currency", "data", "metric", "period_days"]);

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  readonly oneOf?: readonly Shape[];
  readonly anyOf?: readonly Shape[];
}

interface Path {
  readonly get?: { readonly tags: readonly string[]; readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Shape }>> }>> };
}

/** The answer of a path that one of the packs declares. */
function answerIn(path: unknown, apps: readonly string[]): Shape {
  const { get } = path as Path;
  return get?.tags.some((tag) => apps.includes(tag)) === true ? (get.responses["200"]?.content?.["application/json"]?.schema ?? {}) : {};
}

const fieldsOf = (shape: Shape): string[] => [
  ...Object.entries(shape.properties ?? {}).flatMap(([name, own]) => [name, ...fieldsOf(own)]),
  ...[shape.items ?? {}, ...(shape.oneOf ?? []), ...(shape.anyOf ?? [])].filter((own) => Object.keys(own).length > 0).flatMap(fieldsOf),
];

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
