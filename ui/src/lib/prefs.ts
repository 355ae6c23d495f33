// What this browser prefers; nothing of it is in an address.

import { effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";

function stored(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function store(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // A browser that keeps nothing forgets it with the page.
  }
}

const isTheme = (word: string | null): word is Theme => word === "auto" || word === "light" || word === "dark";
const kept = stored("serin.theme");

export const theme = signal<Theme>(isTheme(kept) ? kept : "auto");
/** Single keys do something (WCAG 2.1.4: they can be turned off). */
export const hasKeys = signal(stored("serin.keys") !== "off");
/** Counts changes of what colours look like, for what is drawn once. */
export const colours = signal(0);

export function startPrefs(): void {
  effect(() => {
    const word = theme.value;
    document.documentElement.dataset.theme = word;
    store("serin.theme", word);
    colours.value = colours.peek() + 1;
  });
  effect(() => store("serin.keys", hasKeys.value ? "on" : "off"));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    colours.value += 1;
  });
}

/** What is seen while the system decides. */
export function shownTheme(): "light" | "dark" {
  void colours.value;
  const of = theme.value;
  return of === "auto" ? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light") : of;
}

/** The next of the three: first what is to be seen otherwise than what the system has. */
export function nextTheme(): void {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const order: Theme[] = ["auto", system === "dark" ? "light" : "dark", system];
  theme.value = order[(order.indexOf(theme.peek()) + 1) % order.length]!;
}

/** A custom property of the style sheet as a colour that a canvas understands. */
export function colour(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  probe.hidden = true;
  document.body.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}
