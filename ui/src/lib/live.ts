// What the program knows, as of the last time it said that something had changed.

import { batch, computed, effect, signal, untracked } from "@preact/signals";
import { Refused, get, getWith, needsLogin } from "./api";
import { frozen, shownAt, type Frozen } from "./asof";
import { param } from "./router";
import type { Report, RolloutRow, Status } from "./types";

export type Link = "live" | "polling" | "lost" | "resting" | "frozen";

export const report = signal<Report | null>(null);
/** What is waited for, while there is no report. */
export const waitingFor = signal<string | null>(null);
export const rollouts = signal<RolloutRow[] | null>(null);
export const status = signal<Status | null>(null);
/** Counts what has changed: who shows more than the above asks again when it does. */
export const reportVersion = signal(0);
export const rolloutsVersion = signal(0);
export const link = signal<Link>("lost");
/** Live updates are wanted. */
export const isLive = signal(true);
/** The clock of this browser when something last came. */
export const heardAt = signal<number | null>(null);
export const trouble = signal<string | null>(null);

/** The end of what was judged last: the ledger alone tells less often. */
export const newest = computed<string | null>(() => {
  const ends = [status.value?.data_until, ...(report.value?.comparisons ?? []).map((of) => of.ended_at)];
  return ends.reduce<string | null>((latest, of) => (of && (!latest || Date.parse(of) > Date.parse(latest)) ? of : latest), null);
});

/** Until when lines have come, in milliseconds; the clock's time while that is not known. */
export const dataEnd = (clock: number): number => (newest.peek() ? Date.parse(newest.peek()!) : clock);

const POLL_MS = 5_000;
const RETRY_MS = 2_000;

/** The address asks for how it was at a time. */
const wanted = (): string => param("asof");

async function ask<T>(path: string, set: (value: T, asof: string | null) => void): Promise<void> {
  try {
    const [value, asof] = await getWith<T>(path, "serin-asof");
    // What comes while one looks at an earlier time is not of that time.
    if (wanted() && path !== "/v1/status") return;
    batch(() => {
      set(value, asof);
      trouble.value = null;
      heardAt.value = Date.now();
    });
  } catch (error) {
    if (error instanceof Refused && error.status === 503 && path === "/v1/report") {
      waitingFor.value = error.message;
      return;
    }
    if (error instanceof Refused && error.status === 401) return;
    trouble.value = error instanceof Error ? error.message : String(error);
  }
}

const running = new Map<string, Promise<void>>();
const again = new Set<string>();

/** One question of a kind at a time; what changes meanwhile is asked once more after it. */
function once(name: string, run: () => Promise<void>): void {
  if (running.has(name)) {
    again.add(name);
    return;
  }
  const done = run().finally(() => {
    running.delete(name);
    if (again.delete(name)) once(name, run);
  });
  running.set(name, done);
}

export function refreshReport(): void {
  once("report", () =>
    ask<Report>("/v1/report", (value, asof) => {
      report.value = value;
      shownAt.value = asof;
      waitingFor.value = null;
      reportVersion.value += 1;
    }),
  );
}

export function refreshRollouts(): void {
  once("rollouts", async () => {
    await ask<{ rollouts: RolloutRow[] }>("/v1/rollouts", (value) => {
      rollouts.value = value.rollouts;
      rolloutsVersion.value += 1;
    });
    await ask<Status>("/v1/status", (value) => {
      status.value = value;
    });
  });
}

export function refresh(): void {
  refreshReport();
  refreshRollouts();
}

let source: EventSource | null = null;
let poll: ReturnType<typeof setInterval> | undefined;
let retry: ReturnType<typeof setTimeout> | undefined;

function stop(to: Link): void {
  source?.close();
  source = null;
  clearInterval(poll);
  clearTimeout(retry);
  link.value = to;
}

/** Listens; where that is refused, asks again and again. A tab that nobody sees rests. */
export function listen(): void {
  stop("lost");
  if (wanted()) {
    link.value = "frozen";
    return;
  }
  if (!isLive.peek() || document.hidden) {
    link.value = "resting";
    return;
  }
  const events = new EventSource("/v1/events");
  source = events;
  events.onopen = () => {
    clearInterval(poll);
    link.value = "live";
    // What it said while nobody heard it.
    if (trouble.peek()) refresh();
  };
  events.addEventListener("report", refreshReport);
  events.addEventListener("rollouts", refreshRollouts);
  events.onerror = () => {
    link.value = "lost";
    if (needsLogin.peek()) {
      stop("lost");
      return;
    }
    // Whether it is gone altogether is told at once, and not when somebody asks for something.
    refreshRollouts();
    // Refused for good (too many listen): the browser does not try again by itself.
    if (events.readyState === EventSource.CLOSED && source === events) {
      source = null;
      link.value = "polling";
      clearInterval(poll);
      poll = setInterval(refresh, POLL_MS);
      retry = setTimeout(listen, RETRY_MS * 15);
    }
  };
}

/** Why what was asked for by its time is not shown. */
export const notFrozen = signal<string | null>(null);

async function freeze(at: string): Promise<void> {
  try {
    const of = await get<Frozen>(`/v1/asof?at=${encodeURIComponent(at)}`);
    if (wanted() !== at) return;
    batch(() => {
      frozen.value = of;
      notFrozen.value = null;
      report.value = of.report;
      rollouts.value = of.rollouts;
      shownAt.value = of.asof;
      reportVersion.value += 1;
      rolloutsVersion.value += 1;
    });
  } catch (error) {
    notFrozen.value = error instanceof Error ? error.message : String(error);
  }
}

/** The address asks for another time than before, or for none. */
function followTime(at: string, isFirst: boolean): void {
  if (at) {
    listen();
    if (isFirst) refreshRollouts();
    void freeze(at);
    return;
  }
  if (isFirst || frozen.peek() || notFrozen.peek()) {
    batch(() => {
      frozen.value = null;
      notFrozen.value = null;
    });
    refresh();
    listen();
  }
}

export function start(): void {
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) stop("resting");
    else if (isLive.peek()) {
      refresh();
      listen();
    }
  });
  // A connection that stays open would keep the page from being put aside whole.
  addEventListener("pagehide", () => stop("resting"));
  let isFirst = true;
  const at = computed(wanted);
  effect(() => {
    const of = at.value;
    untracked(() => followTime(of, isFirst));
    isFirst = false;
  });
}

export function toggleLive(): void {
  isLive.value = !isLive.peek();
  if (isLive.peek()) refresh();
  listen();
}
