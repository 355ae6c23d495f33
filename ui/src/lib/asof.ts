// What a link with `asof` shows: a report as it was, with the courses of its charts and the rollouts as they stood.

import { signal } from "@preact/signals";
import { get } from "./api";
import { asked } from "./logtime";
import { absolute } from "./times";
import type { Course, Report, RolloutFull, Spark } from "./types";

export interface Frozen {
  asof: string;
  /** Events of timelines until then have smaller numbers. */
  events: number;
  courses: Course[];
  rollouts: RolloutFull[];
  report: Report;
}

/** What is shown in place of what is, where the address asks for that. */
export const frozen = signal<Frozen | null>(null);
/** The time by which the report that is shown can be asked for later. */
export const shownAt = signal<string | null>(null);

/** An answer out of what is frozen; `undefined` where the program is to be asked. */
export function fromFrozen(path: string): unknown {
  const of = frozen.peek();
  if (!of) return undefined;
  const url = new URL(path, "http://x");
  const words = url.pathname.split("/").filter(Boolean).map(decodeURIComponent);
  if (words[1] === "rollouts" && words[2] !== undefined && words.length === 3) return of.rollouts.find((one) => one.id === words[2]);
  if (url.pathname === "/v1/course") {
    const is = (key: "service" | "control" | "candidate") => (one: Course) => one[key] === url.searchParams.get(key);
    return of.courses.findLast((one) => is("service")(one) && is("control")(one) && is("candidate")(one));
  }
  if (url.pathname === "/v1/sparks") return { sparks: of.courses.map(sparkOf) };
  return undefined;
}

/** Points of a course that is drawn in a row of a list. */
const SPARK_POINTS = 30;

export function sparkOf(of: Course): Spark {
  const place = of.leading === null ? -1 : of.guardrails.indexOf(of.leading);
  const step = Math.max(1, Math.ceil(of.points.length / SPARK_POINTS));
  const points = of.points.filter((_, at) => (of.points.length - 1 - at) % step === 0);
  return { service: of.service, control: of.control, candidate: of.candidate, guardrail: of.leading, effects: points.map((point) => point.effects[place] ?? null) };
}

/** Screens whose numbers are those of a report. */
const OF_REPORT = /^\/($|rollouts|d\/)/;
/** The address of what is seen, for others and for later: times become those of the clock, and numbers of a report are kept. */
export async function lasting(): Promise<string> {
  const url = new URL(location.href);
  const from = url.searchParams.get("from");
  if (from) {
    const { since, until } = asked();
    // All that is kept stays all.
    if (since) url.searchParams.set("from", absolute(since));
    if (since) url.searchParams.set("to", absolute(until || "now"));
  }
  const at = shownAt.peek();
  if (!frozen.peek() && at && OF_REPORT.test(url.pathname)) {
    // Asking for it keeps it. Where it is not kept any more, the link leads to what is then.
    const kept = await get<Frozen>(`/v1/asof?at=${encodeURIComponent(at)}`).catch(() => null);
    if (kept) url.searchParams.set("asof", kept.asof);
  }
  return url.href.replaceAll("%3A", ":").replaceAll("%2C", ",");
}
