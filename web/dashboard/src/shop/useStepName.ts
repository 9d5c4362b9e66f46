import { useCallback } from "react";
import { useName } from "../format/useName.ts";
import { useT } from "../i18n/i18n.tsx";
import { STEPS, type Step } from "./summary.ts";

/** What a step is called; one of a pack of one's own by the name that it has. */
export function useStepName(): (step: string) => string {
  const t = useT();
  const name = useName();
  return useCallback((step: string) => (STEPS.includes(step as Step) ? t(`shop.screen.${step as Step}`) : name(step)), [t, name]);
}
