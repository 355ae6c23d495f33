// Questions to the program. Every answer is data; nothing of it is ever markup.

import { signal } from "@preact/signals";
import type { Session, Status, Trial } from "./types";

/** An answer that is none: the status, and the words that came with it. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    words: string,
  ) {
    super(words);
  }
}

/** Who this browser is, as far as the program knows. */
export const session = signal<Session | null>(null);
/** Reading needs a token, and there is none. */
export const needsLogin = signal(false);

/** What is said where there is no answer at all: a browser has words of its own for it. */
export const SILENT = "the program does not answer";

async function reach(path: string, init?: RequestInit): Promise<Response> {
  try {
    return await fetch(path, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Error(SILENT);
  }
}

/** Characters of an answer after which drawing waits a moment. */
const LONG = 300_000;

async function answered(response: Response): Promise<unknown> {
  const text = await response.text();
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Some refusals are plain words.
  }
  // To read so much takes a while, and to draw it does too: between them the browser may do something else.
  if (text.length > LONG) await new Promise((done) => setTimeout(done));
  if (response.ok) return body;
  const said = body as { error?: unknown; waiting_for?: unknown } | null;
  // What a program that has just begun waits for, in its words.
  const words = typeof said?.error === "string" ? said.error : typeof said?.waiting_for === "string" ? said.waiting_for : text.trim().slice(0, 300);
  throw new Refused(response.status, words || `status ${response.status}`);
}

/** What there is, as far as is known: a program that has just begun has neither, and is not asked for them. */
const isThere = { report: false, index: false };
let standing: Promise<Pick<Status, "waiting_for" | "index"> | null> | null = null;

/** What a question needs; `null`: nothing. */
function needOf(path: string): keyof typeof isThere | null {
  if (/^\/v1\/report\b/.test(path)) return "report";
  return /^\/v1\/(search|aggregate|fields|shares)\b/.test(path) ? "index" : null;
}

/** Refuses what the program would refuse because nothing has come yet: how it stands is an answer, and its refusal an error of the browser's console. */
async function beThere(path: string): Promise<void> {
  const need = needOf(path);
  if (need === null || isThere[need]) return;
  standing ??= fetch("/v1/status", { headers: { accept: "application/json" } })
    .then(async (response) => (response.ok ? ((await response.json()) as Status) : null))
    .catch(() => null)
    .finally(() => (standing = null));
  const of = await standing;
  if (of && need === "report" && of.waiting_for) throw new Refused(503, of.waiting_for);
  if (of && need === "index" && of.index && !of.index.is_off && of.index.lines === null) throw new Refused(503, "nothing is indexed yet");
  isThere[need] = of !== null;
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  await beThere(path);
  const response = await reach(path, { headers: { accept: "application/json" }, ...(signal ? { signal } : {}) });
  if (response.status === 401) needsLogin.value = true;
  return (await answered(response)) as T;
}

/** The same, with a header of the answer. */
export async function getWith<T>(path: string, header: string): Promise<[T, string | null]> {
  await beThere(path);
  const response = await reach(path, { headers: { accept: "application/json" } });
  if (response.status === 401) needsLogin.value = true;
  return [(await answered(response)) as T, response.headers.get(header)];
}

export async function getText(path: string, signal?: AbortSignal): Promise<string> {
  const response = await reach(path, signal ? { signal } : {});
  if (!response.ok) throw new Refused(response.status, (await response.text()).slice(0, 300));
  return response.text();
}

async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  const csrf = session.peek()?.csrf;
  const response = await reach(path, {
    method,
    headers: { "content-type": "application/json", ...(csrf ? { "x-csrf-token": csrf } : {}) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return (await answered(response)) as T;
}

export async function whoAmI(): Promise<void> {
  session.value = await get<Session>("/v1/session");
  if (!session.value.read_needs_token || session.value.name) needsLogin.value = false;
}

export async function login(token: string): Promise<void> {
  session.value = await send<Session>("POST", "/v1/session", { token });
  needsLogin.value = false;
}

export async function logout(): Promise<void> {
  session.value = await send<Session>("DELETE", "/v1/session");
  needsLogin.value = session.value.read_needs_token;
}

/** Commands a rollout. Who does it is whom the session says. */
export function command<T>(rollout: string, word: string, reason: string, finding?: string): Promise<T> {
  const path = `/v1/rollouts/${encodeURIComponent(rollout)}/${word}`;
  return send<T>("POST", path, finding === undefined ? { reason } : { reason, finding });
}

/** Mutes a template of a rollout for some hours, or no longer. */
export function mute(rollout: string, template: string, hours: number, reason: string): Promise<unknown> {
  return send("POST", `/v1/rollouts/${encodeURIComponent(rollout)}/templates/${encodeURIComponent(template)}/mute`, { hours, reason });
}

/** Sends a hook a message that says it is a trial. */
export const tryHook = (name: string): Promise<Trial> => send<Trial>("POST", `/v1/hooks/${encodeURIComponent(name)}/test`, {});
