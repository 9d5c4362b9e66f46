import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { en } from "../i18n/en.ts";
import { write } from "../i18n/message.ts";
import { ko } from "../i18n/ko.ts";
import { saidWarning } from "./warnings.ts";

const inEnglish = (warning: string) => saidWarning(warning, (key, values) => write(en[key], "en", values));
const behaviour = join(import.meta.dirname, "../../../../crates/engine/src/behaviour");
const engine = readdirSync(behaviour, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".rs")).map((name) => readFileSync(join(behaviour, name), "utf8")).join("\n");

/** As the engine writes it, what comes of that, and what is said. */
const SENTENCES = [
  ["members are listed up to {MEMBERS_MAX} a period", "members are listed up to 100000 a period", "Members are listed up to 100,000 a period."],
  ["actors are listed up to {limit} a bucket and status", "actors are listed up to 5 a bucket and status", "Actors are listed up to 5 a period and state."],
  ["actors are listed up to {MEMBERS_MAX} a step", "actors are listed up to 100000 a step", "Actors are listed up to 100,000 a step."],
  ["{:?} has no column of its own, since there are too many properties: reading it is slow", '"a \\"b\\"" has no column of its own, since there are too many properties: reading it is slow', "“a \"b\"” has no column of its own, since there are too many properties: reading it is slow."],
  ["{:?} has values of several types ({}): each counts as what it is, and sums are of its numbers", '"plan" has values of several types (number, text): each counts as what it is, and sums are of its numbers', "“plan” has values of several types (number, text): each counts as what it is, and sums are of its numbers."],
  ["there are no actors", "there is no model: there are no actors", "There is no model: there are no actors."],
  ["all actors have events on one day only, which says nothing of who comes back", "there is no model: all actors have events on one day only, which says nothing of who comes back", "There is no model: all actors have events on one day only, which says nothing of who comes back."],
  ["only {0} actors have events on several days; {REPEATERS_MIN} are needed", "there is no model: only 3 actors have events on several days; 10 are needed", "There is no model: 3 actors have events on several days; 10 are needed."],
  ["the history is shorter than two units", "there is no model: the history is shorter than two units", "There is no model: the history is shorter than two units."],
  ["the history does not tell the parameters apart", "there is no model: the history does not tell the parameters apart", "There is no model: the history does not tell the parameters apart."],
] as const;

describe("a warning", () => {
  it.each(SENTENCES)("of the engine, %s, is known", (written, warning, said) => {
    expect(engine).toContain(written);
    expect(inEnglish(warning)).toBe(said);
  });

  it("is said in the reader's language", () => {
    expect(saidWarning("actors are listed up to 5 a step", (key, values) => write(ko[key], "ko", values))).toBe("행위자 목록은 단계마다 5명까지입니다.");
  });

  it("that is not known stays as it came", () => {
    expect(inEnglish("something else")).toBe("something else");
  });
});
