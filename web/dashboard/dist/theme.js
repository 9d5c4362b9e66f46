// Before anything is drawn, so that no page flashes in the wrong colours.
try {
  const theme = localStorage.getItem("ebbtide.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Without storage the system's choice holds.
}
