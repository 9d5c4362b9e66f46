/** Who is signed in: a token for each app, kept for as long as the tab is open. */
import { type ReactNode, createContext, useCallback, useContext, useMemo, useState } from "react";
import { useQueryClient } from "@tanstack/react-query";
import type { Access } from "../api/client.ts";
import { type Claims, claimsOf } from "./claims.ts";

export interface SignIn extends Access {
  readonly claims: Claims;
}

interface Session {
  /** One for each app, in the order of signing in. */
  readonly signIns: readonly SignIn[];
  readonly add: (tokens: readonly string[]) => void;
  readonly leave: (app: string) => void;
  readonly leaveAll: () => void;
}

const PLACE = "ebbtide.tokens";

const SessionContext = createContext<Session | null>(null);

/** The last token for an app is the one that holds. */
export function signInsOf(tokens: readonly string[]): SignIn[] {
  const byApp = new Map<string, SignIn>();
  for (const token of tokens) {
    const claims = claimsOf(token);
    for (const app of claims?.apps ?? []) if (claims !== null) byApp.set(app, { token, app, claims });
  }
  return [...byApp.values()];
}

function kept(): string[] {
  try {
    const found: unknown = JSON.parse(sessionStorage.getItem(PLACE) ?? "[]");
    return Array.isArray(found) ? found.filter((token) => typeof token === "string") : [];
  } catch {
    return [];
  }
}

function keep(tokens: readonly string[]): void {
  try {
    sessionStorage.setItem(PLACE, JSON.stringify(tokens));
  } catch {
    // Without storage a reload asks for the token again.
  }
}

export function SessionProvider({ children }: { readonly children: ReactNode }) {
  const [tokens, setTokens] = useState<readonly string[]>(kept);
  const client = useQueryClient();
  const put = useCallback((next: readonly string[]) => {
    keep(next);
    setTokens(next);
  }, []);
  const session = useMemo<Session>(() => {
    const signIns = signInsOf(tokens);
    const tokenOf = (app: string) => signIns.find((signIn) => signIn.app === app)?.token;
    const without = (app: string) => signIns.map((signIn) => signIn.token).filter((token) => token !== tokenOf(app));
    return {
      signIns,
      add: (more) => put([...new Set([...signIns.map((signIn) => signIn.token), ...more])]),
      leave: (app) => {
        client.clear();
        put(without(app));
      },
      leaveAll: () => {
        client.clear();
        put([]);
      },
    };
  }, [tokens, put, client]);
  return <SessionContext value={session}>{children}</SessionContext>;
}

export function useSession(): Session {
  const session = useContext(SessionContext);
  if (session === null) throw new Error("outside of SessionProvider");
  return session;
}

export const SignInContext = createContext<SignIn | null>(null);

/** The sign-in of the app that the page is about. */
export function useSignIn(): SignIn {
  const signIn = useContext(SignInContext);
  if (signIn === null) throw new Error("outside of an app's page");
  return signIn;
}
