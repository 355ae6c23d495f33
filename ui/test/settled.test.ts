// What stands once one arm has stopped, and what is asked of a program that has nothing yet.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { courseUntil, effectThen, settled, typical, untilThen, whileBoth } from "../src/lib/sidebyside";
import { route, usual } from "../src/lib/router";
import type { Comparison, Course, Guardrail, TimelineEvent } from "../src/lib/types";

vi.mock("uplot", () => ({ default: Object.assign(class { destroy() {} setSize() {} }, { paths: { stepped: () => null } }) }));
vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));

beforeEach(() => vi.resetModules());
afterEach(() => vi.unstubAllGlobals());

const UNTIL = "2026-06-01T09:04:00Z";
const ENDED = "2026-06-01T09:34:00Z";

it("shows differences of the last look that had both arms", () => {
  const point = (at: string, estimate: number | null) => ({ at, log_sum: 0, effects: [estimate === null ? null : ([estimate / 2, estimate, estimate * 2] as [number, number, number])] });
  const course = { guardrails: ["error_units"], points: [point("2026-06-01T09:03:50Z", 1.2), point(UNTIL, 1.5), point("2026-06-01T09:20:00Z", 1.6)] } as unknown as Course;
  const row = { guardrail: "error_units", effect: { kind: "ratio", estimate: 1.6, low: 0.8, high: 3.2 } } as unknown as Guardrail;
  expect(effectThen(course, row, UNTIL)).toEqual({ kind: "ratio", low: 0.75, estimate: 1.5, high: 3 });
  // Looks are some time apart: the first one after has all of it.
  expect(effectThen(course, row, "2026-06-01T09:04:05Z")?.estimate).toBe(1.6);
  expect(effectThen(course, row, ENDED)).toBeNull();
  expect(effectThen({ ...course, guardrails: [] }, row, UNTIL)).toBeNull();
  expect(courseUntil(course, UNTIL).points).toHaveLength(2);
  expect(courseUntil(course, ENDED).points).toHaveLength(3);
});

it("shows what was said at that look, and a failure for good", () => {
  const point = { at: UNTIL, log_sum: 0, effects: [null, null], log_e: [1.5, 9], findings: ["undecided", "undecided"] };
  const course = { guardrails: ["error_units", "latency_mean"], points: [point] } as unknown as Course;
  const row = (guardrail: string, finding: string) => ({ guardrail, finding, log_e: 3, effect: null }) as unknown as Guardrail;
  expect(settled(row("error_units", "held"), course)).toMatchObject({ finding: "undecided", log_e: 1.5 });
  expect(settled(row("latency_mean", "regressed"), course)).toMatchObject({ finding: "regressed", log_e: 9 });
  // Looks of an earlier version had neither.
  const old = { ...course, points: [{ at: UNTIL, log_sum: 0, effects: [null, null] }] } as unknown as Course;
  expect(settled(row("error_units", "held"), old)).toMatchObject({ finding: "held", log_e: 3 });
});

it("asks for lines of the time while both arms ran", () => {
  const query = (arm: string) => ({ query: `_arm:${arm} AND _time:[2026-06-01T09:00:00Z TO ${ENDED}}`, counted: "lines", count: 4 });
  const of = { ended_at: ENDED, active_until: [ENDED, UNTIL], guardrails: [{ guardrail: "error_volume", lines: { baseline: query("1"), canary: null } }, { guardrail: "latency_mean", lines: null }] } as unknown as Comparison;
  const both = whileBoth(of);
  expect(both.ended_at).toBe(UNTIL);
  expect(both.guardrails[0]!.lines!.baseline!.query).toBe(`_arm:1 AND _time:[2026-06-01T09:00:00Z TO ${UNTIL}}`);
  expect(both.guardrails[1]!.lines).toBeNull();
  const same = { ...of, active_until: [ENDED, ENDED] } as Comparison;
  expect(whileBoth(same)).toBe(same);
  expect(untilThen("no time", of, UNTIL)).toBe("no time");
});

it("takes what is typical from parts that are equally many", () => {
  const of = Object.fromEntries(Array.from({ length: 100 }, (_, part) => [String((part + 0.5) / 100), part < 50 ? 10 : 1_000]));
  expect(typical(of)).toBeCloseTo(100, 6);
  expect(typical({ ...of, "0.005": 0 })).toBeNull();
  expect(typical({})).toBeNull();
});

it("knows dashboards by what people type", () => {
  expect(["/dashboards", "/dashboards/", "/dashboards/x", "/dashboardsx", "/d/x"].map(usual)).toEqual(["/d", "/d/", "/d/x", "/dashboardsx", "/d/x"]);
  expect(route("/d/x")).toEqual({ name: "board", id: "x" });
});

it("asks a program that has nothing yet for nothing that it would refuse", async () => {
  const { get } = await import("../src/lib/api");
  const asked: string[] = [];
  let standing: unknown = { waiting_for: "the first log lines", index: { is_off: false, lines: null } };
  vi.stubGlobal("fetch", async (path: string) => {
    asked.push(path);
    return new Response(JSON.stringify(path === "/v1/status" ? standing : { is: "there" }));
  });
  await expect(get("/v1/report")).rejects.toMatchObject({ status: 503, message: "the first log lines" });
  await expect(Promise.all([get("/v1/search?q=x"), get("/v1/aggregate?by=_arm")])).rejects.toMatchObject({ status: 503, message: "nothing is indexed yet" });
  expect(asked).toEqual(["/v1/status", "/v1/status"]);
  expect(await get("/v1/rollouts")).toEqual({ is: "there" });
  standing = { waiting_for: null, index: { is_off: false, lines: 12 } };
  expect(await get("/v1/report")).toEqual({ is: "there" });
  expect(await get("/v1/search?q=x")).toEqual({ is: "there" });
  asked.length = 0;
  // What has been there is asked for without another question.
  await get("/v1/report");
  await get("/v1/fields");
  expect(asked).toEqual(["/v1/report", "/v1/fields"]);
});

it("takes texts with ids that look like words for one", async () => {
  const { masked, merged } = await import("../src/screens/Compare");
  expect(masked("cart c-abfbac repriced in 5 steps")).toBe(masked("cart c-02793e repriced in 8 steps"));
  expect(masked("request failed: voucher <*> has no price list")).toBe(masked("request failed: voucher v-1f has no price list"));
  // Words stay words.
  expect(masked("cache is cold")).not.toBe(masked("cache is warm"));
  const row = (id: string, counts: [number, number], text: string) => ({ ids: [id], counts, rates: counts, text });
  const rows = merged([row("a", [0, 1], "cart c-abfbac repriced in 5 steps"), row("b", [9, 8], "cart c-02793e repriced in 8 steps"), row("c", [1, 0], "other")]);
  expect(rows.map((of) => [of.ids, of.counts])).toEqual([[["b", "a"], [9, 9]], [["c"], [1, 0]]]);
  expect(rows[0]!.text).toContain("c-02793e");
});

it("knows fields that are others because the arm is", async () => {
  const { armFields } = await import("../src/screens/Explain");
  const cell = (field: string, of: [number, number]) => ({ field, of });
  const named = armFields([
    cell("version", [90, 0]), cell("version", [0, 80]),
    cell("pod", [50, 0]), cell("pod", [40, 0]), cell("pod", [0, 79]), cell("pod", [1, 1]),
    cell("region", [60, 50]), cell("region", [30, 0]),
    cell("canary_only", [0, 9]),
  ]);
  expect([...named]).toEqual(["version", "pod"]);
});

it("gives the reason of the Verdict where the decision is the same", async () => {
  const { decided, whyWords } = await import("../src/screens/Timeline");
  const event = (number: number, verdict: string, verdict_before: string | null, command: string | null = null) => ({ number, verdict, verdict_before, command, compared: [{ candidate: "2" }] }) as unknown as TimelineEvent;
  const one = (verdict: string) => [{ verdict, candidate: "2" }] as unknown as Comparison[];
  const events = [event(3, "fail", "fail", "hold"), event(2, "fail", "inconclusive"), event(1, "inconclusive", null)];
  expect(decided(events, one("fail"))).toBe(2);
  // It has changed since, or the report is of another candidate, or nothing was decided.
  expect(decided(events, one("pass"))).toBeNull();
  expect(decided(events, [])).toBeNull();
  expect(decided(events.slice(2), one("inconclusive"))).toBeNull();
  const of = { service: "shop", reasons: ["2 is worse than 1.", "More users meet errors.", "The logs proved it at …"] };
  const { saidThen } = await import("../src/screens/Timeline");
  const list = [{ service: "shop", candidate: "2" }];
  const then = (verdict: Comparison["verdict"]) => [{ service: "shop", candidate: "2", verdict, reasons: ["then"] }, { service: "cart", candidate: "2", verdict, reasons: [] }];
  expect(saidThen({ verdict: "fail" }, list, then("fail")).map((one) => one.reasons)).toEqual([["then"]]);
  expect(saidThen({ verdict: "fail" }, list, then("inconclusive"))).toEqual([]);
  expect(saidThen({ verdict: "fail" }, list, [])).toEqual([]);
  expect(whyWords(of, false)).toBe("2 is worse than 1. More users meet errors.");
  expect(whyWords({ ...of, reasons: [of.reasons[0]!, of.reasons[2]!] }, true)).toBe("shop: 2 is worse than 1.");
});
