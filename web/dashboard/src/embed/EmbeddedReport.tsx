/** The report that a token is bound to, drawn as the dashboard draws it. */
import { useEffect, useMemo, useState } from "react";
import { type Told, listen } from "../../../packages/react/src/events.ts";
import { Refusal, send } from "../api/client.ts";
import { ZoneContext } from "../format/useFormat.ts";
import { useName } from "../format/useName.ts";
import { useT } from "../i18n/i18n.tsx";
import { lacking, valueOf } from "../reports/address.ts";
import { Blocks } from "../reports/blocks/Blocks.tsx";
import { blocksOf } from "../reports/shape.ts";
import { Empty, ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { type Declared, type Drawn, drawnOf } from "./declared.ts";

export interface EmbeddedProps {
  readonly server: string;
  readonly token: string;
  readonly params: string;
  readonly live: boolean;
  readonly onLoaded: (answer: unknown) => void;
  readonly onError: (error: unknown) => void;
}

/** Past it a browser's clock rings at once. */
const WAIT_MS_MAX = 2 ** 31 - 1;

interface State {
  readonly declared: Declared;
  readonly drawn: Drawn;
  readonly answer: unknown;
}

export function EmbeddedReport(props: EmbeddedProps) {
  const { state, error } = useAnswer(props);
  if (error !== null && state === null) return <ProblemNotice error={error} />;
  if (state === null) return <Skeleton rows={4} />;
  return (
    <ZoneContext value={state.declared.timezone ?? "UTC"}>
      <Answer state={state} />
    </ZoneContext>
  );
}

function Answer({ state }: { readonly state: State }) {
  const t = useT();
  const name = useName();
  const { declared, drawn, answer } = state;
  const blocks = useMemo(() => {
    const echoes = Object.fromEntries(drawn.route.params.map((param) => [param.name, valueOf(param, drawn.given)]));
    return blocksOf({ schema: drawn.route.answer, value: answer, echoes, currency: drawn.route.currency });
  }, [drawn, answer]);
  if (drawn.address === null) return <Empty title={t("report.lacking", { names: lacking(drawn.route, drawn.given).map((param) => param.name).join(", ") })} />;
  if (blocks.length === 0) return <Empty title={t("empty.report")}>{t("empty.report.hint")}</Empty>;
  return <Blocks blocks={blocks} before={null} caption={t("report.of", { name: name(declared.report) })} of={declared.report} />;
}

/** Asks what the token is bound to, then for the answer, and listens where that is wanted. */
function useAnswer({ server, token, params, live, onLoaded, onError }: EmbeddedProps) {
  const [state, setState] = useState<State | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => {
    const controller = new AbortController();
    const { signal } = controller;
    let end: ReturnType<typeof setTimeout> | undefined;
    const show = (declared: Declared, drawn: Drawn, answer: unknown) => {
      setState({ declared, drawn, answer });
      setError(null);
      onLoaded(answer);
    };
    const fail = (reason: unknown) => {
      if (signal.aborted) return;
      setError(reason);
      onError(reason);
    };
    /** The page around is told, and may give another one. */
    const expire = () => {
      fail(refusalOf({ status: 401, code: "token_expired", detail: "The token's `exp` has passed." }));
      controller.abort();
    };
    const ask = async () => {
      const declared = (await (await send(token, `${server}/v1/embed`, { signal })).json()) as Declared;
      const drawn = drawnOf(declared, params);
      show(declared, drawn, drawn.address === null ? null : await (await send(token, `${server}${drawn.address}`, { signal })).json());
      if (!live || drawn.address === null) {
        // A listener is told by the server.
        const wait = declared.expires_in_s * 1000;
        if (!signal.aborted && wait <= WAIT_MS_MAX) end = setTimeout(expire, wait);
        return undefined;
      }
      return listen<unknown>({
        url: `${server}${drawn.live}`,
        token: (reason) => {
          if (reason === "first") return Promise.resolve(token);
          expire();
          return Promise.reject(new Error("aborted"));
        },
        onAnswer: (answer) => show(declared, drawn, answer),
        onProblem: (problem, goesOn) => (goesOn ? undefined : fail(refusalOf(problem))),
        signal,
      });
    };
    void ask().catch(fail);
    return () => {
      clearTimeout(end);
      controller.abort();
    };
  }, [server, token, params, live, onLoaded, onError]);
  return { state, error };
}

const refusalOf = ({ status, code, detail }: Told): Refusal => new Refusal({ type: `urn:ebbtide:error:${code}`, title: detail, status, detail, code, hint: "", request_id: "" });
