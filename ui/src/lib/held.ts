// Rows that come anew keep their places while somebody points at one of them or has the focus in them: what is about to be pressed does
// not become something else. How many would change places is told, and who wants it has it.

import type { RefObject } from "preact";
import { useRef, useState } from "preact/hooks";

export interface Held<T> {
  rows: T[];
  /** Places at which another row would stand. */
  pending: number;
  apply: () => void;
}

export function useHeld<T>(wanted: readonly T[], name: (row: T) => string, box: RefObject<HTMLElement | null>): Held<T> {
  const state = useRef<{ wanted: readonly T[] | null; shown: Map<string, T>; rows: T[]; pending: number }>({ wanted: null, shown: new Map(), rows: [], pending: 0 });
  const [, again] = useState(0);
  const of = state.current;
  // Of ten thousand rows none is looked at again while nothing has come.
  if (of.wanted !== wanted) {
    const element = box.current;
    const isHeld = of.shown.size > 0 && element !== null && (element.matches(":hover") || element.contains(document.activeElement));
    const next = new Map(wanted.map((row) => [name(row), row]));
    // A row that has gone stays as it was: what is below it would move.
    of.shown = isHeld ? new Map([...of.shown].map(([id, row]) => [id, next.get(id) ?? row])) : next;
    of.wanted = wanted;
    of.rows = [...of.shown.values()];
    const [now, then] = [[...of.shown.keys()], [...next.keys()]];
    of.pending = isHeld ? Array.from({ length: Math.max(now.length, then.length) }, (_, at) => now[at] !== then[at]).filter(Boolean).length : 0;
  }
  return {
    rows: of.rows,
    pending: of.pending,
    apply: () => {
      state.current = { wanted: null, shown: new Map(), rows: [], pending: 0 };
      again((count) => count + 1);
    },
  };
}
