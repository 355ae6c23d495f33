import { cleanup, render, screen } from "@testing-library/preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { carriersOf, unitsOf } from "../src/lib/affected";
import { report, status } from "../src/lib/live";
import { query } from "../src/lib/router";
import type { Comparison, Guardrail, Report, Status } from "../src/lib/types";
import { Explain, explained } from "../src/screens/Explain";

// jsdom draws nothing.
vi.mock("uplot", () => ({ default: Object.assign(class { destroy() {} setSize() {} }, { paths: { stepped: () => null } }) }));
vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });

const guardrail = (name: string, more: Partial<Guardrail> = {}): Guardrail => ({
  guardrail: name, label: name.replaceAll("_", " "), margin: 0.1, finding: "undecided", baseline: 0.1, canary: 0.1, values_in: "share", above: null,
  effect: null, log_e: 0, evidence: "none", counts: [100, 100],
  lines: { baseline: { query: `${name} a`, counted: "_unit", count: 1 }, canary: { query: `${name} b`, counted: "_unit", count: 1 } }, ...more,
});

const template = { id: "00000000000000aa", text: "no price list for <*>", lines: [0, 14, 0], units: [0, 12] };
const comparison = (more: object): Comparison =>
  ({
    service: "shop in prod", control: "1", candidate: "2", unit: "user", started_at: "2026-06-01T09:00:00Z", ended_at: "2026-06-01T09:10:00Z", units: [900, 100],
    templates: { failing: [template.id], listed: [template] }, guardrails: [guardrail("error_units"), guardrail("latency_p99")],
    segments: { fields: ["region"], found: true, unequal: [], descriptive: null, cells: [], more: 0, rest: [] }, ...more,
  }) as unknown as Comparison;

beforeEach(() => {
  status.value = { index: { is_off: false, lines: 1 } } as Status;
  report.value = { survey: { roles: { user: { fields: [{ path: "user_id", lines: 1 }] }, client: { fields: [{ path: "client", lines: 1 }] } } }, comparisons: [] } as unknown as Report;
});
afterEach(() => {
  cleanup();
  query.value = new URLSearchParams();
  vi.stubGlobal("fetch", undefined);
});

it("explains what failed before all else: new lines, then the strongest guardrail", () => {
  const list = carriersOf(comparison({ guardrails: [guardrail("error_units"), guardrail("latency_p90", { finding: "regressed", log_e: 5 }), guardrail("latency_p99", { finding: "regressed", log_e: 9 })] }));
  expect(list.map((of) => of.name)).toEqual(["new_lines", "latency_p99", "latency_p90", "error_units"]);
  expect(list.map((of) => of.isFailed)).toEqual([true, true, true, false]);
  expect(list[0]!.queries[1]).toBe("_template:00000000000000aa _service:shop _arm:2 _time:[2026-06-01T09:00:00Z TO 2026-06-01T09:10:00Z]");
  expect(explained(list, "")?.name).toBe("new_lines");
  expect(explained(list, "error_units")?.name).toBe("error_units");
  expect(explained(carriersOf(comparison({ templates: { failing: [], listed: [] } })), "")?.name).toBe("error_units");
});

it("takes of what is slower typically those that take longer than half did before, and names requests where no user is known", () => {
  const p50 = guardrail("latency_p50", { label: "latency p50", above: { threshold_ms: 152.6, baseline: 0.5, canary: 0.9 } });
  const of = { unit: "request", templates: { failing: [], listed: [] }, guardrails: [guardrail("error_units"), guardrail("latency_mean", { finding: "regressed", log_e: 40 }), p50] };
  const list = carriersOf(comparison(of));
  expect(list.map((one) => [one.name, one.isFailed, one.met])).toEqual([
    ["latency_p50", true, "took 153 ms or more"],
    ["error_units", false, "failed"],
  ]);
  expect(carriersOf(comparison({ ...of, unit: "user" }))[0]!.met).toBe("had a request of 153 ms or more");
});

it("lists each user once, by the name that the log has, those with the most lines first", async () => {
  vi.stubGlobal("fetch", async (path: string) => {
    const by = new URL(path, "http://x").searchParams.get("by");
    const groups =
      by === "_service"
        ? [{ key: { _service: "shop" }, lines: 6, distinct: 2 }]
        : [{ key: { _unit: "aa", user_id: "u-1" }, lines: 2 }, { key: { _unit: "bb", user_id: "u-2" }, lines: 2 }, { key: { _unit: "bb", user_id: null }, lines: 1 }, { key: { _unit: null, user_id: null }, lines: 1 }];
    return new Response(JSON.stringify({ groups, lines: 6, partial: null }));
  });
  const found = await unitsOf("q", "user", new AbortController().signal);
  expect(found).toEqual({ units: [{ id: "bb", name: "u-2", lines: 3 }, { id: "aa", name: "u-1", lines: 2 }], count: 2, lines: 6 });
});

it("counts who met the new lines by what their lines name, and says that this is what failed", async () => {
  const groups = (q: string, by: string): object[] => {
    const isMet = q.includes("_template:");
    const isCanary = q.includes("_arm:2");
    const users = isMet ? (isCanary ? 12 : 0) : isCanary ? 100 : 900;
    if (by === "_service") return [{ key: { _service: "shop" }, lines: users, distinct: users }];
    if (by !== "region") return [];
    return users === 0 ? [] : [{ key: { region: "eu" }, lines: users, distinct: users / 2 }, { key: { region: "us" }, lines: users, distinct: users / 4 }];
  };
  vi.stubGlobal("fetch", async (path: string) => {
    const url = new URL(path, "http://x");
    const body = url.pathname === "/v1/fields" ? { fields: [{ path: "client", kind: "text" }, { path: "region", kind: "text" }] } : { groups: groups(url.searchParams.get("q")!, url.searchParams.get("by")!), lines: 0, partial: null };
    return new Response(JSON.stringify(body));
  });
  render(<Explain comparison={comparison({})} />);
  expect(screen.getByText(/This is what failed/)).toBeDefined();
  const row = (await screen.findByText(/region = eu/)).closest("tr")!;
  expect(row.textContent).toContain("6 of 50");
  expect(row.textContent).toContain("0 of 450");
  expect(row.textContent).toContain("50.0\u00a0%");
  // Twenty-five users of the canary and 225 of the baseline are enough; a segment of few is hidden, and that is told.
  expect(screen.getAllByText(/region = /)).toHaveLength(2);
});

it("says of what it explains that it is not what failed", () => {
  query.value = new URLSearchParams("metric=error_units");
  render(<Explain comparison={comparison({})} />);
  expect(screen.getByText("This is not what failed.")).toBeDefined();
  expect(screen.getByRole("button", { name: "Explain that" })).toBeDefined();
});
