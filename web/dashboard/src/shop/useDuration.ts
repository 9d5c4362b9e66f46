import { useCallback } from "react";
import { useFormat } from "../format/useFormat.ts";

/** Milliseconds as people say them: `35 ms`, `1.2 sec`, `5 min`. */
export function useDuration(): (milliseconds: number) => string {
  const format = useFormat();
  return useCallback(
    (milliseconds: number) =>
      milliseconds < 1000 ? format.value(milliseconds < 10 ? Math.round(milliseconds * 10) / 10 : Math.round(milliseconds), { kind: "duration", of: "millisecond" }) : format.seconds(milliseconds / 1000),
    [format],
  );
}
