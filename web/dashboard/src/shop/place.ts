/** Where the shop's page is, and for which apps: those that declare the storefront's summary. */
import type { AppDescription } from "../api/client.ts";
import type { Report, Route } from "../api/document.ts";
import { SUMMARY } from "./paths.ts";

export const isShop = (app: AppDescription): boolean => app.reports.some((report) => report.routes.includes(SUMMARY));

export function summaryRoute(reports: readonly Report[]): Route | null {
  return reports.flatMap((report): readonly Route[] => report.routes).find((route) => route.path === SUMMARY) ?? null;
}

/** The page below the dashboard, and at the app's own name. */
export const shopPlace = (app: string): string => `/app/${app}/shop`;
export const isShopPlace = (app: string, pathname: string): boolean => [shopPlace(app), `/${app}`].includes(pathname.replace(/\/$/, ""));
