/**
 * The address of a view: `/console/NAME#parameters`, so that it can be sent to a colleague. Parameters are in the
 * fragment, which the browser keeps to itself, because a prompt does not belong in the log of a web server.
 */
import { signal } from "@preact/signals";

const ROOT = "/console";

export interface Place {
  /** The first segment below /console; empty for the landing view. */
  view: string;
  query: URLSearchParams;
}

function current(): Place {
  const [view = ""] = location.pathname.slice(ROOT.length).split("/").filter(Boolean);
  const query = new URLSearchParams(location.hash.slice(1));
  // A key is not a parameter of a view: `takeKeyFromAddress` takes it.
  query.delete("key");
  return { view: decodeURIComponent(view), query };
}

export const place = signal<Place>(current());
addEventListener("popstate", () => (place.value = current()));
addEventListener("hashchange", () => (place.value = current()));

type Query = Record<string, string | number | boolean | null | undefined>;

/** The address of a view; parameters that are null, undefined or empty are left out. */
export function addressOf(view: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  const text = search.toString();
  return `${ROOT}/${view}${text === "" ? "" : `#${text}`}`;
}

/** Open a view. */
export function go(view: string, query: Query = {}): void {
  history.pushState(null, "", addressOf(view, query));
  place.value = current();
  scrollTo(0, 0);
}

/** Change parameters of the present address without an entry in the browser's history. */
export function setQuery(query: Query): void {
  const merged = { ...Object.fromEntries(place.value.query), ...query };
  history.replaceState(null, "", addressOf(place.value.view, merged));
  place.value = current();
}
