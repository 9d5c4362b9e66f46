import { useCallback } from "react";
import { useT } from "../i18n/i18n.tsx";
import { nameOf } from "./results.ts";

/** What a value of an answer is called on a page: one that is lacking, in the reader's words. */
export function useNameOf(): (value: unknown) => string {
  const t = useT();
  return useCallback((value: unknown) => nameOf(value, t("value.none")), [t]);
}
