// What a newcomer asked about: what waits, what was copied, what was meant, what is over, and words that say it plainly.

import { signal } from "@preact/signals";
import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { actionsOf } from "../src/components/Actions";
import { Lines } from "../src/components/Lines";
import { said } from "../src/lib/copied";
import { fixed, grouped, neededWords, percent, signed, three } from "../src/lib/format";
import { active } from "../src/lib/keys";
import { report, rollouts, status } from "../src/lib/live";
import { setQuery } from "../src/lib/router";
import { waitingWords } from "../src/lib/waiting";
import { freshOf, groupOf, inOrder } from "../src/lib/words";
import type { Comparison, Delivery, Report, RolloutFull, RolloutRow, Status as StatusOf } from "../src/lib/types";

// jsdom draws nothing, and knows no scheme.
vi.mock("uplot", () => ({ default: Object.assign(class { destroy() {} setSize() {} }, { paths: { stepped: () => null } }) }));
const stub = (): void => {
  vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
};
stub();
const { App } = await import("../src/app");
const { isOfLatency } = await import("../src/screens/Board");
const { Compare } = await import("../src/screens/Compare");
const { Form } = await import("../src/screens/Feature");
const { Rollout } = await import("../src/screens/Rollout");
const { Rollouts } = await import("../src/screens/Rollouts");
const { offersOf, Search } = await import("../src/screens/Search");
const { noteWords, settingsOf, Status } = await import("../src/screens/Status");
const { boundsWords, plainReasons, VerdictScreen } = await import("../src/screens/Verdict");

let answer: (url: URL) => unknown = () => ({});
beforeEach(() => {
  stub();
  answer = () => ({ guardrails: [], points: [], groups: [], lines: 0 });
  vi.stubGlobal("fetch", async (path: string) => new Response(JSON.stringify(answer(new URL(path, "http://x")))));
});
afterEach(() => {
  cleanup();
  report.value = null;
  rollouts.value = null;
  status.value = null;
  setQuery(Object.fromEntries([...new URLSearchParams(location.search).keys()].map((key) => [key, null])), false);
  vi.unstubAllGlobals();
});

const statusOf = (more: object = {}): StatusOf =>
  ({ status: "ok", trouble: null, waiting_for: null, hooks: [], version: "0.1.0", ledger_entries: 0, journal_rows: 0, caught_up: true, data_until: null, lines_waiting: 622, files: null, placebos: [], not_reloaded: null, declared: 0, found: 0, not_listed: 0, commands: false, masker: 1, configuration: null, index: { is_off: false, lines: 18_545, bytes: 1, parts: 1 }, ...more }) as unknown as StatusOf;
const comparisonOf = (more: object = {}): Comparison =>
  ({
    service: "shop", services: ["shop"], control: "1", candidate: "2", unit: "user", units: [900, 100], strata: 1, verdict: "inconclusive", held_back_by_change: false, started_at: "2026-06-01T09:00:00Z", ended_at: "2026-06-01T09:34:00Z",
    reasons: ["2 is no worse."], changed_groups: [], guardrails: [], conversions: [], needs: [], flaws: [], declared_share: null, sample_ratio: null, routing: "sticky", bounds_met: [], limits: [], by_service: [], instances: { baseline: { list: [] }, canary: { list: [] } },
    segments: null, evidence: [], templates: { failing: [], listed: [], below_error: { tested: 0 }, error_or_worse: { tested: 0 } }, ...more,
  }) as unknown as Comparison;
const rowOf = (id: string, more: Partial<RolloutRow> = {}): RolloutRow => ({ id, declared: true, environment: "", services: [id], verdict: "inconclusive", reason: "", phase: "running", over: false, candidate: "2", control: "1", began: "2026-06-01T09:00:00Z", ...more });
const records = { read: 17_923, events: 17_923, on_time: 17_923, late: 0, outside: 0, rejects: {} };

it("says on Status and on the rollout how many lines are not judged yet", async () => {
  expect(waitingWords(1, grouped)).toBe("1 line waits for later ones and is not judged yet");
  status.value = statusOf();
  report.value = { comparisons: [comparisonOf()], records, survey: { unit: "user", roles: {}, notes: [], services: [], lines: 1, requests: 1 } } as unknown as Report;
  render(<Status />);
  expect(screen.getByText(/^17,923 lines: 17,923 count/).textContent).toContain("622 lines wait for later ones and are not judged yet");
  cleanup();
  answer = (url) => (url.pathname === "/v1/rollouts/shop" ? { ...rowOf("shop"), compared: [{ service: "shop", environment: "", control: "1", candidate: "2" }] } : { guardrails: [], points: [], groups: [], events: [] });
  render(<Rollout id="shop" tab="" />);
  expect((await screen.findByText("Stale.")).parentElement!.textContent).toContain("622 lines wait for later ones");
});

it("says that a key has copied, where everybody sees and hears it", async () => {
  const written: string[] = [];
  vi.stubGlobal("navigator", { ...navigator, clipboard: { writeText: async (text: string) => void written.push(text) } });
  status.value = statusOf({ index: undefined });
  rollouts.value = [];
  const { container } = render(<App />);
  await waitFor(() => expect(active.value.some((key) => key.key === "c")).toBe(true));
  active.value.find((key) => key.key === "c")!.run();
  await waitFor(() => expect(container.querySelector('.told[role="status"]')?.textContent).toBe("link copied"));
  expect(written[0]).toContain("http");
  active.value.find((key) => key.key === "y")!.run();
  await waitFor(() => expect(said.value).toBe("command copied"));
  // A browser that does not let it shows what was to be copied.
  vi.stubGlobal("navigator", { ...navigator, clipboard: { writeText: async () => Promise.reject(new Error("no")) } });
  active.value.find((key) => key.key === "y")!.run();
  await waitFor(() => expect(said.value).toContain("curl"));
});

it("offers the level where its name is no word of a message", async () => {
  expect(offersOf("error").map((of) => of.query)).toEqual(["level:>=error"]);
  expect(offersOf("_service:shop Errors").map((of) => of.query)).toEqual(["_service:shop level:>=error"]);
  expect(offersOf("failed").map((of) => of.query)).toEqual(["_failed:true"]);
  expect(offersOf('"error"')).toEqual([]);
  expect(offersOf("terror message:error")).toEqual([]);
  status.value = statusOf();
  answer = (url) => {
    if (url.pathname === "/v1/search") return { query: "error", lines: [], total: { lines: 0, is_exact: true }, partial: null, next: null, took_ms: 1 };
    return { groups: [], lines: url.searchParams.get("q") === "level:>=error" ? 10_746 : 0 };
  };
  setQuery({ q: "error" });
  render(<Search />);
  const link = await screen.findByRole("link", { name: "level:>=error" });
  expect(decodeURIComponent(link.getAttribute("href")!)).toContain("q=level:>=error");
  expect(link.parentElement!.textContent).toContain("finds 10,746 lines");
});

it("keeps what is typed while the end of the log comes to be known", async () => {
  status.value = statusOf();
  answer = (url) => (url.pathname === "/v1/search" ? { query: "", lines: [], total: { lines: 0, is_exact: true }, partial: null, next: null, took_ms: 1 } : { groups: [], fields: [], lines: 0 });
  for (const [screen_, name] of [[<Search />, "Query"], [<Compare />, "A"]] as const) {
    report.value = null;
    setQuery({ from: "now-1h" });
    render(screen_);
    const field = screen.getByRole("combobox", { name });
    fireEvent.input(field, { target: { value: "voucher" } });
    report.value = { comparisons: [comparisonOf()], records, survey: { unit: "user", roles: {} } } as unknown as Report;
    await new Promise((then) => setTimeout(then, 100));
    expect((screen.getByRole("combobox", { name }) as HTMLInputElement).value).toBe("voucher");
    cleanup();
  }
});

it("says what to type where nothing was typed", () => {
  render(<Form unit="user" />);
  expect(screen.getByRole("alert").textContent).toBe("");
  fireEvent.input(screen.getByLabelText(/^Who could have used it/), { target: { value: "_route:/menu" } });
  fireEvent.submit(screen.getByRole("button", { name: "Show" }).closest("form")!);
  expect(screen.getByRole("alert").textContent).toContain("Say what a use is");
  expect(screen.getByLabelText("A use is").getAttribute("aria-invalid")).toBe("true");
  expect(location.search).toBe("");
});

it("says that a table has nothing, and not only its head", async () => {
  status.value = statusOf();
  report.value = { comparisons: [], survey: { unit: "user", roles: {} } } as unknown as Report;
  answer = (url) => (url.pathname === "/v1/fields" ? { fields: [] } : { groups: [], lines: 4 });
  setQuery({ a: "x", b: "y" });
  render(<Compare />);
  const table = await screen.findByRole("region", { name: "Templates" });
  expect(table.querySelector("tbody")!.textContent).toContain("none");
  expect(screen.getByRole("region", { name: "Values" }).querySelector("tbody")!.textContent).toBe("none");
});

it("shows how long a slow request took by its own line, and calls the middle of a step about it", async () => {
  status.value = statusOf();
  report.value = { comparisons: [], survey: { unit: "user", roles: { latency: { fields: [{ path: "ms", unit: "ms" }] } } } } as unknown as Report;
  answer = () => ({ lines: [{ stream: "a", position: 1, cursor: "c", time: "2026-06-01T09:00:00Z", line: '{"message":"served","ms":2701}' }] });
  const guardrails = [{ guardrail: "latency_p50", finding: "regressed", lines: null }];
  render(<Lines comparison={comparisonOf({ verdict: "fail", guardrails, evidence: [{ stream: "a", offset: 1, time: "2026-06-01T09:00:00Z", class: "slow", route: "/r", status: null, latency_ms: 2_703 }] })} open={signal(true)} />);
  const item = document.querySelector(".places li")!;
  expect(item.textContent).toContain("about 2,703 ms");
  await waitFor(() => expect(item.querySelector(".latency")?.textContent).toBe("2,701 ms "));
});

it("asks nobody for what is silent, unless it is worse, and forgets what failed hours ago", () => {
  const invalid = rowOf("search", { verdict: "invalid" });
  expect([groupOf(invalid), groupOf(invalid, true), groupOf(rowOf("x", { verdict: "fail", phase: "failed" }), true), groupOf(rowOf("x", { verdict: "fail", phase: "rolled back" }), true)]).toEqual(["needs", "silent", "needs", "done"]);
  expect(inOrder([rowOf("runs"), invalid, rowOf("held", { phase: "held" })], new Set(), new Set(["search"])).map((of) => of.id)).toEqual(["held", "search", "runs"]);
  const failed = rowOf("checkout", { verdict: "fail", phase: "rolled back" });
  // What failed within a day stands before what asks nothing of anybody, and behind what does.
  const all = [rowOf("runs"), invalid, failed, rowOf("held", { phase: "held" })];
  expect(inOrder(all, new Set(), new Set(["search"]), new Set(["checkout"])).map((of) => of.id)).toEqual(["held", "checkout", "search", "runs"]);
  expect(inOrder(all, new Set(), new Set(["search"])).map((of) => of.id)).toEqual(["held", "search", "runs", "checkout"]);
  const judged = (ended_at: string) => comparisonOf({ service: "checkout", failed_at: "2026-06-01T09:03:30Z", ended_at });
  const told = [{ rollout: "checkout", decided_ms: Date.parse("2026-06-01T08:59:00Z") }] as Delivery[];
  const now = Date.parse("2026-06-01T09:00:00Z");
  expect([...freshOf([failed], [judged("2026-06-01T10:30:00Z")], told, now)]).toEqual(["checkout"]);
  // The log is three hours on: that somebody was told a minute ago by another clock makes nothing new.
  expect([...freshOf([failed], [judged("2026-06-01T12:30:00Z")], told, now)]).toEqual([]);
  expect([...freshOf([failed], [judged("2026-06-01T09:00:30Z")], told, now)]).toEqual(["checkout"]);
});

it("lists what is silent as silent", () => {
  status.value = statusOf();
  const silent = comparisonOf({ service: "search", verdict: "invalid", active_until: ["2026-06-01T09:05:10Z", "2026-06-01T09:05:00Z"], rollout_end: null, ended_at: "2026-06-01T09:05:10Z" });
  const going = comparisonOf({ service: "login", active_until: ["2026-06-01T12:00:00Z", "2026-06-01T12:00:00Z"], rollout_end: null, ended_at: "2026-06-01T12:00:00Z" });
  report.value = { comparisons: [silent, going] } as unknown as Report;
  rollouts.value = [rowOf("search", { verdict: "invalid" }), rowOf("login", { verdict: "invalid" })];
  render(<Rollouts />);
  expect(screen.getByRole("group", { name: "Which rollouts" }).textContent).toBe("All 2Needs you 1Silent 1Needs nobody 0Done 0");
  expect([...document.querySelectorAll("tbody a.row")].map((of) => of.textContent)).toEqual(["login", "search"]);
  expect(document.querySelector('tbody tr:nth-child(2) [data-of="stands"]')!.textContent).toMatch(/^no line since .*running$/);
});

it("leaves out of an ended comparison what the log alone goes on counting", () => {
  const traces = "8216 traces never showed a request of the service";
  const part = "50.00 % of users that come new, for the services they call are followed";
  const words = boundsWords({ bounds_met: [traces, part, "other"], rollout_end: null, active_until: ["2026-06-01T12:00:00Z", "2026-06-01T12:00:00Z"] });
  expect(words).toEqual(["8,216 traces in the log have no request of a service that is compared, and count for nobody", "which services are called is followed for 50\u00a0% of the users that come new", "other"]);
  expect(boundsWords({ bounds_met: [traces], rollout_end: { at: "x", reason: "y" }, active_until: [] })).toEqual([]);
  expect(boundsWords({ bounds_met: [traces], rollout_end: null, active_until: ["2026-06-01T12:00:00Z", "2026-06-01T09:00:00Z"] })).toEqual([]);
});

it("names no value as that of all services, and no switch that says the contrary of what is", () => {
  expect(noteWords("arms: the values of `version` (5.2.1)", 4)).toBe("arms: the values of `version`, of each service its own");
  expect(noteWords("arms: the values of `cohort` (baseline, canary); more", 4)).toBe("arms: the values of `cohort` (baseline, canary); more");
  expect(noteWords("arms: the values of `version` (5.2.1)", 1)).toBe("arms: the values of `version` (5.2.1)");
  const http = { name: "http", value: "false", from: "default" };
  expect(settingsOf([http, { name: "idle", value: "2s", from: "file" }]).map((of) => of.name)).toEqual(["idle"]);
  expect(settingsOf([http, { name: "brokers", value: "a:9092", from: "file" }])).toHaveLength(2);
});

it("says once that a person must decide, and of which clock a proof is", () => {
  const nobody = "Nobody should act on it without a person: that requests, not users, are assigned to arms is not known (`assignment: requests` in the policy says so).";
  const condition = "The condition: each trace counts by itself: this holds if requests, not users, are assigned to arms; --role user=FIELD names users.";
  const proved = "The logs proved it at 2026-06-01T09:03:30Z, after 3 min.";
  const words = plainReasons(["worse.", proved, nobody, condition], true);
  expect(words[1]).toBe("The logs proved it at 2026-06-01T09:03:30Z, by the times in the log, after 3 min.");
  expect(words[2]).toMatch(/^A person must decide/);
  expect(words.join(" ").match(/requests, not users/g)).toHaveLength(1);
  expect(plainReasons([proved, nobody], false)).toEqual([proved, nobody]);
});

it("says of steps wherever percentiles of latencies stand", () => {
  expect([{ quantiles: "_latency" }, { figure: "quantile", of: "_latency" }, { figure: "quantile", of: "bytes" }, { figure: "lines", of: "_latency" }, {}].map((of) => isOfLatency(of as never))).toEqual([true, true, false, false, false]);
});

it("has one minus, and names what is needed", () => {
  expect([percent(-0.205), fixed(-2.7, 1), grouped(-1_234), three(-0.5), signed(-2.7, 1), percent(-0.00001), grouped(-0.2)]).toEqual(["−20.5\u00a0%", "−2.7", "−1,234", "−0.500", "−2.7", "0.00\u00a0%", "0"]);
  expect(neededWords("erring units", "user")).toBe("users with an error");
  expect(neededWords("other", "user")).toBe("other");
});

it("offers no approval of what cannot be compared", () => {
  const words = (verdict: RolloutRow["verdict"]): string[] => actionsOf({ ...rowOf("a", { verdict }) } as RolloutFull).map((of) => of.word);
  expect(words("invalid")).toEqual(["hold", "rollback"]);
  expect(words("pass")).toEqual(["approve", "hold", "rollback"]);
});

const erring = (finding: string) => ({ guardrail: "error_units", label: "users with errors", finding, baseline: 0.01, canary: 0.02, counts: [900, 100], values_in: "share", above: null, margin: 1.2, log_e: 0, lines: null, effect: { kind: "ratio", estimate: 2, low: 0.7, high: 3.6 } });
const draw = (guardrail: object): HTMLElement => {
  cleanup();
  const segments = { descriptive: { field: "tier", adjusted_ratio: { estimate: 1.66, low: 1.01, high: 2.7 } }, cells: [] };
  render(<VerdictScreen rollout={rowOf("shop") as RolloutFull} comparison={comparisonOf({ guardrails: [guardrail], segments })} />);
  return screen.getByRole("region", { name: "Guardrails" });
};

it("shows no interval of one look that seems to decide beside what is not decided", () => {
  setQuery({ adj: "mix" });
  expect(draw(erring("undecided")).querySelector(".difference")!.textContent).toBe("×1.66within segments of tierfor one look alone: its interval once it is decided");
  expect(document.querySelector(".drawing svg")).toBeNull();
  expect(draw(erring("regressed")).querySelector(".difference")!.textContent).toBe("×1.66 [×1.01, ×2.70]within segments of tierfor one look alone");
  expect(document.querySelector(".drawing svg")).not.toBeNull();
});

it("says of which part a difference is, and shows a number that is no part as itself", () => {
  const p50 = { guardrail: "latency_p50", label: "latency p50", finding: "regressed", baseline: 153, canary: 1_204, counts: [904, 488], values_in: "ms", above: { threshold_ms: 227, baseline: 0.347, canary: 0.855 }, margin: null, log_e: 9, lines: null, effect: { kind: "difference", estimate: 0.4313, low: 0.26, high: 0.59 } };
  const table = draw(p50);
  expect(table.textContent).toContain("34.7\u00a0% take longer");
  expect(table.querySelector(".difference small")!.textContent).toBe("in what takes longer, at like times");
  const fewer = { guardrail: "deficit", label: "fewer units than declared", finding: "undecided", baseline: null, canary: null, counts: [15_275, 21_076], values_in: null, above: null, margin: null, log_e: 0, lines: null, effect: null };
  expect([...draw(fewer).querySelectorAll("td[data-of]")].map((of) => of.textContent)).toEqual(["15,275users", "21,076users"]);
  expect(screen.queryByRole("link", { name: /No log line/ })).toBeNull();
});
