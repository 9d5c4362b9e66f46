import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app.tsx";
import "./theme/tokens.css";
import "./theme/base.css";
import "./theme/shell.css";
import "./theme/parts.css";
import "./theme/pages.css";

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
}
