/** Messages with names to fill in, and with forms by number. Pure. */

export type Plural = Readonly<Partial<Record<Intl.LDMLPluralRule, string>> & { readonly other: string }>;
export type Message = string | Plural;
export type Values = Readonly<Record<string, string | number>>;

/** `count` chooses the form; it is written in the language's own way, as are all numbers. */
export function write(message: Message, language: string, values: Values = {}): string {
  const form = typeof message === "string" ? message : formOf(message, language, values["count"]);
  return form.replaceAll(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === "number" ? new Intl.NumberFormat(language).format(value) : value;
  });
}

function formOf(message: Plural, language: string, count: string | number | undefined): string {
  if (typeof count !== "number") return message.other;
  return message[new Intl.PluralRules(language).select(count)] ?? message.other;
}

/** The names that a message has filled in. */
export function namesIn(message: Message): string[] {
  const text = typeof message === "string" ? message : message.other;
  return [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? ""))].sort();
}
