export type { Reason } from "./events.ts";
export { type Live, type LiveOptions, useLive } from "./live.ts";
export * from "./packs.ts";
export { EbbtideProvider, type EbbtideProviderProps, useEbbtide } from "./provider.tsx";
export { type AnswerOf, type ParamsOf, type Report, type ReportOptions, type ReportPath, type ReportResult, reportHook, useReport, useReportAt } from "./reports.ts";
export { EbbtideError, type Params, type Problem, type TokenGetter } from "./request.ts";
export type { components, paths } from "./types.gen.ts";
