/** Takes the OpenAPI document of a server with the bundled packs: `openapi.mjs URL`; with `--check` says whether it is the one that the types are made of. */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const kept = fileURLToPath(new URL("../openapi/openapi.json", import.meta.url));
const [url, flag] = process.argv.slice(2);
const response = await fetch(`${url}/openapi.json`);
if (!response.ok) throw new Error(`${url}: ${response.status}`);
const text = `${JSON.stringify(await response.json(), null, 1)}\n`;
if (flag !== "--check") writeFileSync(kept, text);
else if (text !== readFileSync(kept, "utf8")) {
  console.error("the dashboard's types are of another OpenAPI document: node web/dashboard/scripts/openapi.mjs URL, then npm run types, then make web");
  process.exit(1);
}
