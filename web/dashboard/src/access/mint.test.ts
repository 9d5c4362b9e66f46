import { expect, it } from "vitest";
import { type Wanted, bodyOf } from "./mint.ts";

const wanted: Wanted = { role: " analyst ", tenant: "7", sub: "", plan: " pro", life: "12h" };

it("asks for what was typed, and leaves out what was not", () => {
  expect(bodyOf(wanted, null)).toEqual({ role: "analyst", tenant: "7", plan: "pro", ttl: "12h" });
  expect(bodyOf({ ...wanted, tenant: "", plan: "" }, null)).toEqual({ role: "analyst", ttl: "12h" });
});

it("names an admin's own tenant, whatever was typed", () => {
  expect(bodyOf(wanted, "3")["tenant"]).toBe("3");
});
