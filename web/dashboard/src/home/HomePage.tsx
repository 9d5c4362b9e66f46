/** Each app at one glance: how many, how it grows, what changed. */
import { useT } from "../i18n/i18n.tsx";
import { useSchema } from "../api/queries.ts";
import { ZoneContext } from "../format/useFormat.ts";
import { type SignIn, SignInContext, useSession } from "../session/session.tsx";
import { Page } from "../shell/Page.tsx";
import { ProblemNotice, Skeleton } from "../ui/Notice.tsx";
import { AppPanel } from "./AppPanel.tsx";
import { DAYS } from "./model.ts";

export default function HomePage() {
  const t = useT();
  const { signIns } = useSession();
  return (
    <Page title={t("home")} subtitle={t("home.subtitle", { count: DAYS })}>
      <div className="home">
        {signIns.map((signIn) => (
          <SignInContext key={signIn.app} value={signIn}>
            <OneApp signIn={signIn} />
          </SignInContext>
        ))}
      </div>
    </Page>
  );
}

function OneApp({ signIn }: { readonly signIn: SignIn }) {
  const schema = useSchema(signIn);
  if (schema.isError) return <ProblemNotice error={schema.error} onRetry={() => void schema.refetch()} />;
  if (schema.data === undefined) return <Skeleton rows={3} />;
  return (
    <ZoneContext value={schema.data.timezone ?? "UTC"}>
      <AppPanel app={schema.data} />
    </ZoneContext>
  );
}
