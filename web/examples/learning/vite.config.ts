import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

const server = process.env["EBBTIDE_SERVER"] ?? "http://127.0.0.1:8080";

/** The package is taken from its sources, so that a change there shows here at once. */
const conditions = ["source", "module", "browser", "development|production"];

export default defineConfig({
  plugins: [react()],
  resolve: { conditions },
  server: { proxy: { "/api": server, "/v1": server } },
  test: { include: ["src/**/*.test.tsx"], environment: "happy-dom" },
});
