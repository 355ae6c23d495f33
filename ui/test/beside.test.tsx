// What else ran at the same time over the same users, and what a difference is by the time since users were first seen.

import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { ageSentences, agesWords } from "../src/components/Ages";
import { besideWords, blameSentences, blameWords, ratioWords, scaleOf } from "../src/components/Beside";
import { swapped } from "../src/lib/format";
import { active } from "../src/lib/keys";
import { report, rollouts, status } from "../src/lib/live";
import { setQuery } from "../src/lib/router";
import type { ByAge, Comparison, Overlap, Report, RolloutFull, RolloutRow, Status } from "../src/lib/types";

// jsdom draws nothing, and knows no scheme.
vi.mock("uplot", () => ({ default: Object.assign(class { destroy() {} setSize() {} }, { paths: { stepped: () => null } }) }));
const stub = (): void => {
  vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
};
stub();
Element.prototype.scrollIntoView = () => {};
const { VerdictScreen } = await import("../src/screens/Verdict");

beforeEach(() => {
  stub();
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ guardrails: [], points: [], groups: [], lines: 0, events: [] })));
});
afterEach(() => {
  cleanup();
  report.value = null;
  rollouts.value = null;
  status.value = null;
  setQuery(Object.fromEntries([...new URLSearchParams(location.search).keys()].map((key) => [key, null])), false);
  vi.unstubAllGlobals();
});

const ratio = (estimate: number, low: number, high: number | null) => ({ estimate, low, high });
const overlapOf = (more: Partial<Overlap> = {}): Overlap => ({
  service: "payments in prod", control: "baseline", candidate: "7.1", joined_by: "user", followed: 1, over: false,
  cells: [
    { here: "baseline", there: "baseline", units: 2_366, at_risk: 2_366, erring: 131, requests: 14_188, failed: 139 },
    { here: "baseline", there: "canary", units: 424, at_risk: 424, erring: 115, requests: 2_605, failed: 134 },
    { here: "canary", there: "baseline", units: 242, at_risk: 0, erring: 0, requests: 1_453, failed: 13 },
    { here: "canary", there: "canary", units: 959, at_risk: 959, erring: 237, requests: 5_754, failed: 277 },
  ],
  ratios: { here: ratio(2.351, 1.728, 3.2), here_within: ratio(0.909, 0.635, 1.313), there: ratio(4.642, 3.334, 6.575), there_within: ratio(4.912, 3.302, 7.346) },
  says: "explained_by_it", explains_it: false, ...more,
});
const byAgeOf = (more: Partial<ByAge> = {}): ByAge => ({
  followed: 0.5, moved: 1_200,
  ages: [
    { age: "first hour", units: [1_801, 1_199], erring: [151, 395], requests: [7_185, 4_779], failed: [156, 460], errors: ratio(3.929, 3.306, 4.67), latency: ratio(0.991, 0.964, 1.019), events: [{ event: "paid", at_risk: [1_801, 1_199], met: [348, 226], ratio: ratio(0.975, 0.839, 1.134) }] },
    { age: "second day", units: [1_700, 1_100], erring: [144, 99], requests: [3_400, 3_300], failed: [149, 102], errors: ratio(1.033, 0.808, 1.32), latency: null, events: [{ event: "paid", at_risk: [1_323, 885], met: [236, 168], ratio: null }] },
  ],
  says: [{ what: "errors", event: null, course: "gone", later_from: "second day", first: ratio(2.856, 2.463, 3.311), later: ratio(1.033, 0.808, 1.32) }],
  ...more,
});
const comparisonOf = (more: object = {}): Comparison =>
  ({
    service: "web in prod", services: ["web in prod"], control: "baseline", candidate: "canary", unit: "user", units: [900, 100], strata: 1, verdict: "fail", held_back_by_change: false, started_at: "2026-06-01T09:00:00Z", ended_at: "2026-06-01T09:34:00Z",
    reasons: ["canary is worse than baseline."], changed_groups: [], guardrails: [], conversions: [], needs: [], flaws: [], declared_share: null, sample_ratio: null, routing: "sticky", bounds_met: [], limits: [], by_service: [{ service: "web", environment: "prod", baseline: {}, canary: {} }],
    segments: null, evidence: [], templates: { failing: [], listed: [], below_error: { tested: 0 }, error_or_worse: { tested: 0 } }, overlaps: [], by_age: null, ...more,
  }) as unknown as Comparison;
const row = { id: "web", declared: true, environment: "prod", services: ["web"], verdict: "fail", reason: "", phase: "failed", over: false, candidate: "canary" } as unknown as RolloutFull;
const show = (of: Comparison) => render(<VerdictScreen rollout={row} comparison={of} />);
const rowsOf = (region: HTMLElement): string[][] => within(region).getAllByRole("row").map((one) => [...one.children].map((cell) => cell.textContent!));

it("says whose a harm is, in each of the ways in which that is known", () => {
  const words = (says: Overlap["says"], more: Partial<Overlap> = {}) => [blameWords(overlapOf({ says, ...more })), ...blameSentences(overlapOf({ says, ...more }))];
  const often = "users of the canary here are more often in the canary 7.1 of payments in prod (79.9\u00a0%, of the baseline’s 15.2\u00a0%)";
  expect(words("explained_by_it")).toEqual(["payments in prod explains it", `Explained by payments in prod: ${often}, and among users with the same arm of payments in prod nothing is left that chance does not explain. The verdict stays as it is.`]);
  expect(words("its_own", { explains_it: true })).toEqual([
    "payments in prod does not explain it; it explains what payments in prod shows",
    `That ${often} does not explain it: it stays among users with the same arm of payments in prod.`,
    "It explains what the canary 7.1 of payments in prod shows.",
  ]);
  expect(words("both")).toEqual(["both do harm, here and in payments in prod", "It stays among users with the same arm of payments in prod; and the canary 7.1 of payments in prod does harm here too."]);
  expect(words("same_units", { joined_by: "call" })[1]).toBe("Whether it comes from here or from the canary 7.1 of payments in prod cannot be told apart: the same calls. Of 1,625 that are in either canary, 666 are in one alone. Other calls for one of the two (another seed, another salt) would tell.");
  expect(words("too_few")[1]).toBe("Whether it comes from here or from the canary 7.1 of payments in prod cannot be told apart yet: of 1,625 users that are in either canary, 666 are in one alone.");
  // Arms that lie across each other: nothing is said beside the table.
  expect(words(null)).toEqual([null]);
  expect(besideWords(comparisonOf({ overlaps: [overlapOf({ says: null })] }))).toBe("Rollouts at the same time (1)");
  expect(besideWords(comparisonOf({ overlaps: [overlapOf()], verdict: "invalid" }))).toBe("Rollouts at the same time (1)");
  expect(besideWords(comparisonOf({ overlaps: [overlapOf(), overlapOf({ says: null })] }))).toBe("Rollouts at the same time (2): payments in prod explains it");
  expect(besideWords(comparisonOf())).toBeNull();
});

it("tells of a ratio what is known of it", () => {
  const of = (estimate: number | null, low: number | null, high: number | null) => ratioWords({ kind: "ratio", estimate, low, high });
  expect([of(2.351, 1.728, 3.2), of(9, 1.5, null), of(null, 0, null)]).toEqual(["×2.35 [×1.73, ×3.20]", "at least ×1.50", "not known"]);
  // What has no upper end has, turned round, nothing below.
  expect(ratioWords(swapped({ kind: "ratio", estimate: 4, low: 2, high: null }))).toBe("×0.25 [×0.00, ×0.50]");
});

it("draws ratios on a scale that an interval without measure does not take", () => {
  const of = (estimate: number, low: number, high: number) => ({ kind: "ratio" as const, estimate, low, high });
  expect(scaleOf([of(2, 1.5, 3), null])).toBeCloseTo(1.08 * Math.log(3));
  expect(scaleOf([of(3.94, 1e-4, 7_834), of(0.9, 0.8, 1.1)])).toBeCloseTo(Math.log(10));
  expect(scaleOf([of(40, 3, 7_834)])).toBeCloseTo(1.25 * Math.log(40));
});

it("has a table of the arms of both rollouts, and one of the ratios, with links to the other and to lines", async () => {
  status.value = { index: { is_off: false, lines: 9 } } as unknown as Status;
  rollouts.value = [{ ...row, id: "pay@prod", services: ["payments"], candidate: "7.1" } as unknown as RolloutRow];
  const other = comparisonOf({ service: "payments in prod", control: "baseline", candidate: "7.1", started_at: "2026-06-01T08:00:00Z" });
  const of = comparisonOf({ overlaps: [overlapOf({ over: true, followed: 0.25 })] });
  report.value = { comparisons: [other, of], survey: { unit: "user", roles: {} } } as unknown as Report;
  const { container } = show(of);
  // Folded, it says the most important: nothing is drawn yet.
  const part = container.querySelector<HTMLDetailsElement>("#beside")!;
  expect([part.open, part.textContent]).toEqual([false, "Rollouts at the same time (1): payments in prod explains it"]);
  fireEvent.click(screen.getByRole("link", { name: "Rollouts at the same time" }));
  const table = await screen.findByRole("region", { name: "Beside 7.1 of payments in prod" });
  expect(table.querySelector("caption")!.textContent).toBe("Users in both, until one of the two was over, by the arms of both; of users, 25.0\u00a0% are followed");
  expect(rowsOf(table)).toEqual([
    ["arm here", "arm there", "in both", "with errors here", "requests here", "failed"],
    ["baseline here", "baseline", "2,366", "131 (5.54\u00a0%)", "14,188", "139 (0.98\u00a0%)"],
    ["baseline here", "7.1 (canary)", "424", "115 (27.1\u00a0%)", "2,605", "134 (5.14\u00a0%)"],
    ["canary here", "baseline", "242", "–", "1,453", "13 (0.89\u00a0%)"],
    ["canary here", "7.1 (canary)", "959", "237 (24.7\u00a0%)", "5,754", "277 (4.81\u00a0%)"],
  ]);
  const ratios = screen.getByRole("region", { name: "Beside 7.1 of payments in prod: whose it is" });
  expect(rowsOf(ratios).slice(1).map((one) => one.slice(0, 2))).toEqual([
    ["by the arms here", "×2.35 [×1.73, ×3.20]"],
    ["among users with the same arm of payments in prod", "×0.91 [×0.64, ×1.31]"],
    ["by the arms of payments in prod", "×4.64 [×3.33, ×6.58]"],
    ["among users with the same arm here", "×4.91 [×3.30, ×7.35]"],
  ]);
  expect(within(ratios).getAllByRole("img").map((one) => one.getAttribute("aria-label"))[1]).toBe("×0.91, ×0.64 to ×1.31");
  expect(screen.getByRole("link", { name: "payments in prod" }).getAttribute("href")).toBe("/rollouts/pay%40prod");
  const links = [...part.querySelectorAll("p.aside a")].map((one) => decodeURIComponent(one.getAttribute("href")!.replaceAll("+", " ")));
  expect(links.map((one) => /_service:(\S+) _arm:(\S+) _time:\[(\S+)/.exec(one)?.slice(1))).toEqual([
    ["web", "baseline", "2026-06-01T09:00:00Z"], ["web", "canary", "2026-06-01T09:00:00Z"], ["payments", "baseline", "2026-06-01T08:00:00Z"], ["payments", "7.1", "2026-06-01T08:00:00Z"],
  ]);
  // It is in the address, and turned round with all else.
  await waitFor(() => expect(location.search).toContain("beside=1"));
  setQuery({ swap: "1" });
  await waitFor(() => expect(rowsOf(screen.getByRole("region", { name: "Beside 7.1 of payments in prod" }))[1]!.slice(0, 3)).toEqual(["canary here", "7.1 (canary)", "959"]));
  expect(rowsOf(screen.getByRole("region", { name: /whose it is/ }))[1]![1]).toBe("×0.43 [×0.31, ×0.58]");
});

it("shows neither part where the report has none, of an earlier program too, and has no key for it", () => {
  for (const of of [comparisonOf(), comparisonOf({ overlaps: undefined, by_age: undefined })]) {
    const { container } = show(of);
    expect(container.querySelector("#beside, #ages")).toBeNull();
    expect(active.value.map((key) => key.key)).toEqual(expect.arrayContaining(["o", "s"]));
    expect(active.value.some((key) => key.key === "r" || key.key === "a")).toBe(false);
    expect(screen.queryByRole("link", { name: /at the same time|By age/ })).toBeNull();
    cleanup();
  }
});

it("takes names of a log for text", () => {
  const hostile = '<img src=x onerror="window.__hit=1">\u202e';
  const of = comparisonOf({ overlaps: [overlapOf({ service: hostile, candidate: hostile })], by_age: byAgeOf({ ages: byAgeOf().ages.map((age) => ({ ...age, events: [{ ...age.events[0]!, event: hostile }] })), says: [{ ...byAgeOf().says[0]!, what: "event", event: hostile }] }) });
  setQuery({ beside: "1", ages: "1" });
  const { container } = show(of);
  expect(container.querySelectorAll("#beside table, #ages table")).toHaveLength(3);
  expect(container.querySelector("img")).toBeNull();
  expect(container.textContent).not.toContain("\u202e");
  expect(container.textContent).toContain("\\u{202e}");
});

it("says what passes and what grows with use, in the report's words", () => {
  const one = (course: ByAge["says"][number]["course"], more: object = {}) => ageSentences({ unit: "user", verdict: "fail", by_age: byAgeOf({ says: [{ ...byAgeOf().says[0]!, course, ...more }] }) });
  expect(one("gone")).toEqual(["Users with a failed request on their first day, ×2.86 [×2.46, ×3.31]; among users seen for more than a day nothing is left of it that chance does not explain (×1.03 [×0.81, ×1.32]): novelty."]);
  expect(one("fades", { what: "latency", later_from: "rest of first day" })).toEqual(["Latency of the first request of users in their first hour, ×2.86 [×2.46, ×3.31]; among users seen for more than an hour less of it is left (×1.03 [×0.81, ×1.32]): it fades with use."]);
  expect(one("grows", { what: "event", event: "paid" })).toEqual(["Users with paid on their first day, ×2.86 [×2.46, ×3.31]; among users seen for more than a day it is ×1.03 [×0.81, ×1.32]: it grows with use."]);
  expect(agesWords({ unit: "user", verdict: "fail", by_age: byAgeOf() })).toBe("By the time since users were first seen: users with a failed request, novelty");
  expect(agesWords({ unit: "user", verdict: "invalid", by_age: byAgeOf() })).toBe("By the time since users were first seen");
  expect(ageSentences({ unit: "user", verdict: "invalid", by_age: byAgeOf() })).toEqual([]);
  expect(agesWords({ unit: "user", verdict: "fail", by_age: null })).toBeNull();
});

it("has a table of the difference by age, that a key opens and an address keeps open", async () => {
  status.value = { index: { is_off: false, lines: 9 } } as unknown as Status;
  const { container } = show(comparisonOf({ by_age: byAgeOf() }));
  expect(container.querySelector("#ages table")).toBeNull();
  active.value.find((key) => key.key === "a")!.run();
  const table = await screen.findByRole("region", { name: "By the time since users were first seen" });
  expect(table.querySelector("caption")!.textContent).toContain("users at each age, canary to baseline (95\u00a0%, descriptive, a single look; 1,200 users that changed their arm are left out since; a sample, 50.0\u00a0% of users). No verdict rests on it.");
  expect(rowsOf(table)).toEqual([
    ["seen for", "baseline", "canary", "with errors", "latency of the first request", "requests each", "paid"],
    ["first hour", "1,801151 with errors", "1,199395 with errors", "×3.93 [×3.31, ×4.67]", "×0.99 [×0.96, ×1.02]", "3.99 and 3.99", "×0.98 [×0.84, ×1.13]"],
    ["second day", "1,700144 with errors", "1,10099 with errors", "×1.03 [×0.81, ×1.32]", "–", "2.00 and 3.00", "–"],
  ]);
  expect(within(table).getAllByRole("img")[0]!.getAttribute("aria-label")).toBe("×3.93, ×3.31 to ×4.67");
  await waitFor(() => expect(location.search).toContain("ages=1"));
  const links = [...container.querySelectorAll("#ages p.aside a")].map((one) => decodeURIComponent(one.getAttribute("href")!));
  expect(links.map((one) => /_arm:(\w+)/.exec(one)![1])).toEqual(["baseline", "canary"]);
  setQuery({ swap: "1" });
  await waitFor(() => expect(rowsOf(screen.getByRole("region", { name: "By the time since users were first seen" }))[2]).toEqual(["second day", "1,10099 with errors", "1,700144 with errors", "×0.97 [×0.76, ×1.24]", "–", "3.00 and 2.00", "–"]));
});
