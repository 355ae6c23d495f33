// Charts over time: marks that lie in the chart, and stretches of which only a part has come, which are no fall.

import { cleanup, render, screen, within } from "@testing-library/preact";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Histogram } from "../src/components/Histogram";
import { report, status } from "../src/lib/live";
import { clock, spaceOf, stepsWithin, timeAxis, wholeOf } from "../src/lib/timeaxis";
import type { Board as BoardOf, Comparison, FoundLine, Report, Status } from "../src/lib/types";

// jsdom draws nothing, and knows no scheme: what would be drawn is kept.
const plots: { options: { axes: object[]; padding: number[]; series: { points?: { show: boolean } }[] }; data: (number | null)[][] }[] = [];
vi.mock("uplot", () => ({
  default: Object.assign(
    class {
      constructor(options: never, data: never) {
        plots.push({ options, data });
      }
      destroy() {}
      setSize() {}
    },
    { paths: { stepped: () => null } },
  ),
}));
const stub = (): void => {
  vi.stubGlobal("ResizeObserver", class { observe() {} disconnect() {} });
  vi.stubGlobal("matchMedia", () => ({ matches: false, addEventListener() {}, removeEventListener() {} }));
};
stub();
const { SeriesChart } = await import("../src/components/SeriesChart");
const { Board } = await import("../src/screens/Board");
const { draw } = await import("../src/screens/Search");

let answer: (url: URL) => unknown = () => ({});
beforeEach(() => {
  stub();
  plots.length = 0;
  vi.stubGlobal("fetch", async (path: string) => new Response(JSON.stringify(answer(new URL(path, "http://x")))));
});
afterEach(() => {
  cleanup();
  vi.useRealTimers();
  report.value = null;
  status.value = null;
  vi.unstubAllGlobals();
});

const AT = Date.parse("2026-06-01T09:00:00Z") / 1_000;

it("has marks of time within a narrow chart, however long it is and wherever it begins", () => {
  const width = 174;
  for (const wished of [80, 90]) {
    for (let length = 2; length < 86_400 * 20; length = Math.ceil(length * 1.13)) {
      for (const shift of [0, 1, 37, 301, 5_555]) {
        const [from, to] = [AT + shift, AT + shift + length];
        // As the library chooses: the first step that has the space.
        const step = stepsWithin(from, to).find((of) => (width * of) / length >= spaceOf(wished, width))!;
        const first = Math.ceil(from / step) * step;
        expect(first, `${length} s from ${shift}, step ${step}`).toBeLessThanOrEqual(to);
        // "09:00:00" is 56 pixels wide.
        expect((width * step) / length).toBeGreaterThan(56);
      }
    }
  }
  // Three minutes and ten seconds: five minutes is a mark beyond the end.
  expect(stepsWithin(AT + 70, AT + 260)).toContain(120);
  expect(stepsWithin(AT + 70, AT + 260)).not.toContain(300);
  expect(stepsWithin(AT, AT)).toEqual([1]);
  const axis = timeAxis(90);
  expect([axis.space(null, 0, 0, 0, 174), axis.space(null, 0, 0, 0, 900)]).toEqual([58, 90]);
  expect(axis.values(null, [AT], 0, 0, 60)).toEqual([clock(AT, 60)]);
});

it("knows which stretches of time are whole", () => {
  const times = [AT, AT + 60, AT + 120];
  expect(wholeOf(times, 60, null, null)).toEqual([true, true, true]);
  expect(wholeOf(times, 60, AT, AT + 180)).toEqual([true, true, true]);
  expect(wholeOf(times, 60, AT + 1, AT + 179)).toEqual([false, true, false]);
  // What has ended long before is whole.
  expect(wholeOf(times, 60, AT - 500, AT + 500)).toEqual([true, true, true]);
});

it("does not draw what has come in part, and says so in the table", () => {
  const times = [AT, AT + 60, AT + 120, AT + 180];
  render(<SeriesChart label="Lines" times={times} digits={0} lines={[{ name: "shop", values: [4, 30, 31, 7] }]} whole={[false, true, true, false]} />);
  expect(plots[0]!.data).toEqual([times, [null, 30, 31, null]]);
  expect(plots[0]!.options.series[1]!.points!.show).toBe(false);
  // Half of the last mark has room.
  expect(plots[0]!.options.padding[1]).toBe(32);
  const rows = within(screen.getByRole("region", { name: "Lines, data" })).getAllByRole("row").slice(1);
  expect(rows.map((row) => [row.querySelector("small")?.textContent ?? "", row.lastElementChild!.textContent])).toEqual([["in part", "4"], ["", "30"], ["", "31"], ["in part", "7"]]);
  expect(document.querySelector("figcaption")!.textContent).toContain("the first and the last stretch of time are there in part, and in the table alone");
  cleanup();
  // Of many the table has some, and each that is in part.
  const many = Array.from({ length: 150 }, (_, at) => AT + at * 60);
  render(<SeriesChart label="Lines" times={many} digits={0} lines={[{ name: "shop", values: many.map(() => 1) }]} whole={many.map((_, at) => at > 0)} />);
  expect(within(screen.getByRole("region", { name: "Lines, data" })).getAllByRole("row")[1]!.textContent).toContain("in part");
  cleanup();
  plots.length = 0;
  // One whole stretch is a point; without any word of parts all are drawn.
  render(<SeriesChart label="Lines" times={times.slice(0, 2)} digits={0} lines={[{ name: "shop", values: [4, 30] }]} whole={[true, false]} />);
  expect([plots[0]!.data[1], plots[0]!.options.series[1]!.points!.show]).toEqual([[4, null], true]);
  expect(document.querySelector("figcaption")!.textContent).toContain("the last stretch of time is there in part");
  cleanup();
  plots.length = 0;
  render(<SeriesChart label="Lines" times={times} digits={0} lines={[{ name: "shop", values: [4, 30, 31, 7] }]} />);
  expect(plots[0]!.data[1]).toEqual([4, 30, 31, 7]);
  expect(document.querySelector("figcaption")!.textContent).not.toContain("in part");
});

it("leaves the minute that is not over out of the lines of a dashboard, but for what is typical of it", async () => {
  // It is past the minute by the clock, and lines have come to ten seconds before its end.
  vi.useFakeTimers({ toFake: ["Date"], now: Date.parse("2026-06-01T09:04:05Z") });
  status.value = { index: { is_off: false, lines: 9 }, data_until: "2026-06-01T09:03:50Z" } as unknown as Status;
  report.value = { comparisons: [] as Comparison[], survey: { unit: "user", roles: {} } } as unknown as Report;
  const panel = (name: string, spec: object) => ({ name, kind: "TimeSeries", title: name, spec: { query: "*", ...spec }, place: null });
  const board = { name: "b", title: "B", description: "", duration_seconds: 3_600, variables: [], panels: [panel("count", {}), panel("typical", { figure: "quantile", of: "_latency" })] } as unknown as BoardOf;
  answer = (url) => {
    if (url.pathname === "/v1/dashboards/b") return board;
    if (url.pathname !== "/v1/aggregate") return {};
    const groups = [0, 60, 120, 180].map((s, at) => ({ from: new Date((AT + s) * 1_000).toISOString(), key: {}, lines: [30, 31, 30, 12][at], quantiles: { "0.5": 5 } }));
    return { groups, lines: 103, partial: null };
  };
  render(<Board name="b" />);
  await vi.waitFor(() => expect(plots.length).toBeGreaterThan(1));
  const data = plots.map((of) => of.data[1]);
  expect(data).toContainEqual([30, 31, 30, null]);
  expect(data).toContainEqual([5, 5, 5, 5]);
  const table = screen.getByRole("region", { name: "count, data" });
  expect(within(table).getAllByRole("row").at(-1)!.textContent).toMatch(/in part12$/);
});

it("tells a bar of a stretch in part from those that are whole", async () => {
  status.value = { data_until: "2026-06-01T09:02:30Z" } as unknown as Status;
  answer = (url) => {
    const of = (s: number, lines: number) => ({ from: new Date((AT + s) * 1_000).toISOString(), key: { _level: "info" }, lines });
    return { groups: url.searchParams.get("every") === "24h" ? [of(0, 73)] : [of(0, 9), of(60, 30), of(120, 12)], lines: 51 };
  };
  const last = { time: "2026-06-01T09:02:20Z" } as FoundLine;
  const signal = new AbortController().signal;
  // Bars are five seconds long. The log has gone on beyond the last, and what was asked for begins within the first.
  const bars = await draw([last], "&q=x&since=2026-06-01T09:00:00.500Z", signal);
  expect(bars.map((of) => of.isPart ?? false)).toEqual([true, false, false]);
  status.value = { data_until: "2026-06-01T09:02:00Z" } as unknown as Status;
  expect((await draw([last], "&q=x", signal)).map((of) => of.isPart ?? false)).toEqual([false, false, true]);
  expect((await draw([last], "&q=x&until=2026-06-01T09:02:00.500Z", signal)).at(-1)!.isPart).toBe(true);
  const { container } = render(<Histogram bars={[{ from: "a", at: 0, until: 60, lines: 30, severe: 0, canary: 0 }, { from: "b", at: 60, until: 120, lines: 12, severe: 0, canary: 0, isPart: true }]} choose={() => {}} />);
  expect([...container.querySelectorAll("g")].map((of) => of.getAttribute("class"))).toEqual(["", "part"]);
  expect(container.querySelector("g.part title")!.textContent).toBe("b: 12 lines, 0 of them errors; in part");
  expect(container.querySelector("figcaption")!.textContent).toContain("pale: a stretch of time in part");
  expect(container.querySelector("tbody tr:last-child td")!.textContent).toBe("bin part");
});
