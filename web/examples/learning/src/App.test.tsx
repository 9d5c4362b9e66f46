import { cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { App } from "./App.tsx";

const tokenOf = (claims: object) => `x.${btoa(JSON.stringify(claims))}.y`;
const ADMIN = tokenOf({ sub: 1, role: "admin" });
const STUDENT = tokenOf({ sub: "7", role: "student" });

const PLATFORM = {
  users: { total: 120, students: 100, mentors: 20, verified: 60, verification_rate: 50 },
  sessions: { total: 400, completed: 300, scheduled: 50, completion_rate: 75 },
  courses: { total: 9, published: 8, enrollments: 80, avg_enrollments_per_course: 8.89 },
  reviews: { total: 10, average_rating: 4.5 },
  revenue: { total: 1234.5, currency: "RUB" },
};
const ENGAGEMENT = { user_id: 7, username: "ann", sessions_attended: 4, courses_enrolled: 2, avg_progress: 70, reviews_written: 1, last_activity: null, engagement_score: 64 };
const ANSWERS: Readonly<Record<string, unknown>> = {
  "/api/v1/analytics/platform": PLATFORM,
  "/api/v1/analytics/user-growth?days=30": { period_days: 30, data: [{ date: "2026-11-01", new_users: 5 }] },
  "/api/v1/analytics/user-growth?days=7": { period_days: 7, data: [{ date: "2026-11-20", new_users: 2 }] },
  "/api/v1/analytics/sessions?days=30": { period_days: 30, analytics: { total: 40, by_status: {}, avg_duration_minutes: 55, top_mentors: [{ mentor_id: 3, sessions: 9 }] } },
  "/api/v1/analytics/revenue?days=30": { period_days: 30, analytics: { total_revenue: 900, transaction_count: 9, avg_transaction: 100, daily_revenue: [] } },
  "/api/v1/analytics/courses": { courses: [{ course_id: 1, course_title: "Rust", enrollments: 12, avg_progress: 50, completed: 6, completion_rate: 50, avg_rating: null }] },
  "/api/v1/analytics/user/7/engagement": ENGAGEMENT,
  "/api/v1/analytics/me/engagement": ENGAGEMENT,
};

let asked: string[];
/** What is told to who listens. */
let tell: (event: string) => void;

beforeEach(() => {
  asked = [];
  vi.stubGlobal("fetch", async (url: string, init: RequestInit) => {
    asked.push(`${url} ${new Headers(init.headers).get("Authorization") ?? ""}`);
    if (url.startsWith("/v1/live/")) {
      const stream = new ReadableStream<Uint8Array>({ start: (controller) => void (tell = (event) => controller.enqueue(new TextEncoder().encode(event))) });
      return new Response(stream, { status: 200 });
    }
    const answer = ANSWERS[url];
    if (answer === undefined) return new Response(JSON.stringify({ status: 403, code: "role_forbidden", detail: "The role may not do this.", hint: "Ask an admin." }), { status: 403 });
    return new Response(JSON.stringify(answer));
  });
});

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const show = (token: string) => render(<App token={token} onExpired={() => undefined} />);
const panel = async (name: string) => within(await screen.findByRole("region", { name }));

it("shows an admin the whole school", async () => {
  show(ADMIN);
  const now = await panel("Now");
  expect(await now.findByText("120")).toBeTruthy();
  expect(now.getByText("₽1,235")).toBeTruthy();
  expect(await (await panel("New users")).findByText("Nov 1", { selector: "li span span" })).toBeTruthy();
  expect(await (await panel("Courses")).findByText("Rust")).toBeTruthy();
  expect(await (await panel("Revenue")).findByText("₽900")).toBeTruthy();
  expect(asked.every((line) => line.endsWith(`Bearer ${ADMIN}`))).toBe(true);
});

it("asks about a user once one is named", async () => {
  show(ADMIN);
  const user = await panel("A user");
  expect(asked.some((line) => line.includes("/user/"))).toBe(false);
  fireEvent.change(user.getByLabelText("User's id"), { target: { value: "7" } });
  fireEvent.submit(user.getByRole("button"));
  expect(await user.findByText("64")).toBeTruthy();
});

it("shows what changes as it changes", async () => {
  show(ADMIN);
  const now = await panel("Now");
  await now.findByText("120");
  tell(`event: answer\ndata: ${JSON.stringify({ ...PLATFORM, users: { ...PLATFORM.users, total: 121 } })}\n\n`);
  expect(await now.findByText("121")).toBeTruthy();
});

it("asks anew for another period, and shows the last one until it is there", async () => {
  show(ADMIN);
  const growth = await panel("New users");
  await growth.findByText("Nov 1", { selector: "li span span" });
  fireEvent.change(screen.getByLabelText("Days"), { target: { value: "7" } });
  expect(growth.getByText("Nov 1", { selector: "li span span" })).toBeTruthy();
  expect(await growth.findByText("Nov 20", { selector: "li span span" })).toBeTruthy();
  // For seven days the server of this test has no other report: what is refused is told where it would stand.
  expect(await (await panel("Revenue")).findByRole("alert")).toBeTruthy();
});

it("shows a student their own progress and asks for nothing else", async () => {
  show(STUDENT);
  const own = await panel("Engagement");
  expect(await own.findByText("64")).toBeTruthy();
  expect(asked).toEqual([`/api/v1/analytics/me/engagement Bearer ${STUDENT}`]);
});
