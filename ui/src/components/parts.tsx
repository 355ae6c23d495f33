// Small parts that every screen uses.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { local, utc } from "../lib/format";
import type { Look } from "../lib/words";

/** A verdict: sign and word. */
export function Badge({ look, children }: { look: Look; children?: ComponentChildren }) {
  return (
    <span class={`badge ${look.tone}`}>
      <span class="sign" aria-hidden="true">
        {look.sign}
      </span>
      {children ?? look.word}
    </span>
  );
}

/** A time: here, and in UTC for whoever points at it. */
export function Time({ at, prefix = "" }: { at: string | number; prefix?: string }) {
  const date = new Date(at);
  const iso = Number.isNaN(date.getTime()) ? undefined : date.toISOString();
  return (
    <time {...(iso ? { dateTime: iso } : {})} title={utc(at)}>
      {prefix}
      {local(at)}
    </time>
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

/** Copies a text, and says so. */
export function Copy({ text, label, title }: { text: () => string; label: string; title?: string }) {
  const [done, setDone] = useState("");
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text());
      setDone("copied");
    } catch {
      setDone(text());
    }
    setTimeout(() => setDone(""), 4_000);
  };
  return (
    <>
      <button type="button" class="quiet" onClick={() => void copy()} {...(title ? { title } : {})}>
        {label}
      </button>
      <span class="said" role="status">
        {done}
      </span>
    </>
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
