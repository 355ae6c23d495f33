import { describe, expect, it } from "vitest";
import { effectWords, evidence, fromScale, harmless, millis, onScale, percent, signed, span, swapped, three } from "../src/lib/format";
import type { Effect } from "../src/lib/types";

describe("numbers in words", () => {
  it("has a sign and a unit", () => {
    expect(signed(0.42, 2)).toBe("+0.42");
    expect(signed(-0.42, 2)).toBe("\u22120.42");
    expect(signed(-0.001, 2)).toBe("0.00");
    expect(percent(0.0215)).toBe("2.15\u00a0%");
    expect(percent(null)).toBe("\u2013");
    expect(effectWords({ kind: "difference", estimate: 0.0042, low: 0.0021, high: 0.0063 })).toBe("+0.42 pp [+0.21 pp, +0.63 pp]");
    expect(effectWords({ kind: "ratio", estimate: null, low: 3, high: null })).toBe("\u221e [\u00d73.00, \u221e]");
    expect(span(89)).toBe("89\u00a0s");
    expect(span(600)).toBe("10\u00a0min");
    expect(evidence(Math.log(1000))).toBe("1,000");
    expect(evidence("inf")).toBe("beyond all measure");
    // Below what is called weak it says nothing.
    expect(evidence(Math.log(2.9))).toBe("none");
    expect(evidence(-4)).toBe("none");
    expect(evidence(Math.log(3.26))).toBe("3.3");
    expect(evidence(Math.log(23.4))).toBe("23");
    expect(millis(1_204)).toBe("1,204 ms");
    expect(effectWords({ kind: "change", estimate: 12.345, low: 1, high: null })).toBe("+1,234.5 % [+100.0 %, \u221e]");
    expect(three(1_234.5)).toBe("1,235");
    expect(three(0.01234)).toBe("0.0123");
    expect(evidence(18)).toBe("10\u2078");
  });
});

describe("swapping the arms", () => {
  const turned = (effect: Effect): Effect => swapped(effect);
  it("turns every sign, and twice is as before", () => {
    expect(turned({ kind: "difference", estimate: 0.5, low: 0.1, high: 0.9 })).toEqual({ kind: "difference", estimate: -0.5, low: -0.9, high: -0.1 });
    const ratio: Effect = { kind: "ratio", estimate: 2, low: 0.5, high: 4 };
    expect(turned(ratio)).toEqual({ kind: "ratio", estimate: 0.5, low: 0.25, high: 2 });
    expect(turned(turned(ratio))).toEqual(ratio);
    const change = turned({ kind: "change", estimate: 1, low: -0.5, high: 3 });
    expect(change).toEqual({ kind: "change", estimate: -0.5, low: -0.75, high: 1 });
  });
  it("knows no end where there is none", () => {
    expect(turned({ kind: "ratio", estimate: 3, low: 0, high: null })).toEqual({ kind: "ratio", estimate: 1 / 3, low: 0, high: null });
  });
});

describe("the scale", () => {
  it("puts halving as far as doubling", () => {
    expect(onScale("ratio", 2, 0)).toBeCloseTo(-onScale("ratio", 0.5, 0));
    expect(fromScale("ratio", onScale("ratio", 3, 0))).toBeCloseTo(3);
    expect(fromScale("change", onScale("change", 0.25, 0))).toBeCloseTo(0.25);
    expect(onScale("ratio", 0, 0)).toBe(-Infinity);
    expect(onScale("ratio", null, 7)).toBe(7);
  });
});

describe("text of logs", () => {
  it("shows signs that change what stands around them", () => {
    expect(harmless("a\u202eb\u0000c\u001b[31m")).toBe("a\\u{202e}b\\u{0}c\\u{1b}[31m");
    expect(harmless("tab\tline\n")).toBe("tab\tline\n");
    expect(harmless("x".repeat(3_000)).length).toBe(2_001);
  });
});
