/** What somebody does at the school, and how much of it. */
import type { Report } from "@ebbtide/react";
import { Numbers, Share, number } from "./parts.tsx";

export function Engagement({ of: own }: { readonly of: Report<"/api/v1/analytics/me/engagement"> }) {
  if (own === null) return <p>Nothing yet.</p>;
  return (
    <>
      <div className="score">
        <svg viewBox="0 0 36 36" aria-hidden="true">
          <circle cx="18" cy="18" r="15.9155" />
          {/* A circle of that radius is a hundred long. */}
          <circle className="reached" cx="18" cy="18" r="15.9155" strokeDasharray={`${own.engagement_score} 100`} />
        </svg>
        <p>
          <span>{own.username}</span>
          <strong>{number(own.engagement_score)}</strong> of 100
        </p>
      </div>
      <Numbers of={{ Sessions: number(own.sessions_attended), Courses: number(own.courses_enrolled), Reviews: number(own.reviews_written) }} />
      <p className="progress">
        Progress <Share value={own.avg_progress} />
      </p>
    </>
  );
}
