// Lines that a search found, as many as there are: only those in sight are drawn, and more are asked for before one comes to their end.
// One of them is open in a panel beside them, which the address names.

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get } from "../lib/api";
import { roleOf } from "../lib/arms";
import { harmless } from "../lib/format";
import { withKeys } from "../lib/keys";
import { report } from "../lib/live";
import { param, setQuery } from "../lib/router";
import type { FoundLine } from "../lib/types";
import { toRow, useWide, useWindow } from "../lib/window";
import { Head, LineBody, LogLine } from "./LogLine";
import { Copy } from "./parts";

/** Height of a row in pixels, as the style sheet has it: in a narrow window the message has a row of its own. */
const WIDE_ROW = 30;
const NARROW_ROW = 52;
/** Rows before the end at which more are asked for. */
const AHEAD = 200;
/** Lines around an open one, on each side. */
const AROUND = 5;

interface Props {
  lines: FoundLine[];
  more: (() => void) | null;
  narrow: (term: string) => void;
  template?: string | undefined;
}

/** A line's name in an address, where commas stand between names. */
const nameOf = (line: FoundLine): string => `${line.stream.replaceAll("%", "%25").replaceAll(",", "%2C")}:${line.position}`;
const streamOf = (name: string): string => name.slice(0, name.lastIndexOf(":")).replaceAll("%2C", ",").replaceAll("%25", "%");

export function LineList({ lines, more, narrow, template }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const height = useWide() ? WIDE_ROW : NARROW_ROW;
  const [from, to] = useWindow(box, lines.length, height);
  const marks = param("mark");
  const marked = useMemo<ReadonlySet<string>>(() => new Set(marks.split(",").filter(Boolean)), [marks]);
  const setMarked = (of: ReadonlySet<string>): void => setQuery({ mark: [...of].join(",") });
  const open = param("sel");
  // Who asks for slow ones wants to see how slow each is.
  const isTimed = /latency|duration/i.test(param("q")) || (report.value?.survey.roles.latency?.fields ?? []).some((of) => param("q").includes(of.path));
  // Of a hundred thousand lines none is looked at while none is open.
  const place = useMemo(() => (open ? lines.findIndex((line) => nameOf(line) === open) : -1), [lines, open]);
  useEffect(() => {
    if (more && to + AHEAD >= lines.length) more();
  }, [to, lines.length, more]);
  const row = (at: number): HTMLElement | null => box.current?.querySelector<HTMLElement>(`[data-at="${at}"]`) ?? null;
  const focused = (): number => Number((document.activeElement as HTMLElement | null)?.dataset?.at ?? -1);
  useEffect(() => {
    const move = (by: number) => () => {
      const at = Math.min(lines.length - 1, Math.max(0, focused() + by));
      toRow(box.current, at, height, row);
      // What is open follows.
      if (param("sel") && lines[at]) setQuery({ sel: nameOf(lines[at]) }, false);
    };
    const here = (): FoundLine | undefined => lines[focused() >= 0 ? focused() : place];
    const byTemplate = (word: string) => () => {
      const line = here();
      if (line?._template) narrow(`${word}_template:${line._template}`);
    };
    return withKeys([
      { key: "j", words: "next line", run: move(1) },
      { key: "k", words: "previous line", run: move(-1) },
      { key: "i", words: "only lines like this one", run: byTemplate("") },
      { key: "e", words: "no lines like this one", run: byTemplate("NOT ") },
      {
        key: "x",
        words: "mark the line",
        run: () => {
          const line = here();
          if (!line) return;
          const next = new Set(marked);
          if (!next.delete(nameOf(line))) next.add(nameOf(line));
          setMarked(next);
        },
      },
      { key: "X", words: "take all marks away", run: () => setMarked(new Set()) },
      ...(open ? [{ key: "Escape", words: "close the line", run: () => setQuery({ sel: null }) }] : []),
    ]);
  }, [lines, marked, open, place, height]);
  return (
    <div class={open ? "with-line" : ""}>
      <div>
        {marked.size > 0 && (
          <p class="bar">
            {marked.size} marked
            <Copy label="Copy them" text={() => lines.filter((line) => marked.has(nameOf(line))).map((line) => line.line).join("\n")} />
            <button type="button" class="quiet" onClick={() => setMarked(new Set())}>
              Take the marks away
            </button>
          </p>
        )}
        <div class="lines" ref={box} role="grid" aria-label="Lines" aria-rowcount={more ? -1 : lines.length}>
          <div style={{ height: `${from * height}px` }} role="presentation" />
          {lines.slice(from, to).map((line, number) => {
            const at = from + number;
            const name = nameOf(line);
            return (
              <div key={line.cursor} role="row" aria-rowindex={at + 1} class={`line ${roleOf(line._service, line._arm)} ${name === open ? "own" : ""} ${marked.has(name) ? "marked" : ""}`}>
                <div role="gridcell">
                  <button type="button" class="quiet line-head" data-at={at} aria-expanded={name === open} onClick={() => setQuery({ sel: name === open ? null : name })}>
                    <Head line={line} template={template} timed={isTimed} />
                    {marked.has(name) && <span class="unseen"> marked</span>}
                  </button>
                </div>
              </div>
            );
          })}
          <div style={{ height: `${Math.max(0, lines.length - to) * height}px` }} role="presentation" />
        </div>
        {more && <p class="aside">More are asked for as one comes near…</p>}
      </div>
      {open && <Detail name={open} line={lines[place]} narrow={narrow} />}
    </div>
  );
}

/** The open line: its fields, what stands around it, and others like it. */
function Detail({ name, line, narrow }: { name: string; line: FoundLine | undefined; narrow: (term: string) => void }) {
  const [around, setAround] = useState<FoundLine[] | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const cut = name.lastIndexOf(":");
    const stopping = new AbortController();
    const asked = new URLSearchParams({ stream: streamOf(name), position: name.slice(cut + 1), before: String(AROUND), behind: String(AROUND) });
    setAround(null);
    setProblem("");
    get<{ lines: FoundLine[] }>(`/v1/search/around?${asked}`, stopping.signal).then(
      (found) => setAround(found.lines),
      (error: unknown) => {
        if (!stopping.signal.aborted) setProblem(error instanceof Error ? error.message : String(error));
      },
    );
    return () => stopping.abort();
  }, [name]);
  const own = line ?? around?.find((of) => nameOf(of) === name);
  return (
    <aside class="drawer" aria-label="The line">
      <header>
        <h2>The line</h2>
        <button type="button" class="quiet" aria-label="Close" onClick={() => setQuery({ sel: null })}>
          {"×"}
        </button>
      </header>
      {own ? (
        <>
          <p class="links">
            {own._template && <a href={`/templates/${own._template}`}>Its template</a>}
            {own._template && (
              <button type="button" class="quiet small" onClick={() => narrow(`_template:${own._template}`)}>
                lines like this
              </button>
            )}
            <Copy label="Copy the line" text={() => own.line} />
          </p>
          <LineBody line={own} narrow={narrow} />
        </>
      ) : (
        <p class="aside">{problem || (around ? "This line is not kept any more." : "…")}</p>
      )}
      {around && around.length > 1 && (
        <>
          <h3>Around it, in {harmless(streamOf(name), 60)}</h3>
          {around.map((of) => (
            <LogLine key={of.cursor} line={of} isOwn={nameOf(of) === name} narrow={narrow} />
          ))}
        </>
      )}
    </aside>
  );
}
