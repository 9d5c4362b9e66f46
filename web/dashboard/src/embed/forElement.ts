/** `:root` is the element, and its attribute `theme` is what the page's `data-theme` is. */
export const forElement = (css: string): string =>
  css
    .replaceAll("data-theme", "theme")
    .replaceAll(/:root:not\(([^)]*)\)/g, ":host(:not($1))")
    .replaceAll(/:root(\[[^\]]*\])/g, ":host($1)")
    .replaceAll(":root", ":host");
