/** What a signed-in user of the school sees: an admin the whole school, everybody their own progress. */
import { EbbtideProvider } from "@ebbtide/react";
import { useCallback, useMemo } from "react";
import { AdminDashboard } from "./AdminDashboard.tsx";
import { Profile } from "./Profile.tsx";

interface Claims {
  readonly sub?: string | number;
  readonly role?: string;
}

/** Who it is, for what is shown; the server decides what is answered. */
function claimsOf(token: string): Claims {
  try {
    return JSON.parse(atob((token.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"))) as Claims;
  } catch {
    return {};
  }
}

export function App({ token, onExpired, baseUrl = "" }: { readonly token: string; readonly onExpired: () => void; readonly baseUrl?: string }) {
  const claims = useMemo(() => claimsOf(token), [token]);
  const getToken = useCallback(
    (reason: "first" | "expired") => {
      // A school would ask its own server for another one.
      if (reason === "expired") onExpired();
      return token;
    },
    [token, onExpired],
  );
  return (
    <EbbtideProvider baseUrl={baseUrl} getToken={getToken} identity={String(claims.sub ?? "")}>
      <main>{claims.role === "admin" ? <AdminDashboard /> : <Profile />}</main>
    </EbbtideProvider>
  );
}
