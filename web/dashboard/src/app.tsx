/** Which page stands where. */
import { QueryCache, QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { CSPProvider } from "@base-ui/react/csp-provider";
import { type ComponentType, type ReactNode, Suspense, lazy } from "react";
import { BrowserRouter, Link, Navigate, Outlet, Route, Routes, useLocation, useParams } from "react-router";
import { Refusal, mayPass } from "./api/client.ts";
import { useSchema } from "./api/queries.ts";
import { ZoneContext } from "./format/useFormat.ts";
import { I18nProvider, useT } from "./i18n/i18n.tsx";
import { type Rights, rightsOf } from "./session/claims.ts";
import { SessionProvider, SignInContext, type SignIn, useSession, useSignIn } from "./session/session.tsx";
import { Page } from "./shell/Page.tsx";
import { isShop } from "./shop/place.ts";
import { Shell } from "./shell/Shell.tsx";
import { Empty, ProblemNotice, Skeleton } from "./ui/Notice.tsx";

const SignInPage = lazy(() => import("./session/SignInPage.tsx"));
const HomePage = lazy(() => import("./home/HomePage.tsx"));
const PackPage = lazy(() => import("./reports/PackPage.tsx"));
const ExplorePage = lazy(() => import("./explore/ExplorePage.tsx"));
const SqlPage = lazy(() => import("./sql/SqlPage.tsx"));
const DataPage = lazy(() => import("./data/DataPage.tsx"));
const ShopPage = lazy(() => import("./shop/ShopPage.tsx"));
const AccessPage = lazy(() => import("./access/AccessPage.tsx"));

const isRefused = (error: unknown): boolean => error instanceof Refusal && error.problem.status === 401;

const client: QueryClient = new QueryClient({
  queryCache: new QueryCache({
    // A token may end while a page is open: the app's description is asked for anew, and its refusal is told of for the whole page.
    onError: (error, { queryKey }) => (isRefused(error) && queryKey[0] !== "schema" ? void client.invalidateQueries({ queryKey: ["schema"] }) : undefined),
  }),
  defaultOptions: { queries: { retry: (count, error) => count < 2 && mayPass(error), refetchOnWindowFocus: false } },
});

export function App() {
  return (
    <CSPProvider disableStyleElements>
      <QueryClientProvider client={client}>
        <I18nProvider>
          <SessionProvider>
            <BrowserRouter>
              <Suspense fallback={null}>
                <Pages />
              </Suspense>
            </BrowserRouter>
          </SessionProvider>
        </I18nProvider>
      </QueryClientProvider>
    </CSPProvider>
  );
}

function Pages() {
  return (
    <Routes>
      <Route path="/app/sign-in" element={<SignInPage />} />
      <Route element={<SignedIn />}>
        <Route element={<Shell />}>
          <Route path="/app" element={<Lazily page={HomePage} />} />
          <Route path="/app/:app" element={<OfApp />}>
            <Route index element={<Lazily page={PackPage} />} />
            <Route path="reports/:report" element={<Lazily page={PackPage} />} />
            <Route path="shop" element={<Lazily page={ShopPage} />} />
            <Route path="explore" element={<Allowed right="explore" page={ExplorePage} />} />
            <Route path="sql" element={<Allowed right="sql" page={SqlPage} />} />
            <Route path="data" element={<Lazily page={DataPage} />} />
            <Route path="access" element={<Allowed right="keys" page={AccessPage} />} />
            <Route path="*" element={<NoSuchPage />} />
          </Route>
          <Route path="/:app" element={<OfApp />}>
            <Route index element={<Front />} />
          </Route>
        </Route>
      </Route>
      <Route path="*" element={<Navigate to="/app" replace />} />
    </Routes>
  );
}

/** Who signs in is taken where they wanted to go. */
function SignedIn() {
  const { signIns } = useSession();
  const { pathname, search, hash } = useLocation();
  return signIns.length === 0 ? <Navigate to="/app/sign-in" replace state={{ wanted: `${pathname}${search}${hash}` }} /> : <Outlet />;
}

/** The page at an app's own name: a shop's, or that of its reports. */
function Front() {
  const signIn = useSignIn();
  const schema = useSchema(signIn);
  if (schema.data === undefined) return schema.isError ? <Page title={signIn.app}><ProblemNotice error={schema.error} onRetry={() => void schema.refetch()} /></Page> : <Loading />;
  return isShop(schema.data) ? <Lazily page={ShopPage} /> : <Navigate to={`/app/${signIn.app}`} replace />;
}

function Lazily({ page: Own }: { readonly page: ComponentType }) {
  return (
    <Suspense fallback={<Loading />}>
      <Own />
    </Suspense>
  );
}

function Loading() {
  return (
    <main className="page" id="content">
      <Skeleton rows={6} />
    </main>
  );
}

/** Pages of an app that one is signed in to. */
function OfApp() {
  const t = useT();
  const { app } = useParams();
  const { pathname, search } = useLocation();
  const { signIns } = useSession();
  const signIn = signIns.find((own) => own.app === app);
  if (signIn === undefined) {
    return (
      <Page title={app ?? ""}>
        <Empty title={t("app.not_signed_in")}>
          <p>{t("app.not_signed_in.hint")}</p>
          <p>
            <Link className="button is-primary" to="/app/sign-in" state={{ wanted: `${pathname}${search}` }}>
              {t("sign_in.again")}
            </Link>
          </p>
        </Empty>
      </Page>
    );
  }
  return (
    <SignInContext key={signIn.token} value={signIn}>
      <Zoned signIn={signIn}>
        <Outlet />
      </Zoned>
    </SignInContext>
  );
}

/** A token that the server no longer takes is told of once, for the whole page. */
function Zoned({ signIn, children }: { readonly signIn: SignIn; readonly children: ReactNode }) {
  const t = useT();
  const schema = useSchema(signIn);
  const { pathname, search } = useLocation();
  if (isRefused(schema.error)) {
    return (
      <Page title={signIn.app}>
        <ProblemNotice error={schema.error} />
        <p>
          <Link className="button is-primary" to="/app/sign-in" state={{ wanted: `${pathname}${search}` }}>
            {t("sign_in.again")}
          </Link>
        </p>
      </Page>
    );
  }
  return <ZoneContext value={schema.data?.timezone ?? "UTC"}>{children}</ZoneContext>;
}

function Allowed({ right, page }: { readonly right: keyof Rights; readonly page: ComponentType }) {
  const t = useT();
  const { claims } = useSignIn();
  if (rightsOf(claims)[right]) return <Lazily page={page} />;
  return (
    <Page title={t("not_allowed")}>
      <Empty title={t("not_allowed.title")}>{t("not_allowed.hint", { role: claims.role ?? "—" })}</Empty>
    </Page>
  );
}

function NoSuchPage() {
  const t = useT();
  return (
    <Page title={t("no_page")}>
      <Empty title={t("no_page.title")}>
        <Link to="/app">{t("no_page.home")}</Link>
      </Empty>
    </Page>
  );
}
