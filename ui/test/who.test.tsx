import { cleanup, render, screen, waitFor } from "@testing-library/preact";
import { afterEach, describe, expect, it, vi } from "vitest";
import { status } from "../src/lib/live";
import { query } from "../src/lib/router";
import type { Comparison, RolloutFull, Status, WhoAnswer } from "../src/lib/types";
import { stepsOf, whoPath } from "../src/lib/who";
import { Feature } from "../src/screens/Feature";

// jsdom draws nothing.
vi.mock("uplot", () => ({ default: Object.assign(class { destroy() {} setSize() {} }, { paths: { stepped: () => null } }) }));
vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });

const estimate = (value: number) => ({ value, low: value * 0.9, high: value * 1.1 });
const adopted = (exposed: number, used: number) => ({ exposed, used, rate: estimate(used / exposed) });
const curve = [0, 60, 120].map((age_s) => ({ age_s, used: estimate(0.1 + age_s / 1_000) }));
const steps = (units: number[]) => units.map((one, at) => ({ name: ["seen", "paid"][at]!, units: one, of_first: estimate(one / units[0]!), of_before: at > 0 ? estimate(one / units[at - 1]!) : null, lines: `step:${at}` }));
const segment = (value: string, found: boolean, rate: number) => ({ field: "country", value, adopted: adopted(100, 30), found, log_e: found ? 9 : 0, rate_ratio: estimate(rate), lift: estimate(1.4), difference: estimate(0.1), same_units: [], lines: { exposed: `e:${value}`, used: `u:${value}` } });

const answer: WhoAnswer = {
  asked: { used: "path:/pay", exposed: "every line", unit: "user", steps: ["seen", "paid"], within: "1h", segments: ["country"] },
  lines: { read: 5_000, without_unit: 7, rejected: 0 },
  queries: { exposed: "*", used: "path:/pay" },
  span: ["2026-06-01T09:00:00Z", "2026-06-02T10:00:00Z"],
  followed_one_of: 1,
  units: { seen: 1_200, standard_error: 0, busy: 0 },
  adopted: adopted(1_000, 250),
  used_without_exposure: 3,
  first_use: { by_age: curve, median_s: null, curve },
  uses: { "1": 100, "2-4": 100, "5-9": 30, "10+": 20 },
  days: { "1": 200, "2": 50, "3-6": 0, "7+": 0 },
  retention: [
    { day: "2026-06-01T00:00:00Z", units: 200, again: [{ units: 200, whole_day: true, lines: "a" }, { units: 50, whole_day: false, lines: "b" }] },
    { day: "2026-06-02T00:00:00Z", units: 50, again: [{ units: 50, whole_day: false, lines: "c" }] },
  ],
  steps: steps([900, 250]),
  arms: [
    { arm: "2", adopted: adopted(200, 40), funnel: steps([180, 40]), curve, lines: { exposed: "x", used: null } },
    { arm: "1", adopted: adopted(800, 210), funnel: steps([720, 210]), curve, lines: { exposed: "y", used: "z" } },
  ],
  segments: [segment("JP", true, 3), segment("US", false, 1)],
  segments_tested: 2,
  is_sampled: true,
  partial: "matches",
  took_ms: 120,
};

const comparison = { unit: "user", control: "1", candidate: "2", started_at: "2026-06-01T09:00:00Z" } as Comparison;
const rollout = { id: "shop", services: ["shop"] } as unknown as RolloutFull;

afterEach(() => {
  cleanup();
  query.value = new URLSearchParams();
});

describe("who uses a feature", () => {
  it("is asked by what the address says", () => {
    expect(whoPath("shop")).toBe("");
    query.value = new URLSearchParams({ used: "path:/pay", steps: "a=x:1\n\n b=y:2 ", within: "5m", asof: "2026-06-01T09:00:00Z" });
    const asked = new URL(whoPath("a b"), "http://x").searchParams;
    expect([asked.get("rollout"), asked.get("used"), asked.get("within"), asked.get("until")]).toEqual(["a b", "path:/pay", "5m", "2026-06-01T09:00:00Z"]);
    expect(asked.getAll("step")).toEqual(["a=x:1", "b=y:2"]);
    expect(stepsOf("")).toEqual([]);
  });

  it("is told with words for what is certain, the baseline first, and links to lines", async () => {
    status.value = { index: { is_off: false } } as Status;
    query.value = new URLSearchParams({ used: "path:/pay" });
    const fetched = vi.fn(async () => new Response(JSON.stringify(answer)));
    vi.stubGlobal("fetch", fetched);
    vi.stubGlobal("matchMedia", () => ({ matches: true, addEventListener() {}, removeEventListener() {} }));
    const { container } = render(<Feature rollout={rollout} comparison={comparison} />);
    await waitFor(() => expect(container.querySelector(".headline")?.textContent).toMatch(/250 of 1,000 users used it: 25\.0/));
    expect((fetched.mock.calls as unknown as [string][])[0]![0]).toBe("/v1/who?rollout=shop&used=path%3A%2Fpay&timeout=30");
    const arms = screen.getByRole("region", { name: "By arm" });
    expect([...arms.querySelectorAll("tbody th")].map((of) => of.textContent)).toEqual(["1", "2"]);
    // Where not every use names its arm no query can say which lines those are.
    expect([...arms.querySelectorAll("tbody tr:last-child a")]).toHaveLength(1);
    const segments = screen.getByRole("region", { name: "Segments" });
    expect(segments.textContent).toMatch(/One was found among 2/);
    expect(segments.textContent).toMatch(/selection, and no effect/);
    expect([...segments.querySelectorAll("tbody .badge")].map((of) => of.textContent)).toEqual(["▲more", "○not shown"]);
    expect(screen.getByRole("region", { name: "Funnel" }).textContent).toMatch(/510 stayed behind/);
    expect(screen.getByRole("region", { name: "Return" }).textContent).toMatch(/25\.0\u00a0%\+/);
    const caveats = screen.getByText(/are read at once/).parentElement!.textContent!;
    for (const words of ["--index sampled", "3 users used it without", "7 lines name no user"]) expect(caveats).toContain(words);
  });
});
