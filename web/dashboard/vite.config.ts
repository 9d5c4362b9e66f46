import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { CONTENT_SECURITY_POLICY } from "./scripts/policy.ts";

const server = process.env["EBBTIDE_SERVER"] ?? "http://127.0.0.1:8080";

// All that is not the dashboard's own is the server's: packs may declare any path.
const own = /^\/(?:@|src\/|node_modules\/|assets\/|app(?:\/|$|\?)|icon\.svg|theme\.js|index\.html|$|\?)/;
const proxy = { [`^(?!${own.source.slice(1)}).*`]: { target: server, changeOrigin: false } };

export default defineConfig({
  plugins: [react()],
  build: { target: "es2023", assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 700 },
  server: { port: 18151, strictPort: true, proxy },
  preview: { port: 18152, strictPort: true, proxy, headers: { "Content-Security-Policy": CONTENT_SECURITY_POLICY } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
