import react from "@vitejs/plugin-react";
import { type Plugin, defineConfig } from "vite";

/** What a part that is drawn brings along as a style of the page has to be a style of the element, too; as a file of its own it is nobody's. */
const stylesOfTheElement: Plugin = {
  name: "styles-of-the-element",
  generateBundle(_, bundle) {
    const ids = new Set(this.getModuleIds());
    for (const id of ids) if (id.endsWith(".css") && !ids.has(`${id}?inline`)) this.error(`${id} is drawn in <ebbtide-chart>: name it in src/embed/styles.ts, too`);
    for (const name of Object.keys(bundle)) if (name.endsWith(".css")) delete bundle[name];
  },
};

/** What other sites' pages load: one module of a name that stays, and parts that it fetches when they are wanted. */
export default defineConfig({
  base: "./",
  plugins: [react(), stylesOfTheElement],
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
