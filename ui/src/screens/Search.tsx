// Show me the lines.

import { useComputed, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { canSearch } from "../components/Lines";
import { LogLine } from "../components/LogLine";
import { Histogram, type Bar } from "../components/Histogram";
import { Copy, Loading, Note } from "../components/parts";
import { get, Refused } from "../lib/api";
import { grouped, harmless, utc } from "../lib/format";
import { withKeys } from "../lib/keys";
import { status } from "../lib/live";
import { param, query, setQuery } from "../lib/router";
import type { Found, FoundLine } from "../lib/types";
import { term } from "../components/LogLine";

interface Group {
  from?: string;
  key: Record<string, string | null>;
  lines: number;
}
interface Table {
  groups: Group[];
  lines: number;
  partial: string | null;
}

/** Lines that are asked for at a time. */
const PAGE = 100;
/** Facets: names that decoding gives every line, so that they are there whatever is logged. */
const FACETS = ["_service", "_arm", "_level", "_kind", "_failed"];
/** Values of a facet that are shown. */
const VALUES = 8;
const SINCE: [string, string][] = [
  ["", "all time"],
  ["now-15m", "last 15 min"],
  ["now-1h", "last hour"],
  ["now-6h", "last 6 h"],
  ["now-24h", "last day"],
];

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** A length of time that gives about 60 bars between two times. */
export function barLength(seconds: number): number {
  const wanted = seconds / 60;
  return [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 43_200, 86_400].find((of) => of >= wanted) ?? 604_800;
}

export function Search() {
  const q = param("q");
  const since = param("from");
  const text = useSignal(q);
  const found = useSignal<Found | null>(null);
  const lines = useSignal<FoundLine[]>([]);
  const facets = useSignal<Record<string, Group[]>>({});
  const bars = useSignal<Bar[]>([]);
  const problem = useSignal<string | null>(null);
  const busy = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  const base = useComputed(() => {
    const asked = new URLSearchParams();
    if (query.value.get("q")) asked.set("q", query.value.get("q")!);
    if (query.value.get("from")) asked.set("since", query.value.get("from")!);
    if (query.value.get("to")) asked.set("until", query.value.get("to")!);
    return asked.toString();
  });
  const search = canSearch();
  useEffect(() => {
    text.value = q;
    if (!search) return;
    const stopping = new AbortController();
    busy.value = true;
    problem.value = null;
    const of = base.peek();
    const and = of ? `&${of}` : "";
    get<Found>(`/v1/search?limit=${PAGE}${and}`, stopping.signal)
      .then(async (page) => {
        found.value = page;
        lines.value = page.lines;
        await Promise.all([
          // Without its picture the answer is still one.
          draw(page.lines, and, stopping.signal).then(
            (of) => (bars.value = of),
            () => (bars.value = []),
          ),
          ...FACETS.map(async (field) => {
            const table = await get<Table>(`/v1/aggregate?by=${field}&size=${VALUES}${and}`, stopping.signal);
            facets.value = { ...facets.peek(), [field]: table.groups };
          }),
        ]);
      })
      .catch((error: unknown) => {
        if (stopping.signal.aborted) return;
        problem.value = words(error);
        if (error instanceof Refused && error.status === 400) {
          found.value = null;
          lines.value = [];
          bars.value = [];
          facets.value = {};
        }
      })
      .finally(() => {
        if (!stopping.signal.aborted) busy.value = false;
      });
    return () => stopping.abort();
  }, [base.value, search]);
  useEffect(() => {
    const move = (by: number) => () => {
      const rows = [...document.querySelectorAll<HTMLElement>("button.line-head")];
      const at = rows.indexOf(document.activeElement as HTMLElement);
      rows[Math.min(rows.length - 1, Math.max(0, at + by))]?.focus();
    };
    return withKeys([
      { key: "/", words: "query", run: () => input.current?.focus() },
      { key: "j", words: "next line", run: move(1) },
      { key: "k", words: "previous line", run: move(-1) },
    ]);
  }, []);
  const narrow = (more: string): void => {
    const before = param("q").trim();
    setQuery({ q: before ? `${/\bOR\b/.test(before) ? `(${before})` : before} ${more}` : more });
  };
  const more = async (): Promise<void> => {
    const next = found.peek()?.next;
    if (!next) return;
    const of = base.peek();
    try {
      const page = await get<Found>(`/v1/search?limit=${PAGE}&before=${encodeURIComponent(next)}${of ? `&${of}` : ""}`);
      found.value = { ...page, total: found.peek()!.total };
      lines.value = [...lines.peek(), ...page.lines];
    } catch (error) {
      problem.value = words(error);
    }
  };
  if (!status.value) return <Loading what="Asking whether lines are kept…" />;
  if (!search) {
    return (
      <section class="empty">
        <h1>Search</h1>
        <p>This program keeps no lines for search: it was started with --no-index, or built without it.</p>
      </section>
    );
  }
  const total = found.value?.total;
  return (
    <>
      <h1 class="unseen">Search</h1>
      <form
        class="bar query"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          setQuery({ q: text.peek() });
        }}
      >
        <input
          ref={input}
          type="search"
          spellcheck={false}
          aria-label="Query"
          placeholder='words, "a phrase", status:>=500, _arm:2.5.0, NOT _level:info'
          value={text.value}
          onInput={(event) => (text.value = event.currentTarget.value)}
        />
        <label>
          <span class="unseen">Time</span>
          <select value={since} onChange={(event) => setQuery({ from: event.currentTarget.value })}>
            {SINCE.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
            {since && !SINCE.some(([value]) => value === since) && <option value={since}>since {since}</option>}
          </select>
        </label>
        <button type="submit" class="main">
          Search
        </button>
        <Copy label="Copy as command" text={() => `curl -s '${location.origin}/v1/search?${base.value}'`} />
      </form>
      {problem.value && (
        <Note tone="invalid" title="This query cannot be answered">
          <pre class="said">{harmless(problem.value, 2_000)}</pre>
        </Note>
      )}
      <div class="results">
        <aside aria-label="Values">
          {FACETS.map((field) => {
            const groups = facets.value[field] ?? [];
            return groups.filter((of) => of.key[field] !== null).length === 0 ? null : (
              <section key={field}>
                <h2>{field.slice(1)}</h2>
                <ul>
                  {groups
                    .filter((of) => of.key[field] !== null)
                    .map((of) => (
                      <li key={of.key[field]}>
                        <button type="button" class="quiet" onClick={() => narrow(term(field, of.key[field]!))}>
                          {harmless(of.key[field]!, 60)} <small>{grouped(of.lines)}</small>
                        </button>
                      </li>
                    ))}
                </ul>
              </section>
            );
          })}
        </aside>
        <div class="found">
          <p class="aside" role="status">
            {busy.value && !total ? "Searching…" : total ? `${total.is_exact ? "" : "at least "}${grouped(total.lines)} ${total.lines === 1 ? "line" : "lines"}, newest first${found.value?.partial ? `; not all were looked at (${found.value.partial})` : ""}` : ""}
          </p>
          {bars.value.length > 1 && <Histogram bars={bars.value} choose={(from, to) => setQuery({ from, to })} />}
          {total && total.lines === 0 && (
            <section class="empty">
              <h2>No line matches</h2>
              <p>
                {grouped(status.value.index?.lines ?? 0)} lines are kept. Take a term out, or look at another time{since ? "" : "; every line is looked at"}.
              </p>
            </section>
          )}
          <div class="lines" aria-label="Lines">
            {lines.value.map((line) => (
              <LogLine key={line.cursor} line={line} narrow={narrow} />
            ))}
          </div>
          {found.value?.next && (
            <button type="button" onClick={() => void more()}>
              {PAGE} more
            </button>
          )}
        </div>
      </div>
    </>
  );
}

/** Lines over time, by arm. */
async function draw(lines: FoundLine[], and: string, signal: AbortSignal): Promise<Bar[]> {
  if (lines.length === 0) return [];
  // How far back lines go is told by counting them in long stretches first.
  const days = await get<Table>(`/v1/aggregate?every=24h&size=400${and}`, signal);
  const times = days.groups.flatMap((of) => (of.from ? [Date.parse(of.from)] : []));
  const last = Date.parse(lines[0]!.time);
  const first = times.length > 1 ? Math.min(...times) : Math.min(...(await hours(and, signal)), last);
  const every = barLength(Math.max(60, (last - first) / 1000));
  const table = await get<Table>(`/v1/aggregate?every=${every}s&by=_level&size=2000${and}`, signal);
  const bars = new Map<number, Bar>();
  for (const of of table.groups) {
    if (!of.from) continue;
    const at = Date.parse(of.from);
    const bar = bars.get(at) ?? { from: utc(at), at, until: at + every * 1000, lines: 0, severe: 0 };
    bar.lines += of.lines;
    if (["error", "fatal"].includes(of.key._level ?? "")) bar.severe += of.lines;
    bars.set(at, bar);
  }
  return [...bars.values()].toSorted((a, b) => a.at - b.at);
}

async function hours(and: string, signal: AbortSignal): Promise<number[]> {
  const table = await get<Table>(`/v1/aggregate?every=5m&size=400${and}`, signal);
  return table.groups.flatMap((of) => (of.from ? [Date.parse(of.from)] : []));
}
