/** The frame of every page: where one is, where one can go, who one is. */
import { useState } from "react";
import { Link, NavLink, Outlet, useLocation, useNavigate, useParams } from "react-router";
import { useSchema, useReports } from "../api/queries.ts";
import { useName } from "../format/useName.ts";
import { LANGUAGES, type Language, useI18n } from "../i18n/i18n.tsx";
import { rightsOf } from "../session/claims.ts";
import { type SignIn, useSession } from "../session/session.tsx";
import { isShop, isShopPlace, shopPlace } from "../shop/place.ts";
import { Boundary } from "../ui/Boundary.tsx";
import { Menu } from "../ui/Menu.tsx";
import { Sheet } from "../ui/Sheet.tsx";
import { Icon, type IconName } from "../ui/icons.tsx";
import { Logo } from "./Logo.tsx";
import { useShortcuts } from "./shortcuts.ts";
import { THEMES, useTheme } from "./theme.ts";

export function Shell() {
  const { t } = useI18n();
  const { signIns } = useSession();
  const { app } = useParams();
  const { pathname, search } = useLocation();
  const [openAt, setOpenAt] = useState<string | null>(null);
  const signIn = signIns.find((own) => own.app === app) ?? null;
  useShortcuts(signIn);
  return (
    <div className="shell">
      <a className="skip" href="#content">
        {t("skip")}
      </a>
      <aside className="side">
        <Navigation signIn={signIn} />
      </aside>
      <div className="top">
        <button type="button" className="button is-bare is-square" aria-label={t("menu")} onClick={() => setOpenAt(pathname)}>
          <Icon name="menu" />
        </button>
        <Link to="/app" className="brand">
          <Logo /> Ebbtide
        </Link>
      </div>
      {openAt === pathname ? (
        <Sheet title="Ebbtide" side="start" onClose={() => setOpenAt(null)}>
          <Navigation signIn={signIn} />
        </Sheet>
      ) : null}
      <Boundary place={`${pathname}${search}`} frame={(notice) => <main className="page" id="content">{notice}</main>}>
        <Outlet />
      </Boundary>
    </div>
  );
}

function Navigation({ signIn }: { readonly signIn: SignIn | null }) {
  const { t } = useI18n();
  return (
    <nav className="nav" aria-label={t("nav")}>
      <Link to="/app" className="brand">
        <Logo /> Ebbtide
      </Link>
      <AppSwitcher signIn={signIn} />
      <ul className="nav-list">
        <Entry to="/app" icon="home" label={t("home")} end />
      </ul>
      {signIn === null ? <AppList /> : <AppPages signIn={signIn} />}
      <div className="nav-foot">
        <Preferences />
        {signIn === null ? null : <Bearer signIn={signIn} />}
      </div>
    </nav>
  );
}

interface EntryProps {
  readonly to: string;
  /** Whether one is there, where the address alone does not tell. */
  readonly here?: boolean;
  readonly icon: IconName;
  readonly label: string;
  readonly end?: boolean;
}

function Entry({ to, icon, label, end = false, here = false }: EntryProps) {
  const inner = (
    <>
      <Icon name={icon} />
      <span>{label}</span>
    </>
  );
  return (
    <li>
      {here ? (
        <Link to={to} className="nav-link active" aria-current="page">
          {inner}
        </Link>
      ) : (
        <NavLink to={to} end={end} className="nav-link">
          {inner}
        </NavLink>
      )}
    </li>
  );
}

function AppSwitcher({ signIn }: { readonly signIn: SignIn | null }) {
  const { t } = useI18n();
  const { signIns } = useSession();
  const navigate = useNavigate();
  const items = signIns.map((own) => ({
    key: own.app,
    label: own.app,
    detail: own.claims.role ?? undefined,
    checked: own.app === signIn?.app,
    onSelect: () => void navigate(`/app/${own.app}`),
  }));
  const add = { key: "+", label: t("sign_in.add"), onSelect: () => void navigate("/app/sign-in") };
  return (
    <Menu
      label={`${signIn?.app ?? t("apps.all")}: ${t("app.switch")}`}
      align="start"
      className="button app-switch"
      trigger={
        <>
          <span className="app-mark" data-letter={(signIn?.app ?? t("apps.all")).charAt(0).toUpperCase()} />
          <span className="app-name">{signIn?.app ?? t("apps.all")}</span>
          <Icon name="down" size={14} />
        </>
      }
      items={[...items, add]}
    />
  );
}

function AppList() {
  const { t } = useI18n();
  const { signIns } = useSession();
  return (
    <>
      <h2 className="nav-title">{t("apps")}</h2>
      <ul className="nav-list">
        {signIns.map((own) => (
          <AppEntry key={own.app} signIn={own} />
        ))}
      </ul>
    </>
  );
}

function AppEntry({ signIn }: { readonly signIn: SignIn }) {
  const { said } = useI18n();
  const schema = useSchema(signIn);
  return <Entry to={`/app/${signIn.app}`} icon="report" label={said(schema.data?.title ?? signIn.app)} />;
}

function AppPages({ signIn }: { readonly signIn: SignIn }) {
  const { t, said } = useI18n();
  const name = useName();
  const schema = useSchema(signIn);
  const reports = useReports(signIn);
  const rights = rightsOf(signIn.claims);
  const base = `/app/${signIn.app}`;
  const { pathname } = useLocation();
  return (
    <>
      <h2 className="nav-title">{said(schema.data?.title ?? signIn.app)}</h2>
      <ul className="nav-list">
        <Entry to={base} icon="report" label={t("reports")} end />
        {reports.data === undefined || reports.data.length === 0 ? null : (
          <li>
            <ul className="nav-list is-inner">
              {reports.data.map((report) => (
                <li key={report.name}>
                  <NavLink to={`${base}/reports/${report.name}`} className="nav-link">
                    <span>{name(report.name)}</span>
                  </NavLink>
                </li>
              ))}
            </ul>
          </li>
        )}
        {schema.data !== undefined && isShop(schema.data) ? <Entry to={shopPlace(signIn.app)} icon="shop" label={t("shop")} here={isShopPlace(signIn.app, pathname)} /> : null}
        {rights.explore ? <Entry to={`${base}/explore`} icon="explore" label={t("explore")} /> : null}
        {rights.sql ? <Entry to={`${base}/sql`} icon="sql" label={t("sql")} /> : null}
        <Entry to={`${base}/data`} icon="data" label={t("data")} />
        {rights.keys ? <Entry to={`${base}/access`} icon="key" label={t("access")} /> : null}
      </ul>
    </>
  );
}

function Preferences() {
  const { t, language, choose } = useI18n();
  const [theme, setTheme] = useTheme();
  const languages = (Object.entries(LANGUAGES) as [Language, string][]).map(([key, label]) => ({ key, label, checked: key === language, onSelect: () => choose(key) }));
  const themes = THEMES.map((key) => ({ key, label: t(`theme.${key}`), checked: key === theme, onSelect: () => setTheme(key) }));
  return (
    <div className="row">
      <Menu label={t("language")} side="top" align="start" className="button is-bare is-square" trigger={<Icon name="globe" />} items={languages} />
      <Menu label={t("theme")} side="top" align="start" className="button is-bare is-square" trigger={<Icon name="sun" />} items={themes} />
      <span className="nav-links">
        <a href="/docs">{t("docs")}</a>
        <a href="/app/licenses.txt">{t("licences")}</a>
      </span>
    </div>
  );
}

function Bearer({ signIn }: { readonly signIn: SignIn }) {
  const { t } = useI18n();
  const { leave } = useSession();
  const { claims } = signIn;
  return (
    <div className="bearer">
      <div className="bearer-who">
        <strong>{claims.sub ?? t("bearer.unnamed")}</strong>
        <span className="soft">{[claims.role, claims.tenant ?? (rightsOf(claims).platform ? t("bearer.all_tenants") : null), claims.plan].filter((part) => part !== null).join(" · ")}</span>
      </div>
      <button type="button" className="button is-bare is-square" aria-label={t("sign_out")} title={t("sign_out")} onClick={() => leave(signIn.app)}>
        <Icon name="out" />
      </button>
    </div>
  );
}
