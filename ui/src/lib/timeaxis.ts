// The axis of a chart over time: marks that lie in the chart and can be read, and which of its stretches are whole.

const HOUR = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const SECOND = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const DAY = new Intl.DateTimeFormat(undefined, { month: "short", day: "numeric" });

/** A mark of the time axis, as fine as its step. */
export function clock(at: number, step: number): string {
  const form = step < 60 ? SECOND : step < 86_400 ? HOUR : DAY;
  return form.format(new Date(at * 1000));
}

const DAY_S = 86_400;
/** Steps between marks, in seconds, none much more than twice the one before: where one is too wide for a chart, the one before is not too narrow for words. */
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, ...[1, 2, 4, 7, 15, 30, 60, 120, 180, 365, 730, 1_460, 3_650].map((days) => days * DAY_S)];
/** Marks for which there is room even in a narrow chart: no step is so many times as wide as the one before. */
const MARKS = 3;

/** Steps of which a mark lies within the chart: one beyond it would stand at the edge, or be cut by it. */
export const stepsWithin = (from: number, to: number): number[] => {
  const some = STEPS.filter((step) => step <= to - from);
  return some.length > 0 ? some : [STEPS[0]!];
};

/** Pixels between marks: as many as wished, and no more than leave some in the chart. */
export const spaceOf = (wished: number, width: number): number => Math.min(wished, width / MARKS);

/** Room for half of the last mark, in pixels. */
export const LAST_MARK = 32;

/** What a chart's axis of time needs beside its colours. */
export const timeAxis = (wished: number) => ({
  space: (_: unknown, __: number, ___: number, ____: number, width: number): number => spaceOf(wished, width),
  incrs: (_: unknown, __: number, from: number, to: number): number[] => stepsWithin(from, to),
  values: (_: unknown, ticks: number[], __: number, ___: number, step: number): string[] => ticks.map((tick) => clock(tick, step)),
});

/**
 * Which of stretches of time are whole, by where they begin, in seconds. The first is not where what was asked for begins within it, nor the
 * last where that, or what has come, ends within it: such a one has fewer lines, and looks like a fall.
 */
export function wholeOf(times: number[], every: number, since: number | null, until: number | null): boolean[] {
  return times.map((at, place) => !(place === 0 && since !== null && since > at) && !(place === times.length - 1 && until !== null && until < at + every));
}
