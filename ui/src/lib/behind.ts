// Search is a second behind what is judged: what is not all there yet is asked for again, some times.

import { useEffect, useState } from "preact/hooks";

/** How often it is asked again, with this pause. */
export const TRIES = 8;
const PAUSE_MS = 1_500;

/** Counts up while something is not all there; from the beginning when `key` is another one. */
export function useTries(isThere: boolean, key: string): number {
  const [of, set] = useState({ key, tries: 0 });
  const tries = of.key === key ? of.tries : 0;
  useEffect(() => {
    if (isThere || tries >= TRIES) return;
    const timer = setTimeout(() => set({ key, tries: tries + 1 }), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [isThere, key, tries]);
  return tries;
}
