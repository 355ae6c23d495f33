import { expect, it } from "vitest";
import { fieldsOf, term } from "../src/components/LogLine";
import { route } from "../src/lib/router";
import type { Comparison, RolloutRow } from "../src/lib/types";
import { bareService, findingLook, freshOf, groupOf, inOrder, lookOfRollout, reasonWords, serviceName } from "../src/lib/words";

const row = (id: string, more: Partial<RolloutRow>): RolloutRow => ({
  id,
  declared: true,
  environment: "prod",
  services: [id],
  verdict: "inconclusive",
  reason: "",
  phase: "running",
  over: false,
  ...more,
});

it("puts who needs somebody first, and what is over last", () => {
  const rows = [
    row("done", { verdict: "fail", phase: "rolled back" }),
    row("fine", { verdict: "pass" }),
    row("changed", { reason: "web: changed and not accepted: routes" }),
    row("worse", { verdict: "fail", phase: "failed" }),
    row("broken", { verdict: "invalid" }),
    row("unclear", {}),
  ];
  expect(inOrder(rows).map((of) => of.id)).toEqual(["worse", "broken", "changed", "unclear", "fine", "done"]);
  expect(groupOf(rows[2]!)).toBe("needs");
  expect(lookOfRollout(row("x", { phase: "waiting", verdict: "fail" })).word).toBe("Waiting");
  // What came after the last step takes nothing back.
  expect(lookOfRollout(row("x", { phase: "done", verdict: "inconclusive" })).word).toBe("Passed");
  expect(lookOfRollout(row("x", { phase: "done", verdict: "fail" })).word).toBe("Worse");
  expect(lookOfRollout(row("x", { phase: "running", verdict: "inconclusive" })).word).toBe("Unclear");
});

it("puts what has just failed and was taken back over all but what still runs and is worse", () => {
  const rows = [
    row("broken", { verdict: "invalid" }),
    row("back", { verdict: "fail", phase: "rolled back" }),
    row("long ago", { verdict: "fail", phase: "rolled back" }),
    row("worse", { verdict: "fail", phase: "failed" }),
    row("promoted", { verdict: "pass", phase: "done" }),
  ];
  const ids = (fresh: string[]): string[] => inOrder(rows, new Set(fresh)).map((of) => of.id);
  expect(ids(["back", "promoted"])).toEqual(["worse", "back", "broken", "long ago", "promoted"]);
  expect(ids([])).toEqual(["worse", "broken", "back", "long ago", "promoted"]);
});

it("knows what is not long past: by the clock where somebody was told, else by the log", () => {
  const now = Date.parse("2026-11-26T12:00:00Z");
  const old = Date.parse("2026-11-01T12:00:00Z");
  const rows = [row("told", { began: "2026-06-01T00:00:00Z" }), row("begun", { began: "2026-11-26T11:00:00Z" }), row("old", { began: "2026-11-20T00:00:00Z" }), row("told long ago", { began: "2026-06-01T00:00:00Z" })];
  const told = [{ rollout: "told", decided_ms: now - 60_000 }, { rollout: "told long ago", decided_ms: old }];
  expect([...freshOf(rows, [], told, now)]).toEqual(["told", "begun"]);
  // Of an old log the last day is the last.
  const judged = { service: "x in prod", candidate: "2", ended_at: "2026-06-01T01:00:00Z", failed_at: "2026-06-01T00:30:00Z" } as Comparison;
  expect([...freshOf([row("x", { services: ["x"], candidate: "2", began: "2026-05-01T00:00:00Z" }), row("y", { began: "2026-05-01T00:00:00Z" })], [judged], [], now)]).toEqual(["x"]);
});

it("tells evidence in one notation, and calls nothing unclear that stands beside it", () => {
  expect(reasonWords("checkout: worse by the sum of its evidence (e 15341)")).toBe("checkout: worse by all of its evidence together (evidence 15,341)");
  expect(reasonWords("frontend: worse by latency p50 (e 10^18)")).toBe("frontend: worse by latency p50 (evidence 10\u00b9\u2078)");
  expect(findingLook("undecided").word).toBe("not decided");
  expect(lookOfRollout(row("x", { verdict: "pass" })).word).toBe("No worse");
});

it("knows its addresses", () => {
  expect(route("/")).toEqual({ name: "rollouts" });
  expect(route("/rollouts/shop%40prod/timeline")).toEqual({ name: "rollout", id: "shop@prod", tab: "timeline" });
  expect(route("/rollouts/%E0%A4%A")).toEqual({ name: "rollout", id: "%E0%A4%A", tab: "" });
  expect(route("/nothing").name).toBe("nothing");
  expect(route("/rollouts/a/b/c").name).toBe("nothing");
});

it("reads a line, whatever it is", () => {
  expect(fieldsOf("plain <b>text</b>")).toEqual({ message: "plain <b>text</b>", rest: [] });
  expect(fieldsOf('{"a":{"b":1},"msg":"hi"}')).toEqual({ message: "hi", rest: [["a.b", "1"], ["msg", "hi"]] });
  expect(fieldsOf("[1,2]").message).toBe("[1,2]");
});

it("quotes values of queries", () => {
  expect(term("_arm", "2.5.0")).toBe("_arm:2.5.0");
  expect(term("message", 'say "no"')).toBe('message:"say \\"no\\""');
});

it("names a service with environment and cell, and without them", () => {
  for (const [environment, cell, name] of [
    [null, "", "shop"],
    ["prod", "", "shop in prod"],
    ["", "New York", "shop in cell New York"],
    ["prod", "geneva", "shop in prod, cell geneva"],
  ] as const) {
    expect(serviceName("shop", environment, cell)).toBe(name);
    expect(bareService(name)).toBe("shop");
  }
});
