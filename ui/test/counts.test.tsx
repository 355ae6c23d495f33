// A share, what it is a part of, and where its link leads are of one count.

import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { report, status } from "../src/lib/live";
import { told, weighted } from "../src/lib/sidebyside";
import type { Comparison, Guardrail, RolloutFull, Status, TimelineEvent } from "../src/lib/types";

// jsdom draws nothing, and knows no scheme.
vi.mock("uplot", () => ({ default: Object.assign(class { destroy() {} setSize() {} }, { paths: { stepped: () => null } }) }));
const stub = (): void => {
  vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
};
stub();
const { VerdictScreen } = await import("../src/screens/Verdict");
const { stepWords, timeOf, TimelineScreen, worseBy } = await import("../src/screens/Timeline");

const NONE = { guardrails: [], points: [] };
let answer: (path: URL) => unknown = () => NONE;
beforeEach(() => {
  stub();
  answer = () => NONE;
  vi.stubGlobal("fetch", async (path: string) => new Response(JSON.stringify(answer(new URL(path, "http://x")))));
  status.value = { index: { is_off: false, lines: 9 } } as unknown as Status;
});
afterEach(() => {
  cleanup();
  report.value = null;
  status.value = null;
  vi.unstubAllGlobals();
});

const slow = {
  guardrail: "latency_p99_units", label: "traces with a very slow request", finding: "undecided", baseline: 0.008127572, canary: 0.0125, values_in: "share", above: null, margin: null, log_e: 0, counts: [904, 480],
  effect: { kind: "ratio", estimate: 1.538, low: 0.19, high: 17.1 }, lines: { baseline: { query: "slow a", counted: "_unit", count: null }, canary: { query: "slow b", counted: "_unit", count: null } },
} as unknown as Guardrail;
const comparisonOf = (more: object = {}): Comparison =>
  ({
    service: "shop", services: ["shop"], control: "1", candidate: "2", unit: "trace", units: [904, 480], strata: 3, verdict: "fail", held_back_by_change: false, started_at: "2026-06-01T09:00:00Z", ended_at: "2026-06-01T09:34:00Z",
    reasons: ["2 is worse than 1."], changed_groups: [], guardrails: [slow], conversions: [], needs: [], flaws: [], declared_share: null, sample_ratio: null, routing: "sticky", bounds_met: [], limits: [], by_service: [],
    segments: null, evidence: [], templates: { failing: [], listed: [], below_error: { tested: 1 }, error_or_worse: { tested: 0 } }, ...more,
  }) as unknown as Comparison;

it("counts a share of users by lines, as its link and Explain do, and tells the shares of the difference beside it", async () => {
  const units: Record<string, number> = { "slow a": 4, "slow b": 10 };
  answer = (url) => {
    const q = url.searchParams.get("q") ?? "";
    return url.pathname === "/v1/aggregate" ? { groups: [{ key: {}, lines: 9, distinct: units[q] ?? (q.includes("_arm:1") ? 904 : 480) }], lines: 9 } : NONE;
  };
  render(<VerdictScreen rollout={{ id: "a", services: ["shop"] } as unknown as RolloutFull} comparison={comparisonOf()} />);
  const table = screen.getByRole("region", { name: "Guardrails" });
  const cells = (): (string | null)[] => [...table.querySelectorAll("tbody td[data-of]")].map((of) => of.textContent);
  expect(cells()).toEqual(["…of …", "…of …"]);
  await waitFor(() => expect(cells()).toEqual(["0.44\u00a0%4 of 904", "2.08\u00a0%10 of 480"]));
  expect(table.textContent).toContain("×1.54 [×0.19, ×17.10]with the same mix: 0.81\u00a0% against 1.25\u00a0%");
  expect([...table.querySelectorAll("td[data-of] a")].map((of) => decodeURIComponent(of.getAttribute("href")!)).filter((of) => of.includes("slow"))).toHaveLength(4);
  cleanup();
  // In one stretch of time the number of users is that of the other rows.
  render(<VerdictScreen rollout={{ id: "a", services: ["shop"] } as unknown as RolloutFull} comparison={comparisonOf({ strata: 1, guardrails: [{ ...slow, counts: [903, 480] }] })} />);
  await waitFor(() => expect(screen.getByRole("region", { name: "Guardrails" }).querySelector("tbody td[data-of]")!.textContent).toBe("0.44\u00a0%4 of 903"));
});

it("puts no number of users beside a share that is no part of it", () => {
  // No lines are kept: nobody can count them.
  const without = { ...slow, lines: null } as Guardrail;
  const [a, b] = [told(without, 0, null, 3), told(without, 1, null, 3)];
  expect(a).toMatchObject({ value: 0.008127572, count: null, isWeighted: true });
  // 1.25 % of 480 are 6: that share is one.
  expect(b).toMatchObject({ value: 0.0125, count: 480, met: 6, isWeighted: false });
  expect(weighted(without, [a, b])).toEqual([0.008127572, 0.0125]);
  // In one stretch of time the report has the count itself.
  const counted = { ...slow, lines: { baseline: { query: "q", counted: "_unit", count: 4 }, canary: { query: "q", counted: "_unit", count: 10 } } } as Guardrail;
  expect(told(counted, 0, null, 1)).toMatchObject({ value: 4 / 904, count: 904, met: 4 });
  // In several a user counts in each: lines tell, and until they do nothing is said.
  expect(told(counted, 0, null, 3)).toMatchObject({ value: null, isAwaited: true });
  expect(told(counted, 0, null, 3, new Map([["latency_p99_units 0", [3, 900]]]))).toMatchObject({ value: 3 / 900, count: 900, met: 3 });
  const plain = { ...slow, baseline: 4 / 904, canary: 10 / 480, lines: null } as Guardrail;
  expect(weighted(plain, [told(plain, 0, null), told(plain, 1, null)])).toBeNull();
  // What is a share of requests has no weights, whatever is told of another time.
  const volume = { ...slow, guardrail: "error_volume", lines: null } as Guardrail;
  const other = { ...told(volume, 0, null), value: 0.5 };
  expect(weighted(volume, [other, told(volume, 1, null)])).toBeNull();
  expect(weighted(slow, [{ ...other, until: "2026-06-01T09:04:00Z" }, told(volume, 1, null)])).toBeNull();
});

const compared = { service: "shop", control: "1", candidate: "2", verdict: "fail", units: [1_730, 11], log10_e: 3.362, regressed: [], over_limit: [], changed: [], flaws: [], at: "2026-06-01T09:03:30Z" } as unknown as TimelineEvent["compared"][number];
const withLine = (log_e: number) => comparisonOf({ templates: { failing: ["aa"], listed: [{ id: "aa", text: "no price list for <*>", log_e, first_seen: "2026-06-01T09:01:00Z" }, { id: "bb", text: "same", log_e: 1 }] } });

it("says by what it was worse at a decision, and whose evidence is of now", () => {
  const byLines = { ...compared, regressed: [{ guardrail: "error_lines", log10_e: 7 }] };
  expect(worseBy(byLines, withLine(16.1), withLine(40))).toBe("error line “no price list for <*>” (evidence 10⁷)");
  // The report of that time is not kept: the ledger's evidence, and the text that is known now.
  expect(worseBy(byLines, undefined, withLine(40))).toBe("error line “no price list for <*>” (evidence 10⁷)");
  // A line that came later was none of the reasons.
  expect(worseBy({ ...byLines, at: "2026-06-01T09:00:30Z" }, undefined, withLine(16.1))).toBe("error lines, new or more frequent (evidence 10⁷)");
  expect(worseBy(compared, undefined, withLine(16.1))).toBe("all of its evidence together");
  expect(worseBy({ ...compared, regressed: [{ guardrail: "latency_p50", log10_e: 3 }], over_limit: ["p99"] }, undefined, undefined)).toBe("latency p50 (evidence 1,000), the limit of p99");
  expect(worseBy({ ...compared, verdict: "inconclusive" }, withLine(16.1), undefined)).toBe("–");
});

it("asks for the report of a decision when its numbers are opened, and not before", async () => {
  const event = { number: 1, at: "2026-06-01T09:03:30Z", entry: 56, verdict: "fail", verdict_before: "fail", automatic: true, phase: "failed", phase_before: "failed", step: 0, attempt: 1, over: false, reason: "", told: [], step_before: 0, row: 3, compared: [{ ...compared, regressed: [{ guardrail: "error_lines", log10_e: 7 }] }], command: "hold", actor: "ann", command_reason: "x", finding: null, clock_ms: 5_000, until_ms: null } as unknown as TimelineEvent;
  const paths: string[] = [];
  answer = (url) => {
    paths.push(url.pathname);
    return url.pathname.endsWith("/timeline") ? { events: [event], forgotten: 0 } : { report: { comparisons: [withLine(16.1)] } };
  };
  render(<TimelineScreen rollout={{ id: "a", services: ["shop"] } as unknown as RolloutFull} list={[withLine(40)]} />);
  const details = (await screen.findByText("The numbers as they were")).parentElement as HTMLDetailsElement;
  await new Promise((then) => setTimeout(then, 50));
  expect(paths).not.toContain("/v1/asof");
  details.open = true;
  fireEvent(details, new Event("toggle"));
  await waitFor(() => expect(screen.getByRole("region", { name: "Numbers at this decision" }).textContent).toContain("(evidence 10⁷)"));
  expect(paths).toContain("/v1/asof");
});

it("has one time at which a comparison began, and says which step has passed", () => {
  const rollout = { began: "2026-06-01T09:00:20Z", attempt: 1, compared: [{ candidate: "2", began: "2026-06-01T09:00:20Z" }] } as unknown as RolloutFull;
  const began = { at: "2026-06-01T09:00:30Z", attempt: 1, command: null, verdict_before: null, compared: [compared] };
  expect(timeOf(began, rollout)).toBe("2026-06-01T09:00:20Z");
  expect(timeOf({ ...began, verdict_before: "inconclusive" }, rollout)).toBe("2026-06-01T09:00:30Z");
  expect(timeOf({ ...began, attempt: 1 }, { ...rollout, attempt: 2 })).toBe("2026-06-01T09:00:30Z");
  expect(stepWords({ step: 1, step_before: 0 })).toBe("step 1 passed, step 2 begins");
  expect(stepWords({ step: 1, step_before: 1 })).toBe("step 2");
});

