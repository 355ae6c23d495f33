// What verdicts, findings and flaws are called, each with a sign and a class: never a colour alone.

import type { Comparison, Finding, RolloutRow, Verdict } from "./types";

export interface Look {
  /** Class of colour. */
  tone: "worse" | "better" | "unclear" | "invalid" | "changed";
  sign: string;
  word: string;
}

export const WORSE: Look = { tone: "worse", sign: "\u25b2", word: "Worse" };
export const OK: Look = { tone: "better", sign: "\u2713", word: "OK" };
export const UNCLEAR: Look = { tone: "unclear", sign: "\u25cb", word: "Unclear" };
export const INVALID: Look = { tone: "invalid", sign: "!", word: "Invalid" };
export const CHANGED: Look = { tone: "changed", sign: "\u25c6", word: "Changed" };
export const WAITING: Look = { tone: "unclear", sign: "\u2013", word: "Waiting" };

export function lookOf(verdict: Verdict, isChanged: boolean): Look {
  switch (verdict) {
    case "fail":
      return WORSE;
    case "pass":
      return OK;
    case "invalid":
      return INVALID;
    case "inconclusive":
      return isChanged ? CHANGED : UNCLEAR;
  }
}

export function lookOfComparison(comparison: Comparison): Look {
  return lookOf(comparison.verdict, comparison.held_back_by_change);
}

export function lookOfRollout(row: RolloutRow): Look {
  if (row.phase === "waiting") return WAITING;
  return lookOf(row.verdict, row.verdict === "inconclusive" && row.reason.includes("changed and not accepted"));
}

export function findingLook(finding: Finding): Look {
  switch (finding) {
    case "regressed":
      return { ...WORSE, word: "worse" };
    case "held":
      return { ...OK, word: "within bounds" };
    case "changed":
      return { ...CHANGED, word: "changed" };
    case "broken measurement":
      return { ...INVALID, word: "broken measurement" };
    case "undecided":
      return { ...UNCLEAR, word: "unclear" };
    case "no data":
      return { tone: "unclear", sign: "\u2013", word: "no data" };
  }
}

export type Group = "needs" | "running" | "done";

/** Whether a rollout waits for a person, runs, or is over. */
export function groupOf(row: RolloutRow): Group {
  const isOver = row.over || row.phase === "over" || row.phase === "done" || row.phase === "rolled back";
  if (isOver) return "done";
  const look = lookOfRollout(row);
  if (look === WORSE || look === INVALID || look === CHANGED) return "needs";
  return row.phase === "held" || row.phase === "passed" ? "needs" : "running";
}

const ORDER: Record<Look["tone"], number> = { worse: 0, invalid: 1, changed: 2, unclear: 3, better: 4 };
const GROUPS: Record<Group, number> = { needs: 0, running: 1, done: 2 };

type Key = [number, number, string, string];
const keyOf = (row: RolloutRow): Key => [GROUPS[groupOf(row)], ORDER[lookOfRollout(row).tone], row.began ?? "9", row.id];

function before(x: Key, y: Key): number {
  for (let at = 0; at < x.length; at += 1) {
    const [left, right] = [x[at]!, y[at]!];
    if (left < right) return -1;
    if (left > right) return 1;
  }
  return 0;
}

/** Who needs somebody comes first; then the worse; then the older. */
export const bySeverity = (a: RolloutRow, b: RolloutRow): number => before(keyOf(a), keyOf(b));

/** The ids of rollouts in that order. */
export const inOrder = (rows: RolloutRow[]): string[] =>
  rows
    .map(keyOf)
    .toSorted(before)
    .map((key) => key[3]);

/** What a flaw means, and what to do about it. */
export const FLAWS: Record<string, [string, string]> = {
  sample_ratio: ["The split is not the declared one", "Check the router's weights, and that both arms log alike."],
  mixed_routing: ["Some users stick to an arm and some do not", "Assign users to arms by one rule."],
  crossover: ["Users change arms", "Assign by user, not by request, or let the unit be the request."],
  creeping_share: ["The share of the canary creeps", "Move traffic in steps: a share that changes all the time cannot be compared."],
  unequal_crossover: ["Users of one arm change arms more often", "Look for retries that go to the other arm."],
  missing_arm: ["One arm is missing", "Check that its lines arrive, and that they name its version."],
  unit_coverage: ["Requests lack the user", "Log the user (or session) on every request line of both arms."],
  latency_coverage: ["Requests of one arm lack their latency", "Log the latency on every request line of both arms."],
  status_coverage: ["Requests of one arm lack their status", "Log the status on every request line of both arms."],
  lateness: ["Lines of one arm come too late", "Look at the log shipper of that arm; a longer --lateness waits for it."],
  some_late: ["Some lines come too late", "No pass while they do; a longer --lateness waits for them."],
  sampling_by_arm: ["The arms are sampled at different rates", "Sample both arms alike, or log the rate."],
  sampling_by_outcome: ["Failures are sampled otherwise than successes", "Sample by trace or user, not by outcome, or log the rate."],
  errors_without_unit: ["Failed requests lack their user", "Log the user on failed requests too."],
  guessed_control: ["Nobody knows which arm is the old one", "Name it: --control, or control: in serin.yaml."],
  mostly_late: ["Most lines come too late", "Look at the clocks and the shipper."],
  damaged_lines: ["Many lines of one arm are damaged", "Look at how its lines are cut or escaped."],
  latency_type: ["The latency of one arm is text", "Log numbers in both arms."],
  status_type: ["The status of one arm is text", "Log numbers in both arms."],
  unequal_activity: ["Users of one arm make far more requests", "No pass while they do; look for retries and bots."],
  unequal_segments: ["The arms hold different kinds of users", "Nothing fails by more than what differs within segments; check the assignment."],
};

export const PHASES: Record<string, string> = {
  waiting: "waiting for its first lines",
  running: "running",
  passed: "passed, waits",
  held: "held",
  failed: "failed, not rolled back yet",
  "rolled back": "rolled back",
  done: "done",
  over: "over, undecided",
};

export const CHANGES: Record<string, string> = {
  lines_per_trace: "log lines of a request",
  called_services: "services that a request calls",
  routes: "routes that are asked for",
  templates: "log lines by text",
  status_classes: "status classes that users meet",
  recovered_by_retry: "requests that a retry saved",
  warning_lines: "warnings",
  faster: "speed (much faster)",
};

/** As the report names a service: with its environment where it has one. */
export const serviceName = (service: string, environment: string | null): string =>
  environment ? `${service} in ${environment}` : service;
