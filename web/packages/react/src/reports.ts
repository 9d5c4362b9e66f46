/** Hooks for reports of any path, typed by the server's own document. */
import { type UseQueryOptions, type UseQueryResult, keepPreviousData, useQuery } from "@tanstack/react-query";
import { useEbbtide } from "./provider.tsx";
import { type EbbtideError, type Params, addressOf, ask } from "./request.ts";
import type { paths } from "./types.gen.ts";

/** Types that `openapi-typescript` makes of a server's document: the bundled packs' here, or an application's own. */
export type Document = object;

type Get<Paths, Path extends keyof Paths> = Paths[Path] extends { get: infer Operation } ? Operation : never;

/** What a path answers. */
export type AnswerOf<Paths, Path extends keyof Paths> =
  Get<Paths, Path> extends { responses: { 200: { content: { "application/json": infer Answer } } } } ? Answer : never;

/** Paths that answer with JSON. */
export type ReportPath<Paths> = { [Path in keyof Paths]: AnswerOf<Paths, Path> extends never ? never : Path }[keyof Paths] & string;

/** Of one that lists files beside JSON these are no matter of a hook's. */
type Left = "format" | "refresh" | "table";
type QueryParams<Operation> = Operation extends { parameters: { query?: infer Query } } ? Omit<NonNullable<Query>, Left> : unknown;
type PathParams<Operation> = Operation extends { parameters: { path: infer Path } } ? (Path extends undefined ? unknown : Path) : unknown;

/** A path's parameters and those of its query string, by name. */
export type ParamsOf<Paths, Path extends keyof Paths> = PathParams<Get<Paths, Path>> & QueryParams<Get<Paths, Path>>;

export interface ReportOptions<Answer, Shown = Answer> extends Omit<UseQueryOptions<Answer, EbbtideError, Shown>, "queryKey" | "queryFn"> {
  /** Whether the last answer stays while one for other parameters is under way. */
  readonly keepPrevious?: boolean;
}

export type ReportResult<Answer> = UseQueryResult<Answer, EbbtideError>;

/** Any report, of bundled packs or others: `useReportAt<Answer>("/shops/{id}/sold", { id: 7 })`. */
export function useReportAt<Answer = unknown, Shown = Answer>(path: string, params: Params = {}, options: ReportOptions<Answer, Shown> = {}): ReportResult<Shown> {
  const server = useEbbtide();
  const { keepPrevious = false, ...rest } = options;
  const enabled = options.enabled ?? true;
  // A parameter of the path that is not known yet is no fault of a report that nobody asks for.
  const address = enabled === false ? `${path} ${JSON.stringify(params)}` : addressOf(path, params);
  return useQuery<Answer, EbbtideError, Shown>(
    {
      ...(keepPrevious ? { placeholderData: keepPreviousData as never } : {}),
      ...rest,
      queryKey: ["ebbtide", server.baseUrl, server.identity, address],
      queryFn: ({ signal }) => ask<Answer>(server, address, signal),
    },
    server.client,
  );
}

/** The hook for the paths of a document of one's own: `const useReport = reportHook<paths>()`. */
export function reportHook<Paths extends Document>() {
  return function useTypedReport<Path extends ReportPath<Paths>, Shown = AnswerOf<Paths, Path>>(
    path: Path,
    params: ParamsOf<Paths, Path>,
    options?: ReportOptions<AnswerOf<Paths, Path>, Shown>,
  ): ReportResult<Shown> {
    return useReportAt<AnswerOf<Paths, Path>, Shown>(path, params as Params, options);
  };
}

/** A report of a bundled pack, by its path. */
export const useReport = reportHook<paths>();

/** A report's answer, by its path. */
export type Report<Path extends ReportPath<paths>> = AnswerOf<paths, Path>;
