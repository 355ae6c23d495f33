// The lines behind a number: their text where the program keeps lines, and where they stand in any case.

import { useComputed, type Signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { get } from "../lib/api";
import { harmless, millis } from "../lib/format";
import { status } from "../lib/live";
import type { Comparison, FoundLine, Place } from "../lib/types";
import { LogLine } from "./LogLine";
import { Time } from "./parts";

/** The program keeps lines and can find them. */
export const canSearch = (): boolean => status.value?.index !== undefined && !status.value.index.is_off;

/** An address of the search screen. */
export const searchPath = (query: string): string => `/search?${new URLSearchParams({ q: query })}`;

/** A number as a link to its lines, where there is a query for them. */
export function PlaceLink({ query, children }: { query: string | null | undefined; children: ComponentChildren }) {
  if (!query || !canSearch()) return <>{children}</>;
  return (
    <a href={searchPath(query)} title="the lines behind this number">
      {children}
    </a>
  );
}

/** Search is a second behind what is judged: a line that is not there is asked for so often, with this pause. */
const TRIES = 8;
const PAUSE_MS = 1_500;

/** The text of one line, with some before and behind on request. */
export function LineAt({ place, wide, template }: { place: Place; wide?: boolean; template?: string }) {
  const [lines, setLines] = useState<FoundLine[] | string | null>(null);
  const [sides, setSides] = useState(wide ? 5 : 0);
  const [tries, setTries] = useState(0);
  const search = canSearch();
  useEffect(() => {
    if (!search) return;
    const stopping = new AbortController();
    let again: ReturnType<typeof setTimeout> | undefined;
    const asked = new URLSearchParams({ stream: place.stream, position: String(place.offset), before: String(sides), behind: String(sides) });
    get<{ lines: FoundLine[] }>(`/v1/search/around?${asked}`, stopping.signal).then(
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
  if (lines === null) return <span class="aside">…</span>;
  if (typeof lines === "string") return <span class="aside">{lines}</span>;
  const own = lines.findIndex((line) => line.position === place.offset && line.stream === place.stream);
  if (own < 0) return <span class="aside">{tries < TRIES ? "not found yet…" : "not kept any more"}</span>;
  return (
    <>
      {lines.map((line, at) => (
        <LogLine key={line.cursor} line={line} isOwn={at === own && sides > 0} template={at === own ? template : undefined} />
      ))}
      {sides === 0 && (
        <button type="button" class="quiet small" onClick={() => setSides(5)}>
          lines around it
        </button>
      )}
    </>
  );
}

const SHOWN = 10;

export function Lines({ comparison, open }: { comparison: Comparison; open: Signal<boolean> }) {
  const list = comparison.evidence;
  const isOpen = useComputed(() => open.value).value;
  if (list.length === 0) return null;
  return (
    <details class="more" id="lines" open={isOpen} onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>Lines of the canary to look at ({list.length})</summary>
      {isOpen && (
        <ol class="places">
          {list.slice(0, SHOWN).map((line) => (
            <li key={`${line.stream}/${line.offset}`}>
              <p>
                <b>{line.class === "error" ? "failed" : "slow"}</b> {line.status ?? ""} {harmless(line.route, 100)} {line.latency_ms !== null && millis(line.latency_ms)}{" "}
                <Time at={line.time} />{" "}
                <small>
                  {harmless(line.stream, 80)} at {line.offset}
                </small>
              </p>
              <LineAt place={line} />
            </li>
          ))}
        </ol>
      )}
      {!canSearch() && <p class="aside">This program keeps no lines for search; the places say where they stand in their stream.</p>}
    </details>
  );
}
