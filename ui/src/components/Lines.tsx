// The lines behind a number: their text where the program keeps lines, and where they stand in any case.

import { useComputed, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get } from "../lib/api";
import { grouped, harmless, millis, STEPS } from "../lib/format";
import { report, status } from "../lib/live";
import type { Times } from "../lib/logtime";
import { param } from "../lib/router";
import { inTurn } from "../lib/turns";
import type { Comparison, Evidence, Found, FoundLine, Place } from "../lib/types";
import { LogLine, term } from "./LogLine";
import { Time } from "./parts";
import { bareService } from "../lib/words";

/** The program keeps lines and can find them. */
export const canSearch = (): boolean => status.value?.index !== undefined && !status.value.index.is_off;

/** An address of the search screen; `times`: the stretch of time that this screen looks at. */
export function searchPath(query: string, times = false): string {
  const asked = new URLSearchParams({ q: query });
  for (const key of times ? ["from", "to"] : []) if (param(key)) asked.set(key, param(key));
  return `/search?${asked.toString().replaceAll("%3A", ":").replaceAll("%2C", ",")}`;
}

/** An address of the search screen, of a stretch of time. */
export function inTime(query: string, { since, until }: Times): string {
  const asked = new URLSearchParams({ q: query, ...(since ? { from: since } : {}), ...(until ? { to: until } : {}) });
  return `/search?${asked.toString().replaceAll("%3A", ":").replaceAll("%2C", ",")}`;
}

interface PlaceOf {
  query: string | null | undefined;
  /** It is of the stretch of time that the address asks for. */
  timed?: boolean;
  /** It is of this stretch of time. */
  times?: Times;
  children: ComponentChildren;
}

/** A number as a link to its lines, where there is a query for them. */
export function PlaceLink({ query, timed = false, times, children }: PlaceOf) {
  if (!query || !canSearch()) return <>{children}</>;
  return (
    <a href={times ? inTime(query, times) : searchPath(query, timed)} title="the lines behind this number">
      {children}
    </a>
  );
}

/** Lines of the cell that a comparison names, where it names one. */
export function cellTerm(name: string): string {
  const cell = / in (?:\S+, )?cell (.+)$/.exec(name)?.[1];
  const field = report.value?.survey.roles.cell?.fields.find((of) => of.lines > 0)?.path;
  return cell && field ? term(field, cell) : "";
}

/** Lines of one arm of a comparison, of the time that was judged; `more`: a further term. */
export function armQuery(comparison: Pick<Comparison, "service" | "control" | "candidate" | "started_at" | "ended_at">, side: 0 | 1, more = "", until = comparison.ended_at): string {
  // A comparison names its service with environment and cell, and lines do not.
  const service = bareService(comparison.service);
  return [more, term("_service", service), cellTerm(comparison.service), term("_arm", side === 0 ? comparison.control : comparison.candidate), `_time:[${comparison.started_at} TO ${until}]`].filter(Boolean).join(" ");
}

/** Search is a second behind what is judged: a line that is not there is asked for so often, with this pause. */
const TRIES = 8;
const PAUSE_MS = 1_500;

/** Lines of a stream come as they were written, which is nearly in order. */
const inOrderOfTime = (lines: FoundLine[]): FoundLine[] => lines.toSorted((a, b) => Date.parse(a.time) - Date.parse(b.time) || a.position - b.position);

/** The text of one line, with some before and behind on request. */
export function LineAt({ place, wide, template, timed = false }: { place: Place; wide?: boolean; template?: string; timed?: boolean }) {
  const [lines, setLines] = useState<FoundLine[] | string | null>(null);
  const [sides, setSides] = useState(wide ? 5 : 0);
  const [tries, setTries] = useState(0);
  const search = canSearch();
  useEffect(() => {
    if (!search) return;
    const stopping = new AbortController();
    let again: ReturnType<typeof setTimeout> | undefined;
    const asked = new URLSearchParams({ stream: place.stream, position: String(place.offset), before: String(sides), behind: String(sides) });
    inTurn(() => get<{ lines: FoundLine[] }>(`/v1/search/around?${asked}`, stopping.signal), stopping.signal).then(
      (found) => {
        setLines(found.lines);
        // What was judged just now can be found a moment later.
        const isThere = found.lines.some((line) => line.position === place.offset && line.stream === place.stream);
        if (!isThere && tries < TRIES) again = setTimeout(() => setTries(tries + 1), PAUSE_MS);
      },
      (error: unknown) => {
        if (stopping.signal.aborted) return;
        if (tries < TRIES) again = setTimeout(() => setTries(tries + 1), PAUSE_MS);
        else setLines(error instanceof Error ? error.message : String(error));
      },
    );
    return () => {
      clearTimeout(again);
      stopping.abort();
    };
  }, [place.stream, place.offset, sides, search, tries]);
  if (!search) return null;
  if (lines === null) return <span class="aside line-to-be">…</span>;
  if (typeof lines === "string") return <span class="aside line-to-be">{lines}</span>;
  const own = lines.findIndex((line) => line.position === place.offset && line.stream === place.stream);
  if (own < 0) return <span class="aside line-to-be">{tries < TRIES ? "not found yet…" : "not kept any more"}</span>;
  return (
    <>
      {inOrderOfTime(lines).map((line) => (
        <LogLine key={line.cursor} line={line} isOwn={line === lines[own] && sides > 0} isFine={sides > 0} timed={timed || sides > 0} template={line === lines[own] ? template : undefined} />
      ))}
      <button type="button" class="link small" aria-expanded={sides > 0} onClick={() => setSides(sides > 0 ? 0 : 5)}>
        {sides > 0 ? "this line alone" : "lines around it"}
      </button>
    </>
  );
}

const SHOWN = 10;
/** Lines of a template that carried the verdict. */
const OF_TEMPLATE = 3;

/** What lines of the canary are called: only a failure is shown by some. */
export const linesWords = (comparison: Comparison): string => (comparison.verdict === "fail" ? "Lines that show it" : "Lines of the canary to look at");

/** Lines of what carried the verdict that are asked for, to know them among requests. */
const CARRYING = 1_000;
const placeOf = (of: { stream: string; offset: number }): string => `${of.stream}/${of.offset}`;

/** Which places of the canary have a line that carried the verdict; `null` while that is not known. */
function useCarrying(comparison: Comparison, ids: string[], isOpen: boolean): Set<string> | null {
  const [found, set] = useState<{ of: string; places: Set<string> } | null>(null);
  const of = `${comparison.service}\n${comparison.candidate}\n${ids.join()}`;
  const search = canSearch();
  const isAsked = isOpen && search && ids.length > 0;
  const lines = comparison.templates.listed.filter((one) => ids.includes(one.id)).map((one) => one.lines[1]).join();
  useEffect(() => {
    if (!isAsked) return;
    const stopping = new AbortController();
    const q = armQuery(comparison, 1, `(${ids.map((id) => `_template:${id}`).join(" OR ")})`);
    get<Found>(`/v1/search?${new URLSearchParams({ q, limit: String(CARRYING), count: "0" })}`, stopping.signal).then(
      (page) => set({ of, places: new Set(page.lines.map((line) => `${line.stream}/${line.position}`)) }),
      // Without an answer all are told.
      () => !stopping.signal.aborted && set({ of, places: new Set() }),
    );
    return () => stopping.abort();
  }, [isAsked, of, lines]);
  if (ids.length === 0 || !search) return new Set();
  return found?.of === of ? found.places : null;
}

/** Requests, each with its line. `timed`: it is about how long they took. */
function Requests({ list, timed }: { list: Evidence[]; timed: boolean }) {
  return (
    <ol class="places">
      {list.map((line) => (
        <li key={`${line.stream}/${line.offset}`}>
          <p>
            <b>{line.class === "error" ? "failed" : "slow"}</b> {line.status ?? ""} {harmless(line.route, 100)} {line.latency_ms !== null && <span title={STEPS}>about {millis(line.latency_ms)}</span>} <Time at={line.time} />{" "}
            <small>
              {harmless(line.stream, 80)}, byte {grouped(line.offset)}
            </small>
          </p>
          <LineAt place={line} timed={timed || line.class === "slow"} />
        </li>
      ))}
    </ol>
  );
}

/** What shows the verdict: first lines of the templates that carried it, then requests, slow ones first where it is about latency. */
export function Lines({ comparison, open }: { comparison: Comparison; open: Signal<boolean> }) {
  const isOpen = useComputed(() => open.value).value;
  const [all, setAll] = useState(false);
  const [more, setMore] = useState(false);
  const failing = comparison.templates.listed.filter((of) => comparison.templates.failing.includes(of.id) && of.canary.length > 0);
  const regressed = comparison.guardrails.filter((of) => of.finding === "regressed").map((of) => of.guardrail);
  const isSlow = regressed.length > 0 && regressed.every((name) => name.startsWith("latency"));
  // What stands above as a new line is not told again.
  const above = new Set(failing.flatMap((of) => of.canary.slice(0, OF_TEMPLATE).map((place) => `${place.stream}/${place.offset}`)));
  const lines = comparison.evidence.filter((of) => !above.has(`${of.stream}/${of.offset}`)).toSorted((a, b) => Number(isSlow ? a.class !== "slow" : a.class === "slow") - Number(isSlow ? b.class !== "slow" : b.class === "slow"));
  const carrying = useCarrying(comparison, failing.map((of) => of.id), isOpen);
  if (lines.length === 0 && failing.length === 0) return null;
  // Of a failure only requests of what became worse show it; all others are told apart.
  const isFailed = comparison.verdict === "fail";
  const isWorse = { error: regressed.some((name) => name.startsWith("error")), slow: regressed.some((name) => name.startsWith("latency")) };
  const isTold = isFailed && (failing.length > 0 || isWorse.error || isWorse.slow);
  const byLatency = (a: Evidence, b: Evidence): number => (isSlow ? (b.latency_ms ?? 0) - (a.latency_ms ?? 0) : 0);
  const list = (isTold ? lines.filter((of) => isWorse[of.class]) : lines).toSorted(byLatency);
  // The report has some of them; what they are a sample of is counted where a guardrail has its lines.
  const counted = isTold ? comparison.guardrails.find((of) => of.finding === "regressed" && of.lines?.canary?.counted === "lines" && of.guardrail !== "latency_mean")?.lines?.canary : null;
  // A request whose own line carried the verdict is no other one.
  const others = isTold && carrying ? lines.filter((of) => !isWorse[of.class] && !carrying.has(placeOf(of))) : [];
  const drawn = failing.reduce((sum, of) => sum + Math.min(OF_TEMPLATE, of.canary.length), 0) + (all ? list.length : Math.min(SHOWN, list.length));
  const there = failing.reduce((sum, of) => sum + Math.max(of.lines[1], of.canary.length), 0) + (list.length > 0 ? Math.max(list.length, counted?.count ?? 0) : 0);
  return (
    <details class="more" id="lines" open={isOpen} onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>
        {linesWords(comparison)} ({drawn < there ? `${grouped(drawn)} shown of ${grouped(there)}` : grouped(there)})
      </summary>
      {isOpen &&
        failing.map((of) => (
          <div key={of.id}>
            <h3>
              A new error line: <a href={`/templates/${of.id}`}><code>{harmless(of.text || of.id, 200)}</code></a>
            </h3>
            <ol class="places">
              {of.canary.slice(0, OF_TEMPLATE).map((place) => (
                <li key={`${place.stream}/${place.offset}`}>
                  {canSearch() ? (
                    <LineAt place={place} template={of.text} />
                  ) : (
                    <>
                      <Time at={place.time} /> {harmless(place.stream, 80)}, byte {grouped(place.offset)}
                    </>
                  )}
                </li>
              ))}
            </ol>
            {of.query && canSearch() && (
              <p>
                <PlaceLink query={of.query}>All {of.lines[1] > 0 ? grouped(of.lines[1]) : ""} lines of it</PlaceLink>
              </p>
            )}
          </div>
        ))}
      {isOpen && list.length > 0 && (
        <>
          <h3>{isTold ? `Requests of the canary that ${isWorse.error ? (isWorse.slow ? "failed or were slow" : "failed") : "were slow"}` : "Requests of the canary that failed or were slow"}</h3>
          <Requests list={all ? list : list.slice(0, SHOWN)} timed={isWorse.slow} />
          {!all && list.length > SHOWN && (
            <button type="button" onClick={() => setAll(true)}>
              {list.length - SHOWN} more
            </button>
          )}
          {counted && (counted.count ?? 0) > list.length && canSearch() && (
            <p>
              A sample{isSlow && ", the slowest first"}. <PlaceLink query={counted.query}>All {grouped(counted.count!)} requests</PlaceLink>
            </p>
          )}
        </>
      )}
      {isOpen && others.length > 0 && (
        <>
          <h3>
            {failing.length > 0 && !canSearch() ? "Requests of the canary that failed or were slow; some may have written a new error line" : "Other requests of the canary that failed or were slow; the verdict does not rest on them"} ({others.length > SHOWN && !more ? `${SHOWN} shown of ${grouped(others.length)}` : grouped(others.length)})
          </h3>
          <Requests list={more ? others : others.slice(0, SHOWN)} timed={false} />
          {!more && others.length > SHOWN && (
            <button type="button" onClick={() => setMore(true)}>
              {others.length - SHOWN} more
            </button>
          )}
        </>
      )}
      {!canSearch() && <p class="aside">This program keeps no lines for search; the places say where they stand in their stream.</p>}
    </details>
  );
}
