/** The school at a glance: its numbers as they change, its growth, its courses and its revenue. */
import { type Report, useCoursePerformance, useLive, usePlatformStats, useRevenue, useSessionAnalytics, useUserEngagement, useUserGrowth } from "@ebbtide/react";
import { type FormEvent, useState } from "react";
import { Engagement } from "./Engagement.tsx";
import { Bars, Columns, Numbers, Panel, Problem, Share, day, money, number } from "./parts.tsx";

type Platform = Report<"/api/v1/analytics/platform">;
type Course = Extract<Report<"/api/v1/analytics/courses">, { courses: unknown }>["courses"][number];

const PERIODS = [7, 30, 90];

export function AdminDashboard() {
  const [days, setDays] = useState(30);
  return (
    <>
      <header className="head">
        <h1>The school</h1>
        <label>
          Days{" "}
          <select value={days} onChange={(event) => setDays(Number(event.target.value))}>
            {PERIODS.map((period) => (
              <option key={period}>{period}</option>
            ))}
          </select>
        </label>
      </header>
      <div className="panels">
        <Now />
        <Growth days={days} />
        <Revenue days={days} />
        <Courses />
        <Sessions days={days} />
        <User />
      </div>
    </>
  );
}

/** Asked for once, and from then on told of each change. */
function Now() {
  const stats = usePlatformStats();
  const live = useLive<Platform>("platform");
  const status = live.status === "open" ? <span className="live is-open">Live</span> : <span className="live">Connecting…</span>;
  return (
    <Panel title="Now" result={stats} aside={status} wide>
      {(asked) => {
        const shown = live.data ?? asked;
        return (
          <>
            {live.error === null ? null : <Problem error={live.error} />}
            <Numbers
              of={{
                Users: number(shown.users?.total),
                Mentors: number(shown.users?.mentors),
                Sessions: number(shown.sessions?.total),
                Courses: number(shown.courses?.published),
                Rating: number(shown.reviews?.average_rating),
                Revenue: money(shown.revenue?.total),
              }}
            />
          </>
        );
      }}
    </Panel>
  );
}

function Growth({ days }: { readonly days: number }) {
  const growth = useUserGrowth({ days }, { keepPrevious: true });
  return (
    <Panel title="New users" result={growth}>
      {({ data }) => <Columns label="New users by day" bars={data.map(({ date, new_users: users }) => ({ name: day(date ?? ""), value: users ?? 0, text: number(users) }))} />}
    </Panel>
  );
}

function Revenue({ days }: { readonly days: number }) {
  const revenue = useRevenue({ days }, { keepPrevious: true, select: (answer) => answer.analytics });
  return (
    <Panel title="Revenue" result={revenue}>
      {(analytics) => (
        <>
          <Numbers of={{ Total: money(analytics.total_revenue), Payments: number(analytics.transaction_count), Mean: money(analytics.avg_transaction) }} />
          <Columns label="Revenue by day" bars={analytics.daily_revenue.map(({ date, revenue: paid }) => ({ name: day(date ?? ""), value: paid ?? 0, text: money(paid) }))} />
        </>
      )}
    </Panel>
  );
}

function Courses() {
  const courses = useCoursePerformance();
  return (
    <Panel title="Courses" result={courses} wide>
      {(answer) => (
        <div className="scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">Course</th>
                <th scope="col">Enrolments</th>
                <th scope="col">Completed</th>
                <th scope="col">Rating</th>
              </tr>
            </thead>
            <tbody>
              {listOf(answer).map((course) => (
                <tr key={course.course_id}>
                  <th scope="row">{course.course_title}</th>
                  <td>{number(course.enrollments)}</td>
                  <td>
                    <Share value={course.completion_rate} />
                  </td>
                  <td>{course.avg_rating?.toFixed(2) ?? "—"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Panel>
  );
}

/** The report answers with all courses, or with the one that was asked for. */
function listOf(answer: Report<"/api/v1/analytics/courses">): readonly Course[] {
  if (answer === null) return [];
  return "courses" in answer ? answer.courses : [answer];
}

function Sessions({ days }: { readonly days: number }) {
  const sessions = useSessionAnalytics({ days }, { keepPrevious: true });
  return (
    <Panel title="Sessions" result={sessions}>
      {({ analytics }) => (
        <>
          <Numbers of={{ All: number(analytics.total), "Mean length": `${number(analytics.avg_duration_minutes)} min` }} />
          <h3>With whom most</h3>
          <Bars label="Mentors" bars={analytics.top_mentors.slice(0, 5).map(({ mentor_id: mentor, sessions: count }) => ({ name: `Mentor ${mentor}`, value: count ?? 0, text: number(count) }))} />
        </>
      )}
    </Panel>
  );
}

/** Anybody's engagement, by their id: nothing is asked until there is one. */
function User() {
  const [id, setId] = useState<number | null>(null);
  const engagement = useUserEngagement({ user_id: id ?? 0 }, { enabled: id !== null });
  const submit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const typed = Number(new FormData(event.currentTarget).get("id"));
    setId(Number.isInteger(typed) && typed > 0 ? typed : null);
  };
  const form = (
    <form className="find" onSubmit={submit}>
      <input name="id" inputMode="numeric" placeholder="id" aria-label="User's id" />
      <button type="submit">Show</button>
    </form>
  );
  return (
    <Panel title="A user" result={engagement} aside={form}>
      {(own) => <Engagement of={own} />}
    </Panel>
  );
}
