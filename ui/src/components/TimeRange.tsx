// Which stretch of time a screen looks at: in the address, with keys to choose it and to go to the one before and after.

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { local } from "../lib/format";
import { withKeys } from "../lib/keys";
import { param, setQuery } from "../lib/router";
import { millisOf, shifted } from "../lib/times";

const SINCE: [string, string][] = [
  ["now-15m", "last 15 min"],
  ["now-1h", "last hour"],
  ["now-6h", "last 6 h"],
  ["now-24h", "last day"],
  ["now-7d", "last 7 days"],
];

/** What is looked at while the address says nothing, in words: a dashboard has a time of its own. */
export const usualTime = signal("all time");

export function TimeRange() {
  // A query may have a time of its own.
  const usual = ["q", "a", "b"].some((key) => /(^|[\s(])_time:/.test(param(key))) ? "as asked for" : usualTime.value;
  const select = useRef<HTMLSelectElement>(null);
  const [from, to] = [param("from"), param("to")];
  const isNamed = from !== "" && !SINCE.some(([value]) => value === from && !to);
  useEffect(() => {
    const shift = (by: -1 | 1) => () => {
      const next = shifted(param("from") || "now-1h", param("to"), by);
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
        {SINCE.map(([value, label]) => (
          <option key={value} value={value}>
            {label}
          </option>
        ))}
        {isNamed && (
          <option value="named">
            {shown(from)} to {to ? shown(to) : "now"}
          </option>
        )}
      </select>
    </label>
  );
}
