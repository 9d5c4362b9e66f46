import { QueryClient, QueryClientProvider, useQuery } from "@tanstack/react-query";
import { cleanup, renderHook, waitFor } from "@testing-library/react";
import type { ReactNode } from "react";
import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from "vitest";
import { EbbtideError, EbbtideProvider, type Report, type TokenGetter, useFunnelSummary, useLive, usePlatformStats, useReport, useReportAt, useShopSessions, useUserEngagement, useUserGrowth } from "./index.ts";

interface Asked {
  readonly url: string;
  readonly token: string;
}

/** What was asked, and what the server answers to each address. */
let asked: Asked[];
let answer: (url: string, token: string) => Response | Promise<Response>;

const json = (value: unknown, status = 200) => new Response(JSON.stringify(value), { status });
const problem = (status: number, code: string) => json({ status, code, detail: `It is ${code}.`, hint: "Do something.", request_id: "r1" }, status);

beforeEach(() => {
  asked = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    const token = new Headers(init.headers).get("Authorization") ?? "";
    asked.push({ url, token });
    if (init.signal?.aborted === true) throw new DOMException("", "AbortError");
    return answer(url, token);
  });
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

function within(getToken: TokenGetter = () => "token", identity = "ann") {
  return ({ children }: { readonly children: ReactNode }) => (
    <EbbtideProvider baseUrl="https://analytics.example/" getToken={getToken} identity={identity}>
      {children}
    </EbbtideProvider>
  );
}

const PLATFORM = { users: { total: 3, students: 2, mentors: 1, verified: 1, verification_rate: 33.33 } };

describe("a report's hook", () => {
  it("asks its path with the token, and gives what is answered, typed", async () => {
    answer = () => json(PLATFORM);
    const { result } = renderHook(() => usePlatformStats(), { wrapper: within() });
    expect(result.current.isPending).toBe(true);
    await waitFor(() => expect(result.current.isSuccess).toBe(true));
    expect(result.current.data?.users?.total).toBe(3);
    expect(asked).toEqual([{ url: "https://analytics.example/api/v1/analytics/platform", token: "Bearer token" }]);
    expectTypeOf(result.current.data).toEqualTypeOf<Report<"/api/v1/analytics/platform"> | undefined>();
    expectTypeOf<NonNullable<NonNullable<typeof result.current.data>["users"]>["total"]>().toEqualTypeOf<number>();
  });

  it("puts parameters where they belong", async () => {
    answer = () => json([]);
    const wrapper = within();
    renderHook(() => useUserGrowth({ days: 7, as_of: "2026-01-01" }), { wrapper });
    renderHook(() => useUserEngagement({ user_id: 12 }), { wrapper });
    renderHook(() => useReportAt("/shops/{id}/sold", { id: "a b/c", limit: 5, name: null }), { wrapper });
    await waitFor(() => expect(asked).toHaveLength(3));
    expect(asked.map(({ url }) => url.replace("https://analytics.example", "")).sort()).toEqual([
      "/api/v1/analytics/user-growth?as_of=2026-01-01&days=7",
      "/api/v1/analytics/user/12/engagement",
      "/shops/a%20b%2Fc/sold?limit=5",
    ]);
  });

  it("knows its own parameters and no others", () => {
    expectTypeOf<Parameters<typeof useUserEngagement>[0]>().toMatchTypeOf<{ user_id: number }>();
    expectTypeOf<{ days: string }>().not.toMatchTypeOf<NonNullable<Parameters<typeof useUserGrowth>[0]>>();
    expectTypeOf<"/api/v1/analytics/nothing">().not.toMatchTypeOf<Parameters<typeof useReport>[0]>();
  });

  it("has a type for all that a shop is told", async () => {
    const client = { wrapper: within() };
    answer = (url) => json(url.includes("/sessions") ? [] : { conversion_rate: 33.33, steps: [] });
    const summary = renderHook(() => useFunnelSummary(), client).result;
    const sessions = renderHook(() => useShopSessions({ limit: 5 }), client).result;
    await waitFor(() => expect([summary.current.data?.conversion_rate, sessions.current.data]).toEqual([33.33, []]));
    type Summary = NonNullable<typeof summary.current.data>;
    type Step = Summary["steps"][number];
    expectTypeOf<Pick<Summary, "total_sessions" | "conversion_rate">>().toEqualTypeOf<{ total_sessions: number; conversion_rate: number }>();
    expectTypeOf<Summary["kpis"]>().toEqualTypeOf<{ total_users: number; overall_conversion: number; worst_step: string | null; exit_count: number }>();
    expectTypeOf<Pick<Step, "step" | "reach_rate" | "system_latency_ms">>().toEqualTypeOf<{ step: string; reach_rate: number; system_latency_ms: number | null }>();
    expectTypeOf<Step["latency"]["user"]>().toEqualTypeOf<{ latest: number | null; avg: number | null }>();
    type Session = NonNullable<typeof sessions.current.data>[number];
    expectTypeOf<Pick<Session, "user_id" | "path" | "exit_step">>().toEqualTypeOf<{ user_id: string; path: string[]; exit_step: string | null }>();
    expectTypeOf<Session["outcome"]>().toEqualTypeOf<"converted" | "exited" | "active">();
  });

  it("may choose of the answer what it shows", async () => {
    answer = () => json(PLATFORM);
    const { result } = renderHook(() => usePlatformStats({}, { select: (stats) => stats.users?.mentors }), { wrapper: within() });
    await waitFor(() => expect(result.current.data).toBe(1));
  });

  it("asks nothing while it is not enabled, whatever it lacks", () => {
    const { result } = renderHook(() => useReportAt("/shops/{id}/sold", { id: undefined }, { enabled: false }), { wrapper: within() });
    expect(result.current.fetchStatus).toBe("idle");
    expect(asked).toHaveLength(0);
  });
});

describe("what goes wrong", () => {
  it("is the server's problem, and asked again only where that may help", async () => {
    answer = () => problem(403, "role_forbidden");
    const { result } = renderHook(() => usePlatformStats(), { wrapper: within() });
    await waitFor(() => expect(result.current.isError).toBe(true));
    expect(result.current.error).toBeInstanceOf(EbbtideError);
    expect(result.current.error).toMatchObject({ status: 403, code: "role_forbidden", message: "It is role_forbidden.", hint: "Do something.", requestId: "r1" });
    expect(asked).toHaveLength(1);
  });

  it("has an expired token renewed once", async () => {
    answer = (_, token) => (token === "Bearer old" ? problem(401, "token_expired") : json(PLATFORM));
    const getToken = vi.fn((reason: string) => (reason === "first" ? "old" : "new"));
    const { result } = renderHook(() => usePlatformStats(), { wrapper: within(getToken) });
    await waitFor(() => expect(result.current.isSuccess).toBe(true));
    expect(getToken.mock.calls).toEqual([["first"], ["expired"]]);
    answer = () => problem(401, "token_expired");
    await result.current.refetch();
    await waitFor(() => expect(result.current.isError).toBe(true));
    expect(asked).toHaveLength(4);
  });

  it("is told where a hook stands outside of a provider", () => {
    const quiet = vi.spyOn(console, "error").mockImplementation(() => undefined);
    expect(() => renderHook(() => usePlatformStats())).toThrow("EbbtideProvider");
    quiet.mockRestore();
  });
});

describe("an application's own queries", () => {
  it("stay with its own client", async () => {
    answer = () => json(PLATFORM);
    const client = new QueryClient();
    const wrapper = ({ children }: { readonly children: ReactNode }) => (
      <QueryClientProvider client={client}>
        <EbbtideProvider baseUrl="" getToken={() => "token"}>
          {children}
        </EbbtideProvider>
      </QueryClientProvider>
    );
    const { result } = renderHook(() => [usePlatformStats(), useQuery({ queryKey: ["own"], queryFn: () => 7 })] as const, { wrapper });
    await waitFor(() => expect(result.current.map((query) => query.isSuccess)).toEqual([true, true]));
    expect(client.getQueryCache().getAll().map((query) => query.queryKey)).toEqual([["own"]]);
  });
});

describe("another user", () => {
  it("is shown nothing of the first one's answers", async () => {
    answer = (_, token) => json({ users: { total: token === "Bearer ann" ? 1 : 2 } });
    let who = "ann";
    const wrapper = ({ children }: { readonly children: ReactNode }) => (
      <EbbtideProvider baseUrl="" getToken={() => who} identity={who}>
        {children}
      </EbbtideProvider>
    );
    const { result, rerender } = renderHook(() => usePlatformStats(), { wrapper });
    await waitFor(() => expect(result.current.data?.users?.total).toBe(1));
    who = "bob";
    rerender();
    expect(result.current.data).toBeUndefined();
    await waitFor(() => expect(result.current.data?.users?.total).toBe(2));
  });
});

/** A stream of events that the test writes to. */
function streaming() {
  const encoder = new TextEncoder();
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  const stream = new ReadableStream<Uint8Array>({ start: (own) => void (controller = own) });
  return {
    response: () => new Response(stream, { status: 200 }),
    tell: (text: string) => controller?.enqueue(encoder.encode(text)),
    end: () => controller?.close(),
  };
}

describe("a report that is listened to", () => {
  it("is its newest answer, with the token in no address", async () => {
    const stream = streaming();
    answer = () => stream.response();
    const { result, unmount } = renderHook(() => useLive<{ total: number }>("visits", { club_id: 2 }), { wrapper: within() });
    await waitFor(() => expect(result.current.status).toBe("open"));
    expect(asked).toEqual([{ url: "https://analytics.example/v1/live/visits?club_id=2", token: "Bearer token" }]);
    stream.tell(": nothing yet\n\nevent: answer\ndata: {\"to");
    stream.tell("tal\": 1}\n\n");
    await waitFor(() => expect(result.current.data).toEqual({ total: 1 }));
    stream.tell('event: error\ndata: {"type":"error","code":"overloaded","detail":"Busy."}\n\n');
    await waitFor(() => expect(result.current.error?.code).toBe("overloaded"));
    expect(result.current.data).toEqual({ total: 1 });
    stream.tell('event: answer\r\ndata: {"total": 2}\r\n\r\n');
    await waitFor(() => expect(result.current).toMatchObject({ data: { total: 2 }, error: null }));
    unmount();
  });

  it("renews a token that has ended, and goes on", async () => {
    const streams = [streaming(), streaming()];
    answer = (_, token) => (token === "Bearer first" ? streams[0] : streams[1])?.response() ?? json({}, 500);
    const { result } = renderHook(() => useLive("visits"), { wrapper: within((reason) => reason) });
    await waitFor(() => expect(asked).toHaveLength(1));
    streams[0]?.tell("event: expired\ndata: {}\n\n");
    await waitFor(() => expect(asked.map(({ token }) => token)).toEqual(["Bearer first", "Bearer expired"]));
    streams[1]?.tell('event: answer\ndata: {"total": 3}\n\n');
    await waitFor(() => expect(result.current.data).toEqual({ total: 3 }));
  });

  it("ends where the server says that it will never answer", async () => {
    answer = () => problem(403, "forbidden");
    const { result } = renderHook(() => useLive("visits"), { wrapper: within() });
    await waitFor(() => expect(result.current.status).toBe("closed"));
    expect(result.current.error?.code).toBe("forbidden");
    expect(asked).toHaveLength(1);
  });

  it("shows nothing of another question's answer", async () => {
    const stream = streaming();
    answer = () => stream.response();
    const { result, rerender } = renderHook(({ club }: { club: number }) => useLive("visits", { club_id: club }), { wrapper: within(), initialProps: { club: 1 } });
    await waitFor(() => expect(result.current.status).toBe("open"));
    stream.tell('event: answer\ndata: {"total": 1}\n\n');
    await waitFor(() => expect(result.current.data).toEqual({ total: 1 }));
    answer = () => streaming().response();
    rerender({ club: 2 });
    expect(result.current.data).toBeUndefined();
  });
});
