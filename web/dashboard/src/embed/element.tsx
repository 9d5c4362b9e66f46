/**
 * `<ebbtide-chart token="…">`: a report in any page. It draws inside of itself, with styles of its own, and asks the server that its script came
 * from (or `server`). Attributes: `token`, `params`, `theme`, `lang`, `live`, `server`. It tells by events: `ebbtide-loaded`, `ebbtide-error`,
 * and `ebbtide-expired`, upon which the page gives it another token.
 */
import { type Root, createRoot } from "react-dom/client";
import { Refusal } from "../api/client.ts";
import { FixedI18n, languageOf } from "../i18n/i18n.tsx";
import { PortalContext } from "../ui/portal.ts";
import { EmbeddedReport } from "./EmbeddedReport.tsx";
import { originOf } from "./declared.ts";
import { styles } from "./styles.ts";

const OWN_SERVER = new URL(import.meta.url).origin;

export class EbbtideChart extends HTMLElement {
  static readonly observedAttributes = ["token", "params", "theme", "lang", "live", "server"];

  #root: Root | null = null;
  #place: HTMLElement | null = null;
  #panels: HTMLElement | null = null;
  #sizes: ResizeObserver | null = null;
  /** Given by a script, it stands in no markup. */
  #token: string | null = null;

  get token(): string | null {
    return this.#token ?? this.getAttribute("token");
  }

  set token(token: string | null) {
    this.#token = token;
    this.#draw();
  }

  connectedCallback(): void {
    if (this.#place === null) {
      const shadow = this.attachShadow({ mode: "open" });
      shadow.adoptedStyleSheets = [styles()];
      this.#place = shadow.appendChild(document.createElement("div"));
      this.#panels = shadow.appendChild(document.createElement("div"));
    }
    this.#root = createRoot(this.#place);
    if (this.hasAttribute("framed")) {
      this.#sizes = new ResizeObserver(() => this.#tellPage("height", { height: Math.ceil(this.getBoundingClientRect().height) }));
      this.#sizes.observe(this);
    }
    this.#draw();
  }

  disconnectedCallback(): void {
    this.#root?.unmount();
    this.#root = null;
    this.#sizes?.disconnect();
  }

  attributeChangedCallback(): void {
    this.#draw();
  }

  #draw(): void {
    const token = this.token;
    if (this.#root === null || this.#panels === null) return;
    if (token === null || token === "") {
      this.#root.render(null);
      return;
    }
    this.#root.render(
      <FixedI18n language={languageOf(this.getAttribute("lang"))}>
        <PortalContext value={this.#panels}>
          <EmbeddedReport
            // Colours are read when a picture is drawn.
            key={this.getAttribute("theme") ?? ""}
            server={this.getAttribute("server") ?? OWN_SERVER}
            token={token}
            params={this.getAttribute("params") ?? ""}
            live={this.hasAttribute("live")}
            onLoaded={this.#loaded}
            onError={this.#failed}
          />
        </PortalContext>
      </FixedI18n>,
    );
  }

  readonly #loaded = (answer: unknown): void => this.#tell("loaded", { answer });

  readonly #failed = (error: unknown): void => {
    const problem = error instanceof Refusal ? error.problem : null;
    if (problem?.code === "token_expired") this.#tell("expired", {});
    this.#tell("error", { code: problem?.code ?? null, detail: problem?.detail ?? String(error) });
  };

  #tell(what: "loaded" | "error" | "expired", detail: Readonly<Record<string, unknown>>): void {
    this.dispatchEvent(new CustomEvent(`ebbtide-${what}`, { detail, bubbles: true, composed: true }));
    // The page around a frame has the answer's drawing, and need not have the answer.
    if (this.hasAttribute("framed")) this.#tellPage(what, what === "loaded" ? {} : detail);
  }

  #tellPage(what: string, detail: Readonly<Record<string, unknown>>): void {
    const origin = originOf(this.token ?? "");
    if (window.parent !== window && origin !== null) window.parent.postMessage({ type: `ebbtide-${what}`, ...detail }, origin);
  }
}

if (customElements.get("ebbtide-chart") === undefined) customElements.define("ebbtide-chart", EbbtideChart);
