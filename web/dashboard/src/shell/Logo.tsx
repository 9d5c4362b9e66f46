export function Logo() {
  return (
    <svg className="logo" width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <path d="M4 13q6-7 12 0t12 0M4 21q6-7 12 0t12 0" />
    </svg>
  );
}
