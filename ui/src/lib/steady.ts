// A question that is asked again when something has come, and never given up for that: one that takes longer than things keep coming would
// never be answered.

import { useEffect, useRef } from "preact/hooks";

interface State {
  version: unknown;
  stopping: AbortController | null;
  isBusy: boolean;
  isAgain: boolean;
  ask: (signal: AbortSignal) => Promise<unknown>;
}

/** Asks at once where `key` is another one, giving up what was asked before; and where `version` is, after what is being asked. */
export function useSteady(key: string, version: unknown, ask: (signal: AbortSignal) => Promise<unknown>): void {
  const state = useRef<State>({ version, stopping: null, isBusy: false, isAgain: false, ask });
  const of = state.current;
  of.ask = ask;
  const run = (): void => {
    const { stopping } = of;
    if (!stopping) return;
    if (of.isBusy) {
      of.isAgain = true;
      return;
    }
    of.isBusy = true;
    void of.ask(stopping.signal).finally(() => {
      if (of.stopping !== stopping) return;
      of.isBusy = false;
      if (of.isAgain) {
        of.isAgain = false;
        run();
      }
    });
  };
  useEffect(() => {
    const stopping = new AbortController();
    Object.assign(of, { stopping, isBusy: false, isAgain: false, version });
    run();
    return () => {
      of.stopping = null;
      stopping.abort();
    };
  }, [key]);
  useEffect(() => {
    if (of.version === version) return;
    of.version = version;
    run();
  }, [version]);
}
