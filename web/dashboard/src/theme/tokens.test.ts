import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

type Rgb = readonly [number, number, number];
type Tokens = Readonly<Record<string, string>>;

const css = readFileSync(join(import.meta.dirname, "tokens.css"), "utf8");

function tokensOf(selector: string): Tokens {
  const start = css.indexOf(selector);
  const block = css.slice(css.indexOf("{", start) + 1, css.indexOf("}", start));
  return Object.fromEntries([...block.matchAll(/--([\w-]+):\s*([^;]+);/g)].map((match) => [match[1] ?? "", match[2] ?? ""]));
}

function rgbOf(tokens: Tokens, name: string): Rgb {
  const hex = /^#([0-9a-f]{6})$/.exec(tokens[name] ?? "")?.[1];
  if (hex === undefined) throw new Error(`${name} is no colour: ${tokens[name]}`);
  const part = (at: number) => Number.parseInt(hex.slice(at, at + 2), 16);
  return [part(0), part(2), part(4)];
}

const linear = (part: number): number => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
const luminance = ([r, g, b]: Rgb): number => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);

/** WCAG 2: (L1 + 0.05) / (L2 + 0.05). */
function contrast(a: Rgb, b: Rgb): number {
  const [high, low] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

/** Machado, Oliveira & Fernandes (2009), severity 1, on linear light. */
const SIGHTS: Readonly<Record<string, readonly Rgb[]>> = {
  "full sight": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protanopia: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deuteranopia: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritanopia: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

/** CIE L*a*b* (D65) of a colour as somebody sees it. */
function labOf(color: Rgb, sight: readonly Rgb[]): Rgb {
  const [r, g, b] = color.map(linear) as [number, number, number];
  const seen = sight.map(([x, y, z]) => Math.max(0, Math.min(1, x * r + y * g + z * b))) as [number, number, number];
  const xyz = [
    (0.4124 * seen[0] + 0.3576 * seen[1] + 0.1805 * seen[2]) / 0.95047,
    0.2126 * seen[0] + 0.7152 * seen[1] + 0.0722 * seen[2],
    (0.0193 * seen[0] + 0.1192 * seen[1] + 0.9505 * seen[2]) / 1.08883,
  ].map((value) => (value > 0.008856 ? Math.cbrt(value) : 7.787 * value + 16 / 116)) as [number, number, number];
  return [116 * xyz[1] - 16, 500 * (xyz[0] - xyz[1]), 200 * (xyz[1] - xyz[2])];
}

const distance = (a: Rgb, b: Rgb): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);

const themes = [["light", tokensOf(":root {")], ["dark", tokensOf(':root[data-theme="dark"]')]] as const;

describe.each(themes)("the %s palette", (_, tokens) => {
  it.each(["ground", "surface", "raised", "sunken"])("reads on %s", (ground) => {
    for (const text of ["text", "text-soft", "accent", "good", "bad"]) {
      expect(contrast(rgbOf(tokens, text), rgbOf(tokens, ground)), text).toBeGreaterThanOrEqual(4.5);
    }
  });

  it.each([["accent-text", "accent"], ["accent", "accent-ground"], ["text", "accent-ground"], ["bad", "bad-ground"], ["text", "bad-ground"], ["warm", "warm-ground"], ["text", "warm-ground"]])(
    "reads as %s on %s",
    (text, ground) => {
      expect(contrast(rgbOf(tokens, text), rgbOf(tokens, ground))).toBeGreaterThanOrEqual(4.5);
    },
  );

  it("reads in every cell of a heatmap", () => {
    for (let level = 0; level < 8; level += 1) {
      const text = level < 4 ? "heat-text-low" : level === 4 ? "heat-text-4" : "heat-text-high";
      expect(contrast(rgbOf(tokens, text), rgbOf(tokens, `heat-${level}`)), `heat-${level}`).toBeGreaterThanOrEqual(4.5);
    }
  });

  it("has a scale that goes one way", () => {
    const levels = Array.from({ length: 8 }, (__, level) => luminance(rgbOf(tokens, `heat-${level}`)));
    const sorted = [...levels].sort((a, b) => a - b);
    expect([sorted, sorted.toReversed()]).toContainEqual(levels);
  });

  it("has lines that stand out from the ground", () => {
    for (const place of [1, 2, 3, 4, 5, 6, 7, 8, "before"]) expect(contrast(rgbOf(tokens, `series-${place}`), rgbOf(tokens, "surface")), `series-${place}`).toBeGreaterThanOrEqual(3);
  });

  it.each(Object.entries(SIGHTS))("has series that are told apart with %s", (__, sight) => {
    const colors = Array.from({ length: 8 }, (___, place) => labOf(rgbOf(tokens, `series-${place + 1}`), sight));
    colors.forEach((color, a) => {
      for (let b = 0; b < a; b += 1) expect(distance(color, colors[b] ?? color), `series-${a + 1} and series-${b + 1}`).toBeGreaterThanOrEqual(9);
    });
  });
});

it("has the same dark for the system's choice and one's own", () => {
  const inMedia = css.slice(css.indexOf("@media"));
  const block = inMedia.slice(inMedia.indexOf("{", inMedia.indexOf(":root")) + 1);
  const system = Object.fromEntries([...block.matchAll(/--([\w-]+):\s*([^;]+);/g)].map((match) => [match[1], match[2]]));
  expect(system).toEqual(themes[1][1]);
});
