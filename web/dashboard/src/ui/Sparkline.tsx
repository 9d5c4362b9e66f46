/** A line as high as a word. */
export function Sparkline({ values, label }: { readonly values: readonly number[]; readonly label: string }) {
  const width = 96;
  const height = 24;
  const greatest = Math.max(1, ...values);
  const step = values.length < 2 ? width : width / (values.length - 1);
  const points = values.map((value, index) => `${(index * step).toFixed(1)},${(height - 2 - (value / greatest) * (height - 4)).toFixed(1)}`);
  return (
    <svg className="spark" width={width} height={height} viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img" aria-label={label}>
      <polygon points={`0,${height} ${points.join(" ")} ${width},${height}`} />
      <polyline points={points.join(" ")} />
    </svg>
  );
}
