/** The storefront's own paths. */
export const SUMMARY = "/funnel/summary";
export const SOCKET = "/ws/metrics";
export const EVENTS = "/events";
export const CLEAR = "/events/clear";
