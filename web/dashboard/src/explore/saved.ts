/** Questions that were kept. They stay in this browser: the server has no place for them yet. */
import { useCallback, useState } from "react";

export interface SavedQuestion {
  readonly name: string;
  /** The page's URL, without `?`. */
  readonly search: string;
}

const placeOf = (app: string): string => `ebbtide.questions.${app}`;

export function savedIn(text: string | null): SavedQuestion[] {
  try {
    const found: unknown = JSON.parse(text ?? "[]");
    if (!Array.isArray(found)) return [];
    return found.filter((entry): entry is SavedQuestion => typeof entry === "object" && entry !== null && typeof entry.name === "string" && typeof entry.search === "string");
  } catch {
    return [];
  }
}

export function useSaved(app: string): readonly [readonly SavedQuestion[], (questions: readonly SavedQuestion[]) => void] {
  const [questions, setQuestions] = useState(() => savedIn(localStorage.getItem(placeOf(app))));
  const keep = useCallback(
    (next: readonly SavedQuestion[]) => {
      localStorage.setItem(placeOf(app), JSON.stringify(next));
      setQuestions([...next]);
    },
    [app],
  );
  return [questions, keep];
}
