import { defineConfig } from "vitest/config";

/** One script that runs wherever it is named: no module, no name of its own but `ebbtide`. */
export default defineConfig({
  build: {
    target: "es2020",
    modulePreload: false,
    lib: { entry: "src/script.ts", name: "ebbtideTracker", formats: ["iife"], fileName: () => "tracker.js" },
  },
  test: { include: ["src/**/*.test.ts", "tests/**/*.test.ts"], environment: "happy-dom" },
});
