/** The page of somebody without a key. */
import { useEffect, useRef, useState } from "preact/hooks";
import { problem } from "./api/shared";
import { signIn } from "./session";

export function SignIn({ message }: { message?: string | undefined }) {
  const [key, setKey] = useState("");
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []);
  return (
    <main class="signin">
      <img src="/console/icon.svg" alt="" width="48" height="48" />
      <h1>See what the router learned</h1>
      <p>
        The console shows the routing memory of one tenant. It needs a key of that tenant:{" "}
        <code>make run</code> prints an address with the demo tenant's key,{" "}
        <code>pgrouter key create TENANT</code> makes another.
      </p>
      <form
        class="signin-form"
        onSubmit={(event) => {
          event.preventDefault();
          problem.value = null;
          signIn(key.trim());
        }}
      >
        <label for="tenant-key">Tenant key</label>
        <div class="field-row">
          <input
            id="tenant-key"
            ref={field}
            type="password"
            autocomplete="off"
            spellcheck={false}
            placeholder="rk-…"
            required
            value={key}
            aria-describedby="key-note"
            onInput={(event) => setKey(event.currentTarget.value)}
          />
          <button type="submit" class="button primary">
            Open
          </button>
        </div>
        {message !== undefined && (
          <p class="note bad" role="alert">
            {message}
          </p>
        )}
        <p class="muted" id="key-note">
          The key stays in this tab: it is in session storage, and calls of the API are the only requests that
          carry it.
        </p>
      </form>
    </main>
  );
}
