// One arm is heard of for longer than the other: what its numbers were while both ran.

import { useSignal } from "@preact/signals";
import { armQuery, canSearch } from "../components/Lines";
import { get } from "./api";
import { useTries } from "./behind";
import { useSteady } from "./steady";
import type { Comparison, GroupTable, Num } from "./types";

/** Arms that end so far apart, in milliseconds, are told of. */
const APART_MS = 60_000;

/** The time until which both arms were heard of, and the arm that goes on; `null` where both end together. */
export function apartOf(comparison: Pick<Comparison, "active_until">): { until: string; longer: 0 | 1 } | null {
  const [a, b] = comparison.active_until ?? [];
  if (!a || !b || Math.abs(Date.parse(a) - Date.parse(b)) <= APART_MS) return null;
  return Date.parse(a) > Date.parse(b) ? { until: b, longer: 0 } : { until: a, longer: 1 };
}

const QUANTILES: Record<string, string> = { latency_p50: "0.5", latency_p90: "0.9", latency_p99: "0.99" };

/** The name under which the number of units is among the values. */
export const UNITS = "_unit";

/** Of the arm that was heard of for longer, the values of guardrails while both ran. */
export async function valuesUntil(comparison: Comparison, side: 0 | 1, until: string, signal: AbortSignal): Promise<Map<string, Num>> {
  const arm = side === 0 ? "baseline" : "canary";
  const ask = (q: string, more: Record<string, string>): Promise<GroupTable> => get<GroupTable>(`/v1/aggregate?${new URLSearchParams({ q, by: "_service", until, ...more })}`, signal);
  const all = await ask(armQuery(comparison, side, "_kind:request"), { distinct: "_unit", quantiles: "_latency", shares: Object.values(QUANTILES).join() });
  const [group] = all.groups;
  const found = new Map<string, Num>();
  if (!group || group.lines === 0) return found;
  if (group.distinct !== undefined) found.set(UNITS, group.distinct);
  for (const row of comparison.guardrails) {
    const share = QUANTILES[row.guardrail];
    if (share) found.set(row.guardrail, group.quantiles?.[share] ?? null);
    const counted = row.lines?.[arm];
    // Shares of units are of the same time as they come.
    if (row.values_in !== "share" || !counted || counted.counted === "_unit") continue;
    const met = (await ask(counted.query, {})).groups[0];
    found.set(row.guardrail, (met?.lines ?? 0) / group.lines);
  }
  return found;
}

export function useSideBySide(comparison: Comparison): { until: string; longer: 0 | 1; values: Map<string, Num> } | null {
  const values = useSignal<Map<string, Num>>(new Map());
  const apart = apartOf(comparison);
  const search = canSearch();
  const tries = useTries(!apart || !search || values.value.size > 0, apart?.until ?? "");
  useSteady([comparison.service, comparison.candidate, apart?.until, search].join("\n"), tries, async (signal) => {
    if (!apart || !search) return;
    // Without them the rest is said all the same.
    const found = await valuesUntil(comparison, apart.longer, apart.until, signal).catch(() => null);
    if (found && !signal.aborted) values.value = found;
  });
  return apart && { ...apart, values: values.value };
}
