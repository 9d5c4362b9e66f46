import type { IncomingMessage } from "node:http";
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { CONTENT_SECURITY_POLICY } from "./scripts/policy.ts";

const server = process.env["EBBTIDE_SERVER"] ?? "http://127.0.0.1:8080";

// What is below /app is the dashboard's, and the page of an app at its name (`/storefront/`); all else is the server's, since packs may
// declare any other path.
const proxy = {
  "^/(?!app(?:/|$|\\?)|$).*": {
    target: server,
    changeOrigin: false,
    ws: true,
    bypass: ({ headers: { accept }, url }: IncomingMessage) => (accept?.includes("text/html") === true && /^\/[\w-]+\/$/.test(url ?? "") ? "/app/" : undefined),
  },
};

export default defineConfig({
  base: "/app/",
  plugins: [react()],
  build: { target: "es2023", assetsInlineLimit: 0, modulePreload: { polyfill: false }, chunkSizeWarningLimit: 700 },
  server: { port: 18151, strictPort: true, proxy },
  preview: { port: 18152, strictPort: true, proxy, headers: { "Content-Security-Policy": CONTENT_SECURITY_POLICY } },
  test: { include: ["src/**/*.test.ts"], environment: "node" },
});
