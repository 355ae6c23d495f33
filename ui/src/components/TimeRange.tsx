// Which stretch of time a screen looks at: in the address, with keys to choose it and to go to the one before and after.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { local, span } from "../lib/format";
import { withKeys } from "../lib/keys";
import { newest } from "../lib/live";
import { ALL, logEnd, logNow } from "../lib/logtime";
import { param, setQuery } from "../lib/router";
import { millisOf, shifted } from "../lib/times";

/** Value, words, and seconds. */
const SINCE: [string, string, number][] = [
  ["now-15m", "last 15 min", 900],
  ["now-1h", "last hour", 3_600],
  ["now-6h", "last 6 h", 21_600],
  ["now-24h", "last day", 86_400],
  ["now-7d", "last 7 days", 604_800],
];

/** What is looked at while the address says nothing, in seconds: a dashboard has a time of its own; `null`: all time. */
export const usualTime = signal<number | null>(null);

/** A length of time as the list has it. */
export const lastWords = (seconds: number): string => SINCE.find((of) => of[2] === seconds)?.[1] ?? `last ${span(seconds)}`;

export function TimeRange() {
  // A query may have a time of its own.
  const own = usualTime.value;
  // Where the log ends long before now, or after, it is the log's time.
  const ofLog = logEnd(newest.value, Date.now()) === null ? "" : " of the log";
  const usual = ["q", "a", "b"].some((key) => /(^|[\s(])_time:/.test(param(key))) ? "as asked for" : own === null ? "all time" : `${lastWords(own)}${ofLog}`;
  const select = useRef<HTMLSelectElement>(null);
  const [from, to] = [param("from"), param("to")];
  const isNamed = from !== "" && from !== ALL && !SINCE.some(([value]) => value === from && !to);
  useEffect(() => {
    const shift = (by: -1 | 1) => () => {
      const next = shifted(param("from") || `now-${usualTime.peek() ?? 3_600}s`, param("to"), by, logNow());
      if (next) setQuery(next);
    };
    return withKeys([
      {
        key: "d",
        words: "time",
        run: () => {
          select.current?.focus();
          // Not every browser opens it.
          select.current?.showPicker?.();
        },
      },
      { key: "[", words: "the time before", run: shift(-1) },
      { key: "]", words: "the time after", run: shift(1) },
    ]);
  }, []);
  const shown = (text: string): string => {
    const at = /^now/.test(text) ? null : millisOf(text, Date.now());
    return at === null ? text : local(at);
  };
  return (
    <label>
      <span class="unseen">Time</span>
      <select ref={select} value={isNamed ? "named" : from} onChange={(event) => setQuery({ from: event.currentTarget.value, to: null })}>
        <option value="">{usual}</option>
        {SINCE.filter(([value, , seconds]) => seconds !== own || value === from).map(([value, label]) => (
          <option key={value} value={value}>
            {label}
            {ofLog}
          </option>
        ))}
        {own !== null && <option value={ALL}>all time</option>}
        {isNamed && (
          <option value="named">
            {shown(from)} to {to ? shown(to) : "now"}
          </option>
        )}
      </select>
    </label>
  );
}
