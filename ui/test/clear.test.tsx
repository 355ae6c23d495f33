// What is told so that nobody takes it for something else: counts of one time, samples, texts, names, places.

import { signal } from "@preact/signals";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Lines, LineAt } from "../src/components/Lines";
import { Badge } from "../src/components/parts";
import { report, rollouts, status } from "../src/lib/live";
import { active, withKeys } from "../src/lib/keys";
import { UNITS } from "../src/lib/sidebyside";
import { WORSE, findingLook } from "../src/lib/words";
import type { Comparison, Report, RolloutFull, Status, TimelineEvent } from "../src/lib/types";

const stub = (): void => {
  vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
};
// jsdom draws nothing, and knows no scheme.
vi.mock("uplot", () => ({ default: Object.assign(class { destroy() {} setSize() {} }, { paths: { stepped: () => null } }) }));
stub();
const { metricValue } = await import("../src/screens/Board");
const { withoutValues } = await import("../src/screens/Compare");
const { watchedCurve } = await import("../src/screens/Feature");
const { Rollout, shared } = await import("../src/screens/Rollout");
const { templatesIn } = await import("../src/screens/Search");
const { zeroWords } = await import("../src/screens/TemplateDiff");
const { TimelineScreen } = await import("../src/screens/Timeline");
const { VerdictScreen } = await import("../src/screens/Verdict");

beforeEach(() => {
  stub();
  status.value = { index: { is_off: false, lines: 9 } } as unknown as Status;
});
afterEach(() => {
  cleanup();
  report.value = null;
  rollouts.value = null;
  status.value = null;
  vi.unstubAllGlobals();
});

const place = (offset: number) => ({ stream: "a", offset, time: "2026-06-01T09:00:00Z" });
const comparisonOf = (more: object = {}): Comparison =>
  ({
    service: "shop", services: ["shop"], control: "1", candidate: "2", unit: "user", units: [900, 100], verdict: "fail", held_back_by_change: false, started_at: "2026-06-01T09:00:00Z", ended_at: "2026-06-01T09:34:00Z",
    reasons: ["2 is worse than 1.", "Slower."], changed_groups: [], guardrails: [], conversions: [], needs: [], flaws: [], declared_share: null, sample_ratio: null, routing: "sticky", bounds_met: [], limits: [], by_service: [],
    segments: null, evidence: [], templates: { failing: [], listed: [], below_error: { tested: 1 }, error_or_worse: { tested: 0 } }, ...more,
  }) as unknown as Comparison;

it("bounds what nobody of the baseline met by those who were there while both ran", () => {
  const of = { units: [29_166, 1_900] as [number, number], unit: "user" };
  const both = { until: "2026-06-01T09:04:00Z", longer: 0 as const, values: new Map([[UNITS, 7_571]]), isAwaited: false };
  expect(zeroWords(of, 0, both)).toContain("0 of 7,571 users");
  expect(zeroWords(of, 0, { ...both, isAwaited: true })).toBe("…");
  expect(zeroWords(of, 0, null)).toContain("0 of 29,166 users");
  expect(zeroWords(of, 1, both)).toContain("0 of 1,900 users");
});

it("ends the curve of an arm where it stopped", () => {
  const point = (age_s: number) => ({ age_s, used: { value: 0.1, low: 0.05, high: 0.2 } });
  const curve = watchedCurve([point(60), point(240), point(300)], 240);
  expect(curve.map((of) => of.used.value)).toEqual([0.1, 0.1, null]);
  expect(watchedCurve([point(300)], null)).toEqual([point(300)]);
});

it("keeps what is open on one tab out of the addresses of the others", () => {
  expect(shared(new URLSearchParams("lines=1&users=1&beside=1&ages=1&swap=1&asof=x"))).toBe("swap=1&asof=x");
});

it("says which text a query asks for by an id", () => {
  report.value = { comparisons: [{ templates: { listed: [{ id: "6d48d06a3445b3e7", text: "no price list for <*>" }] } }] } as unknown as Report;
  expect(templatesIn('_template:"6d48d06a3445b3e7" AND _arm:2')).toEqual([["6d48d06a3445b3e7", "no price list for <*>"]]);
  expect(templatesIn("_template:00000000000000ff OR x")).toEqual([]);
});

it("shows of a text that stands for many what they have in common", () => {
  expect(withoutValues("transaction t-58883a gave up after 5 deadlocks")).toBe("transaction <*> gave up after <*> deadlocks");
  expect(withoutValues("cart c-abfbac restored, voucher <*>")).toBe("cart <*> restored, voucher <*>");
});

it("writes a true minus, and evidence as everywhere else", () => {
  const row = (name: string, value: number) => metricValue({ name, value, text: String(value), labels: "", help: "" });
  expect(row("serin_x", -0.5)).toBe("−0.5");
  expect(row("serin_rollout_log_e", -0.439)).toBe("none");
  expect(row("serin_rollout_log_e", 9.638)).toBe("15,337");
});

it("names verdicts as the command line does, and findings not", () => {
  const { container } = render(
    <>
      <Badge look={WORSE} />
      <Badge look={findingLook("regressed")} />
    </>,
  );
  expect([...container.querySelectorAll(".badge")].map((of) => of.getAttribute("title"))).toEqual(["for programs and on the command line: FAIL", null]);
});

it("says that requests are a sample, and leads to all of them, the slowest first", () => {
  const request = (offset: number, latency_ms: number) => ({ ...place(offset), class: "slow", route: `/r${offset}`, status: null, latency_ms });
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ lines: [] })));
  const guardrail = { guardrail: "latency_p50", finding: "regressed", lines: { baseline: null, canary: { query: "_latency:>=227ms", counted: "lines", count: 417 } } };
  render(<Lines comparison={comparisonOf({ guardrails: [guardrail], evidence: [request(1, 300), request(2, 2_500)] })} open={signal(true)} />);
  expect(screen.getByText("Lines that show it (2 shown of 417)")).toBeDefined();
  expect(screen.getByRole("link", { name: "All 417 requests" }).getAttribute("href")).toContain("_latency");
  expect([...document.querySelectorAll(".places li")].map((of) => /\/r\d/.exec(of.textContent ?? "")![0])).toEqual(["/r2", "/r1"]);
});

it("shows lines around one in order of time, to the millisecond, and closes them again", async () => {
  const line = (position: number, time: string) => ({ stream: "a", position, time, cursor: `${position}`, line: `line ${position}` });
  const all = [line(1, "2026-06-01T09:00:44.500Z"), line(2, "2026-06-01T09:00:43.250Z"), line(3, "2026-06-01T09:00:44.100Z")];
  vi.stubGlobal("fetch", async (path: string) => new Response(JSON.stringify({ lines: path.includes("before=0") ? [all[1]] : all })));
  render(<LineAt place={place(2)} />);
  fireEvent.click(await screen.findByRole("button", { name: "lines around it" }));
  await waitFor(() => expect(document.querySelectorAll(".line")).toHaveLength(3));
  expect([...document.querySelectorAll(".line time")].map((of) => of.textContent!.slice(-6))).toEqual(["43.250", "44.100", "44.500"]);
  expect(document.querySelector(".line.own")!.textContent).toContain("this line");
  fireEvent.click(screen.getByRole("button", { name: "this line alone" }));
  await waitFor(() => expect(document.querySelectorAll(".line")).toHaveLength(1));
});

it("says that the chart is not of what failed", () => {
  vi.stubGlobal("fetch", async (path: string) => new Response(JSON.stringify(path.startsWith("/v1/course") ? { guardrails: ["error_units"], points: [] } : {})));
  const template = { id: "00000000000000aa", text: "no price list", level: "error or worse", change: "new", lines: [0, 14, 0], units: [0, 12], log_e: 9, canary: [] };
  const row = { guardrail: "error_units", label: "users with errors", finding: "undecided", baseline: 0.01, canary: 0.02, counts: [900, 100], values_in: "share", above: null, effect: { kind: "ratio", estimate: 1, low: 0.5, high: 2 }, margin: 1.4, log_e: 0 };
  render(<VerdictScreen rollout={{ id: "a", services: ["shop"], deliveries: [] } as unknown as RolloutFull} comparison={comparisonOf({ guardrails: [row], templates: { ...comparisonOf().templates, failing: [template.id], listed: [template] } })} />);
  return waitFor(() => expect(screen.getByText(/The chart below is not of what failed/)).toBeDefined());
});

it("links no count of nothing, and lists no service of which nothing came", () => {
  const totals = (requests: number, errors: number) => ({ requests, errors, lines: requests, per_request: {}, p50_ms: null, p99_ms: null });
  const of = (service: string, requests: number) => ({ environment: "", service, baseline: totals(requests, 0), canary: totals(requests, requests), queries: { baseline: { requests: "a", errors: "none" }, canary: { requests: "b", errors: "some" } } });
  render(<VerdictScreen rollout={{ id: "a", services: ["shop"], deliveries: [] } as unknown as RolloutFull} comparison={comparisonOf({ by_service: [of("shop", 5), of("idle", 0)] })} />);
  const table = document.querySelector("#services table")!;
  expect(table.textContent).not.toContain("idle");
  expect([...table.querySelectorAll("a")].map((one) => new URL((one as HTMLAnchorElement).href).searchParams.get("q"))).not.toContain("none");
});

it("leads away from a rollout that there is not", async () => {
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ error: "there is no such rollout; GET /v1/rollouts lists them" }), { status: 404 }));
  render(<Rollout id="nothing" tab="" />);
  expect(await screen.findByRole("heading", { name: "No such rollout" })).toBeDefined();
  expect(screen.getByRole("link", { name: "Rollouts" }).getAttribute("href")).toBe("/");
});

it("gives the reason why a comparison ended, and says that a rollout was found", async () => {
  const event = (number: number, more: object): TimelineEvent =>
    ({ number, at: "2026-06-01T09:34:00Z", verdict: "fail", verdict_before: "fail", phase: "x", phase_before: "x", told: [], compared: [], command: null, clock_ms: null, finding: null, step: 0, attempt: 1, entry: 1, reason: "", over: false, ...more }) as unknown as TimelineEvent;
  vi.stubGlobal("fetch", async () => new Response(JSON.stringify({ events: [event(2, { over: true }), event(1, { told: [{ event: "found", generation: 1 }] })], forgotten: 0 })));
  render(<TimelineScreen rollout={{ id: "a", deliveries: [] } as unknown as RolloutFull} list={[comparisonOf({ reasons: ["2 is worse than 1.", "The rollout ended at 09:34: the candidate was silent for 30 minutes."] })]} />);
  expect(await screen.findByText(/silent for 30 minutes/)).toBeDefined();
  expect(screen.getByText("The rollout was found in the log", { exact: false })).toBeDefined();
});

it("tells keys of the page before those of every screen", () => {
  const off = [withKeys([{ key: "g r", words: "rollouts", run: () => {} }], true), withKeys([{ key: "j", words: "next", run: () => {} }])];
  expect(active.value.map((of) => of.key)).toEqual(["j", "g r"]);
  off.forEach((one) => one());
});
