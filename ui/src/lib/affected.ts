// What carries a verdict, as queries of its lines; and who is behind such lines, by user and by field, arm by arm.

import { armQuery } from "../components/Lines";
import { get } from "./api";
import { report } from "./live";
import type { Comparison, GroupTable, Guardrail, Num } from "./types";

/** Something of which lines tell whom it met. */
export interface Carrier {
  name: string;
  /** What it is, and what its units did or met. */
  words: string;
  met: string;
  isFailed: boolean;
  /** Its lines in the baseline and in the canary. */
  queries: [string, string];
  /** Changes when there is more of it: not with each look. */
  version: string;
  /** Lines of the canary, where they were counted. */
  expected: number | null;
}

const amount = (logE: number | string | null): number => (typeof logE === "number" ? logE : logE === "inf" ? Infinity : -Infinity);

const long = (ms: number): string => (ms >= 1_000 ? `${Number((ms / 1_000).toPrecision(3))} s` : `${Number(ms.toPrecision(3))} ms`);

/** What a guardrail counts, and what its units did or met. */
function wordsOf(of: Guardrail, isRequest: boolean): [string, string] {
  if (of.guardrail === "error_units" || of.guardrail === "error_volume") return isRequest ? ["requests that failed", "failed"] : ["an error", "met an error"];
  const above = of.above?.threshold_ms;
  if (above == null) return isRequest ? [of.label, `count for ${of.label}`] : [of.label, `count for “${of.label}”`];
  return [`${of.label} (${long(above)} or more)`, isRequest ? `took ${long(above)} or more` : `had a request of ${long(above)} or more`];
}

/** What of a comparison can be told by its lines, what failed first. */
export function carriersOf(comparison: Comparison): Carrier[] {
  const list: Carrier[] = [];
  const isRequest = comparison.unit === "request";
  const failing = comparison.templates.listed.filter((of) => comparison.templates.failing.includes(of.id));
  if (failing.length > 0) {
    const lines = failing.length === 1 ? "the new error line" : "the new error lines";
    const any = failing.map((of) => `_template:${of.id}`).join(" OR ");
    const more = failing.length > 1 ? `(${any})` : any;
    list.push({
      name: "new_lines",
      words: lines,
      met: `${isRequest ? "wrote" : "met"} ${lines}`,
      isFailed: true,
      queries: [armQuery(comparison, 0, more), armQuery(comparison, 1, more)],
      version: failing.map((of) => `${of.id} ${of.lines.join(" ")}`).join(),
      expected: failing.reduce((sum, of) => sum + of.lines[1], 0),
    });
  }
  const guardrails = comparison.guardrails.toSorted((a, b) => Number(b.finding === "regressed") - Number(a.finding === "regressed") || (b.finding === "regressed" ? amount(b.log_e) - amount(a.log_e) : 0));
  // What requests take typically is of all of them, and tells nobody apart: those that take longer than half did before do.
  const isSlower = guardrails.some((of) => of.guardrail === "latency_mean" && of.finding === "regressed");
  for (const of of guardrails) {
    if (of.guardrail === "latency_mean" || (of.guardrail === "error_volume" && of.finding !== "regressed")) continue;
    const [baseline, canary] = [of.lines?.baseline?.query, of.lines?.canary?.query];
    if (!baseline || !canary) continue;
    const [words, met] = wordsOf(of, isRequest);
    list.push({
      name: of.guardrail,
      words,
      met,
      isFailed: of.finding === "regressed" || (isSlower && of.guardrail === "latency_p50"),
      queries: [baseline, canary],
      version: `${of.lines?.canary?.count ?? ""} ${of.lines?.baseline?.count ?? ""}`,
      expected: of.lines?.canary?.count ?? null,
    });
  }
  return list.toSorted((a, b) => Number(b.isFailed) - Number(a.isFailed));
}

export interface Affected {
  /** Units of the canary that have such lines, those with the most lines first. */
  units: { name: string; id: string; lines: number }[];
  /** All of them; `null` where lines name no unit. */
  count: Num;
  lines: number;
}

/** Units that are listed. */
export const LISTED = 50;

/** The field that names a unit for people; the hash that verdicts count by where several fields do. */
export function unitField(unit: string): string | null {
  const fields = report.peek()?.survey.roles[unit]?.fields ?? [];
  return fields.length === 1 ? fields[0]!.path : null;
}

const table = (q: string, more: Record<string, string>, signal: AbortSignal): Promise<GroupTable> => get<GroupTable>(`/v1/aggregate?${new URLSearchParams({ q, ...more })}`, signal);

export async function unitsOf(query: string, unit: string, signal: AbortSignal): Promise<Affected> {
  const field = unitField(unit);
  const [groups, all] = await Promise.all([
    table(query, { by: field ? `_unit,${field}` : "_unit", size: String(LISTED) }, signal).catch(() => table(query, { by: "_unit", size: String(LISTED) }, signal)),
    table(query, { by: "_service", distinct: "_unit", size: "1" }, signal),
  ]);
  // Lines of one unit that name it and that do not are lines of one.
  const byId = new Map<string, Affected["units"][number]>();
  for (const of of groups.groups) {
    const id = of.key._unit;
    if (!id) continue;
    const name = field ? of.key[field] : null;
    const before = byId.get(id);
    byId.set(id, { id, name: name ?? before?.name ?? id, lines: of.lines + (before?.lines ?? 0) });
  }
  const units = [...byId.values()].toSorted((a, b) => b.lines - a.lines);
  return { units, count: units.length === 0 ? null : Math.max(units.length, all.groups[0]?.distinct ?? 0), lines: all.lines };
}

/** Roles whose fields tell nothing of whom something met, or are asked for by another name. */
const LEFT_OUT = ["service", "environment", "cohort", "variant", "level", "kind", "message", "time", "trace", "parent", "latency", "status", "method", "route"];
/** Fields that are looked at, and values of one. */
const FIELDS = 9;
const VALUES = 50;

/** Fields by which units are told apart: those that the report splits by, what a client is, the route, the version and where it ran, then others. */
export async function fieldsOf(comparison: Comparison, signal: AbortSignal): Promise<string[]> {
  const { fields } = await get<{ fields: { path: string; kind: string }[] }>("/v1/fields", signal);
  const roles = report.peek()?.survey.roles ?? {};
  const of = (role: string): string[] => (roles[role]?.fields ?? []).map((one) => one.path);
  const leftOut = new Set(LEFT_OUT.flatMap(of));
  const texts = new Set(fields.filter((one) => one.kind === "text" && !leftOut.has(one.path)).map((one) => one.path));
  const first = [...(comparison.segments?.fields ?? []), ...of("client").filter((path) => texts.has(path)), "_route", ...of("version"), ...of("instance")];
  return [...new Set([...first, ...texts])].slice(0, FIELDS);
}

/** A value of a field: who of those that have it was met, and how many there are, arm by arm. */
export interface Cell {
  field: string;
  value: string;
  met: [number, number];
  lines: [number, number];
  of: [number, number];
}

export interface Split {
  cells: Cell[];
  /** Met in all, in either arm. */
  met: [number, number];
  of: [number, number];
}

/** Who was met by what a carrier tells of, by field; requests where no unit is logged. Of the canary alone nothing else is counted. */
export async function splitOf(comparison: Comparison, carrier: Pick<Carrier, "queries">, signal: AbortSignal, isCanaryAlone = false): Promise<Split> {
  const hasUnits = comparison.unit !== "request";
  const asked: Record<string, string> = hasUnits ? { distinct: "_unit" } : {};
  const size = (group: GroupTable["groups"][number] | undefined): number => (hasUnits ? group?.distinct : group?.lines) ?? 0;
  const queries = [...carrier.queries, armQuery(comparison, 0, "_kind:request"), armQuery(comparison, 1, "_kind:request")] as const;
  const fields = await fieldsOf(comparison, signal);
  const isAsked = (at: number): boolean => !isCanaryAlone || at === 1;
  const totals = await Promise.all(queries.map((q, at) => (isAsked(at) ? table(q, { by: "_service", size: "1", ...asked }, signal) : null)));
  const cells: Cell[] = [];
  // One field after the other: a program that is asked for all at once has no time for anybody else.
  for (const field of fields) {
    const tables = await Promise.all(queries.map((q, at) => (isAsked(at) ? table(q, { by: field, size: String(VALUES), ...asked }, signal).catch(() => null) : null)));
    const byValue = new Map<string, Cell>();
    for (const [at, one] of tables.entries()) {
      const groups = (one?.groups ?? []).filter((of) => of.key[field] != null);
      // So many values that not all are told name something single.
      if (at > 1 && groups.length >= VALUES) break;
      for (const group of groups) {
        const value = group.key[field]!;
        const cell = byValue.get(value) ?? { field, value, met: [0, 0], lines: [0, 0], of: [0, 0] };
        const side = (at % 2) as 0 | 1;
        if (at < 2) {
          cell.met[side] = size(group);
          cell.lines[side] = group.lines;
        } else cell.of[side] = size(group);
        byValue.set(value, cell);
      }
    }
    cells.push(...[...byValue.values()].filter((cell) => cell.met[0] + cell.met[1] + cell.of[0] + cell.of[1] > 0));
  }
  const met = (side: 0 | 1): number => size(totals[side]?.groups[0]);
  return { cells, met: [met(0), met(1)], of: [size(totals[2]?.groups[0]), size(totals[3]?.groups[0])] };
}
