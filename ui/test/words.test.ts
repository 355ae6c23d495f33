import { expect, it } from "vitest";
import { fieldsOf, term } from "../src/components/LogLine";
import { route } from "../src/lib/router";
import type { RolloutRow } from "../src/lib/types";
import { bySeverity, groupOf, lookOfRollout } from "../src/lib/words";

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
  expect(rows.toSorted(bySeverity).map((of) => of.id)).toEqual(["worse", "broken", "changed", "unclear", "fine", "done"]);
  expect(groupOf(rows[2]!)).toBe("needs");
  expect(lookOfRollout(row("x", { phase: "waiting", verdict: "fail" })).word).toBe("Waiting");
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
