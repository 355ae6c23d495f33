// One line of a log, as text: whatever stands in it, it is shown and does nothing.

import { useState } from "preact/hooks";
import { harmless } from "../lib/format";
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

interface Props {
  line: FoundLine;
  isOwn?: boolean;
  /** Adds a term to the query, or its contrary. */
  narrow?: (term: string) => void;
  arm?: "baseline" | "candidate" | "";
}

export function LogLine({ line, isOwn, narrow, arm }: Props) {
  const [open, setOpen] = useState(false);
  const { message, rest } = fieldsOf(line.line);
  const level = line._level ?? rest.find(([name]) => LEVELS.includes(name))?.[1]?.toLowerCase() ?? "";
  return (
    <div class={`line ${isOwn ? "own" : ""} ${arm ?? ""}`}>
      <button type="button" class="quiet line-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Time at={line.time} /> {level && <span class={`level ${level}`}>{harmless(level, 20)}</span>}{" "}
        {line._service && <span class="service">{harmless(line._service, 40)}</span>} {line._arm && <span class="arm">{harmless(line._arm, 40)}</span>}{" "}
        <span class="message">{harmless(message, SHORT)}</span>
      </button>
      {open && (
        <div class="line-body">
          <dl>
            {Object.entries(line)
              .filter(([key]) => key.startsWith("_"))
              .map(([key, value]) => (
                <Field key={key} name={key} value={String(value)} narrow={narrow} />
              ))}
            {rest.map(([key, value]) => (
              <Field key={key} name={key} value={value} narrow={narrow} />
            ))}
          </dl>
          <p class="aside">
            {harmless(line.stream, 80)} at {line.position}
          </p>
          {rest.length === 0 && <pre>{harmless(line.line, LONG)}</pre>}
        </div>
      )}
    </div>
  );
}

function Field({ name, value, narrow }: { name: string; value: string; narrow: ((term: string) => void) | undefined }) {
  return (
    <>
      <dt>{harmless(name, 120)}</dt>
      <dd>
        <span>{harmless(value, 4_000)}</span>
        {narrow && value.length <= 200 && (
          <span class="narrow">
            <button type="button" class="quiet small" aria-label={`only ${name} ${value.slice(0, 60)}`} onClick={() => narrow(term(name, value))}>
              +
            </button>
            <button type="button" class="quiet small" aria-label={`without ${name} ${value.slice(0, 60)}`} onClick={() => narrow(`NOT ${term(name, value)}`)}>
              {"\u2212"}
            </button>
          </span>
        )}
      </dd>
    </>
  );
}
