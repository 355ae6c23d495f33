// A rollout of which no line has come for long: what is said of it is of then, however fresh everything else is.

import type { Comparison } from "./types";

/** Silence that is told, in milliseconds. */
const LONG_MS = 300_000;

/** When the last line of either arm was of, where that is long before `now`; `null` where it is not, or where it has ended. */
export function silentSince(of: Pick<Comparison, "active_until" | "rollout_end"> | undefined, now: number): string | null {
  if (!of || of.rollout_end) return null;
  const heard = (of.active_until ?? []).flatMap((at) => (at ? [at] : []));
  const last = heard.reduce<string | null>((latest, at) => (latest === null || Date.parse(at) > Date.parse(latest) ? at : latest), null);
  return last !== null && now - Date.parse(last) > LONG_MS ? last : null;
}

/** The later one of the end of the log and the clock. */
export const latest = (end: string | null, clock: number): number => Math.max(clock, end ? Date.parse(end) : -Infinity);
