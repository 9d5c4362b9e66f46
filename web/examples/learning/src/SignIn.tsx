/** In place of a school's own sign-in, which would give its users a token: one is pasted. */
import { type FormEvent, useState } from "react";

export function SignIn({ onSignIn }: { readonly onSignIn: (token: string) => void }) {
  const [token, setToken] = useState("");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (token.trim() !== "") onSignIn(token.trim());
  };
  return (
    <form className="sign-in" onSubmit={submit}>
      <h1>A school</h1>
      <label>
        Token
        <textarea value={token} rows={4} onChange={(event) => setToken(event.target.value)} />
      </label>
      <button type="submit">Sign in</button>
    </form>
  );
}
