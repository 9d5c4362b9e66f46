/** A statement's parameters. Pure. */

/** Texts, quoted names and comments: what is in them is no parameter. */
const QUIET = /'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|\/\*[\s\S]*?\*\//g;

/** `$name` in their order; `$as_of` is always there. */
export function namesIn(sql: string): string[] {
  const found = [...sql.replaceAll(QUIET, " ").matchAll(/\$([a-z_]\w*)/g)].map((match) => match[1] ?? "");
  return [...new Set(found)].filter((name) => name !== "as_of");
}

function valueOf(text: string): string | number | boolean | null {
  if (text === "") return null;
  if (text === "true" || text === "false") return text === "true";
  return /^-?\d+(?:\.\d+)?$/.test(text) ? Number(text) : text;
}

export const paramsIn = (names: readonly string[], typed: Readonly<Record<string, string>>): Record<string, unknown> => Object.fromEntries(names.map((name) => [name, valueOf(typed[name] ?? "")]));
