import { cleanup, render, screen } from "@testing-library/preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { aheadWords } from "../src/components/Clocks";
import { latencyOf } from "../src/components/LogLine";
import { report, rollouts, status } from "../src/lib/live";
import { nextTheme, shownTheme, theme } from "../src/lib/prefs";
import { apartOf, valuesUntil } from "../src/lib/sidebyside";
import type { Comparison, Report, RolloutRow, Status as StatusOf } from "../src/lib/types";

// jsdom draws nothing, and knows no scheme.
vi.mock("uplot", () => ({ default: Object.assign(class { destroy() {} setSize() {} }, { paths: { stepped: () => null } }) }));
vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });
vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
const { metricValue } = await import("../src/screens/Board");
const { commonAge, usedAt } = await import("../src/screens/Feature");
const { Rollouts } = await import("../src/screens/Rollouts");
const { oddRanges } = await import("../src/screens/Search");
const { Status } = await import("../src/screens/Status");

const answers = new Map<string, unknown>();
beforeEach(() => {
  vi.stubGlobal("fetch", async (path: string) => {
    const url = new URL(path, "http://x");
    return new Response(JSON.stringify(answers.get(url.pathname) ?? answers.get(`${url.pathname} ${url.searchParams.get("q")}`) ?? {}));
  });
});
afterEach(() => {
  cleanup();
  answers.clear();
});

it("tells how far the log is ahead of the clock, and nothing where it is behind or about right", () => {
  const now = Date.parse("2026-06-01T09:00:00Z");
  expect(aheadWords("2026-06-01T09:54:00Z", now)).toBe("54\u00a0min");
  expect(aheadWords("2026-06-01T09:01:00Z", now)).toBe("");
  expect(aheadWords("2026-06-01T08:00:00Z", now)).toBe("");
  expect(aheadWords(null, now)).toBe("");
});

it("compares arms at the last age that both reach while they serve", () => {
  const point = (age_s: number, value: number) => ({ age_s, used: { value, low: value - 0.01, high: value + 0.01 } });
  const long = [point(60, 0.1), point(240, 0.2), point(300, 0.22), point(2_040, 0.33)];
  // The canary served for 250 s; its users are followed for longer.
  expect(commonAge([{ curve: long, watched: 2_040 }, { curve: long, watched: 250 }])).toBe(240);
  expect(usedAt(long, 240)?.value).toBe(0.2);
  // Nobody knows for how long: as far as the shorter curve.
  expect(commonAge([{ curve: long, watched: null }, { curve: long.slice(0, 3), watched: null }])).toBe(300);
  expect(commonAge([{ curve: long, watched: null }])).toBeNull();
  expect(commonAge([{ curve: long, watched: 10 }, { curve: long, watched: 10 }])).toBeNull();
});

it("tells what the arm that goes on had while both ran", async () => {
  const of = {
    service: "shop in prod", control: "1", candidate: "2", started_at: "2026-06-01T09:00:00Z", ended_at: "2026-06-01T09:34:00Z",
    active_until: ["2026-06-01T09:34:00Z", "2026-06-01T09:04:00Z"],
    guardrails: [
      { guardrail: "error_units", values_in: "share", lines: { baseline: { query: "users that failed", counted: "_unit" } } },
      { guardrail: "error_volume", values_in: "share", lines: { baseline: { query: "failed", counted: "lines" } } },
      { guardrail: "latency_p99", values_in: "ms" },
    ],
  } as unknown as Comparison;
  expect(apartOf(of)).toEqual({ until: "2026-06-01T09:04:00Z", longer: 0 });
  expect(apartOf({ ...of, active_until: ["2026-06-01T09:34:00Z", "2026-06-01T09:34:10Z"] })).toBeNull();
  answers.set("/v1/aggregate users that failed", { groups: [{ key: {}, lines: 18, distinct: 4 }], lines: 18 });
  answers.set("/v1/aggregate failed", { groups: [{ key: {}, lines: 9, distinct: 4 }], lines: 9 });
  answers.set("/v1/aggregate _kind:request _service:shop _arm:1 _time:[2026-06-01T09:00:00Z TO 2026-06-01T09:34:00Z]", { groups: [{ key: {}, lines: 900, distinct: 400, quantiles: { "0.99": 1_500 } }], lines: 900 });
  const found = await valuesUntil(of, 0, "2026-06-01T09:04:00Z", new AbortController().signal);
  expect([...found]).toEqual([["_unit", 400], ["_request", 900], ["error_units", 0.01], ["error_units met", 4], ["error_volume", 0.01], ["latency_p99", 1_500]]);
});

it("tells metrics in words for people", () => {
  const row = (name: string, value: number, text = String(value)) => metricValue({ name, value, text, labels: "", help: "" });
  expect(row("serin_data_lag_seconds", -3_247.03)).toBe("ahead of the clock by 54\u00a0min");
  expect(row("serin_data_lag_seconds", 12)).toBe("12\u00a0s");
  expect(row("serin_ready", 1)).toBe("yes");
  expect(row("serin_caught_up", 0)).toBe("no");
  expect(row("serin_windows_total", 1_390)).toBe("1,390");
  expect(row("serin_data_lag_seconds", NaN, "NaN")).toBe("not known yet");
});

it("knows ends of ranges that are no numbers", () => {
  expect(oddRanges('_latency:{"100j" TO *]')).toEqual(["_latency:100j"]);
  expect(oddRanges('a:1 AND duration_ms:[* TO "x y"}')).toEqual(["duration_ms:x y"]);
  expect(oddRanges("_status:[500 TO *] AND _latency:>=250ms")).toEqual([]);
});

it("reads how long a line took in its unit, and nothing where nobody knows the unit", () => {
  const line = JSON.stringify({ took: 1.5, http: { duration: "250" } });
  expect(latencyOf(line, [{ path: "took", unit: "s" }])).toBe(1_500);
  expect(latencyOf(line, [{ path: "none", unit: "ms" }, { path: "http.duration", unit: "us" }])).toBe(0.25);
  expect(latencyOf(line, [{ path: "took", unit: null }])).toBeNull();
  expect(latencyOf("plain text", [{ path: "took", unit: "s" }])).toBeNull();
});

it("turns colours to what is seen at once, and tells what the system has", () => {
  theme.value = "auto";
  expect(shownTheme()).toBe("light");
  nextTheme();
  expect(theme.value).toBe("dark");
  nextTheme();
  expect(theme.value).toBe("light");
  nextTheme();
  expect(theme.value).toBe("auto");
});

it("shows the configuration that is in force, and from where each setting is", () => {
  status.value = {
    status: "ok", trouble: null, waiting_for: null, hooks: [], version: "0.1.0", ledger_entries: 0, journal_rows: 0, caught_up: true, data_until: null, lines_waiting: 0, files: null, placebos: [],
    not_reloaded: null, declared: 0, found: 0, not_listed: 0, commands: false,
    masker: 1, configuration: { file: "serin.yaml", settings: [{ name: "idle", value: "2s", from: "file" }, { name: "index-keep", value: "7d", from: "default" }] },
  } as StatusOf;
  render(<Status />);
  const table = screen.getByRole("region", { name: "Configuration" });
  expect(table.textContent).toContain("from serin.yaml");
  expect([...table.querySelectorAll("tbody tr")].map((of) => of.textContent)).toEqual(["idle2sfile", "index-keep7ddefault"]);
});

it("says of each rollout how often random splits of its service failed, and counts each in one class", () => {
  report.value = { comparisons: [], placebos: [{ environment: "prod", service: "a", day: "2026-06-01", splits: 1_020, failed: 3, allowed: 9, withheld: null }] } as unknown as Report;
  const row = (id: string, more: Partial<RolloutRow>): RolloutRow => ({ id, declared: true, environment: "prod", services: [id], verdict: "inconclusive", reason: "", phase: "running", over: false, began: new Date().toISOString(), ...more });
  rollouts.value = [row("a", {}), row("b", { verdict: "fail", phase: "rolled back" }), row("c", { verdict: "invalid" })];
  render(<Rollouts />);
  expect(screen.getByRole("row", { name: /calibration/ }).textContent).toContain("calibration: 3 of 1,020 false");
  expect(screen.getByRole("group", { name: "Which rollouts" }).textContent).toBe("All 3Needs you 1Just failed 1Needs nobody 1Done 0");
});
