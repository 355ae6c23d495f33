// What numbers are of, and what is told apart: shares, units, lines, totals.

import { signal } from "@preact/signals";
import { cleanup, render, screen } from "@testing-library/preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Lines } from "../src/components/Lines";
import { report, status } from "../src/lib/live";
import { type SideBySide, told, UNITS, valuesUntil } from "../src/lib/sidebyside";
import type { Comparison, Evidence, Guardrail, Report, RolloutFull, RolloutRow, Status } from "../src/lib/types";

// jsdom draws nothing, and knows no scheme.
vi.mock("uplot", () => ({ default: Object.assign(class { destroy() {} setSize() {} }, { paths: { stepped: () => null } }) }));
vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });
vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
const { FiguresTable, unitOf } = await import("../src/screens/Compare");
const { namesArm } = await import("../src/screens/Explain");
const { conditionWords, evidenceOf, shareWords } = await import("../src/screens/Rollouts");
const { totalWords } = await import("../src/screens/Search");
const { newLineQuery, VerdictScreen, WITHIN } = await import("../src/screens/Verdict");

beforeEach(() => {
  status.value = { index: undefined } as unknown as Status;
  vi.stubGlobal("fetch", async () => new Response("{}"));
});
afterEach(() => {
  cleanup();
  report.value = null;
});

it("says of what had passed its last step, and is not decided any more, that both are so", () => {
  const comparison = { verdict: "inconclusive", unit: "user", needs: [{ needed: 9, have: 2, seconds: 60, counted: "erring units" }], reasons: ["Nothing proves it.", "Watched for 1 h: not decided."] } as unknown as Comparison;
  const row = { phase: "done", verdict: "inconclusive", reason: "" } as RolloutRow;
  expect(evidenceOf(row, comparison)).toBe("The last step had passed. Watched for 1 h: not decided.");
  expect(evidenceOf({ ...row, phase: "running" }, comparison)).toBe("needs 7 more users with an error (about 60\u00a0s)");
});

it("says of which times a share is once one arm has stopped", () => {
  const of = { units: [27_266, 1_900] as [number, number], unit: "user", started_at: "2026-06-01T09:00:00Z", ended_at: "2026-06-01T09:34:00Z" };
  expect(shareWords(of)).toBe("6.51\u00a0% of users");
  expect(shareWords({ ...of, active_until: ["2026-06-01T09:34:00Z", "2026-06-01T09:33:30Z"] })).toBe("6.51\u00a0% of users");
  expect(shareWords({ ...of, active_until: ["2026-06-01T09:34:00Z", "2026-06-01T09:04:00Z"] })).toBe("6.51\u00a0% of users of 34\u00a0min; the canary ran for 4\u00a0min");
  expect(shareWords({ ...of, active_until: ["2026-06-01T09:34:00Z", "2026-06-01T09:04:00Z"] }, 7_571)).toBe("20.1\u00a0% of users while both ran (4\u00a0min)");
  expect(shareWords({ ...of, units: [0, 0] })).toBe("");
});

it("counts the users of the arm that goes on while both ran", async () => {
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ groups: [{ key: {}, lines: 90, distinct: 76, quantiles: {} }] })));
  const of = { service: "shop", control: "1", candidate: "2", started_at: "a", ended_at: "b", guardrails: [] } as unknown as Comparison;
  expect((await valuesUntil(of, 0, "2026-06-01T09:04:00Z", new AbortController().signal)).get(UNITS)).toBe(76);
});

it("says in the list that a verdict is on a condition, and that a person must decide", () => {
  const own = { verdict: "fail" as const, assumption: null, reasons: ["2 is worse than 1, on one condition.", "Nobody should act on it without a person: it is not known."] };
  expect(conditionWords({ verdict: "fail", reason: "" }, own)).toEqual(["on one condition", "a person must decide"]);
  expect(conditionWords({ verdict: "fail", reason: "worse on one condition" }, undefined)).toEqual(["on one condition"]);
  expect(conditionWords({ verdict: "fail", reason: "worse" }, { ...own, reasons: ["2 is worse than 1."] })).toEqual([]);
  expect(conditionWords({ verdict: "inconclusive", reason: "" }, own)).toEqual([]);
});

it("calls what is compared by its unit", () => {
  const from = { survey: { unit: "user" }, comparisons: [{ service: "front in prod", unit: "trace" }, { service: "shop", unit: "user" }] } as unknown as Report;
  expect(unitOf(["_service:front _arm:a", '_service:"front" _arm:b'], from)).toBe("trace");
  expect(unitOf(["_service:front", "_service:shop"], from)).toBe("user");
  expect(unitOf(["x"], null)).toBe("user");
  const figures = { lines: 9, requests: 9, failed: 1, errors: 1, users: 4, quantiles: {}, share: null };
  const names = (unit: string): string[] => {
    render(<FiguresTable figures={[figures, figures]} queryOf={() => ""} unit={unit} />);
    const found = screen.getAllByRole("rowheader").map((of) => of.textContent ?? "");
    cleanup();
    return found;
  };
  expect(names("trace")).toContain("traces with errors [95 %, for one look]");
  expect(names("trace").some((name) => name.includes("users"))).toBe(false);
  expect(names("request").filter((name) => name.startsWith("requests"))).toEqual(["requests"]);
});

it("knows values that one arm alone has", () => {
  expect([[0, 9], [9, 0], [9, 9]].map((of) => namesArm({ of: of as [number, number] }))).toEqual([true, true, false]);
});

it("tells one number of lines: that which is counted to the end", () => {
  expect(totalWords({ lines: 1, is_exact: true }, null, null)).toBe("1 line, newest first");
  const some = { lines: 15_617, is_exact: false };
  expect(totalWords(some, null, null)).toBe("Counting… newest first");
  expect(totalWords(some, null, { lines: 633_046, partial: null })).toBe("633,046 lines, newest first");
  expect(totalWords(some, null, { lines: 20_000, partial: "time" })).toContain("at least 20,000 lines: counting all takes too long");
  expect(totalWords({ lines: 900, is_exact: false, is_estimate: true }, null, null)).toContain("about 900 lines (estimated");
});

const request = (offset: number, is: Evidence["class"]): Evidence => ({ stream: "a", offset, time: "2026-06-01T09:00:00Z", class: is, route: "/cart", status: "503", latency_ms: 5 });
const template = { id: "00000000000000aa", text: "no price list", level: "error or worse", change: "new", lines: [0, 14, 0], units: [0, 12], log_e: 9, canary: [1, 2, 3, 4].map((offset) => ({ stream: "a", offset, time: "2026-06-01T09:00:00Z" })) };
const failed = (more: object = {}): Comparison =>
  ({
    service: "shop", services: ["shop"], control: "1", candidate: "2", unit: "user", units: [900, 100], verdict: "fail", held_back_by_change: false, started_at: "2026-06-01T09:00:00Z", ended_at: "2026-06-01T09:34:00Z",
    reasons: ["2 is worse than 1.", "A new error line.", "The rollout ended at 2026-06-01T09:04:00Z."], changed_groups: [], guardrails: [], conversions: [], needs: [], flaws: [], declared_share: null, sample_ratio: null, routing: "sticky", bounds_met: [], limits: [], by_service: [],
    segments: null, evidence: [request(8, "error"), request(9, "slow")], templates: { failing: [template.id], listed: [template] }, ...more,
  }) as unknown as Comparison;

it("counts the lines that show it, and sets other requests apart", () => {
  render(<Lines comparison={failed()} open={signal(true)} />);
  expect(screen.getByText("Lines that show it (3 shown of 14)")).toBeDefined();
  expect(screen.getByText(/some may have written a new error line \(2\)/)).toBeDefined();
  cleanup();
  render(<Lines comparison={failed({ templates: { failing: [], listed: [] }, guardrails: [{ guardrail: "latency_p50", finding: "regressed" }] })} open={signal(true)} />);
  expect(screen.getByText("Lines that show it (1)")).toBeDefined();
  expect(screen.getByText("Requests of the canary that were slow")).toBeDefined();
  expect(screen.getByText(/the verdict does not rest on them \(1\)/)).toBeDefined();
});

it("tells what comes later below the links, and what a difference is", () => {
  const rollout = { id: "a", services: ["shop"], deliveries: [{ hook: "deploys", event: "rollback", state: "taken", decided_ms: Date.parse("2026-06-01T09:34:00Z") }] } as unknown as RolloutFull;
  render(<VerdictScreen rollout={rollout} comparison={failed()} />);
  const box = screen.getByRole("region", { name: "Verdict" });
  const order = [...box.querySelectorAll("p")].map((of) => of.textContent ?? "");
  const links = order.findIndex((words) => words.includes("Decisions"));
  expect(order.findIndex((words) => words.includes("A new error line"))).toBeLessThan(links);
  expect(order.findIndex((words) => words.includes("was told"))).toBeGreaterThan(links);
  expect(order.findIndex((words) => words.startsWith("The rollout ended"))).toBeGreaterThan(links);
  expect(screen.getByText((_, of) => of?.tagName === "CAPTION" && (of.textContent ?? "").includes(WITHIN))).toBeDefined();
});

it("tells a value and its number of one time, or neither", () => {
  const row = { guardrail: "error_units", baseline: 0.0082, canary: 25 / 1_900, counts: [29_078, 1_900], values_in: "share", above: null, lines: { baseline: { query: "x", counted: "_unit", count: 395 }, canary: null } } as unknown as Guardrail;
  const both = (more: Partial<SideBySide>): SideBySide => ({ until: "2026-06-01T09:04:00Z", longer: 0, values: new Map(), isAwaited: false, ...more });
  expect(told(row, 0, both({ isAwaited: true }))).toMatchObject({ value: null, count: null, isAwaited: true });
  expect(told(row, 0, both({ values: new Map([[UNITS, 7_571], ["error_units", 0.0079]]) }))).toMatchObject({ value: 0.0079, count: 7_571, until: "2026-06-01T09:04:00Z", isOfAll: false });
  // The report's share is of that time; its number of users is not.
  expect(told(row, 0, both({}))).toMatchObject({ value: 0.0082, count: null, isOfAll: false });
  expect(told({ ...row, guardrail: "error_volume", lines: null }, 0, both({}))).toMatchObject({ count: 29_078, isOfAll: true });
  expect(told(row, 1, both({ isAwaited: true }))).toMatchObject({ value: 25 / 1_900, count: 1_900, met: 25, isAwaited: false });
});

it("says no number of the arm that goes on before it is known of the time while both ran", () => {
  const ends = { active_until: ["2026-06-01T09:34:00Z", "2026-06-01T09:04:00Z"], guardrails: [{ guardrail: "error_units", label: "users with errors", finding: "undecided", baseline: 0.0082, canary: 0.0132, counts: [29_078, 1_900], values_in: "share", above: null, effect: null, margin: null, log_e: 0, lines: null }] };
  status.value = null;
  render(<VerdictScreen rollout={{ id: "a", services: ["shop"] } as unknown as RolloutFull} comparison={failed(ends)} />);
  const table = screen.getByRole("region", { name: "Guardrails" });
  expect(table.textContent).not.toContain("29,078");
  expect([...table.querySelectorAll('td[data-of="baseline"]')].map((of) => of.textContent)).toEqual(["0of …", "…of …"]);
});

it("leads from a new line's count to the lines of that arm", () => {
  const of = { control: "2.4.0", candidate: "2.5.0" };
  expect(newLineQuery({ query: "_template:a" }, of, 0)).toBe("_template:a AND _arm:2.4.0");
  expect(newLineQuery({ query: "_template:a" }, of, 1)).toBe("_template:a AND _arm:2.5.0");
  expect(newLineQuery({ query: null }, of, 0)).toBeNull();
});
