// The log has a clock of its own: where it runs ahead of that of this machine, times of both stand on one page.

import { span } from "../lib/format";
import { newest, status } from "../lib/live";

/** So far ahead, in seconds, no clock is merely wrong. */
const AHEAD_S = 120;

/** How far the newest line is ahead of the clock, in words; empty where it is not. */
export function aheadWords(until: string | null, now: number): string {
  const ahead = until ? (Date.parse(until) - now) / 1_000 : 0;
  return ahead > AHEAD_S ? span(ahead) : "";
}

export function Clocks() {
  void status.value;
  const ahead = aheadWords(newest.value, Date.now());
  if (!ahead) return null;
  return (
    <p class="clocks" role="note">
      Log time runs ahead of the clock, now by {ahead}: data and decisions have times of the log, hooks and links those of the clock.
    </p>
  );
}
