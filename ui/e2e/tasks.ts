// Tasks of the browser's main thread, by the time of the processor that they take: a busy machine makes none of them longer.

import type { Browser, Page } from "@playwright/test";

interface Event {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  dur?: number;
  tdur?: number;
  args?: { name?: string };
}

export interface Tasks {
  /** Tasks that took more than 50 ms of the processor, in milliseconds. */
  long: number[];
  longest: number;
  /** The same by the clock. */
  longestByClock: number;
  count: number;
}

/** Does something, and says which tasks of the page's main thread were long. */
export async function tasksOf(browser: Browser, page: Page, what: () => Promise<void>): Promise<Tasks> {
  await browser.startTracing(page, { categories: ["__metadata", "toplevel", "devtools.timeline"] });
  await what();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: Event[] };
  const mains = new Set(traceEvents.filter((of) => of.name === "thread_name" && of.args?.name === "CrRendererMain").map((of) => `${of.pid}/${of.tid}`));
  const tasks = traceEvents.filter((of) => of.ph === "X" && of.name.endsWith("RunTask") && mains.has(`${of.pid}/${of.tid}`));
  const times = tasks.map((of) => (of.tdur ?? of.dur ?? 0) / 1_000);
  return {
    long: times.filter((of) => of > 50).map(Math.round),
    longest: Math.max(0, ...times),
    longestByClock: Math.max(0, ...tasks.map((of) => (of.dur ?? 0) / 1_000)),
    count: tasks.length,
  };
}
