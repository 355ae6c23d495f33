// Show me the lines.

import { useSignal } from "@preact/signals";
import { useCallback, useEffect, useMemo, useRef } from "preact/hooks";
import { FoundFields } from "../components/FoundFields";
import { FoundTemplates } from "../components/FoundTemplates";
import { Histogram, type Bar } from "../components/Histogram";
import { LineList } from "../components/LineList";
import { canSearch, searchPath } from "../components/Lines";
import { term } from "../components/LogLine";
import { Loading, Note } from "../components/parts";
import { QueryInput } from "../components/QueryInput";
import { get, Refused } from "../lib/api";
import { useTries } from "../lib/behind";
import { canaryQuery } from "../lib/arms";
import { grouped, harmless, utc } from "../lib/format";
import { withKeys } from "../lib/keys";
import { dataEnd, report, rolloutsVersion, status, waitingFor } from "../lib/live";
import { useTimes } from "../lib/logtime";
import { param, setQuery } from "../lib/router";
import { wholeOf } from "../lib/timeaxis";
import { barLength, millisOf } from "../lib/times";
import { useWide } from "../lib/window";
import type { Found, FoundLine, Group, GroupTable as Table } from "../lib/types";

/** Lines that are asked for at first, and then at a time. */
const PAGE = 100;
const PAGES = 500;
/** Facets: names that decoding gives every line, so that they are there whatever is logged. */
const FACETS = ["_service", "_arm", "_level", "_kind", "_failed"];
/** Fields of the lines themselves that are facets too: those by which the report tells users apart. */
const OWN_FACETS = 3;

function facetNames(): string[] {
  const own = (report.peek()?.comparisons ?? []).flatMap((of) => of.segments?.fields ?? []);
  return [...FACETS, ...[...new Set(own)].slice(0, OWN_FACETS)];
}

/** Values of a facet that are shown. */
const VALUES = 8;
const TABS: [string, string][] = [
  ["", "Lines"],
  ["templates", "Texts"],
  ["fields", "Fields"],
];
/** Queries that a newcomer looks for. */
const OFTEN: [string, string][] = [
  ["_failed:true", "requests that failed"],
  ["_level:>=error", "lines of level error and worse"],
  ["_latency:>=1s", "slow requests"],
  ["_kind:reject", "lines that could not be read"],
];

interface Offer {
  query: string;
  words: string;
}

/** Words that people look for levels and failures by; as words they are looked for in messages alone. */
const MEANT: [RegExp, string, string][] = [
  [/^(?:errors?|err|fatal|critical|panic)$/i, "level:>=error", "level error or worse"],
  [/^(?:warn|warning|warnings)$/i, "level:>=warn", "level warn or worse"],
  [/^(?:fail|fails|failed|failures?)$/i, "_failed:true", "requests that failed"],
];

/** The same query with such a word taken for what it may mean. */
export function offersOf(q: string): Offer[] {
  // Words in quotes and values of fields are what they are.
  const tokens = q.trim().split(/\s+/);
  if (q.includes('"')) return [];
  return tokens.flatMap((token, at) =>
    MEANT.filter(([word]) => word.test(token)).map(([, query, words]): Offer => ({ query: tokens.map((other, place) => (place === at ? query : other)).join(" "), words })),
  );
}

/** The answer of a program that has not indexed a line yet. */
const isNothingKept = (error: unknown): boolean => error instanceof Refused && error.message.includes("nothing is indexed yet");

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function Search() {
  const q = param("q");
  const since = param("from");
  const tab = TABS.some(([name]) => name === param("tab")) ? param("tab") : "";
  const text = useSignal(q);
  const found = useSignal<Found | null>(null);
  const lines = useSignal<FoundLine[]>([]);
  const facets = useSignal<Record<string, Group[]>>({});
  const bars = useSignal<Bar[]>([]);
  /** Of each value of a facet the lines that canaries have. */
  const canaries = useSignal<Record<string, Map<string, number>>>({});
  const problem = useSignal<string | null>(null);
  const busy = useSignal(false);
  const input = useRef<HTMLInputElement>(null);
  const isWide = useWide();
  /** In a narrow window values are there when they are asked for. */
  const isOpen = useSignal(false);
  /** Nothing has been indexed yet, and no query has an answer. */
  const isEmpty = useSignal(false);
  /** There was nothing, so the first lines may not all be there. */
  const isFirst = useSignal(false);
  const tries = useTries(!isFirst.value, String(rolloutsVersion.value));
  const again = isFirst.value ? `${rolloutsVersion.value} ${tries}` : "";
  /** All lines that match, counted to the end; `null` while they are counted. */
  const counted = useSignal<Counted | null>(null);
  /** What may have been meant, where nothing is found. */
  const offers = useSignal<(Offer & { lines: number })[]>([]);
  const times = useTimes();
  const base = useMemo(() => {
    const asked = new URLSearchParams();
    if (q) asked.set("q", q);
    if (times.since) asked.set("since", times.since);
    if (times.until) asked.set("until", times.until);
    return asked.toString();
  }, [q, times]);
  const latest = useRef(base);
  latest.current = base;
  const search = canSearch();
  // What somebody types while the page finds out what there is stays.
  useEffect(() => {
    text.value = q;
  }, [q]);
  useEffect(() => {
    if (!search) return;
    const stopping = new AbortController();
    busy.value = true;
    problem.value = null;
    const of = base;
    const and = of ? `&${of}` : "";
    counted.value = null;
    offers.value = [];
    get<Found>(`/v1/search?limit=${PAGE}${and}`, stopping.signal)
      .then(async (page) => {
        isEmpty.value = false;
        if (page.total.lines > 0) isFirst.value = false;
        found.value = page;
        lines.value = page.lines;
        await Promise.all([
          // Without its picture the answer is still one.
          draw(page.lines, and, stopping.signal).then(
            (of) => (bars.value = of),
            () => (bars.value = []),
          ),
          ...facetNames().map(async (field) => {
            const table = await get<Table>(`/v1/aggregate?by=${encodeURIComponent(field)}&size=${VALUES}${and}`, stopping.signal);
            facets.value = { ...facets.peek(), [field]: table.groups };
            // Search stops counting where there are many; groups are counted to the end.
            if (field === FACETS[0]) counted.value = { lines: table.lines, partial: table.partial };
          }),
        ]);
        if (page.total.lines === 0) {
          const times = new URLSearchParams(of);
          times.delete("q");
          const found = await Promise.all(
            offersOf(q).map(async (one) => {
              const table = await get<Table>(`/v1/aggregate?${new URLSearchParams({ by: "_service", size: "1", q: one.query })}&${times}`, stopping.signal).catch(() => null);
              return { ...one, lines: table?.lines ?? 0 };
            }),
          );
          offers.value = found.filter((one) => one.lines > 0);
        }
        canaries.value = await shareOfCanaries(of, stopping.signal);
      })
      .catch((error: unknown) => {
        if (stopping.signal.aborted) return;
        if (isNothingKept(error)) {
          isEmpty.value = true;
          isFirst.value = true;
          return;
        }
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
  }, [base, search, again]);
  useEffect(
    () =>
      withKeys([
        { key: "/", words: "query", run: () => input.current?.focus() },
        ...TABS.map(([name, words], at) => ({ key: String(at + 1), words: words.toLowerCase(), run: () => setQuery({ tab: name }) })),
      ]),
    [],
  );
  const narrow = (more: string): void => {
    const before = param("q").trim();
    setQuery({ sel: null, tab: null, q: before ? `${/\bOR\b/.test(before) ? `(${before})` : before} ${more}` : more });
  };
  const asking = useRef("");
  const more = useCallback((): void => {
    const next = found.peek()?.next;
    // Each page is asked for once.
    if (!next || asking.current === next) return;
    asking.current = next;
    const of = latest.current;
    get<Found>(`/v1/search?limit=${PAGES}&count=0&before=${encodeURIComponent(next)}${of ? `&${of}` : ""}`).then(
      (page) => {
        if (found.peek()?.next !== next || latest.current !== of) return;
        found.value = { ...page, total: found.peek()!.total };
        lines.value = lines.peek().concat(page.lines);
      },
      (error: unknown) => {
        problem.value = words(error);
      },
    );
  }, []);
  if (!status.value) return <Loading what="Asking whether lines are kept…" />;
  if (!search) {
    return (
      <section class="empty">
        <h1>Search</h1>
        <p>This program keeps no lines for search: it was started with --index off, or built without it.</p>
      </section>
    );
  }
  const total = found.value?.total;
  const names = [...FACETS, ...Object.keys(facets.value).filter((field) => !FACETS.includes(field))];
  if (isEmpty.value) return <Nothing />;
  const odd = found.value && found.value.total.lines === 0 ? oddRanges(found.value.query).filter((of) => !/^_?time:|^_level:|^level:/.test(of)) : [];
  return (
    <>
      <h1 class="unseen">Search</h1>
      <form
        class="bar query"
        role="search"
        onSubmit={(event) => {
          event.preventDefault();
          setQuery({ q: text.peek(), sel: null });
        }}
      >
        <QueryInput input={input} label="Query" placeholder='words, "a phrase", status:>=500, _arm:2.5.0, NOT _level:info' value={text.value} set={(to) => (text.value = to)} />
        <button type="submit" class="main">
          Search
        </button>
      </form>
      {templatesIn(q).map(([id, text]) => (
        <p key={id} class="aside">
          <code>{id.slice(0, 8)}…</code> is <a href={`/templates/${id}`}><code>{harmless(text, 200)}</code></a>
        </p>
      ))}
      {problem.value && (
        <Note tone="invalid" title="This query cannot be answered">
          <pre class="said">{harmless(problem.value, 2_000)}</pre>
        </Note>
      )}
      <div class="results">
        <aside aria-label="Values">
          <details class="facets" open={isWide || isOpen.value} onToggle={(event) => !isWide && (isOpen.value = event.currentTarget.open)}>
            <summary>Narrow by value</summary>
            {names.map((field) => {
              const groups = facets.value[field] ?? [];
              const none = groups.find((of) => of.key[field] === null);
              return groups.filter((of) => of.key[field] !== null).length === 0 ? null : (
                <section key={field}>
                  <h2>{field === "_failed" ? "request that failed" : harmless(field.replace(/^_/, ""), 40)}</h2>
                  <ul>
                    {groups
                      .filter((of) => of.key[field] !== null)
                      .map((of) => (
                        <li key={of.key[field]}>
                          <button type="button" class="quiet" onClick={() => narrow(term(field, of.key[field]!))}>
                            {harmless(of.key[field]!, 60)} <small>{grouped(of.lines)}</small>
                            <Split canary={canaries.value[field] && (canaries.value[field].get(of.key[field]!) ?? 0)} all={of.lines} />
                          </button>
                        </li>
                      ))}
                    {none && none.lines > 0 && (
                      <li>
                        <button type="button" class="quiet" title="lines without this field" onClick={() => narrow(`NOT ${field}:*`)}>
                          (none) <small>{grouped(none.lines)}</small>
                        </button>
                      </li>
                    )}
                  </ul>
                </section>
              );
            })}
          </details>
        </aside>
        <div class="found">
          <p class="aside" role="status">
            {busy.value && !total ? "Searching…" : total ? totalWords(total, found.value?.partial ?? null, counted.value) : ""}
          </p>
          {total && total.lines > 0 && (
            <div class="histogram-place">{bars.value.length > 0 && <Histogram bars={bars.value} choose={(from, to) => setQuery({ from, to })} />}</div>
          )}
          {total && total.lines > 0 && (
            <div class="choices tabs-of" role="group" aria-label="Shown as">
              {TABS.map(([name, words]) => (
                <button type="button" key={name} aria-pressed={tab === name} onClick={() => setQuery({ tab: name })}>
                  {words}
                </button>
              ))}
            </div>
          )}
          {total && total.lines === 0 && (
            <section class="empty">
              <h2>No line matches</h2>
              {offers.value.length > 0 && (
                <ul class="offers">
                  {offers.value.map((of) => (
                    <li key={of.query}>
                      <a href={searchPath(of.query, true)}>
                        <code>{harmless(of.query, 200)}</code>
                      </a>{" "}
                      finds {grouped(of.lines)} {of.lines === 1 ? "line" : "lines"}: {of.words}
                    </li>
                  ))}
                </ul>
              )}
              <p>
                {grouped(status.value.index?.lines ?? 0)} lines are kept. Take a term out, or look at another time{since ? "" : "; every line is looked at"}. A word is looked for in messages, whole.
              </p>
              {odd.length > 0 && (
                <p>
                  {odd.map((of) => (
                    <>
                      <code>{harmless(of.slice(of.indexOf(":") + 1), 60)}</code> is neither a number nor a duration (500, 1.5, 250ms, 2s), so <code>{harmless(of.slice(0, of.indexOf(":")), 60)}</code> was compared as text.{" "}
                    </>
                  ))}
                </p>
              )}
              <p>What is asked for often:</p>
              <ul>
                {OFTEN.map(([query, words]) => (
                  <li key={query}>
                    <a href={searchPath(query)}>
                      <code>{query}</code>
                    </a>{" "}
                    {words}
                  </li>
                ))}
              </ul>
            </section>
          )}
          {total && total.lines > 0 && tab === "templates" && <FoundTemplates asked={base} narrow={narrow} />}
          {total && total.lines > 0 && tab === "fields" && <FoundFields asked={base} narrow={narrow} />}
          {lines.value.length > 0 && tab === "" && <LineList lines={lines.value} more={found.value?.next ? more : null} narrow={narrow} />}
        </div>
      </div>
    </>
  );
}

/** Lines as groups of them count: to the end, unless it took too long (`partial`). */
interface Counted {
  lines: number;
  partial: string | null;
}

/** How many lines there are: one number, and where it is not all, why. */
export function totalWords(total: Found["total"], partial: string | null, counted: Counted | null): string {
  const words = (lines: number): string => `${grouped(lines)} ${lines === 1 ? "line" : "lines"}`;
  const more = partial ? `; not all were looked at (${partial})` : "";
  if (total.is_exact) return `${words(total.lines)}, newest first${more}`;
  if (total.is_estimate) return `about ${words(total.lines)} (estimated: only a part of the lines is kept), newest first${more}`;
  if (counted === null) return `Counting… newest first${more}`;
  if (counted.partial) return `at least ${words(Math.max(total.lines, counted.lines))}: counting all takes too long, newest first${more}`;
  return `${words(counted.lines)}, newest first`;
}

/** Templates that a query names by their ids, with the texts that the report has. */
export function templatesIn(q: string): [string, string][] {
  const texts = new Map((report.value?.comparisons ?? []).flatMap((of) => of.templates.listed.map((one) => [one.id, one.text] as const)));
  const ids = [...q.matchAll(/_template:"?([0-9a-f]{16})\b/g)].map((of) => of[1]!);
  return [...new Set(ids)].slice(0, 4).flatMap((id): [string, string][] => (texts.get(id) ? [[id, texts.get(id)!]] : []));
}

/** No line is kept yet: whatever is asked for, nothing can be found. */
function Nothing() {
  return (
    <section class="empty">
      <h1>No line is kept yet</h1>
      <p>{waitingFor.value ? `Waiting for ${harmless(waitingFor.value, 200)}.` : "The first lines are on their way: they can be found a second after they came."} What is asked for here is asked again when there are some.</p>
      <h2>Send lines</h2>
      <pre>
        <code>{`curl --data-binary @app.log ${location.origin}/ingest`}</code>
      </pre>
    </section>
  );
}

/** Ends of ranges that are no numbers in a query as the program understood it: `latency:>100j` compares text. */
export function oddRanges(asked: string): string[] {
  return [...asked.matchAll(/([\w.@-]+):[[{](?:"((?:[^"\\]|\\.)*)"|\S+) TO (?:"((?:[^"\\]|\\.)*)"|\S+)[\]}]/g)].flatMap((of) => (of[2] === undefined && of[3] === undefined ? [] : [`${of[1]}:${of[2] ?? of[3]}`]));
}

/** How much of a value's lines a canary wrote. */
function Split({ canary, all }: { canary: number | undefined; all: number }) {
  if (canary === undefined || all === 0) return null;
  const part = Math.min(1, canary / all);
  return (
    <svg class="bars split" role="img" aria-label={`${(part * 100).toFixed(0)} % of canaries`} viewBox="0 0 100 4" preserveAspectRatio="none">
      <title>{`${(part * 100).toFixed(1)} % of these lines are of canaries`}</title>
      <rect class="baseline" x={0} y={0} width={100} height={4} />
      <rect class="candidate" x={100 - part * 100} y={0} width={part * 100} height={4} />
    </svg>
  );
}

/** The question for the lines of canaries alone among those that are asked for; none where there is no canary. */
function ofCanaries(asked: string): string | null {
  const canary = canaryQuery.peek();
  if (!canary) return null;
  const of = new URLSearchParams(asked);
  const q = of.get("q")?.trim();
  of.set("q", q ? `(${q}) AND (${canary})` : canary);
  return of.toString();
}

async function shareOfCanaries(asked: string, signal: AbortSignal): Promise<Record<string, Map<string, number>>> {
  const of = ofCanaries(asked);
  const found: Record<string, Map<string, number>> = {};
  if (!of) return found;
  for (const field of facetNames()) {
    const table = await get<Table>(`/v1/aggregate?by=${encodeURIComponent(field)}&size=30&${of}`, signal).catch(() => null);
    if (table) found[field] = new Map(table.groups.flatMap((one) => (one.key[field] == null ? [] : [[one.key[field], one.lines] as const])));
  }
  return found;
}

/** Lines over time, errors and those of canaries apart. */
export async function draw(lines: FoundLine[], and: string, signal: AbortSignal): Promise<Bar[]> {
  if (lines.length === 0) return [];
  // How far back lines go is told by counting them in long stretches first.
  const days = await get<Table>(`/v1/aggregate?every=24h&size=400${and}`, signal);
  const times = days.groups.flatMap((of) => (of.from ? [Date.parse(of.from)] : []));
  const last = Date.parse(lines[0]!.time);
  const first = times.length > 1 ? Math.min(...times) : Math.min(...(await hours(and, signal)), last);
  const every = barLength(Math.max(60, (last - first) / 1000));
  const table = await get<Table>(`/v1/aggregate?every=${every}s&by=_level&size=2000${and}`, signal);
  const canary = ofCanaries(and);
  const ofCanary = canary ? await get<Table>(`/v1/aggregate?every=${every}s&size=2000&${canary}`, signal).catch(() => null) : null;
  const bars = new Map<number, Bar>();
  for (const of of table.groups) {
    if (!of.from) continue;
    const at = Date.parse(of.from);
    const bar = bars.get(at) ?? { from: utc(at), at, until: at + every * 1000, lines: 0, severe: 0, canary: 0 };
    bar.lines += of.lines;
    if (["error", "fatal"].includes(of.key._level ?? "")) bar.severe += of.lines;
    bars.set(at, bar);
  }
  for (const of of ofCanary?.groups ?? []) {
    const bar = of.from ? bars.get(Date.parse(of.from)) : undefined;
    if (bar) bar.canary += of.lines;
  }
  const sorted = [...bars.values()].toSorted((a, b) => a.at - b.at);
  const asked = new URLSearchParams(and);
  const now = Date.now();
  const [since, until] = [millisOf(asked.get("since") ?? "", now), millisOf(asked.get("until") ?? "", now)];
  const end = Math.min(until ?? Infinity, dataEnd(now));
  const whole = wholeOf(sorted.map((bar) => bar.at / 1_000), every, since === null ? null : since / 1_000, end / 1_000);
  return sorted.map((bar, place) => (whole[place] ? bar : { ...bar, isPart: true }));
}

async function hours(and: string, signal: AbortSignal): Promise<number[]> {
  const table = await get<Table>(`/v1/aggregate?every=5m&size=400${and}`, signal);
  return table.groups.flatMap((of) => (of.from ? [Date.parse(of.from)] : []));
}
