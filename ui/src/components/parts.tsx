// Small parts that every screen uses.

import type { ComponentChildren, RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { grouped, harmless, local, utc } from "../lib/format";
import { type Look, PROGRAM } from "../lib/words";

/** A verdict: sign and word. */
export function Badge({ look, children }: { look: Look; children?: ComponentChildren }) {
  return (
    <span class={`badge ${look.tone}`} {...(PROGRAM[look.word] ? { title: `for programs and on the command line: ${PROGRAM[look.word]}` } : {})}>
      <span class="sign" aria-hidden="true">
        {look.sign}
      </span>
      {children ?? look.word}
    </span>
  );
}

/** A time: here, and in UTC for whoever points at it. */
export function Time({ at, prefix = "", fine = false }: { at: string | number; prefix?: string; fine?: boolean }) {
  const date = new Date(at);
  const iso = Number.isNaN(date.getTime()) ? undefined : date.toISOString();
  return (
    <time {...(iso ? { dateTime: iso } : {})} title={utc(at)}>
      {prefix}
      {local(at)}
      {fine && iso && iso.slice(19, 23)}
    </time>
  );
}

const PIECES = /(`[^`]*`|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/;

/** Whole numbers of four digits and more, before what they count: years and versions are none. */
const THOUSANDS = /(?<![\w.,:+-])\d{4,}(?= (?:ms|s|min|h|users|sessions|clients|requests|lines|traces|units)\b)/g;

/** A sentence of the program: what stands in backticks is text of a log, and times are those of here. */
export function Said({ words }: { words: string }) {
  const parts = words.slice(0, 1_000).split(PIECES);
  return (
    <>
      {parts.map((part, at) =>
        at % 2 === 0 ? harmless(part).replace(THOUSANDS, (number) => grouped(Number(number))).replace(/(\d) (?=(?:%|ms|pp|s|min|h)(?!\w))/g, "$1\u00a0") : part.startsWith("`") ? <code key={at}>{harmless(part.slice(1, -1))}</code> : <Time key={at} at={part} />,
      )}
    </>
  );
}

export function Note({ tone, title, children }: { tone?: Look["tone"]; title: string; children?: ComponentChildren }) {
  return (
    <div class={`note ${tone ?? ""}`} role="status">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** Tells of a box that there is more to the right, or below, as long as there is. */
export function useMore(box: RefObject<HTMLElement | null>, side: "right" | "below"): void {
  useLayoutEffect(() => {
    const element = box.current;
    if (!element) return;
    const look = (): void => {
      const left = side === "right" ? element.scrollWidth - element.clientWidth - element.scrollLeft : element.scrollHeight - element.clientHeight - element.scrollTop;
      // Of a table of which a pixel is missing nothing is.
      element.toggleAttribute(side === "right" ? "data-more" : "data-below", left > 4);
    };
    look();
    const watch = new ResizeObserver(look);
    watch.observe(element);
    if (element.firstElementChild) watch.observe(element.firstElementChild);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      watch.disconnect();
      element.removeEventListener("scroll", look);
    };
  });
}

/** What may be wider than the window: it scrolls by itself, and says that it does. */
export function Scroll({ label, children }: { label: string; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  useMore(box, "right");
  useMore(box, "below");
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={label} ref={box}>
      {children}
    </div>
  );
}

/** Copies a text, and says so. */
export function Copy({ text, label, title }: { text: () => string | Promise<string>; label: string; title?: string }) {
  const [done, setDone] = useState("");
  const copy = async (): Promise<void> => {
    const words = await text();
    try {
      await navigator.clipboard.writeText(words);
      setDone("copied");
    } catch {
      setDone(words);
    }
    setTimeout(() => setDone(""), 4_000);
  };
  return (
    <>
      <button type="button" class="quiet" onClick={() => void copy()} {...(title ? { title } : {})}>
        {/* The button keeps its width, and what stands beside it its place. */}
        <span class="turns">
          <span class={done === "copied" ? "gone" : ""}>{label}</span>
          <span class={done === "copied" ? "" : "gone"} aria-hidden="true">
            copied
          </span>
        </span>
      </button>
      <span class={done === "copied" ? "unseen" : "said"} role="status">
        {done}
      </span>
    </>
  );
}

/** Tells that rows would change places, and lets them. */
export function Pill({ pending, apply, words }: { pending: number; apply: () => void; words?: string }) {
  if (pending === 0) return null;
  return (
    <button type="button" class="pill" onClick={apply}>
      {words ? `show ${words}` : `${pending} ${pending === 1 ? "change" : "changes"} of order`}: press <kbd>.</kbd>
    </button>
  );
}

/** What a screen shows while it knows nothing yet. */
export function Loading({ what }: { what: string }) {
  return (
    <p class="loading" role="status">
      {what}
    </p>
  );
}

export function Problem({ words }: { words: string }) {
  return (
    <Note tone="invalid" title="No answer">
      <p>{words}</p>
    </Note>
  );
}
