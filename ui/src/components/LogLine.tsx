// One line of a log, as text: whatever stands in it, it is shown and does nothing.

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { roleOf } from "../lib/arms";
import { KNOWN } from "../lib/complete";
import { grouped, harmless, millis } from "../lib/format";
import { report } from "../lib/live";
import type { FoundLine } from "../lib/types";
import { Time } from "./parts";

/** Characters that are shown of a line before somebody asks for all. */
const SHORT = 400;
const LONG = 200_000;

export interface Fields {
  message: string;
  rest: [string, string][];
}

const MESSAGES = ["message", "msg", "body", "log", "event", "error.message", "error"];

const LEVELS = ["level", "severity", "log.level", "severity_text", "severityText", "lvl"];

/** A line of JSON as its message and fields; another one is a message whole. */
export function fieldsOf(line: string): Fields {
  let body: unknown;
  try {
    body = JSON.parse(line);
  } catch {
    return { message: line, rest: [] };
  }
  if (typeof body !== "object" || body === null || Array.isArray(body)) return { message: line, rest: [] };
  const rest: [string, string][] = [];
  const walk = (value: Record<string, unknown>, path: string, depth: number): void => {
    for (const [key, of] of Object.entries(value)) {
      const name = path ? `${path}.${key}` : key;
      if (typeof of === "object" && of !== null && !Array.isArray(of) && depth < 6) walk(of as Record<string, unknown>, name, depth + 1);
      else rest.push([name, typeof of === "string" ? of : JSON.stringify(of)]);
    }
  };
  walk(body as Record<string, unknown>, "", 0);
  const at = MESSAGES.map((name) => rest.findIndex(([key]) => key === name)).find((place) => place >= 0);
  const message = at === undefined ? line : rest[at]![1];
  return { message, rest };
}

/** A term of a query that asks for a value. */
export function term(field: string, value: string): string {
  return `${field}:${/^[\w.-]+$/.test(value) ? value : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`}`;
}

/** The parts of a message between the fixed words of its template, set apart: [text, varies]. None where it is not of it. */
export function varying(message: string, template: string): [string, boolean][] | null {
  const words = template.split("<*>");
  if (words.length < 2 || words.length > 40 || !message.startsWith(words[0]!)) return null;
  const parts: [string, boolean][] = words[0] ? [[words[0], false]] : [];
  let at = words[0]!.length;
  for (const [number, word] of words.entries()) {
    if (number === 0) continue;
    const isLast = number === words.length - 1;
    const next = word === "" ? (isLast ? message.length : -1) : isLast ? message.lastIndexOf(word) : message.indexOf(word, at);
    if (next < at) return null;
    if (next > at) parts.push([message.slice(at, next), true]);
    if (word) parts.push([word, false]);
    at = next + word.length;
  }
  if (at < message.length) parts.push([message.slice(at), true]);
  return parts;
}

interface Props {
  line: FoundLine;
  isOwn?: boolean;
  /** With how long it took. */
  timed?: boolean;
  /** Its time to the millisecond: lines of one second stand beside each other. */
  isFine?: boolean;
  /** Adds a term to the query, or its contrary. */
  narrow?: (term: string) => void;
  /** Text of the template that it is of, whose values are set apart. */
  template?: string | undefined;
}

const MS: Record<string, number> = { ns: 1e-6, us: 1e-3, ms: 1, s: 1_000 };

/** How long what a line tells of took, in milliseconds; none where it does not say, or nobody knows in what it does. */
export function latencyOf(line: string, fields: { path: string; unit?: string | null }[]): number | null {
  const { rest } = fieldsOf(line);
  for (const { path, unit } of fields) {
    const value = Number(rest.find(([name]) => name === path)?.[1] ?? NaN);
    if (unit && MS[unit] && Number.isFinite(value)) return value * MS[unit];
  }
  return null;
}

/** What a line says in one row; `timed`: and how long it took. */
export function Head({ line, template, timed = false, isFine = false }: { line: FoundLine; template?: string | undefined; timed?: boolean; isFine?: boolean }): ComponentChildren {
  const { message, rest } = fieldsOf(line.line);
  const level = line._level ?? rest.find(([name]) => LEVELS.includes(name))?.[1]?.toLowerCase() ?? "";
  const parts = template ? varying(message, template) : null;
  const latency = timed ? latencyOf(line.line, report.value?.survey.roles.latency?.fields ?? []) : null;
  return (
    <>
      <Time at={line.time} fine={isFine} /> {level && <span class={`level ${level}`}>{harmless(level, 20)}</span>}{" "}
      {line._service && <span class="service">{harmless(line._service, 40)}</span>} {line._arm && <span class="arm">{harmless(line._arm, 40)}</span>}{" "}
      {latency !== null && <span class="latency">{millis(latency)} </span>}
      <span class="message">{parts ? parts.map(([text, varies], at) => (varies ? <mark key={at}>{harmless(text, SHORT)}</mark> : harmless(text, SHORT))) : harmless(message, SHORT)}</span>
    </>
  );
}

export function LogLine({ line, isOwn, isFine, timed, narrow, template }: Props) {
  const [open, setOpen] = useState(false);
  return (
    <div class={`line ${roleOf(line._service, line._arm)} ${isOwn ? "own" : ""}`}>
      <button type="button" class="quiet line-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        {isOwn && <span class="unseen">this line: </span>}
        <Head line={line} template={template} timed={timed ?? isFine ?? false} isFine={isFine ?? false} />
      </button>
      {open && <LineBody line={line} narrow={narrow} />}
    </div>
  );
}

/** Everything that is known of a line. */
export function LineBody({ line, narrow }: { line: FoundLine; narrow?: ((term: string) => void) | undefined }) {
  const { rest } = fieldsOf(line.line);
  return (
    <div class="line-body">
      <dl>
        {Object.entries(line)
          // What the line says itself in the same words is there once.
          .filter(([key, value]) => key.startsWith("_") && !rest.some(([name, own]) => name === key.slice(1) && own === value))
          .map(([key, value]) => (
            <Field key={key} name={key} value={String(value)} narrow={narrow} />
          ))}
        {rest.map(([key, value]) => (
          <Field key={key} name={key} value={value} narrow={narrow} />
        ))}
      </dl>
      <p class="aside">
        where it stands: {harmless(line.stream, 80)}, byte {grouped(line.position)}
      </p>
      {rest.length === 0 && <pre>{harmless(line.line, LONG)}</pre>}
    </div>
  );
}

function Field({ name, value, narrow }: { name: string; value: string; narrow: ((term: string) => void) | undefined }) {
  return (
    <>
      <dt title={KNOWN[name]}>{harmless(name, 120)}</dt>
      <dd>
        <span>{harmless(value, 4_000)}</span>
        {narrow && value.length <= 200 && (
          <span class="narrow">
            <button type="button" class="quiet small" aria-label={`only ${name} ${value.slice(0, 60)}`} title="only lines with it" onClick={() => narrow(term(name, value))}>
              +
            </button>
            <button type="button" class="quiet small" aria-label={`without ${name} ${value.slice(0, 60)}`} title="lines without it" onClick={() => narrow(`NOT ${term(name, value)}`)}>
              {"\u2212"}
            </button>
          </span>
        )}
      </dd>
    </>
  );
}
