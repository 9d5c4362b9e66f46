/** The engine's warnings in the reader's language. They have no code: each is known by its sentence, and one that is not stays as it came. Pure. */
import type { Key } from "../i18n/en.ts";
import type { Translate } from "../i18n/i18n.tsx";

/** What is told of, in which sentence of the engine; the groups are what the message fills in. */
const WARNINGS: readonly (readonly [Key, RegExp])[] = [
  ["warning.retention", /^members are listed up to (?<count>\d+) a period$/],
  ["warning.bucket", /^actors are listed up to (?<count>\d+) a bucket and status$/],
  ["warning.step", /^actors are listed up to (?<count>\d+) a step$/],
  ["warning.slow", /^(?<name>".*") has no column of its own, since there are too many properties: reading it is slow$/],
  ["warning.types", /^(?<name>".*") has values of several types \((?<types>.*)\): each counts as what it is, and sums are of its numbers$/],
  ["warning.model.nobody", /^there is no model: there are no actors$/],
  ["warning.model.once", /^there is no model: all actors have events on one day only, which says nothing of who comes back$/],
  ["warning.model.few", /^there is no model: only (?<count>\d+) actors have events on several days; (?<needed>\d+) are needed$/],
  ["warning.model.short", /^there is no model: the history is shorter than two units$/],
  ["warning.model.unclear", /^there is no model: the history does not tell the parameters apart$/],
];

export function saidWarning(warning: string, t: Translate): string {
  for (const [key, sentence] of WARNINGS) {
    const found = sentence.exec(warning);
    if (found !== null) return t(key, Object.fromEntries(Object.entries(found.groups ?? {}).map(([name, text]) => [name, valueOf(text)])));
  }
  return warning;
}

/** A count is written as the language does; a name stands in the engine's quotes, and the message has its own. */
const valueOf = (text: string): string | number => (/^\d+$/.test(text) ? Number(text) : text.startsWith('"') ? nameIn(text) : text);

function nameIn(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted.slice(1, -1);
  }
}
