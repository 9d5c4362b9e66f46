import { StrictMode, useState } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./App.tsx";
import { SignIn } from "./SignIn.tsx";
import "./style.css";

function Root() {
  const [token, setToken] = useState<string | null>(null);
  return token === null ? <SignIn onSignIn={setToken} /> : <App token={token} onExpired={() => setToken(null)} />;
}

const root = document.getElementById("root");
if (root !== null) {
  createRoot(root).render(
    <StrictMode>
      <Root />
    </StrictMode>,
  );
}
