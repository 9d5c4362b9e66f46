import { expect, it } from "vitest";
import { arrive, begin, eventOf, isOver, newId } from "./visit.ts";

const first = begin("u", "s", 1000);

it("tells how long the shopper thought, to a tenth of a millisecond", () => {
  expect(eventOf(first, "product", "e", 2234.5678)).toEqual({
    event_id: "e", user_id: "u", session_id: "s", screen: "home", next_screen: "product", event_type: "navigate", user_think_time: 1234.6,
  });
});

it("tells how long the screen took that is left, not the one to come", () => {
  const second = arrive(first, "product", 12.34, 3000);
  expect(eventOf(second, "cart", "e", 3500)).toMatchObject({ screen: "product", next_screen: "cart", user_think_time: 500, system_latency: 12.3 });
});

it("is over once the shopper has left, and knows where", () => {
  const cart = arrive(first, "cart", 5, 2000);
  expect(eventOf(cart, "exit", "e", 2001)).toMatchObject({ screen: "cart", next_screen: "exit", event_type: "exit" });
  const left = arrive(cart, "exit", 5, 2001, "idle");
  expect(isOver(cart)).toBe(false);
  expect(isOver(left)).toBe(true);
  expect(left.ended).toEqual({ at: "cart", how: "idle" });
});

it("never thinks for less than no time", () => {
  expect(eventOf(first, "product", "e", 999).user_think_time).toBe(0);
});

it("makes ids of 32 letters that differ", () => {
  const ids = new Set(Array.from({ length: 50 }, newId));
  expect(ids.size).toBe(50);
  for (const id of ids) expect(id).toMatch(/^[\da-f]{32}$/);
});
