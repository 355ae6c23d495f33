// A question of one screen, asked again when something has changed.

import { useSignal, useSignalEffect, type ReadonlySignal, type Signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { get } from "./api";
import { frozen, fromFrozen } from "./asof";

export interface Asked<T> {
  value: T | null;
  error: string | null;
}

/** Asks `path` (nothing while it is empty), and again whenever `version` changes. What was there stays until there is an answer. */
export function useAsked<T>(path: string, version: ReadonlySignal<number>): Signal<Asked<T>> {
  const asked = useSignal<Asked<T>>({ value: null, error: null });
  const current = useRef({ path: "", busy: false, again: false });
  const run = (): void => {
    const state = current.current;
    if (!state.path) return;
    if (state.busy) {
      state.again = true;
      return;
    }
    const kept = fromFrozen(state.path);
    if (kept !== undefined) {
      asked.value = { value: kept as T, error: null };
      return;
    }
    state.busy = true;
    const of = state.path;
    get<T>(of)
      .then(
        (value) => {
          // What was asked before it was frozen is of another time.
          if (state.path === of && fromFrozen(of) === undefined) asked.value = { value, error: null };
        },
        (error: unknown) => {
          if (state.path === of) asked.value = { value: asked.peek().value, error: error instanceof Error ? error.message : String(error) };
        },
      )
      .finally(() => {
        state.busy = false;
        if (state.again || state.path !== of) {
          state.again = false;
          run();
        }
      });
  };
  useEffect(() => {
    if (current.current.path && current.current.path !== path) asked.value = { value: null, error: null };
    current.current.path = path;
    run();
  }, [path]);
  useSignalEffect(() => {
    void version.value;
    void frozen.value;
    run();
  });
  return asked;
}
