import { expect, it } from "vitest";
import { arrivalsIn, countingStatement, samplesIn } from "./counts.ts";

const TEXT = `# HELP ebbtide_stored_rows_total What the store made of rows.
ebbtide_stored_rows_total{app="shop",table="orders",outcome="accepted"} 30
ebbtide_stored_rows_total{app="shop",table="orders",outcome="rejected"} 1
ebbtide_stored_rows_total{app="shop",table="orders",outcome="void"} 9
ebbtide_rows_total{app="shop",table="orders",outcome="accepted"} 12
ebbtide_rows_total{app="shop",table="orders",outcome="rejected"} 4
ebbtide_stored_rows_total{app="other",table="orders",outcome="accepted"} 99
ebbtide_log_bytes{} 17
odd{name="a \\"b\\""} 1
`;

it("reads samples, their labels and values", () => {
  expect(samplesIn(TEXT).find((sample) => sample.name === "ebbtide_log_bytes")).toEqual({ name: "ebbtide_log_bytes", labels: {}, value: 17 });
  expect(samplesIn(TEXT).at(-1)?.labels).toEqual({ name: 'a "b"' });
});

it("counts an app's rows by their fate, the greater of both accounts", () => {
  expect([...arrivalsIn(samplesIn(TEXT), "shop")]).toEqual([["orders", { accepted: 30, duplicate: 0, waiting: 0, rejected: 4 }]]);
});

it("counts rows of one's own, whatever the tables are called", () => {
  expect(countingStatement([{ name: "a", time: "at" }, { name: 'o"d\'d', time: null }])).toBe(
    `SELECT 'a' AS name, count(*) AS rows, max("at") AS latest FROM "a" UNION ALL SELECT 'o"d''d' AS name, count(*) AS rows, CAST(NULL AS timestamp) AS latest FROM "o""d'd"`,
  );
});
