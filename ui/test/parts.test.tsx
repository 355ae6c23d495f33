import { cleanup, fireEvent, render, screen } from "@testing-library/preact";
import { afterEach, expect, it } from "vitest";
import { LogLine } from "../src/components/LogLine";
import { Badge, Said, Time } from "../src/components/parts";
import { domainOf, Whisker } from "../src/components/Whisker";
import type { Effect, FoundLine } from "../src/lib/types";
import { WORSE } from "../src/lib/words";

afterEach(cleanup);

const effect: Effect = { kind: "difference", estimate: 0.0042, low: 0.0021, high: 0.0063 };

it("reads a whisker aloud", () => {
  render(<Whisker effect={effect} margin={0.01} domain={0.02} look={WORSE} swap={false} />);
  expect(screen.getByRole("img").getAttribute("aria-label")).toBe("+0.42 pp, +0.21 pp to +0.63 pp");
});

it("ends an interval that is further out in an arrow", () => {
  const { container } = render(<Whisker effect={{ ...effect, high: null }} margin={null} domain={0.02} look={WORSE} swap={false} />);
  expect(container.querySelectorAll("path.end")).toHaveLength(1);
  expect(container.querySelectorAll("circle.middle")).toHaveLength(1);
});

it("shares one scale among rows of a kind, on which the margin can be seen", () => {
  const rows = [
    { effect, margin: 0.01 },
    { effect: { ...effect, high: 5 }, margin: 0.01 },
    { effect: { kind: "ratio", estimate: 9, low: 8, high: 10 } as Effect, margin: null },
  ];
  const domain = domainOf(rows, "difference");
  expect(domain).toBeGreaterThanOrEqual(0.015);
  expect(domain).toBeLessThan(0.07);
  expect(domainOf(rows, "change")).toBe(1);
});

it("has what failed in the picture, and cuts only what is far out", () => {
  const at = (low: number, estimate: number, high: number | null): Effect => ({ kind: "difference", estimate, low, high });
  // Without a failure the margin decides how far the scale goes; with one its interval is inside.
  const failed = at(0.3, 0.4, 0.5);
  expect(domainOf([{ effect: failed, margin: 0.01 }], "difference")).toBeLessThan(0.07);
  expect(domainOf([{ effect: failed, margin: 0.01, finding: "regressed" }], "difference")).toBeGreaterThan(0.5);
  // An end that is nowhere ends in an arrow, and the estimate is there all the same.
  for (const high of [null, 5]) {
    const domain = domainOf([{ effect: at(0.3, 0.4, high), margin: 0.01, finding: "regressed" }], "difference");
    expect(domain).toBeGreaterThan(0.4);
    expect(domain).toBeLessThan(0.7);
  }
});

it("says a verdict with a word and a sign, and a time in UTC", () => {
  const { container } = render(
    <p>
      <Badge look={WORSE} /> <Time at="2026-06-01T09:00:00Z" />
    </p>,
  );
  expect(container.textContent).toContain("Worse");
  expect(container.querySelector("time")?.title).toBe("2026-06-01 09:00:00 UTC");
});

it("keeps a number and its unit on one line", () => {
  const { container } = render(<Said words="needs 7 more (about 18 min), 2.5 % of 9 h 3 s; 4 hours" />);
  expect(container.textContent).toBe("needs 7 more (about 18\u00a0min), 2.5\u00a0% of 9\u00a0h 3\u00a0s; 4 hours");
});

it("shows markup in a line as text", () => {
  const line = { time: "2026-06-01T09:00:00Z", stream: "http", position: 7, cursor: "c", line: JSON.stringify({ message: "<img src=x onerror=alert(1)>", "<b>": "\u202e" }) } as FoundLine;
  const { container } = render(<LogLine line={line} />);
  fireEvent.click(screen.getByRole("button"));
  expect(container.querySelector("img, b")).toBeNull();
  expect(container.textContent).toContain("<img src=x onerror=alert(1)>");
  expect(container.textContent).toContain("\\u{202e}");
});

it("sets thousands apart in sentences of the program, and leaves names as they are", () => {
  const { container } = render(<Said words="v2 2024 is slower: p50 is 1204 ms, not 153 ms, on 12345 requests; `id 1204 ms`" />);
  expect(container.textContent).toBe("v2 2024 is slower: p50 is 1,204\u00a0ms, not 153\u00a0ms, on 12,345 requests; id 1204 ms");
});

it("keeps a number and its unit in one line", () => {
  const { container } = render(<Said words="58.3 % of users wait 12 ms for `a 5 % b`" />);
  expect(container.textContent).toBe("58.3\u00a0% of users wait 12\u00a0ms for a 5 % b");
});
