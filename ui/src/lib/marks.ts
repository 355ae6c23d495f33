// What was decided, told and commanded, as marks of a chart over time.

import { harmless } from "./format";
import type { Delivery, TimelineEvent } from "./types";
import { CHANGES, lookOf, PHASES } from "./words";

export interface Mark {
  at: string;
  words: string;
  /** Never a colour alone: what was decided, what a hook was told, what a person did. */
  sign: "◆" | "▼" | "●";
}

/** Marks of a chart; of more the latest. */
const MARKS = 9;

const DONE: Record<string, string> = { rollback: "rolled it back", hold: "held it", resume: "resumed it", approve: "approved" };

function wordsOf(of: TimelineEvent, deliveries: Delivery[]): Mark | null {
  if (!of.at || of.command === "mute" || of.command === "unmute") return null;
  // What no hook wanted was told to nobody.
  const heard = of.told.filter((told) => deliveries.some((one) => one.generation === told.generation && one.event === told.event));
  const told = [...new Set(heard.map((one) => one.event))].map((event) => `hook told “${event}”`);
  if (of.command) {
    const did = DONE[of.command] ?? `accepted ${CHANGES[of.finding ?? ""] ?? of.finding ?? "a change"}`;
    return { at: of.at, words: [`${harmless(of.actor ?? "somebody", 40)} ${did}`, ...told].join("; "), sign: "●" };
  }
  const words: string[] = [];
  if (of.verdict_before !== null && of.verdict !== of.verdict_before) words.push(`verdict: ${lookOf(of.verdict, of.compared.some((one) => one.changed.length > 0)).word}`);
  if (of.phase_before !== null && of.phase && of.phase !== of.phase_before) words.push(PHASES[of.phase] ?? of.phase);
  if (words.length + told.length === 0) return null;
  return { at: of.at, words: [...words, ...told].join("; "), sign: told.length > 0 ? "▼" : "◆" };
}

/** The marks of a rollout's timeline, oldest first, with further ones; what is of one moment is one mark. */
export function marksOf(events: TimelineEvent[], deliveries: Delivery[], more: Mark[]): Mark[] {
  const all = [...more, ...events.toReversed().flatMap((of) => wordsOf(of, deliveries) ?? [])].toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at));
  const merged: Mark[] = [];
  for (const mark of all) {
    const last = merged.at(-1);
    if (last && Date.parse(last.at) === Date.parse(mark.at)) {
      merged[merged.length - 1] = { ...last, words: `${last.words}; ${mark.words}`, sign: last.sign === "◆" ? mark.sign : last.sign };
    } else {
      merged.push(mark);
    }
  }
  return merged.slice(-MARKS);
}
