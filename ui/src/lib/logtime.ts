// Times that are counted from now. The log has a clock of its own: an old log that is read again ends long ago, and one that is made up may
// run ahead. “The last hour” is the last hour of the log then, and not one in which there is nothing, or everything.

import { computed } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { newest } from "./live";
import { param } from "./router";
import { millisOf } from "./times";

/** So far apart, in milliseconds, the end of the log is no delay. */
const APART_MS = 120_000;
/** All that is kept, where a screen has a shorter time of its own. */
export const ALL = "all";

/** The end of the log, where it is not about now; else `null`. */
export function logEnd(until: string | null, clock: number): number | null {
  const end = until ? Date.parse(until) : NaN;
  return Number.isFinite(end) && Math.abs(end - clock) > APART_MS ? end : null;
}

/** Data have times of another clock than hooks, links and whoever reads them. */
export const isOtherClock = (until: string | null): boolean => logEnd(until, Date.now()) !== null;

/** What times are counted from. */
export const logNow = (): number => logEnd(newest.peek(), Date.now()) ?? Date.now();

export interface Times {
  since: string;
  until: string;
}

const RELATIVE = /^now\b/;

/** A stretch of time as the program is asked for it; empty ends are open. */
export function timesOf(from: string, to: string, end: number | null): Times {
  if (from === ALL) return { since: "", until: "" };
  const at = (text: string): string => {
    const of = end !== null && RELATIVE.test(text) ? millisOf(text, end) : null;
    return of === null ? text : new Date(of).toISOString();
  };
  const isCounted = RELATIVE.test(from) && !to && end !== null;
  return { since: at(from), until: isCounted ? new Date(end).toISOString() : at(to) };
}

const isKnown = computed(() => newest.value !== null);

/** What the address asks for, counted from the end of the log at that moment. */
export function asked(): Times {
  void isKnown.value;
  return timesOf(param("from"), param("to"), logEnd(newest.peek(), Date.now()));
}

/** The same until the address asks for something else: what comes meanwhile moves nothing. */
export function useTimes(): Times {
  return useMemo(asked, [param("from"), param("to"), isKnown.value]);
}

/** The two ends as parts of a question. */
export const inQuery = ({ since, until }: Times): string => `${since ? `&since=${encodeURIComponent(since)}` : ""}${until ? `&until=${encodeURIComponent(until)}` : ""}`;
