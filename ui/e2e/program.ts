// The program as it is built, started for tests and stopped by its own process.

import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The binary: `cargo build` of this tree, unless SERIN_BIN names another. */
export const BINARY = process.env.SERIN_BIN ?? new URL("../../target/debug/serin", import.meta.url).pathname;

/** Files of the UI that the binary has not built in yet. */
const UI = process.env.SERIN_UI_DIR ? ["--ui-dir", process.env.SERIN_UI_DIR] : [];

export const TOKEN = "a token of the tests, long enough";

export interface Program {
  address: string;
  child: ChildProcess;
  folder: string;
  /** What it has said until now. */
  said: () => string;
}

/** Programs that run: a test that fails does not stop its own. */
const running = new Set<ChildProcess>();
process.on("exit", () => running.forEach((child) => child.kill("SIGKILL")));

function started(child: ChildProcess, folder: string): Promise<Program> {
  return new Promise((resolve, reject) => {
    running.add(child);
    let said = "";
    const hear = (chunk: Buffer): void => {
      said += chunk.toString();
      const address = /http:\/\/(127\.0\.0\.1:\d+)\//.exec(said)?.[1];
      if (address) resolve({ address: `http://${address}`, child, folder, said: () => said });
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.on("exit", (code) => reject(new Error(`it ended (${code}): ${said}`)));
  });
}

/** `serin run` with these declared rollouts. */
export function run(config: string | ((folder: string) => string) = ""): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), "serin-ui-"));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "token"), TOKEN);
  writeFileSync(join(folder, "serin.yaml"), `idle: 2s\noperate_token_file: ${folder}/token\n${typeof config === "string" ? config : config(folder)}`);
  const words = ["run", "--config", join(folder, "serin.yaml"), "--listen", "127.0.0.1:0", "--state", join(folder, "state"), ...UI];
  return started(spawn(BINARY, words, { stdio: ["ignore", "pipe", "pipe"] }), folder);
}

/** `serin demo`. */
export function demo(...more: string[]): Promise<Program> {
  const folder = mkdtempSync(join(tmpdir(), "serin-ui-"));
  return started(spawn(BINARY, ["demo", "--keep", folder, ...more, ...UI], { stdio: ["ignore", "pipe", "pipe"] }), folder);
}

export async function stop(program: Program): Promise<void> {
  program.child.removeAllListeners("exit");
  const ended = new Promise((resolve) => program.child.on("exit", resolve));
  program.child.kill("SIGTERM");
  await ended;
  running.delete(program.child);
  rmSync(program.folder, { recursive: true, force: true });
}

/** Sends lines, some thousand at a time. */
export async function send(program: Program, lines: string[]): Promise<void> {
  for (let at = 0; at < lines.length; at += 20_000) {
    const answer = await fetch(`${program.address}/ingest`, { method: "POST", body: `${lines.slice(at, at + 20_000).join("\n")}\n` });
    if (!answer.ok) throw new Error(await answer.text());
  }
}

/** Asks until there is an answer; how long that takes decides nothing. */
export async function until<T>(what: string, look: () => Promise<T | null | undefined | false>): Promise<T> {
  const began = Date.now();
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() - began > 90_000) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export async function ask<T>(program: Program, path: string): Promise<T | null> {
  // A program that begins, or has just gone, does not answer.
  const answer = await fetch(program.address + path).catch(() => null);
  return answer?.ok ? ((await answer.json()) as T) : null;
}

/** A canary that fails for a part of its users, with log lines that try to be more than text. */
export function lines(options: { errors: [number, number]; minutes?: number; from?: number; hostile?: boolean; service?: string }): string[] {
  const { errors, minutes = 20, hostile = false, service = "shop" } = options;
  const from = options.from ?? Date.parse("2026-06-01T09:00:00Z");
  let state = 12_345;
  const random = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return ((state >>> 8) & 0xffffff) / 0x1000000;
  };
  const markup = '<img src=x onerror="window.__hit=1"><script>window.__hit=1</script>\u202e\u001b[31m';
  const list: string[] = [];
  for (let minute = 0; minute < minutes; minute += 1) {
    for (let request = 0; request < 400; request += 1) {
      const user = Math.floor(random() * 2_000);
      const canary = minute >= 2 && user % 5 === 0;
      const failed = random() < errors[canary ? 1 : 0];
      list.push(
        JSON.stringify({
          timestamp: new Date(from + minute * 60_000 + request * 150).toISOString(),
          level: failed ? "error" : "info",
          service,
          version: canary ? "2.0.0" : "1.0.0",
          user_id: `u${user}`,
          route: hostile ? `/<b>${request % 3}</b>` : `/r${request % 3}`,
          method: "GET",
          status: failed ? 500 : 200,
          duration_ms: 5 + Math.floor(random() * 40),
          region: hostile ? `"><script>window.__hit=1</script>${user % 3}` : `r${user % 3}`,
          message: failed && canary ? `cannot price voucher v${user} ${hostile ? markup : ""}` : `served cart c${user}`,
        }),
      );
    }
  }
  return list;
}
