// Of which time and of which lines numbers are: the log's own time, one period for a question and its answer, arms that are told apart.

import { signal } from "@preact/signals";
import { cleanup, render, screen, waitFor } from "@testing-library/preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { pensOf, type Line } from "../src/components/SeriesChart";
import { Lines } from "../src/components/Lines";
import { tagsOf } from "../src/components/Coverage";
import { report, rollouts, status } from "../src/lib/live";
import { logEnd, timesOf } from "../src/lib/logtime";
import { latest, silentSince } from "../src/lib/silence";
import type { Comparison, Guardrail, Report, RolloutFull, Status } from "../src/lib/types";

// jsdom draws nothing, and knows no scheme.
vi.mock("uplot", () => ({ default: Object.assign(class { destroy() {} setSize() {} }, { paths: { stepped: () => null } }) }));
const stub = (): void => {
  vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
};
stub();
const { armLines, boardTimes } = await import("../src/screens/Board");
const { Rollouts } = await import("../src/screens/Rollouts");
const { isPast, testedOf } = await import("../src/screens/Verdict");
const { offersAsked } = await import("../src/screens/Feature");

beforeEach(() => {
  stub();
  status.value = { index: { is_off: false, lines: 9 } } as unknown as Status;
});
afterEach(() => {
  cleanup();
  report.value = null;
  status.value = null;
  vi.unstubAllGlobals();
});

const CLOCK = Date.parse("2026-06-01T12:00:00Z");

it("counts from the end of the log where that is not about now", () => {
  expect(logEnd("2026-06-01T11:59:00Z", CLOCK)).toBeNull();
  expect(logEnd(null, CLOCK)).toBeNull();
  expect(logEnd("2022-08-22T03:56:20Z", CLOCK)).toBe(Date.parse("2022-08-22T03:56:20Z"));
  const end = Date.parse("2026-06-01T14:00:00Z");
  expect(timesOf("now-1h", "", end)).toEqual({ since: "2026-06-01T13:00:00.000Z", until: "2026-06-01T14:00:00.000Z" });
  expect(timesOf("now-1h", "", null)).toEqual({ since: "now-1h", until: "" });
  expect(timesOf("all", "", end)).toEqual({ since: "", until: "" });
  expect(timesOf("", "", end)).toEqual({ since: "", until: "" });
  expect(timesOf("2026-06-01T10:00:00Z", "", end)).toEqual({ since: "2026-06-01T10:00:00Z", until: "" });
});

it("shows on a dashboard the last of the log, however far from now it ends", () => {
  expect(boardTimes("", "", 3_600, "2022-08-22T03:56:20Z", CLOCK)).toEqual({ since: "2022-08-22T02:56:20.000Z", until: "2022-08-22T03:56:20.000Z" });
  // What comes now is there.
  expect(boardTimes("", "", 3_600, "2026-06-01T11:59:50Z", CLOCK)).toEqual({ since: "2026-06-01T11:00:00.000Z", until: "" });
  expect(boardTimes("all", "", 3_600, "2022-08-22T03:56:20Z", CLOCK)).toEqual({ since: "", until: "" });
});

it("draws the arms of what failed first, in the colours of the arms, with their services", () => {
  const one = (service: string, verdict: string, control: string, candidate: string) => ({ service: `${service} in prod`, services: [`${service} in prod`], verdict, held_back_by_change: false, control, candidate });
  report.value = { comparisons: [one("shop", "fail", "2.4.0", "2.5.0"), one("login", "pass", "5.2.0", "5.3.0")] } as unknown as Report;
  const lines = armLines(["login 5.2.0", "login 5.3.0", "other 1", "shop 2.4.0", "shop 2.5.0"].map((name): Line => ({ name, values: [1, 2] })));
  expect(lines.map((of) => of.name)).toEqual(["shop 2.4.0", "shop 2.5.0", "login 5.2.0", "login 5.3.0", "other 1"]);
  expect(lines[1]).toMatchObject({ role: "candidate", words: "canary: worse" });
  const pens = pensOf(lines);
  expect(pens.map(([tone]) => tone)).toEqual(["baseline", "candidate", "baseline", "candidate", "better"]);
  // Both arms of a service have its dashes, and services differ in them.
  expect(pens[0]![1]).toEqual(pens[1]![1]);
  expect(pens[0]![1]).not.toEqual(pens[2]![1]);
  // All eight arms of four services are drawn.
  expect(pensOf(Array.from({ length: 9 }, (_, at): Line => ({ name: `${at}`, values: [], role: at % 2 ? "baseline" : "candidate", group: String(at >> 1) })))).toHaveLength(8);
});

it("offers routes with the users whom the answer counts", () => {
  const { asked } = offersAsked({ services: ["shop"] } as RolloutFull, { control: "1", candidate: "2", started_at: "2026-06-01T09:00:00Z", ended_at: "2026-06-01T09:34:00Z" });
  expect(asked.get("since")).toBe("2026-06-01T09:00:00Z");
  expect(asked.get("until")).toBe("2026-06-01T09:34:00Z");
  expect(asked.get("q")).toBe('_kind:request AND _failed:false AND _service:"shop" AND (_arm:"1" OR _arm:"2")');
});

it("lists no request whose line carried the verdict among the others", async () => {
  const request = (offset: number) => ({ stream: "a", offset, time: "2026-06-01T09:00:00Z", class: "error", route: `/r${offset}`, status: "5xx", latency_ms: 5 });
  const template = { id: "00000000000000aa", text: "no price list", level: "error or worse", change: "new", lines: [0, 14, 0], units: [0, 12], log_e: 9, canary: [{ stream: "a", offset: 1, time: "2026-06-01T09:00:00Z" }] };
  const comparison = { service: "shop", control: "1", candidate: "2", unit: "user", verdict: "fail", started_at: "a", ended_at: "b", guardrails: [], evidence: [request(7), request(8)], templates: { failing: [template.id], listed: [template] } } as unknown as Comparison;
  vi.stubGlobal("fetch", async (path: string) => new Response(JSON.stringify(path.startsWith("/v1/search?") ? { lines: [{ stream: "a", position: 7 }] } : { lines: [] })));
  render(<Lines comparison={comparison} open={signal(true)} />);
  await waitFor(() => expect(screen.getByText(/the verdict does not rest on them \(1\)/)).toBeDefined());
  expect(screen.queryByText(/\/r7/)).toBeNull();
  expect(screen.getByText(/\/r8/)).toBeDefined();
});

it("says since when no line of a rollout has come, and nothing of one that has ended", () => {
  const of = (a: string | null, b: string | null, rollout_end: unknown = null) => ({ active_until: [a, b], rollout_end }) as unknown as Comparison;
  expect(silentSince(of("2026-06-01T09:05:10Z", "2026-06-01T09:05:00Z"), CLOCK)).toBe("2026-06-01T09:05:10Z");
  expect(silentSince(of("2026-06-01T11:57:00Z", "2026-06-01T09:05:00Z"), CLOCK)).toBeNull();
  expect(silentSince(of("2026-06-01T09:05:10Z", null, { at: "x", reason: "y" }), CLOCK)).toBeNull();
  expect(silentSince(of(null, null), CLOCK)).toBeNull();
  expect(silentSince(undefined, CLOCK)).toBeNull();
  // A log that runs ahead of the clock has its own end.
  expect(latest("2026-06-01T14:00:00Z", CLOCK)).toBe(Date.parse("2026-06-01T14:00:00Z"));
  expect(latest("2022-08-22T03:56:20Z", CLOCK)).toBe(CLOCK);
});

it("tells a silent rollout in the list", () => {
  const comparison = { service: "shop", control: "1", candidate: "2", unit: "user", units: [9, 9], verdict: "inconclusive", held_back_by_change: false, started_at: "2026-06-01T09:00:00Z", ended_at: "2026-06-01T09:05:10Z", active_until: ["2026-06-01T09:05:10Z", "2026-06-01T09:05:00Z"], rollout_end: null, needs: [], reasons: ["x"], guardrails: [], templates: { listed: [], failing: [] } };
  report.value = { comparisons: [comparison] } as unknown as Report;
  rollouts.value = [{ id: "shop", declared: true, environment: null, services: ["shop"], candidate: "2", verdict: "inconclusive", reason: "", phase: "running", over: false, began: "2026-06-01T09:00:00Z" }];
  vi.stubGlobal("fetch", async () => new Response("{}"));
  render(<Rollouts />);
  expect(screen.getByText(/no line since/).querySelector("time")?.dateTime).toBe("2026-06-01T09:05:10.000Z");
  rollouts.value = null;
});

it("knows where what is within bounds reaches past the margin all the same", () => {
  const row = (finding: string, high: number | null) => ({ finding, margin: 0.0092, effect: { kind: "difference", estimate: 0.0014, low: -0.0074, high } }) as unknown as Guardrail;
  expect(isPast(row("held", 0.0102))).toBe(true);
  expect(isPast(row("held", null))).toBe(true);
  expect(isPast(row("held", 0.007))).toBe(false);
  expect(isPast(row("undecided", 0.0102))).toBe(false);
});

it("calls no trace a user", () => {
  expect(tagsOf("trace", "trace_id").map((of) => of.name)).toEqual(["version or cohort", "trace"]);
  expect(tagsOf("session", undefined).map((of) => of.name)).toEqual(["version or cohort", "session"]);
});

it("does not call equal what was never tested", () => {
  const templates = (tested: number) => ({ failing: [], listed: [], below_error: { tested }, error_or_worse: { tested: 0 } });
  expect(testedOf({ templates: templates(0) } as unknown as Comparison)).toBe(0);
  expect(testedOf({ templates: templates(4) } as unknown as Comparison)).toBe(4);
});
