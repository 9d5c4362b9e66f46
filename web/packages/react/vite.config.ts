import { defineConfig } from "vitest/config";

export default defineConfig({
  build: {
    target: "es2022",
    minify: false,
    lib: { entry: "src/index.ts", formats: ["es"], fileName: "index" },
    rolldownOptions: { external: ["react", "react/jsx-runtime", "@tanstack/react-query"] },
  },
  test: { include: ["src/**/*.test.{ts,tsx}"], environment: "happy-dom" },
});
