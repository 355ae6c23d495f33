import { afterEach, expect, it, vi } from "vitest";
import { offersFor, wordAt } from "../src/lib/complete";
import { span } from "../src/lib/format";
import { ratioOf, trendsOf } from "../src/lib/trends";
import type { Comparison } from "../src/lib/types";
import { reasonWords } from "../src/lib/words";

const answers = (of: (path: string) => unknown): void => {
  vi.stubGlobal("fetch", (path: string) => Promise.resolve(new Response(JSON.stringify(of(path)), { headers: { "content-type": "application/json" } })));
};
afterEach(() => vi.unstubAllGlobals());

it("finds the word at the caret, and none within a phrase", () => {
  expect(wordAt("_service:shop _le", 17)).toEqual({ from: 14, to: 17, word: "_le" });
  expect(wordAt("NOT (_arm:2", 11)).toEqual({ from: 5, to: 11, word: "_arm:2" });
  expect(wordAt("_lev:error x", 4)).toEqual({ from: 0, to: 10, word: "_lev" });
  expect(wordAt('"no price', 9)).toBeNull();
  expect(wordAt('route:"/a b', 11)).toEqual({ from: 0, to: 11, word: 'route:"/a b' });
});

it("offers fields, then their values, and nothing after a comparison", async () => {
  answers((path) =>
    path.startsWith("/v1/fields")
      ? { fields: [{ path: "_level", kind: "derived" }, { path: "_position", kind: "derived" }, { path: "level", kind: "text" }, { path: "region", kind: "text" }] }
      : { groups: [{ key: { region: "eu west" }, lines: 3 }, { key: { region: "us" }, lines: 1 }], lines: 4 },
  );
  expect((await offersFor("lev", 3))?.offers.map((of) => of.text)).toEqual(["_level:", "level:"]);
  expect((await offersFor("no", 2))?.offers[0]?.text).toBe("NOT ");
  expect((await offersFor("x region:", 9))?.offers.map((of) => of.text)).toEqual(['region:"eu west" ', "region:us "]);
  expect((await offersFor("region:eu", 9))?.offers).toHaveLength(1);
  expect(await offersFor("_status:>=5", 11)).toBeNull();
});

it("tells a ratio with the interval of one look, and none where an arm has nobody", () => {
  const [ratio, low, high] = ratioOf([10, 30], [1_000, 1_000])!;
  expect(ratio).toBeCloseTo(3);
  // By hand: the standard error of the logarithm is sqrt(1/10 - 1/1000 + 1/30 - 1/1000) = 0.36239.
  expect(low).toBeCloseTo(3 / Math.exp(1.96 * 0.36239), 3);
  expect(high).toBeCloseTo(3 * Math.exp(1.96 * 0.36239), 3);
  expect(ratioOf([0, 5], [100, 100])).toBeNull();
  expect(ratioOf([5, 5], [100, 0])).toBeNull();
});

it("tells the course of a log line for a thousand requests of each arm", async () => {
  const at = (second: number): string => new Date(Date.parse("2026-06-01T09:00:00Z") + second * 1_000).toISOString();
  answers((path) => ({
    groups: path.includes("by=_template")
      ? [{ key: { _template: "aa", _arm: "2" }, from: at(10), lines: 5 }]
      : [0, 10, 20].flatMap((second) => [{ key: { _arm: "1" }, from: at(second), lines: 1_000 }, ...(second > 0 ? [{ key: { _arm: "2" }, from: at(second), lines: 100 }] : [])]),
    lines: 0,
  }));
  const comparison = { service: "shop in prod", control: "1", candidate: "2", started_at: at(0), ended_at: at(30) } as Comparison;
  const found = await trendsOf(comparison, ["aa"], new AbortController().signal);
  expect(found.get("aa")).toEqual([[0, 0, 0], [null, 50, 0]]);
  // It ends where one arm is silent.
  const short = await trendsOf({ ...comparison, active_until: [at(30), at(20)] }, ["aa"], new AbortController().signal);
  expect(short.get("aa")).toEqual([[0, 0], [null, 50]]);
});

it("says reasons in words", () => {
  expect(reasonWords("shop: the comparison is broken: sample_ratio")).toBe("shop: the comparison is broken: the split is not the declared one");
  expect(reasonWords("web: changed and not accepted: called_services, faster")).toBe("web: changed and not accepted: services that a request calls, speed (much faster)");
  expect(span(6 * 3_600)).toBe("6\u00a0h");
});
