/** Where panels over the page stand: its end, or inside of an element whose styles are its own. */
import { createContext } from "react";

export const PortalContext = createContext<HTMLElement | undefined>(undefined);
