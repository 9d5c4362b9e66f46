/** Files of a report: fetched with the token, since a link cannot carry one. */
import { send } from "../api/client.ts";
import { save } from "../ui/save.ts";

export const FORMATS = ["csv", "xlsx", "ndjson", "parquet"] as const;
export type FileFormat = (typeof FORMATS)[number];

const nameIn = (header: string | null): string | null => /filename="?([^";]+)"?/.exec(header ?? "")?.[1] ?? null;

export async function download(token: string, address: string, otherwise: string): Promise<void> {
  const response = await send(token, address);
  save(await response.blob(), nameIn(response.headers.get("Content-Disposition")) ?? otherwise);
}
