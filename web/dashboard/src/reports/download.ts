/** Files of a report: fetched with the token, since a link cannot carry one. */
import { send } from "../api/client.ts";

export const FORMATS = ["csv", "xlsx", "ndjson", "parquet"] as const;
export type FileFormat = (typeof FORMATS)[number];

const nameIn = (header: string | null): string | null => /filename="?([^";]+)"?/.exec(header ?? "")?.[1] ?? null;

export async function download(token: string, address: string, otherwise: string): Promise<void> {
  const response = await send(token, address);
  save(await response.blob(), nameIn(response.headers.get("Content-Disposition")) ?? otherwise);
}

/** Hands a file to the browser. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken it when the click returns; the address is of no use after that.
  setTimeout(() => URL.revokeObjectURL(link.href), 0);
}
