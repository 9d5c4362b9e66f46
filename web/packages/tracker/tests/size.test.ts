// @vitest-environment node
import { gzipSync } from "node:zlib";
import { build } from "vite";
import { expect, it } from "vitest";

/** What a page loads is small: measured on what is built from what is here, not on what lies in `dist`. */
const BYTES_MAX = 2_000;

it("is under two kilobytes, compressed", async () => {
  const built = await build({ root: new URL("..", import.meta.url).pathname, logLevel: "silent", build: { write: false } });
  const [output] = Array.isArray(built) ? built : [built];
  if (output === undefined || !("output" in output)) throw new Error("nothing was built");
  const [script] = output.output;
  const bytes = gzipSync(script.code, { level: 9 }).length;
  console.log(`tracker.js: ${script.code.length} bytes, ${bytes} compressed`);
  expect(bytes).toBeLessThan(BYTES_MAX);
  // Runs by itself wherever a page names it.
  expect(script.code).not.toMatch(/^\s*(?:import|export)\b/m);
});
