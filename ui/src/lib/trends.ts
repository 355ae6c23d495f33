// How often each of some log lines came: over time, and in one arm against the other.

import { get } from "./api";
import type { Comparison, GroupTable, Num } from "./types";
import { bareService } from "./words";

/** Of each template what the baseline and the canary wrote for 1,000 requests, stretch by stretch. */
export type Trends = Map<string, [Num[], Num[]]>;

/** Stretches of a course, and templates that get one. */
const POINTS = 24;
const TEMPLATES = 40;
const STEPS = [10, 30, 60, 120, 300, 600, 1_800, 3_600, 7_200, 21_600, 86_400];

const quoted = (value: string): string => `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

export async function trendsOf(comparison: Comparison, ids: string[], signal: AbortSignal): Promise<Trends> {
  // While one arm alone serves there is nothing to hold it against.
  const ends = [comparison.ended_at, ...(comparison.active_until ?? [])].flatMap((at) => (at ? [Date.parse(at)] : []));
  const [from, until] = [Date.parse(comparison.started_at), Math.min(...ends)];
  const every = STEPS.find((step) => (until - from) / 1_000 / step <= POINTS) ?? STEPS.at(-1)!;
  const service = bareService(comparison.service);
  const arms = [comparison.control, comparison.candidate];
  const own = `_service:${quoted(service)} AND (${arms.map((arm) => `_arm:${quoted(arm)}`).join(" OR ")})`;
  const ask = (by: string, q: string): Promise<GroupTable> => {
    const asked = new URLSearchParams({ by, q, every: `${every}s`, size: "2000", since: comparison.started_at, until: new Date(until).toISOString() });
    return get<GroupTable>(`/v1/aggregate?${asked}`, signal);
  };
  const few = ids.slice(0, TEMPLATES);
  const [lines, requests] = await Promise.all([
    ask("_template,_arm", `${own} AND (${few.map((id) => `_template:${id}`).join(" OR ")})`),
    ask("_arm", `${own} AND _kind:request`),
  ]);
  const first = Math.floor(from / 1_000 / every);
  const count = Math.max(1, Math.ceil(until / 1_000 / every) - first);
  const cells = (table: GroupTable, add: (key: GroupTable["groups"][number]["key"], side: 0 | 1, at: number, lines: number) => void): void => {
    for (const of of table.groups) {
      const side = arms.indexOf(of.key._arm ?? "");
      const at = of.from ? Math.floor(Date.parse(of.from) / 1_000 / every) - first : -1;
      if ((side === 0 || side === 1) && at >= 0 && at < count) add(of.key, side, at, of.lines);
    }
  };
  const all: [number[], number[]] = [Array<number>(count).fill(0), Array<number>(count).fill(0)];
  cells(requests, (_, side, at, number) => (all[side][at]! += number));
  const met = new Map<string, [number[], number[]]>(few.map((id) => [id, [Array<number>(count).fill(0), Array<number>(count).fill(0)]]));
  cells(lines, (key, side, at, number) => {
    const row = met.get(key._template ?? "");
    if (row) row[side][at]! += number;
  });
  const rates = (row: number[], of: number[]): Num[] => row.map((number, at) => (of[at]! > 0 ? (number / of[at]!) * 1_000 : null));
  return new Map([...met].map(([id, [a, b]]) => [id, [rates(a, all[0]), rates(b, all[1])]]));
}

/**
 * How many times as large the part of users is that meet it, with the interval of a single look (Katz et al. 1978). None where one arm has
 * nobody: there is only what a count of zero still allows.
 */
export function ratioOf([a, b]: [number, number], [n, m]: [number, number]): [number, number, number] | null {
  if (a === 0 || b === 0 || n === 0 || m === 0) return null;
  const ratio = b / m / (a / n);
  const wide = Math.exp(1.96 * Math.sqrt(Math.max(0, 1 / a - 1 / n + 1 / b - 1 / m)));
  return [ratio, ratio / wide, ratio * wide];
}
