// Stretches of time in an address: from and to, each a time of the clock or one counted from now.

const RELATIVE = /^now-(\d+)([smhd])$/;
const SECONDS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** A time of a query in milliseconds since 1970; `null` where it is none. */
export function millisOf(text: string, now: number): number | null {
  if (text === "now") return now;
  const found = RELATIVE.exec(text);
  if (found) return now - Number(found[1]) * SECONDS[found[2]!]! * 1_000;
  const at = Date.parse(text);
  return Number.isNaN(at) ? null : at;
}

/** A time of a query as the clock has it; others as they are. */
export function absolute(text: string, now = Date.now()): string {
  const at = millisOf(text, now);
  return at === null ? text : new Date(at).toISOString();
}

/** The same length of time before (-1) or after (1) what is looked at; `null` where all times are. */
export function shifted(from: string, to: string, by: -1 | 1, now = Date.now()): { from: string; to: string } | null {
  const [first, last] = [millisOf(from, now), millisOf(to || "now", now)];
  if (first === null || last === null || last <= first) return null;
  const length = (last - first) * by;
  return { from: new Date(first + length).toISOString(), to: new Date(last + length).toISOString() };
}

/** A length of time, in seconds, that gives about 60 bars between two times. */
export function barLength(seconds: number): number {
  const wanted = seconds / 60;
  return [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 43_200, 86_400].find((of) => of >= wanted) ?? 604_800;
}
