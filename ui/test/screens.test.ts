// What screens make of texts: times of an address, lines of a template, queries of a dashboard, series of /metrics.

import { describe, expect, it } from "vitest";
import { term, varying } from "../src/components/LogLine";
import { filled } from "../src/lib/board";
import { bytes } from "../src/lib/format";
import { metricRows } from "../src/lib/metrics";
import { route } from "../src/lib/router";
import { absolute, barLength, millisOf, shifted } from "../src/lib/times";
import { inOrder } from "../src/lib/words";
import type { RolloutRow } from "../src/lib/types";

const NOW = Date.parse("2026-06-01T12:00:00Z");

describe("times of an address", () => {
  it("are of the clock, or counted from now", () => {
    expect(millisOf("now-15m", NOW)).toBe(NOW - 900_000);
    expect(millisOf("soon", NOW)).toBeNull();
    expect(absolute("now-1d", NOW)).toBe("2026-05-31T12:00:00.000Z");
    expect(absolute("2026-06-01T10:00:00Z", NOW)).toBe("2026-06-01T10:00:00.000Z");
  });

  it("move by their own length", () => {
    expect(shifted("now-1h", "", -1, NOW)).toEqual({ from: "2026-06-01T10:00:00.000Z", to: "2026-06-01T11:00:00.000Z" });
    expect(shifted("2026-06-01T10:00:00Z", "2026-06-01T10:10:00Z", 1, NOW)).toEqual({ from: "2026-06-01T10:10:00.000Z", to: "2026-06-01T10:20:00.000Z" });
    expect(shifted("now", "now-1h", 1, NOW)).toBeNull();
  });

  it("give about sixty bars", () => {
    expect([30, 3_600, 21_600, 86_400].map(barLength)).toEqual([1, 60, 600, 1_800]);
  });
});

describe("a line of a template", () => {
  it("has what varies set apart", () => {
    expect(varying("no price for v-1 in book 35", "no price for <*> in book <*>")).toEqual([
      ["no price for ", false],
      ["v-1", true],
      [" in book ", false],
      ["35", true],
    ]);
    expect(varying("a b a", "a <*> a")).toEqual([["a ", false], ["b", true], [" a", false]]);
    expect(varying("<*>x", "<*>y")).toBeNull();
    expect(varying("something else", "no price for <*>")).toBeNull();
    expect(varying("plain", "plain")).toBeNull();
  });

  it("is asked for by terms that quote what they must", () => {
    expect(term("_arm", "2.4.0")).toBe("_arm:2.4.0");
    expect(term("path", 'a "b" \\')).toBe('path:"a \\"b\\" \\\\"');
  });
});

it("fills variables of a dashboard in, and leaves out terms that have none", () => {
  expect(filled("_kind:request _service:$service", { service: "shop" })).toBe("_kind:request _service:shop");
  expect(filled("_kind:request _service:$service", {})).toBe("_kind:request");
  expect(filled("_service:$service", { service: 'a "b"' })).toBe('_service:"a \\"b\\""');
});

it("reads series of the text format", () => {
  const text = '# HELP serin_a Help of it.\n# TYPE serin_a gauge\nserin_a{x="q\\"1",y=""} 3\nserin_a{x="2"} NaN\nserin_b 4\nserin_ab 5\n';
  const rows = metricRows(text, ["serin_b", "serin_a"]);
  expect(rows.map((row) => [row.name, row.labels, row.text])).toEqual([
    ["serin_b", "", "4"],
    ["serin_a", 'x q"1', "3"],
    ["serin_a", "x 2", "NaN"],
  ]);
  expect(rows[1]!.help).toBe("Help of it.");
});

it("knows its screens", () => {
  expect(route("/compare")).toEqual({ name: "compare" });
  expect(route("/templates/00ff")).toEqual({ name: "template", id: "00ff" });
  expect(route("/d")).toEqual({ name: "board", id: "" });
  expect(route("/d/ours")).toEqual({ name: "board", id: "ours" });
  expect(route("/d/ours/more")).toEqual({ name: "nothing" });
  expect(route("/templates")).toEqual({ name: "nothing" });
});

it("puts those first that need somebody", () => {
  const row = (id: string, verdict: RolloutRow["verdict"], over = false): RolloutRow => ({
    id, verdict, over, declared: true, environment: null, services: [id], reason: "", phase: "running", began: "2026-06-01T09:00:00Z",
  });
  expect(inOrder([row("a", "pass"), row("b", "fail", true), row("c", "invalid"), row("d", "inconclusive"), row("e", "fail")]).map((of) => of.id)).toEqual(["e", "c", "d", "a", "b"]);
});

it("says bytes in words", () => {
  expect([0, 1_023, 2_048, 1.5 * 2 ** 30].map(bytes)).toEqual(["0 bytes", "1,023 bytes", "2.0 KiB", "1.5 GiB"]);
});
