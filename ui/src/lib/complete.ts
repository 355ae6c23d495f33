// What could follow in a query: names of fields, and after a name its values.

import { get } from "./api";
import type { GroupTable } from "./types";

export interface Offer {
  /** What is put in place of the word at the caret. */
  text: string;
  hint: string;
}

interface FieldOf {
  path: string;
  kind: string;
}

/** Offers that are shown. */
const MOST = 9;
/** Names that decoding gives every line, with what they say: they come first. */
export const KNOWN: Record<string, string> = {
  _service: "service",
  _arm: "version or cohort",
  _level: "debug, info, warn, error, fatal; _level:>=error",
  _kind: "request, span, log, exposure, event, reject",
  _failed: "true: a request that failed",
  _route: "route of a request",
  _status: "class of a request's status: 2xx, 4xx, 5xx",
  _latency: "time a request took; _latency:>=1s",
  _unit: "user, session or client, by a hash",
  _template: "id of a log line by its text",
  _stream: "where it came from",
};
const WORDS: Offer[] = [
  { text: "NOT ", hint: "none that match what follows" },
  { text: "AND ", hint: "both" },
  { text: "OR ", hint: "either" },
];
const ENDS = /[\s()]/;

/** The word at the caret: from where to where. A phrase, which has no field before it, is none. */
export function wordAt(text: string, caret: number): { from: number; to: number; word: string } | null {
  let from = 0;
  let isQuoted = false;
  for (let at = 0; at < caret; at += 1) {
    if (text[at] === '"' && text[at - 1] !== "\\") isQuoted = !isQuoted;
    else if (!isQuoted && ENDS.test(text[at]!)) from = at + 1;
  }
  if (isQuoted && !/^-?[\w.[\]-]+:"/.test(text.slice(from, caret))) return null;
  let to = caret;
  while (to < text.length && (isQuoted ? text[to - 1] !== '"' || to === caret : !ENDS.test(text[to]!))) to += 1;
  // A name may be denied.
  if (text[from] === "-" && to > from) from += 1;
  return { from, to, word: text.slice(from, caret) };
}

const quoted = (value: string): string => (/^[\w.-]+$/.test(value) ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`);

let fields: Promise<FieldOf[]> | null = null;
const values = new Map<string, Promise<string[]>>();

function fieldsOf(): Promise<FieldOf[]> {
  fields ??= get<{ fields: FieldOf[] }>("/v1/fields").then(
    (of) => of.fields,
    () => {
      fields = null;
      return [];
    },
  );
  return fields;
}

/** The most frequent values of a field, kept for as long as the page is there. */
function valuesOf(field: string): Promise<string[]> {
  let known = values.get(field);
  if (!known) {
    known = get<GroupTable>(`/v1/aggregate?by=${encodeURIComponent(field)}&size=30`).then(
      (table) => table.groups.flatMap((of) => of.key[field] ?? []),
      () => {
        values.delete(field);
        return [];
      },
    );
    values.set(field, known);
  }
  return known;
}

/** Names and values that begin with, or at least hold, what stands at the caret. */
export async function offersFor(text: string, caret: number): Promise<{ from: number; to: number; offers: Offer[] } | null> {
  const at = wordAt(text, caret);
  if (!at) return null;
  const colon = at.word.indexOf(":");
  if (colon > 0) {
    const field = at.word.slice(0, colon);
    const begun = at.word.slice(colon + 1).replace(/^"/, "").toLowerCase();
    // A comparison is typed, not chosen.
    if (/^[<>=]/.test(begun)) return null;
    const found = (await valuesOf(field)).filter((value) => value.toLowerCase().includes(begun) && value.toLowerCase() !== begun);
    const first = found.toSorted((x, y) => Number(y.toLowerCase().startsWith(begun)) - Number(x.toLowerCase().startsWith(begun)));
    return { from: at.from, to: at.to, offers: first.slice(0, MOST).map((value) => ({ text: `${field}:${quoted(value)} `, hint: "" })) };
  }
  const begun = at.word.toLowerCase();
  const names = (await fieldsOf()).filter((of) => !["_position", "_time", "_weight", "_reject"].includes(of.path));
  const rank = (path: string): number => (path.toLowerCase().startsWith(begun) || path.toLowerCase().startsWith(`_${begun}`) ? 0 : 1) + (path in KNOWN ? 0 : 0.5);
  const named = names.filter((of) => of.path.toLowerCase().includes(begun)).toSorted((x, y) => rank(x.path) - rank(y.path));
  const words = begun ? WORDS.filter((of) => of.text.toLowerCase().startsWith(begun)) : [];
  const offers = [...words, ...named.map((of) => ({ text: `${of.path}:`, hint: KNOWN[of.path] ?? of.kind }))];
  return { from: at.from, to: at.to, offers: offers.slice(0, MOST) };
}
