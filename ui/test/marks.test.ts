import { describe, expect, it } from "vitest";
import { marksOf } from "../src/lib/marks";
import type { Delivery, TimelineEvent } from "../src/lib/types";

const event = (at: string, more: Partial<TimelineEvent>): TimelineEvent => ({
  number: 0,
  at: `2026-06-01T09:${at}:00Z`,
  entry: 0,
  verdict: "inconclusive",
  verdict_before: "inconclusive",
  automatic: false,
  phase: "running",
  phase_before: "running",
  step: 0,
  step_before: 0,
  row: null,
  attempt: 1,
  over: false,
  reason: "",
  told: [],
  compared: [],
  command: null,
  actor: null,
  command_reason: null,
  finding: null,
  clock_ms: null,
  until_ms: null,
  ...more,
});

describe("marks of a chart", () => {
  it("are decisions, hooks and people, oldest first, one for a moment", () => {
    const events = [
      event("20", { command: "hold", actor: "ann" }),
      event("10", { verdict: "fail", verdict_before: "inconclusive", phase: "rolled back", told: [{ event: "rollback", generation: 1 }, { event: "unheard", generation: 2 }] }),
      event("05", {}),
      event("04", { command: "mute", finding: "0123", actor: "ann" }),
      event("00", { verdict_before: null, phase_before: null }),
    ];
    const deliveries = [{ generation: 1, event: "rollback" }] as Delivery[];
    const marks = marksOf(events, deliveries, [{ at: "2026-06-01T09:10:00Z", words: "proved after 10 min", sign: "◆" }]);
    expect(marks.map((mark) => [mark.at.slice(14, 16), mark.sign, mark.words])).toEqual([
      ["10", "▼", "proved after 10 min; verdict: Worse; rolled back; hook told “rollback”"],
      ["20", "●", "ann held it"],
    ]);
  });

  it("are the latest where there are many", () => {
    const events = Array.from({ length: 20 }, (_, at) => event(String(at).padStart(2, "0"), { command: "hold", actor: `a${at}` })).toReversed();
    expect(marksOf(events, [], []).map((mark) => mark.words)).toEqual(Array.from({ length: 9 }, (_, at) => `a${at + 11} held it`));
  });
});
