/** Settings: tenants, keys, policies, models, providers and limits, by the admin API. */
import "./settings.css";
import { useState } from "preact/hooks";
import { ApiError, json } from "../../api/client";
import { status } from "../../api/shared";
import { place, setQuery } from "../../location";
import { adminKey, forgetAdmin, signInAsAdmin } from "../../session";
import { Keys } from "./keys";
import { Limits } from "./limits";
import { Models } from "./models";
import { Policies } from "./policies";
import { Prices } from "./prices";
import { Providers } from "./providers";
import { Tenants } from "./tenants";

const TABS = [
  ["tenants", "Tenants"],
  ["keys", "Keys"],
  ["policies", "Policies"],
  ["limits", "Limits"],
  ["prices", "Prices"],
  ["models", "Models"],
  ["providers", "Providers"],
] as const;

export default function SettingsView() {
  if (adminKey.value === null) return <AdminSignIn />;
  const tab = place.value.query.get("tab") ?? "tenants";
  const tenant = place.value.query.get("tenant") ?? status.value?.tenant ?? "";
  return (
    <div class="stack">
      <div class="row">
        <nav aria-label="Settings" class="row tabs">
          {TABS.map(([name, title]) => (
            <button
              key={name}
              type="button"
              class="chip"
              aria-current={name === tab ? "page" : undefined}
              aria-pressed={name === tab}
              onClick={() => setQuery({ tab: name })}
            >
              {title}
            </button>
          ))}
        </nav>
        <button type="button" class="button small quiet push" onClick={forgetAdmin}>
          Forget the admin key
        </button>
      </div>
      {tab === "tenants" && <Tenants onOpen={(name) => setQuery({ tenant: name, tab: "keys" })} />}
      {tab === "keys" && <Keys tenant={tenant} />}
      {tab === "policies" && <Policies tenant={tenant} />}
      {tab === "limits" && <Limits tenant={tenant} />}
      {tab === "prices" && <Prices tenant={tenant} />}
      {tab === "models" && <Models />}
      {tab === "providers" && <Providers />}
    </div>
  );
}

function AdminSignIn() {
  const [key, setKey] = useState("");
  const [error, setError] = useState<ApiError | null>(null);
  const open = async () => {
    try {
      await json("/v1/router/admin/tenants", { key: key.trim() });
      signInAsAdmin(key.trim());
    } catch (caught) {
      setError(caught instanceof ApiError ? caught : new ApiError(String(caught), 0));
    }
  };
  return (
    <form
      class="panel stack admin-signin"
      onSubmit={(event) => {
        event.preventDefault();
        void open();
      }}
    >
      <h2>Administration</h2>
      <p>
        Tenants, keys, policies, models, providers and limits are changed with the admin key, the value of{" "}
        <code>ROUTER_ADMIN_KEY</code> of the process. It is kept in this tab only. The same is possible with
        the command <code>pgrouter</code> on the server.
      </p>
      <label for="admin-key">Admin key</label>
      <div class="field-row">
        <input
          id="admin-key"
          type="password"
          autocomplete="off"
          required
          value={key}
          onInput={(event) => setKey(event.currentTarget.value)}
        />
        <button type="submit" class="button primary">
          Open
        </button>
      </div>
      {error && (
        <p class="note bad" role="alert">
          {error.message}
        </p>
      )}
    </form>
  );
}
