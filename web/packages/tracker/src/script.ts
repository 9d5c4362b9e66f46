/** `<script async src="https://HOST/tracker.js" data-key="ewk_…"></script>`: the tracker, as `window.ebbtide`. */
import { type Tracker, createTracker } from "./tracker.ts";

declare global {
  interface Window {
    ebbtide?: Tracker;
  }
}

const script = document.currentScript as HTMLScriptElement | null;
const key = script?.dataset["key"];
if (script !== null && key !== undefined && window.ebbtide === undefined) {
  window.ebbtide = createTracker({ url: script.dataset["url"] ?? new URL(script.src).origin, key });
  if (script.dataset["page"] !== "off") window.ebbtide.page();
  dispatchEvent(new Event("ebbtide"));
}
