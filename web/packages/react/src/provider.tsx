/** Which server the hooks below ask, and as whom. */
import { QueryClient } from "@tanstack/react-query";
import { type ReactNode, createContext, useContext, useEffect, useMemo, useRef } from "react";
import { type Server, type TokenGetter, mayPass } from "./request.ts";

export interface Ebbtide extends Server {
  /** Whose answers these are: no other's are shown to it. */
  readonly identity: string;
  /** What keeps the answers. The application's own queries have their own. */
  readonly client: QueryClient;
}

const EbbtideContext = createContext<Ebbtide | null>(null);

export interface EbbtideProviderProps {
  /** Where the server is, without a path; empty for the page's own. */
  readonly baseUrl: string;
  /** Gives a token when one is wanted; called with `expired` where the last one does not hold any more. */
  readonly getToken: TokenGetter;
  /** The user, such as its id. When another signs in, nothing of the first one's answers is shown or kept. */
  readonly identity?: string;
  /** The application's own client; without it there is one of our own. */
  readonly client?: QueryClient;
  readonly children: ReactNode;
}

const newClient = (): QueryClient =>
  new QueryClient({ defaultOptions: { queries: { staleTime: 30_000, retry: (failures, error) => failures < 3 && mayPass(error) } } });

export function EbbtideProvider({ baseUrl, getToken, identity = "", client, children }: EbbtideProviderProps) {
  // The getter may be a new function with each rendering, and is no reason to ask anew.
  const newest = useRef(getToken);
  useEffect(() => {
    newest.current = getToken;
  });
  const own = useMemo(() => client ?? newClient(), [client]);
  const ebbtide = useMemo<Ebbtide>(
    () => ({ baseUrl: baseUrl.replace(/\/$/, ""), identity, client: own, getToken: (reason) => newest.current(reason) }),
    [baseUrl, identity, own],
  );
  // A client of our own hears of the page's focus and of the network for as long as it is used.
  useEffect(() => {
    own.mount();
    return () => own.unmount();
  }, [own]);
  useEffect(() => () => own.removeQueries({ queryKey: ["ebbtide", ebbtide.baseUrl, ebbtide.identity] }), [own, ebbtide]);
  return <EbbtideContext.Provider value={ebbtide}>{children}</EbbtideContext.Provider>;
}

export function useEbbtide(): Ebbtide {
  const ebbtide = useContext(EbbtideContext);
  if (ebbtide === null) throw new Error("This hook wants an <EbbtideProvider> around it.");
  return ebbtide;
}
