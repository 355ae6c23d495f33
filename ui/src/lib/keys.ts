// The keyboard. Single keys are off while somebody types, and altogether where the user wants that.

import { signal } from "@preact/signals";
import { hasKeys } from "./prefs";

export interface Key {
  /** As `KeyboardEvent.key` has it; `g r` is one after the other. */
  key: string;
  words: string;
  run: () => void;
}

const layers: Key[][] = [];
/** Keys that do something now, for the help. */
export const active = signal<Key[]>([]);

function tell(): void {
  const known = new Map<string, Key>();
  for (const layer of layers) for (const key of layer) known.set(key.key, key);
  // Those of the page come before those of every screen.
  const own = new Set(layers.slice(1).flat().map((key) => key.key));
  active.value = [...known.values()].toSorted((a, b) => Number(own.has(b.key)) - Number(own.has(a.key)));
}

/** Adds keys until the returned function is called; later ones go before earlier ones, and those of every screen behind all others. */
export function withKeys(keys: Key[], ofAll = false): () => void {
  if (ofAll) layers.unshift(keys);
  else layers.push(keys);
  tell();
  return () => {
    layers.splice(layers.indexOf(keys), 1);
    tell();
  };
}

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
}

let first = "";
let firstAt = 0;

function find(key: string): Key | undefined {
  for (const layer of layers.toReversed()) {
    const found = layer.find((of) => of.key === key);
    if (found) return found;
  }
  return undefined;
}

export function startKeys(palette: () => void): void {
  addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.altKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      palette();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || !hasKeys.peek() || isTyping(event.target)) return;
    // A dialog has keys of its own.
    if (document.querySelector("dialog[open]")) return;
    // A control that is focused keeps its own keys.
    const onControl = event.target instanceof HTMLElement && event.target.closest("a,button,summary,[role=button]");
    if (onControl && (event.key === "Enter" || event.key === " ")) return;
    const pair = first && event.timeStamp - firstAt < 1_500 ? `${first} ${event.key}` : "";
    const found = (pair && find(pair)) || find(event.key);
    first = "";
    if (event.key === "g" && !pair) {
      first = "g";
      firstAt = event.timeStamp;
    }
    if (found) {
      event.preventDefault();
      found.run();
    }
  });
}
