/** A user's own progress: whose it is the token says, and nothing on this page. */
import { useMyEngagement } from "@ebbtide/react";
import { Numbers, Panel } from "./parts.tsx";

export function Profile() {
  const engagement = useMyEngagement();
  return (
    <>
      <header>
        <h1>My progress</h1>
      </header>
      <Panel title="Engagement" result={engagement}>
        {(own) =>
          own === null ? (
            <p>Nothing yet.</p>
          ) : (
            <>
              <p>
                {own.username}: <strong>{own.engagement_score}</strong> of 100
              </p>
              <Numbers of={{ Sessions: own.sessions_attended, Courses: own.courses_enrolled, "Progress, %": own.avg_progress, Reviews: own.reviews_written }} />
            </>
          )
        }
      </Panel>
    </>
  );
}
