// A text that changes at most so often: what is read aloud must leave time to hear it.

import { useEffect, useRef, useState } from "preact/hooks";

export function useSeldom(text: string, pause: number): string {
  const [shown, show] = useState(text);
  const changed = useRef(Date.now());
  useEffect(() => {
    if (text === shown) return;
    const set = (): void => {
      changed.current = Date.now();
      show(text);
    };
    const timer = setTimeout(set, Math.max(0, changed.current + pause - Date.now()));
    return () => clearTimeout(timer);
  }, [text, shown, pause]);
  return shown;
}
