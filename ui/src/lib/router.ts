// Where one is: a path and a query, both of which a person could write. Keys that nobody knows are kept.

import { batch, signal } from "@preact/signals";

/** What people type who have not looked at the address of a screen, as it is. */
export const usual = (at: string): string => at.replace(/^\/dashboards(?=\/|$)/, "/d");

if (usual(location.pathname) !== location.pathname) history.replaceState(null, "", usual(location.pathname) + location.search);

export const path = signal(location.pathname);
export const query = signal(new URLSearchParams(location.search));

function read(): void {
  batch(() => {
    path.value = location.pathname;
    query.value = new URLSearchParams(location.search);
  });
}

export function startRouter(): void {
  addEventListener("popstate", read);
}

export function go(to: string): void {
  // Who looks at an earlier time goes on doing so, until he says otherwise.
  const asof = query.peek().get("asof");
  if (asof && !to.includes("asof=")) to += `${to.includes("?") ? "&" : "?"}asof=${asof}`;
  if (to === location.pathname + location.search) return;
  history.pushState(null, "", to);
  read();
  document.getElementById("main")?.focus({ preventScroll: true });
  scrollTo(0, 0);
}

/** Sets keys of the query; an empty value takes the key out. `push`: Back undoes it; else what is typed replaces. */
export function setQuery(changes: Record<string, string | null>, push = true): void {
  const next = new URLSearchParams(query.peek());
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === "") next.delete(key);
    else next.set(key, value);
  }
  const text = next.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
  const to = location.pathname + (text ? `?${text}` : "");
  if (to === location.pathname + location.search) return;
  if (push) history.pushState(null, "", to);
  else history.replaceState(null, "", to);
  read();
}

export const param = (key: string): string => query.value.get(key) ?? "";

/** A link within the page: a click that asks for nothing special goes without loading anything. */
export function follow(event: MouseEvent): void {
  const anchor = (event.target as Element | null)?.closest?.("a");
  if (!(anchor instanceof HTMLAnchorElement)) return;
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!isPlain || anchor.target || anchor.origin !== location.origin || anchor.hasAttribute("download")) return;
  if (anchor.pathname.startsWith("/v1/") || anchor.hash) return;
  event.preventDefault();
  go(anchor.pathname + anchor.search);
}

export type Route =
  | { name: "rollouts" }
  | { name: "rollout"; id: string; tab: string }
  | { name: "search" }
  | { name: "compare" }
  | { name: "template"; id: string }
  | { name: "board"; id: string }
  | { name: "hooks" }
  | { name: "status" }
  | { name: "nothing" };

export function route(at: string): Route {
  const words = at.split("/").filter(Boolean).map(decoded);
  const [first, second, third, ...rest] = words;
  if (first === undefined) return { name: "rollouts" };
  if (rest.length > 0) return { name: "nothing" };
  if (first === "rollouts" && second === undefined) return { name: "rollouts" };
  if (first === "rollouts" && second !== undefined) return { name: "rollout", id: second, tab: third ?? "" };
  if (third !== undefined) return { name: "nothing" };
  if (first === "d") return { name: "board", id: second ?? "" };
  if (first === "templates" && second !== undefined) return { name: "template", id: second };
  if (second !== undefined) return { name: "nothing" };
  if (first === "compare") return { name: "compare" };
  if (first === "search" || first === "hooks" || first === "status") return { name: first };
  return { name: "nothing" };
}

function decoded(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}

/** The address of a rollout's screen. Who looks at an earlier time goes on doing so. */
export function rolloutPath(id: string, tab = "", more = ""): string {
  const asked = new URLSearchParams(more);
  const asof = query.value.get("asof");
  if (asof) asked.set("asof", asof);
  const text = asked.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
  return `/rollouts/${encodeURIComponent(id)}${tab ? `/${tab}` : ""}${text ? `?${text}` : ""}`;
}
