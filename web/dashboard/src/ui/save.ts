/** Hands a file to the browser. */
export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser has taken it when the click returns; the address is of no use after that.
  setTimeout(() => URL.revokeObjectURL(link.href), 0);
}
