/** A user's own progress: whose it is the token says, and nothing on this page. */
import { useMyEngagement } from "@ebbtide/react";
import { Engagement } from "./Engagement.tsx";
import { Panel } from "./parts.tsx";

export function Profile() {
  const engagement = useMyEngagement();
  return (
    <>
      <header className="head">
        <h1>My progress</h1>
      </header>
      <div className="panels">
        <Panel title="Engagement" result={engagement}>
          {(own) => <Engagement of={own} />}
        </Panel>
      </div>
    </>
  );
}
