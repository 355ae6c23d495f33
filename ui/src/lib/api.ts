// Questions to the program. Every answer is data; nothing of it is ever markup.

import { signal } from "@preact/signals";
import type { Session } from "./types";

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

async function answered(response: Response): Promise<unknown> {
  const text = await response.text();
  let body: unknown = null;
  try {
    body = JSON.parse(text);
  } catch {
    // Some refusals are plain words.
  }
  if (response.ok) return body;
  const said = body as { error?: unknown; waiting_for?: unknown } | null;
  const words = typeof said?.error === "string" ? said.error : text.trim().slice(0, 300);
  throw new Refused(response.status, words || `status ${response.status}`);
}

export async function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  const response = await fetch(path, { headers: { accept: "application/json" }, ...(signal ? { signal } : {}) });
  if (response.status === 401) needsLogin.value = true;
  return (await answered(response)) as T;
}

async function send<T>(method: string, path: string, body?: unknown): Promise<T> {
  const csrf = session.peek()?.csrf;
  const response = await fetch(path, {
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
