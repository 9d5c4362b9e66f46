/** What the simulated shop sells, drawn. */

export const GOODS = [
  { key: "lamp", price: 64 },
  { key: "mug", price: 18 },
  { key: "bag", price: 42 },
] as const;

export type Good = (typeof GOODS)[number];

export const CURRENCY = "EUR";

export function Picture({ good }: { readonly good: Good["key"] }) {
  return (
    <svg className={`good-picture is-${good}`} viewBox="0 0 96 72" aria-hidden="true" focusable="false">
      <path className="good-sea" d="M0 54q12-7 24 0t24 0 24 0 24 0v18H0z" />
      {DRAWN[good]}
    </svg>
  );
}

const DRAWN = {
  lamp: (
    <g>
      <path className="good-glow" d="M48 8 22 58h52z" />
      <path className="good-line" d="M42 20V14a6 6 0 0 1 12 0v6" />
      <path className="good-solid" d="M38 20h20l3 6H35zM36 52h24l3 6H33z" />
      <path className="good-glass" d="M38 26h20v26H38z" />
      <path className="good-flame" d="M48 32c4 5 5 7 5 10a5 5 0 0 1-10 0c0-3 1-5 5-10z" />
    </g>
  ),
  mug: (
    <g>
      <path className="good-line" d="M40 16c-3-4 3-6 0-10M50 16c-3-4 3-6 0-10" />
      <path className="good-line" d="M60 28h5a8 8 0 0 1 0 18h-5" />
      <path className="good-solid" d="M30 22h30v30a6 6 0 0 1-6 6H36a6 6 0 0 1-6-6z" />
      <path className="good-wave" d="M30 38q5-4 10 0t10 0 10 0" />
    </g>
  ),
  bag: (
    <g>
      <path className="good-line" d="M38 26V20a10 10 0 0 1 20 0v6" />
      <path className="good-solid" d="M28 26h40l-4 32H32z" />
      <path className="good-wave" d="M31 44q6-4 11 0t11 0 11 0" />
    </g>
  ),
} as const;
