import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** What other sites' pages load: one module of a name that stays, and parts that it fetches when they are wanted. */
export default defineConfig({
  base: "./",
  plugins: [react()],
  publicDir: false,
  build: {
    outDir: "dist-embed",
    target: "es2022",
    modulePreload: false,
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      input: "src/embed/element.tsx",
      output: { entryFileNames: "embed.js", chunkFileNames: "embed/assets/[name]-[hash].js" },
      preserveEntrySignatures: false,
    },
  },
});
