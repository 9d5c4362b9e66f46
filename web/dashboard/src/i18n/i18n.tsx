/** The reader's language: chosen, else the browser's, else English. Other catalogues are fetched when they are wanted. */
import { type ReactNode, createContext, useCallback, useContext, useEffect, useMemo, useState } from "react";
import { type Key, type Catalogue, en } from "./en.ts";
import { type Values, write } from "./message.ts";

export const LANGUAGES = { en: "English", ko: "한국어", ru: "Русский" } as const;
export type Language = keyof typeof LANGUAGES;

const PLACE = "ebbtide.language";
const isLanguage = (text: string | undefined | null): text is Language => text !== undefined && text !== null && Object.hasOwn(LANGUAGES, text);

/** A language's messages, and what it says for the words of bundled packs. */
interface Spoken {
  readonly catalogue: Catalogue;
  readonly packs: Readonly<Record<string, string>>;
}

const ENGLISH: Spoken = { catalogue: en, packs: {} };

const LOAD: Readonly<Record<Language, () => Promise<Spoken>>> = {
  en: () => Promise.resolve(ENGLISH),
  ko: async () => {
    const [{ ko }, { koPacks }] = await Promise.all([import("./ko.ts"), import("./ko.packs.ts")]);
    return { catalogue: ko, packs: koPacks };
  },
  ru: async () => {
    const [{ ru }, { ruPacks }] = await Promise.all([import("./ru.ts"), import("./ru.packs.ts")]);
    return { catalogue: ru, packs: ruPacks };
  },
};

export type Translate = (key: Key, values?: Values) => string;

interface I18n {
  readonly language: Language;
  /** The language as it is written where the reader is: `en-GB` has the day before the month. */
  readonly locale: string;
  readonly t: Translate;
  /** A title or a description of a pack: a bundled one's in the reader's language, another's as its pack wrote it. */
  readonly said: (text: string) => string;
  readonly choose: (language: Language) => void;
}

const I18nContext = createContext<I18n | null>(null);

function initial(): Language {
  try {
    const chosen = localStorage.getItem(PLACE);
    if (isLanguage(chosen)) return chosen;
  } catch {
    // Without storage the browser's language holds.
  }
  return languageOf(null);
}

interface Shown extends Spoken {
  readonly language: Language;
}

/** The catalogue of a language, once it is there; until then the one before it. */
function useCatalogue(wanted: Language): Shown | null {
  const [shown, setShown] = useState<Shown | null>(wanted === "en" ? { language: "en", ...ENGLISH } : null);
  useEffect(() => {
    let current = true;
    void LOAD[wanted]().then((spoken) => {
      if (current) setShown({ language: wanted, ...spoken });
    });
    return () => {
      current = false;
    };
  }, [wanted]);
  return shown;
}

export function I18nProvider({ children }: { readonly children: ReactNode }) {
  const [wanted, setWanted] = useState<Language>(initial);
  const shown = useCatalogue(wanted);
  useEffect(() => {
    document.documentElement.lang = wanted;
  }, [wanted]);
  const choose = useCallback((language: Language) => {
    try {
      localStorage.setItem(PLACE, language);
    } catch {
      // It holds until the page is left.
    }
    setWanted(language);
  }, []);
  const i18n = useMemo<I18n | null>(() => {
    if (shown === null) return null;
    return i18nOf(shown, choose);
  }, [shown, choose]);
  return i18n === null ? null : <I18nContext value={i18n}>{children}</I18nContext>;
}

/** A language that the page around it has chosen. */
export function FixedI18n({ language: wanted, children }: { readonly language: Language; readonly children: ReactNode }) {
  const shown = useCatalogue(wanted);
  const i18n = useMemo<I18n | null>(() => {
    if (shown === null) return null;
    return i18nOf(shown, () => undefined);
  }, [shown]);
  return i18n === null ? null : <I18nContext value={i18n}>{children}</I18nContext>;
}

function i18nOf({ language, catalogue, packs }: Shown, choose: I18n["choose"]): I18n {
  const locale = localeOf(language, navigator.languages);
  return { language, locale, choose, t: (key, values) => write(catalogue[key], locale, values), said: (text) => packs[text] ?? text };
}

/** The first of the reader's languages that is a form of this one. */
export const localeOf = (language: Language, wanted: readonly string[]): string => wanted.find((tag) => tag.split("-")[0] === language) ?? language;

/** What is asked for where there are words in it, else the browser's, else English. */
export function languageOf(tag: string | null): Language {
  return [tag, ...navigator.languages].map((given) => given?.split("-")[0]).find(isLanguage) ?? "en";
}

export function useI18n(): I18n {
  const i18n = useContext(I18nContext);
  if (i18n === null) throw new Error("outside of I18nProvider");
  return i18n;
}

export const useT = (): Translate => useI18n().t;
