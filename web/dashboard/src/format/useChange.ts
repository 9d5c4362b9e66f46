/** How much a number of a matrix differs from the one that it is compared with: shares in points, amounts as such. */
import { useCallback } from "react";
import { useT } from "../i18n/i18n.tsx";
import type { Change } from "../ui/Heatmap.tsx";
import { formatNumber } from "./numbers.ts";
import type { Unit } from "./units.ts";
import { useFormat } from "./useFormat.ts";

/** What is compared, and of which cohort the other one is. */
export interface Compared {
  readonly now: number | null | undefined;
  readonly before: number | null | undefined;
  readonly unit: Unit;
  readonly of: string;
}

/** Points are shown with one digit: what rounds to none has not changed. */
const POINT_DIGITS = 1;

export function useChange(): (compared: Compared) => Change | undefined {
  const t = useT();
  const format = useFormat();
  return useCallback(
    ({ now, before, unit, of }: Compared): Change | undefined => {
      if (typeof now !== "number" || typeof before !== "number") return undefined;
      const isShare = unit.kind === "percent";
      const points = Number((now - before).toFixed(isShare ? POINT_DIGITS : 2));
      const text = isShare ? formatNumber(Math.abs(points), format.language, { maximumFractionDigits: POINT_DIGITS }) : format.value(Math.abs(points), unit);
      const value = format.value(before, unit);
      if (points === 0) return { way: "same", text, said: t("compare.same", { of, value }) };
      const way = points > 0 ? "more" : "less";
      return { way, text, said: t(isShare ? `compare.points.${way}` : `compare.amount.${way}`, { of, value, change: text }) };
    },
    [t, format],
  );
}
