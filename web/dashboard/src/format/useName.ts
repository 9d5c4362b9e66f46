/** Names of fields as people read them: in the catalogue where they are common, else as the pack wrote them. */
import { useCallback } from "react";
import { useI18n } from "../i18n/i18n.tsx";
import { fieldName } from "../i18n/fields.ts";

export function useName(): (field: string) => string {
  const { language } = useI18n();
  return useCallback((field: string) => fieldName(field, language), [language]);
}
