import { expect, it } from "vitest";
import { namesIn, paramsIn } from "./statement.ts";

it("finds the parameters of a statement, each once, and none in texts or comments", () => {
  expect(namesIn("SELECT $a, '$b', $a -- $c\nFROM t WHERE x > $least AND t <= $as_of")).toEqual(["a", "least"]);
});

it("gives parameters the type of what is typed", () => {
  expect(paramsIn(["a", "b", "c", "d"], { a: "5", b: "x", c: "true", d: "" })).toEqual({ a: 5, b: "x", c: true, d: null });
});
