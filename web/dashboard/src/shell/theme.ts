/** Light, dark, or as the system has it. */
import { useCallback, useState } from "react";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const PLACE = "ebbtide.theme";

function chosen(): Theme {
  const now = document.documentElement.dataset["theme"];
  return now === "light" || now === "dark" ? now : "system";
}

function apply(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  try {
    localStorage.setItem(PLACE, theme);
  } catch {
    // It holds until the page is left.
  }
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState<Theme>(chosen);
  const choose = useCallback((next: Theme) => {
    apply(next);
    setTheme(next);
  }, []);
  return [theme, choose];
}
