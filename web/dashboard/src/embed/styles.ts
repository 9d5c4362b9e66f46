/** The dashboard's own styles, for inside of an element: what holds for the whole page there holds for the element. */
import insights from "../insights/insights.css?inline";
import base from "../theme/base.css?inline";
import pages from "../theme/pages.css?inline";
import parts from "../theme/parts.css?inline";
import tokens from "../theme/tokens.css?inline";
import own from "./embed.css?inline";
import { forElement } from "./forElement.ts";

let sheet: CSSStyleSheet | null = null;

/** One for all elements of a page. No markup holds it, so no policy of the page needs to allow styles in text. */
export function styles(): CSSStyleSheet {
  if (sheet === null) {
    sheet = new CSSStyleSheet();
    sheet.replaceSync([tokens, base, parts, pages, insights, own].map(forElement).join("\n"));
  }
  return sheet;
}
