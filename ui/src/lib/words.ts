// What verdicts, findings and flaws are called, each with a sign and a class: never a colour alone.

import { evidence } from "./format";
import type { Comparison, Delivery, Finding, RolloutRow, Verdict } from "./types";

export interface Look {
  /** Class of colour. */
  tone: "worse" | "better" | "unclear" | "invalid" | "changed";
  sign: string;
  word: string;
}

export const WORSE: Look = { tone: "worse", sign: "\u25b2", word: "Worse" };
export const OK: Look = { tone: "better", sign: "\u2713", word: "No worse" };
export const UNCLEAR: Look = { tone: "unclear", sign: "\u25cb", word: "Unclear" };
export const INVALID: Look = { tone: "invalid", sign: "!", word: "Invalid" };
export const CHANGED: Look = { tone: "changed", sign: "\u25c6", word: "Changed" };
/** A rollout that has passed its last step: what is unclear since then concerns nobody's decision. */
export const PASSED: Look = { tone: "better", sign: "\u2713", word: "Passed" };
export const WAITING: Look = { tone: "unclear", sign: "\u2013", word: "Waiting" };

/** What the command line and programs call a verdict. */
export const PROGRAM: Record<string, string> = { Worse: "FAIL", "No worse": "PASS", Unclear: "INCONCLUSIVE", Invalid: "INVALID", Changed: "INCONCLUSIVE, held back by a change" };

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
  if (row.phase === "done" && row.verdict === "inconclusive") return PASSED;
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
      return { ...INVALID, word: "cannot be measured" };
    case "undecided":
      // Not "unclear": evidence that is clear may not suffice.
      return { ...UNCLEAR, word: "not decided" };
    case "no data":
      return { tone: "unclear", sign: "\u2013", word: "no data" };
  }
}

export type Group = "needs" | "silent" | "running" | "done";

/** Whether a rollout waits for a person, runs, or is over; one of which no line comes any more is asked nothing, unless it is worse. */
export function groupOf(row: RolloutRow, isSilent = false): Group {
  const isOver = row.over || row.phase === "over" || row.phase === "done" || row.phase === "rolled back";
  if (isOver) return "done";
  const look = lookOfRollout(row);
  if (isSilent && look !== WORSE) return "silent";
  if (look === WORSE || look === INVALID || look === CHANGED) return "needs";
  return row.phase === "held" || row.phase === "passed" ? "needs" : "running";
}

/** For so long what failed and was taken back has just failed, and stands before all but what is worse now. */
export const FRESH_MS = 2 * 3_600_000;
/** For so long it stands before what asks nothing of anybody: somebody will want to know why. */
export const LATELY_MS = 24 * 3_600_000;

/** Times of the log and of the clock that are so far apart are of two clocks. */
const APART_MS = 120_000;

/** A rollout failed and is over: nobody must stop it any more, and whoever made it must hear of it. */
export const wentWrong = (row: RolloutRow): boolean => groupOf(row) === "done" && lookOfRollout(row) === WORSE;

const ORDER: Record<Look["tone"], number> = { worse: 0, invalid: 1, changed: 2, unclear: 3, better: 4 };
const GROUPS: Record<Group, number> = { needs: 2, silent: 4, running: 5, done: 6 };

interface Known {
  fresh: ReadonlySet<string>;
  silent: ReadonlySet<string>;
  lately: ReadonlySet<string>;
}

/** What is worse and still running, what has just gone wrong, what else needs somebody, what went wrong lately, what is silent, what runs, what is over. */
function rank(row: RolloutRow, of: Known): number {
  const group = groupOf(row, of.silent.has(row.id));
  if (group === "needs" && lookOfRollout(row) === WORSE) return 0;
  if (!wentWrong(row)) return GROUPS[group];
  return of.fresh.has(row.id) ? 1 : of.lately.has(row.id) ? 3 : GROUPS[group];
}

type Key = [number, number, string, string];
const keyOf = (row: RolloutRow, of: Known): Key => [rank(row, of), ORDER[lookOfRollout(row).tone], row.began ?? "9", row.id];

function before(x: Key, y: Key): number {
  for (let at = 0; at < x.length; at += 1) {
    const [left, right] = [x[at]!, y[at]!];
    if (left < right) return -1;
    if (left > right) return 1;
  }
  return 0;
}

/** Rollouts, those first that need somebody now or have just gone wrong; then the worse; then the older. `fresh` has the ids of what is not long past, `silent` those of which no line comes any more, `lately` those of the last day. */
export const inOrder = (rows: RolloutRow[], fresh: ReadonlySet<string> = new Set(), silent: ReadonlySet<string> = new Set(), lately: ReadonlySet<string> = new Set()): RolloutRow[] =>
  rows
    .map((row): [Key, RolloutRow] => [keyOf(row, { fresh, silent, lately }), row])
    .toSorted((x, y) => before(x[0], y[0]))
    .map(([, row]) => row);

/**
 * Ids of rollouts of which something was told, judged or begun not long ago. Messages have times of the clock, which say nothing where the
 * log has another one; all else is of the log, and is held against the newest of its lines: of an old log its last hours are the last.
 */
export function freshOf(rows: RolloutRow[], comparisons: Comparison[], deliveries: Pick<Delivery, "rollout" | "decided_ms">[], now: number, within = FRESH_MS): Set<string> {
  const newest = comparisons.reduce((latest, of) => Math.max(latest, Date.parse(of.ended_at)), -Infinity);
  const ofLog = Number.isFinite(newest) ? newest : now;
  const told = new Map<string, number>();
  for (const of of deliveries) told.set(of.rollout, Math.max(told.get(of.rollout) ?? 0, of.decided_ms));
  const byService = new Map<string, number>();
  for (const of of comparisons) {
    const name = `${of.service} ${of.candidate}`;
    byService.set(name, Math.max(byService.get(name) ?? 0, Date.parse(of.failed_at ?? of.ended_at)));
  }
  const fresh = new Set<string>();
  for (const row of rows) {
    if (Math.abs(ofLog - now) <= APART_MS && now - (told.get(row.id) ?? -Infinity) < within) fresh.add(row.id);
    const judged = row.services.map((service) => byService.get(`${serviceName(service, row.environment, row.cell)} ${row.candidate}`) ?? -Infinity);
    const last = Math.max(row.began ? Date.parse(row.began) : -Infinity, ...judged);
    if (ofLog - last < within) fresh.add(row.id);
  }
  return fresh;
}

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
  own_measurement: ["A guardrail of one's own is not measured alike in both arms", "No pass while it is not; log its user and its number in both arms."],
  unequal_calls: ["Requests of the arms are not counted alike", "Under one id one arm has several requests more often: see what counts (serin explain), and take calls inside requests out."],
  stalled_partition: ["A partition was missing", "Its broker was gone, or it gave nothing: no pass of this rollout; one that begins later is not touched."],
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

/** What guardrails are called where only their short names are told. */
export const GUARDRAILS: Record<string, string> = {
  error_units: "users with errors",
  error_volume: "errors per request",
  latency_mean: "latency, typical",
  latency_p50: "latency p50",
  latency_p90: "latency p90",
  latency_p99: "latency p99",
  latency_p99_units: "users with a very slow request",
};

/** A reason of the program, with what it calls by short names in words. */
export function reasonWords(reason: string): string {
  const told = reason
    .replace(/\(e (?:10\^(\d+)|([\d.]+))\)/g, (_, power?: string, plain?: string) => `(evidence ${evidence(power ? Number(power) * Math.LN10 : Math.log(Number(plain)))})`)
    .replace("worse by the sum of its evidence", "worse by all of its evidence together")
    .replace("worse on one condition", "worse, on a condition that the verdict names");
  return told.replace(/\b[a-z]+(?:_[a-z]+)+\b|\b(?:faster|routes|templates|crossover|lateness)\b(?=,|$)/g, (name) => CHANGES[name] ?? FLAWS[name]?.[0].replace(/^[A-Z]/, (letter) => letter.toLowerCase()) ?? name);
}

/** As the report names a service: with its environment and its cell where it has them. */
export const serviceName = (service: string, environment: string | null, cell = ""): string => {
  const places = [environment ?? "", cell && `cell ${cell}`].filter(Boolean);
  return places.length ? `${service} in ${places.join(", ")}` : service;
};

/** The service that the report names, as lines have it. */
export const bareService = (name: string): string => name.replace(/ in (?:\S+, )?cell .+$| in \S+$/, "");
