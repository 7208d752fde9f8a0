/** The keys of this browser tab. They are kept in session storage, which ends with the tab. */
import { computed, signal } from "@preact/signals";

const KEY = "pgrouter.key";
const ADMIN = "pgrouter.admin";

export const tenantKey = signal<string | null>(sessionStorage.getItem(KEY));
export const adminKey = signal<string | null>(sessionStorage.getItem(ADMIN));
export const signedIn = computed(() => tenantKey.value !== null);

/** Move a key from the fragment `#key=rk-…` to the session, and remove it from the address bar. */
export function takeKeyFromAddress(): void {
  const parameters = new URLSearchParams(location.hash.slice(1));
  const key = parameters.get("key");
  if (key === null) return;
  parameters.delete("key");
  const rest = parameters.toString();
  history.replaceState(history.state, "", location.pathname + (rest === "" ? "" : `#${rest}`));
  if (key !== "") signIn(key);
}

export function signIn(key: string): void {
  sessionStorage.setItem(KEY, key);
  tenantKey.value = key;
}

export function signInAsAdmin(key: string): void {
  sessionStorage.setItem(ADMIN, key);
  adminKey.value = key;
}

export function forgetAdmin(): void {
  sessionStorage.removeItem(ADMIN);
  adminKey.value = null;
}

export function signOut(): void {
  sessionStorage.removeItem(KEY);
  tenantKey.value = null;
  forgetAdmin();
}
