/** The answer for the periods before, where a retention is compared with them. */
import { useQuery } from "@tanstack/react-query";
import { useMemo } from "react";
import { answerOptions } from "../api/queries.ts";
import { useFormat } from "../format/useFormat.ts";
import { useSignIn } from "../session/session.tsx";
import type { RetentionResult } from "./results.ts";
import { type State, requestBefore } from "./state.ts";

/** `result`: of this request, as soon as it is there. */
export function useBefore(state: State, request: Record<string, unknown>, result: unknown): unknown {
  const { zone } = useFormat();
  const signIn = useSignIn();
  const asked = useMemo(() => requestBefore(state.query, request, (result as Partial<RetentionResult> | undefined)?.starts ?? [], zone), [state.query, request, result, zone]);
  const answer = useQuery({ ...answerOptions(signIn, asked ?? {}), enabled: asked !== null });
  return asked === null ? undefined : answer.data?.result;
}
