// One arm is heard of for longer than the other: what its numbers were while both ran.

import { useSignal } from "@preact/signals";
import { armQuery, canSearch } from "../components/Lines";
import { get } from "./api";
import { useAsked } from "./ask";
import { TRIES, useTries } from "./behind";
import { percent } from "./format";
import { status } from "./live";
import { useSteady } from "./steady";
import { inTurn } from "./turns";
import type { Comparison, Counted, Course, Effect, GroupTable, Guardrail, Num } from "./types";

/** Arms that end so far apart, in milliseconds, are told of. */
const APART_MS = 60_000;

/** The time until which both arms were heard of, and the arm that goes on; `null` where both end together. */
export function apartOf(comparison: Pick<Comparison, "active_until">): { until: string; longer: 0 | 1 } | null {
  const [a, b] = comparison.active_until ?? [];
  if (!a || !b || Math.abs(Date.parse(a) - Date.parse(b)) <= APART_MS) return null;
  return Date.parse(a) > Date.parse(b) ? { until: b, longer: 0 } : { until: a, longer: 1 };
}

const QUANTILES: Record<string, string> = { latency_p50: "0.5", latency_p90: "0.9", latency_p99: "0.99" };

/** The middles of so many equal parts of the requests: the mean of their logarithms is that of all requests, to the width of a bin. */
const PARTS = Array.from({ length: 100 }, (_, part) => ((part + 0.5) / 100).toFixed(3));

/** The name under which the number of units, and that of requests, is among the values. */
export const UNITS = "_unit";
export const REQUESTS = "_request";
/** The name of the part that is slower than what is tested. */
export const above = (guardrail: string): string => `${guardrail} above`;
/** The name of the number of units that a share is of those of. */
export const met = (guardrail: string): string => `${guardrail} met`;

/** What is typical: the geometric mean, out of values that are equally many requests apart. */
export function typical(quantiles: Record<string, Num>): Num {
  const values = PARTS.map((share) => quantiles[String(Number(share))] ?? quantiles[share] ?? null);
  if (values.some((value) => value === null || value <= 0)) return null;
  return Math.exp(values.reduce<number>((sum, value) => sum + Math.log(value!), 0) / values.length);
}

/** The same query, of the time until then. */
export const untilThen = (query: string, comparison: Pick<Comparison, "ended_at">, until: string): string => query.replaceAll(` TO ${comparison.ended_at}`, ` TO ${until}`);

/** A comparison whose lines are those of the time while both arms ran; itself where both end together. */
export function whileBoth(comparison: Comparison): Comparison {
  const until = apartOf(comparison)?.until;
  if (!until) return comparison;
  const of = (counted: Counted | null): Counted | null => counted && { ...counted, query: untilThen(counted.query, comparison, until) };
  const guardrails = comparison.guardrails.map((row) => (row.lines ? { ...row, lines: { baseline: of(row.lines.baseline), canary: of(row.lines.canary) } } : row));
  return { ...comparison, ended_at: until, guardrails };
}

/** What a course says at the first look that had all lines of the time while both ran: what comes later is of one arm alone. */
export const lookOf = (course: Course, until: string): Course["points"][number] | null => course.points.find((point) => Date.parse(point.at) >= Date.parse(until)) ?? null;

/** The same course, to that look. */
export function courseUntil(course: Course, until: string): Course {
  const last = lookOf(course, until);
  return last ? { ...course, points: course.points.slice(0, course.points.indexOf(last) + 1) } : course;
}

/** The difference by one guardrail at that look. */
export function effectThen(course: Course, guardrail: Guardrail, until: string): Effect | null {
  const of = lookOf(course, until)?.effects[course.guardrails.indexOf(guardrail.guardrail)];
  return of && guardrail.effect ? { kind: guardrail.effect.kind, low: of[0], estimate: of[1], high: of[2] } : null;
}

/** Of the arm that was heard of for longer, the values of guardrails while both ran. */
export async function valuesUntil(comparison: Comparison, side: 0 | 1, until: string, signal: AbortSignal): Promise<Map<string, Num>> {
  const arm = side === 0 ? "baseline" : "canary";
  const ask = (q: string, more: Record<string, string>): Promise<GroupTable> => get<GroupTable>(`/v1/aggregate?${new URLSearchParams({ q, by: "_service", until, ...more })}`, signal);
  const all = await ask(armQuery(comparison, side, "_kind:request"), { distinct: "_unit", quantiles: "_latency", shares: [...Object.values(QUANTILES), ...PARTS].join() });
  const [group] = all.groups;
  const found = new Map<string, Num>();
  if (!group || group.lines === 0) return found;
  if (group.distinct !== undefined) found.set(UNITS, group.distinct);
  found.set(REQUESTS, group.lines);
  const some = comparison.guardrails.map(async (row): Promise<[string, Num][]> => {
    const share = QUANTILES[row.guardrail];
    const own: [string, Num][] = share ? [[row.guardrail, group.quantiles?.[share] ?? null]] : row.guardrail === "latency_mean" ? [[row.guardrail, typical(group.quantiles ?? {})]] : [];
    const counted = row.lines?.[arm];
    if (!counted || (row.values_in !== "share" && !row.above)) return own;
    // The report's share of units has a weight for each stretch of time: the number beside it would not be what it is a part of.
    if (counted.counted === "_unit") {
      const units = (await ask(counted.query, { distinct: "_unit" })).groups[0]?.distinct ?? 0;
      return group.distinct ? [...own, [row.guardrail, units / group.distinct], [met(row.guardrail), units]] : own;
    }
    const some = (await ask(counted.query, {})).groups[0];
    return [...own, [row.values_in === "share" ? row.guardrail : above(row.guardrail), (some?.lines ?? 0) / group.lines]];
  });
  for (const values of await Promise.all(some)) for (const [name, value] of values) found.set(name, value);
  return found;
}

/** Units of the arm that goes on, while both ran; `undefined` while that is asked for, `null` where it is not known or both end together. */
export function useUnitsThen(comparison: Comparison): number | null | undefined {
  const found = useSignal<{ of: string; units: Num }>({ of: "", units: null });
  const apart = apartOf(comparison);
  const search = canSearch();
  const of = [comparison.service, comparison.control, comparison.candidate, apart?.until].join("\n");
  const own = found.value.of === of ? found.value : null;
  const tries = useTries(!apart || !search || own?.units !== undefined && own?.units !== null, of);
  useSteady(`${of}\n${search}`, tries, async (signal) => {
    if (!apart || !search) return;
    const asked = new URLSearchParams({ q: armQuery(comparison, apart.longer, "_kind:request", apart.until), by: "_service", distinct: "_unit" });
    const table = await inTurn(() => get<GroupTable>(`/v1/aggregate?${asked}`, signal), signal).catch(() => null);
    if (!signal.aborted) found.value = { of, units: table?.groups[0]?.distinct || null };
  });
  if (!apart || (!search && status.value !== null)) return null;
  return own ? own.units : undefined;
}

export interface SideBySide {
  until: string;
  longer: 0 | 1;
  values: Map<string, Num>;
  /** The values are still asked for: until they are there, nothing is said of that arm. */
  isAwaited: boolean;
}

export function useSideBySide(comparison: Comparison): SideBySide | null {
  const found = useSignal<{ of: string; values: Map<string, Num> }>({ of: "", values: new Map() });
  const givenUp = useSignal("");
  const apart = apartOf(comparison);
  const search = canSearch();
  const of = [comparison.service, comparison.candidate, apart?.until].join("\n");
  // Those of another comparison are none.
  const values = found.value.of === of ? found.value.values : new Map<string, Num>();
  const tries = useTries(!apart || !search || values.size > 0, of);
  useSteady(`${of}\n${search}`, tries, async (signal) => {
    if (!apart || !search) return;
    // Without them the rest is said all the same.
    const some = await valuesUntil(comparison, apart.longer, apart.until, signal).catch(() => null);
    if (signal.aborted) return;
    if (some && some.size > 0) found.value = { of, values: some };
    else if (tries >= TRIES) givenUp.value = of;
  });
  return apart && { ...apart, values, isAwaited: values.size === 0 && givenUp.value !== of && (search || status.value === null) };
}

/** Guardrails that count units. */
const isOfUnits = (row: Guardrail, arm: "baseline" | "canary"): boolean => row.lines?.[arm]?.counted === "_unit" || row.guardrail.endsWith("_units");

const ARMS = ["baseline", "canary"] as const;

/** Plain counts of a share of units: who met it, of how many; `null`: their lines could not be counted. */
type Plain = [number, number] | null;
const plainName = (guardrail: string, side: 0 | 1): string => `${guardrail} ${side}`;

/**
 * Plain counts as the report has them. Its shares of units are weighted by stretches of time, and no part of the number of units; `undefined`:
 * it has none (a unit counts in each stretch with another share, and very slow requests from when it was known what those are).
 */
function reported(row: Guardrail, side: 0 | 1, strata: number): Plain | undefined {
  const arm = ARMS[side];
  const [value, all, counted] = [row[arm], row.counts[side], row.lines?.[arm]];
  if (value === null) return undefined;
  if (counted) return counted.count !== null && strata === 1 ? [Math.min(counted.count, all), all] : undefined;
  // Without a weight it is a whole number of them.
  const whole = Math.round(value * all);
  return Math.abs(value * all - whole) < 1e-6 ? [whole, all] : undefined;
}

/** Shares of units that the report does not have as plain counts, as lines have them: what links lead to, and Explain counts. */
export function usePlain(comparison: Comparison): Map<string, Plain> {
  const found = useSignal<{ of: string; counts: Map<string, Plain> }>({ of: "", counts: new Map() });
  const search = canSearch();
  const apart = apartOf(comparison);
  const wanted = ([0, 1] as const).filter((side) => side !== apart?.longer).flatMap((side) =>
    comparison.guardrails.flatMap((row) => {
      const arm = ARMS[side];
      const query = row.values_in === "share" && row[arm] !== null && isOfUnits(row, arm) ? row.lines?.[arm]?.query : null;
      // In one stretch of time the number of units is that of all rows: of users that changed arms lines have some in both.
      return query && reported(row, side, comparison.strata) === undefined ? [{ name: plainName(row.guardrail, side), side, query, units: comparison.strata === 1 ? row.counts[side] : null }] : [];
    }),
  );
  const of = [comparison.service, comparison.control, comparison.candidate, comparison.started_at, wanted.map((one) => one.name).join()].join("\n");
  const tries = useTries(!search || wanted.length === 0 || [...(found.value.of === of ? found.value.counts.values() : [])].some((one) => one !== null), of);
  useSteady(`${of}\n${search}`, `${comparison.ended_at}\n${tries}`, async (signal) => {
    if (!search || wanted.length === 0) return;
    const units = (q: string): Promise<number> =>
      inTurn(() => get<GroupTable>(`/v1/aggregate?${new URLSearchParams({ q, by: "_service", distinct: "_unit" })}`, signal), signal).then((table) => table.groups[0]?.distinct ?? 0);
    const all = new Map<0 | 1, Promise<number>>();
    for (const { side, units: known } of wanted) if (known === null && !all.has(side)) all.set(side, units(armQuery(comparison, side, "_kind:request")));
    const counts = await Promise.all(
      wanted.map(async ({ name, side, query, units: known }): Promise<[string, Plain]> => {
        const [some, one] = await Promise.all([units(query), known ?? all.get(side)!]).catch(() => [0, 0] as const);
        return [name, one > 0 ? [Math.min(some, one), one] : null];
      }),
    );
    if (!signal.aborted) found.value = { of, counts: new Map(counts) };
  });
  return found.value.of === of ? found.value.counts : search || status.value === null ? new Map() : new Map(wanted.map((one) => [one.name, null]));
}

/** One arm's value by a guardrail: of the time while both ran, where that is known. */
export interface Told {
  value: Num;
  /** What the value is a part of; `null`: not known of that time, or the value is no part of a number. */
  count: Num;
  /** Units that met it, of a share of units. */
  met: Num;
  slower: Num;
  /** The time to which it is; `null`: to that of the report. */
  until: string | null;
  /** It is of all the time, though one arm has stopped. */
  isOfAll: boolean;
  /** It is weighted by when units of the other arm came. */
  isWeighted: boolean;
  /** It is still asked for. */
  isAwaited: boolean;
}

/** Of the arm that goes on it is what it had while both ran: value and number are of one time, or neither is told. A share of units and its number are of one count. */
export function told(row: Guardrail, side: 0 | 1, both: SideBySide | null, strata = 1, plain: ReadonlyMap<string, Plain> = new Map()): Told {
  const arm = ARMS[side];
  const of: Told = { value: row[arm], count: row.counts[side], met: null, slower: row.above?.[arm] ?? null, until: null, isOfAll: false, isWeighted: false, isAwaited: false };
  const units = isOfUnits(row, arm);
  if (both?.longer !== side) {
    if (!units || row.values_in !== "share" || row[arm] === null) return of;
    const own = reported(row, side, strata) ?? plain.get(plainName(row.guardrail, side));
    if (own) return { ...of, value: own[1] > 0 ? own[0] / own[1] : null, count: own[1], met: own[0] };
    if (own === undefined && row.lines?.[arm]) return { ...of, value: null, count: null, isAwaited: true };
    return { ...of, count: null, isWeighted: true };
  }
  if (both.isAwaited) return { ...of, value: null, count: null, slower: null, isAwaited: true };
  const count = both.values.get(units ? UNITS : REQUESTS);
  const value = both.values.get(row.guardrail);
  if (count == null || value == null) return units ? { ...of, count: null, isWeighted: row.values_in === "share" } : { ...of, isOfAll: true };
  return { ...of, value, count, met: both.values.get(met(row.guardrail)) ?? null, slower: both.values.get(above(row.guardrail)) ?? of.slower, until: both.until };
}

/**
 * Shares of units as the difference rests on them, where they are not the plain ones of the cells: [of the baseline, of the canary]. Once one
 * arm has stopped the report's are of a later look than the difference.
 */
export function weighted(row: Guardrail, cells: [Told, Told]): [number, number] | null {
  if (row.values_in !== "share" || !isOfUnits(row, "canary") || row.baseline === null || row.canary === null || cells.some((of) => of.isAwaited || of.until !== null)) return null;
  const isOther = ARMS.some((arm, side) => cells[side as 0 | 1].value !== null && percent(cells[side as 0 | 1].value) !== percent(row[arm]));
  return isOther || cells.some((of) => of.isWeighted) ? [row.baseline, row.canary] : null;
}

/** Where one arm has stopped, the course to the last look that had both; else `null`. */
export function useSettled(comparison: Comparison): Course | null {
  const until = apartOf(comparison)?.until;
  const never = useSignal(0);
  const query = new URLSearchParams({ service: comparison.service, control: comparison.control, candidate: comparison.candidate });
  const course = useAsked<Course>(until ? `/v1/course?${query}` : "", never).value.value;
  return until && course ? courseUntil(course, until) : null;
}

/** The same guardrail with the difference of that look, its evidence, and what was said of it; what has failed stays so. */
export function settled(row: Guardrail, course: Course | null): Guardrail {
  const last = course?.points.at(-1);
  if (!course || !last) return row;
  const effect = row.effect ? effectThen(course, row, last.at) : null;
  const at = course.guardrails.indexOf(row.guardrail);
  const finding = row.finding === "regressed" ? null : last.findings?.[at];
  const logE = last.log_e?.[at];
  return { ...row, ...(effect ? { effect } : {}), ...(finding ? { finding } : {}), ...(typeof logE === "number" ? { log_e: logE } : {}) };
}
