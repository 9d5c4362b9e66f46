/** The school at a glance: its numbers as they change, its growth, its courses and its revenue. */
import { type Report, useCoursePerformance, useLive, usePlatformStats, useRevenue, useSessionAnalytics, useUserGrowth } from "@ebbtide/react";
import { useState } from "react";
import { Numbers, Panel, Problem } from "./parts.tsx";

type Platform = Report<"/api/v1/analytics/platform">;
type Course = Extract<Report<"/api/v1/analytics/courses">, { courses: unknown }>["courses"][number];

const PERIODS = [7, 30, 90];

export function AdminDashboard() {
  const [days, setDays] = useState(30);
  return (
    <>
      <header>
        <h1>The school</h1>
        <label>
          Days
          <select value={days} onChange={(event) => setDays(Number(event.target.value))}>
            {PERIODS.map((period) => (
              <option key={period}>{period}</option>
            ))}
          </select>
        </label>
      </header>
      <Now />
      <Growth days={days} />
      <Sessions days={days} />
      <Revenue days={days} />
      <Courses />
    </>
  );
}

/** Asked for once, and from then on told of each change. */
function Now() {
  const stats = usePlatformStats();
  const live = useLive<Platform>("platform");
  return (
    <Panel title={live.status === "open" ? "Now" : "A moment ago"} result={stats}>
      {(asked) => {
        const shown = live.data ?? asked;
        return (
          <>
            {live.error === null ? null : <Problem error={live.error} />}
            <Numbers of={{ Users: shown.users?.total, Mentors: shown.users?.mentors, Sessions: shown.sessions?.total, Courses: shown.courses?.published, Revenue: shown.revenue?.total }} />
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
      {({ data }) => (
        <ol className="bars">
          {data.map(({ date, new_users: users }) => (
            <li key={date}>
              <span>{date}</span>
              <meter min={0} max={Math.max(1, ...data.map((day) => day.new_users ?? 0))} value={users ?? 0}>
                {users}
              </meter>
              <span>{users}</span>
            </li>
          ))}
        </ol>
      )}
    </Panel>
  );
}

function Sessions({ days }: { readonly days: number }) {
  const sessions = useSessionAnalytics({ days }, { keepPrevious: true });
  return (
    <Panel title="Sessions" result={sessions}>
      {({ analytics }) => <Numbers of={{ All: analytics.total, Minutes: analytics.avg_duration_minutes, "First mentor": analytics.top_mentors[0]?.mentor_id }} />}
    </Panel>
  );
}

function Revenue({ days }: { readonly days: number }) {
  const revenue = useRevenue({ days }, { keepPrevious: true, select: (answer) => answer.analytics });
  return (
    <Panel title="Revenue" result={revenue}>
      {(analytics) => <Numbers of={{ Total: analytics.total_revenue, Payments: analytics.transaction_count, Mean: analytics.avg_transaction }} />}
    </Panel>
  );
}

function Courses() {
  const courses = useCoursePerformance();
  return (
    <Panel title="Courses" result={courses}>
      {(answer) => (
        <table>
          <thead>
            <tr>
              <th scope="col">Course</th>
              <th scope="col">Enrolments</th>
              <th scope="col">Completed, %</th>
              <th scope="col">Rating</th>
            </tr>
          </thead>
          <tbody>
            {listOf(answer).map((course) => (
              <tr key={course.course_id}>
                <th scope="row">{course.course_title}</th>
                <td>{course.enrollments}</td>
                <td>{course.completion_rate ?? "—"}</td>
                <td>{course.avg_rating ?? "—"}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Panel>
  );
}

/** The report answers with all courses, or with the one that was asked for. */
function listOf(answer: Report<"/api/v1/analytics/courses">): readonly Course[] {
  if (answer === null) return [];
  return "courses" in answer ? answer.courses : [answer];
}
