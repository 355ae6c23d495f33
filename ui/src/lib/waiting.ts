// Lines that came and are not judged yet: a window is judged when later lines come, so the last of an old log wait.

import type { Report, Status } from "./types";

/** Lines that are kept and were not judged; 0 where that is not known: what is kept goes after a time, or not all of it is kept. */
export function waitingLines(records: Pick<Report["records"], "read"> | undefined, index: Pick<NonNullable<Status["index"]>, "is_off" | "lines"> | undefined): number {
  if (!records || !index || index.is_off || index.lines === null) return 0;
  return Math.max(0, index.lines - records.read);
}

export const waitingWords = (lines: number, grouped: (value: number) => string): string => `${grouped(lines)} ${lines === 1 ? "line waits" : "lines wait"} for later ones and ${lines === 1 ? "is" : "are"} not judged yet`;
