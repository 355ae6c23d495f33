// Which rows of a long list are in sight: only those, and some around them, are there.

import { useLayoutEffect, useState } from "preact/hooks";
import type { RefObject } from "preact";

/** Rows beyond each end of what is in sight. */
const AROUND = 12;
/** Rows by which what is there moves at once, so that scrolling a little draws nothing. */
const STEP = 8;

/** First row and the one behind the last, of rows of one height in a box that scrolls with the page. */
export function useWindow(box: RefObject<HTMLElement | null>, count: number, height: number, isOn = true): [number, number] {
  const [range, setRange] = useState<[number, number]>([0, Math.min(count, 60)]);
  useLayoutEffect(() => {
    if (!isOn) return;
    let asked = 0;
    const look = (): void => {
      asked = 0;
      const element = box.current;
      if (!element) return;
      const top = element.getBoundingClientRect().top;
      const first = Math.floor((Math.floor(Math.max(0, -top) / height) - AROUND) / STEP) * STEP;
      const last = Math.ceil((Math.ceil((innerHeight - top) / height) + AROUND) / STEP) * STEP;
      const from = Math.max(0, Math.min(first, count));
      const to = Math.max(from, Math.min(count, last));
      setRange((before) => (before[0] === from && before[1] === to ? before : [from, to]));
    };
    const ask = (): void => {
      asked ||= requestAnimationFrame(look);
    };
    look();
    addEventListener("scroll", ask, { passive: true });
    addEventListener("resize", ask);
    return () => {
      cancelAnimationFrame(asked);
      removeEventListener("scroll", ask);
      removeEventListener("resize", ask);
    };
  }, [count, height, isOn]);
  return isOn ? range : [0, count];
}

/** Scrolls so that a row is in sight, and gives it the focus once it is there. */
export function toRow(box: HTMLElement | null, at: number, height: number, find: (at: number) => HTMLElement | null): void {
  if (!box) return;
  const there = find(at);
  if (there) {
    there.focus({ preventScroll: true });
    there.scrollIntoView({ block: "nearest" });
    return;
  }
  scrollTo(0, scrollY + box.getBoundingClientRect().top + at * height - innerHeight / 2);
  requestAnimationFrame(() => requestAnimationFrame(() => find(at)?.focus()));
}

/** The window is wide enough for tables, as the style sheet has it. */
export function useWide(): boolean {
  const [isWide, set] = useState(() => matchMedia("(min-width: 48.01rem)").matches);
  useLayoutEffect(() => {
    const query = matchMedia("(min-width: 48.01rem)");
    const hear = (): void => set(query.matches);
    query.addEventListener("change", hear);
    return () => query.removeEventListener("change", hear);
  }, []);
  return isWide;
}
