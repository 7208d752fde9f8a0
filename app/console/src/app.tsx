/** The frame of every view: navigation, the tenant, and the view that the address names. */
import { useEffect } from "preact/hooks";
import { lazy, Suspense } from "preact/compat";
import { outage, reachable } from "./api/client";
import { policyName, problem, recorded, refresh, status } from "./api/shared";
import { addressOf, go, place } from "./location";
import { signedIn, signOut } from "./session";
import { SignIn } from "./signin";
import { Icon } from "./ui/icons";
import { ShortcutList } from "./ui/shortcuts";
import { ErrorNote, Skeleton } from "./ui/states";
import { Toasts } from "./ui/toasts";

const VIEWS = [
  { name: "route", title: "Route", view: lazy(() => import("./views/route")) },
  { name: "teach", title: "Teach", view: lazy(() => import("./views/teach")) },
  { name: "memory", title: "Memory", view: lazy(() => import("./views/memory")) },
  { name: "worth", title: "Worth", view: lazy(() => import("./views/worth")) },
  { name: "traffic", title: "Traffic", view: lazy(() => import("./views/traffic")) },
  { name: "settings", title: "Settings", view: lazy(() => import("./views/settings")) },
] as const;

export function App() {
  const wrongKey = problem.value?.status === 401 || problem.value?.status === 403;
  if (!signedIn.value || wrongKey) {
    return (
      <>
        <SignIn message={wrongKey ? problem.value?.message : undefined} />
        <Toasts />
      </>
    );
  }
  return <Frame />;
}

function Frame() {
  const current = VIEWS.find((each) => each.name === place.value.view) ?? VIEWS[0];
  useEffect(() => {
    document.title = `${current.title} · pgrouter`;
  }, [current]);
  const View = current.view;
  return (
    <>
      <a class="skip" href="#view">
        Skip to the view
      </a>
      <Navigation current={current.name} />
      <div class="stage">
        <TopBar />
        <Outage />
        <main id="view" tabIndex={-1}>
          <h1 class="visually-hidden">{current.title}</h1>
          {status.value === null && problem.value !== null ? (
            <ErrorNote error={problem.value} retry={() => void refresh()} />
          ) : (
            <Suspense fallback={<Skeleton lines={6} />}>
              <View key={current.name} />
            </Suspense>
          )}
        </main>
      </div>
      <ShortcutList />
      <Toasts />
    </>
  );
}

function Navigation({ current }: { current: string }) {
  return (
    <nav class="nav" aria-label="Views">
      <p class="brand">
        <img src="/console/icon.svg" alt="" width="26" height="26" /> <span>pgrouter</span>
      </p>
      <ul>
        {VIEWS.map(({ name, title }) => (
          <li key={name}>
            <a
              href={addressOf(name)}
              aria-current={name === current ? "page" : undefined}
              onClick={(event) => {
                if (event.metaKey || event.ctrlKey || event.shiftKey || event.button !== 0) return;
                event.preventDefault();
                go(name);
              }}
            >
              <Icon name={name} /> <span>{title}</span>
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function TopBar() {
  const policies = status.value?.policies ?? [];
  return (
    <header class="topbar">
      <p class="tenant">
        <span class="muted">Tenant</span> <strong>{status.value?.tenant ?? "…"}</strong>
      </p>
      {policies.length > 1 && (
        <label class="policy-choice">
          <span class="muted">Policy</span>
          <select
            value={policyName.value}
            onChange={(event) => (policyName.value = event.currentTarget.value)}
          >
            {policies.map((each) => (
              <option key={each.policy}>{each.policy}</option>
            ))}
          </select>
        </label>
      )}
      {recorded.value && (
        <span class="badge" title="The demo provider plays answers that were written for the demo's prompts.">
          recorded answers
        </span>
      )}
      <button type="button" class="button small quiet push" onClick={signOut}>
        <Icon name="out" /> Sign out
      </button>
    </header>
  );
}

/** Says that the server or its database does not answer, and looks again until it does. */
function Outage() {
  const away = !reachable.value;
  useEffect(() => {
    if (!away) return;
    const timer = setInterval(() => void refresh(), 2000);
    return () => clearInterval(timer);
  }, [away]);
  if (!away) return null;
  return (
    <div class="note warn outage" role="alert">
      <p>
        {outage.value} What is shown may be old; this page looks again every two seconds. Requests of
        applications are still served, by each policy's default model.
      </p>
    </div>
  );
}
