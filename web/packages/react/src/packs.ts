/** One hook for each report of the bundled packs. */
import { type ParamsOf, type Report, type ReportOptions, type ReportPath, useReport } from "./reports.ts";
import type { paths } from "./types.gen.ts";

/** A hook whose parameters may be left out, since the server has a default for each. */
function optional<Path extends ReportPath<paths>>(path: Path) {
  return function useBundled<Shown = Report<Path>>(params?: ParamsOf<paths, Path>, options?: ReportOptions<Report<Path>, Shown>) {
    return useReport<Path, Shown>(path, params ?? ({} as ParamsOf<paths, Path>), options);
  };
}

/** A hook for a path that names what it is about. */
function about<Path extends ReportPath<paths>>(path: Path) {
  return function useBundled<Shown = Report<Path>>(params: ParamsOf<paths, Path>, options?: ReportOptions<Report<Path>, Shown>) {
    return useReport<Path, Shown>(path, params, options);
  };
}

// learning
export const usePlatformStats = optional("/api/v1/analytics/platform");
export const useUserGrowth = optional("/api/v1/analytics/user-growth");
export const useSessionAnalytics = optional("/api/v1/analytics/sessions");
export const useCoursePerformance = optional("/api/v1/analytics/courses");
export const useRevenue = optional("/api/v1/analytics/revenue");
export const useUserEngagement = about("/api/v1/analytics/user/{user_id}/engagement");
export const useMyEngagement = optional("/api/v1/analytics/me/engagement");

// itsm
export const useTenantGrowth = optional("/api/cohort/tenant-growth");
export const useUserRetention = optional("/api/cohort/user-retention");
export const useRequestResolution = optional("/api/cohort/sr-resolution");
export const useFeatureAdoption = optional("/api/cohort/feature-adoption");

// chatbot
export const useChatbotOverview = optional("/analytics/overview");
export const useChatbotAnalytics = about("/analytics/chatbot/{chatbot_id}");
export const useChatbotGaps = about("/analytics/chatbot/{chatbot_id}/gaps");

// loyalty
export const useMerchantCohorts = about("/admin/loyalty/merchants/{merchant_id}/analytics/cohorts");
export const useMerchantChurn = about("/admin/loyalty/merchants/{merchant_id}/analytics/churn");
export const useMerchantRevenue = about("/admin/loyalty/merchants/{merchant_id}/analytics/revenue");
export const useStoreCohorts = optional("/store/loyalty/analytics/cohorts");
export const useStoreChurn = optional("/store/loyalty/analytics/churn");
export const useStoreRevenue = optional("/store/loyalty/analytics/revenue");

// storefront
export const useFunnelSummary = optional("/funnel/summary");
export const useShopSessions = optional("/sessions");
