// Lines over time, one for each value of a field; the table behind it has the same numbers.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { fixed, grouped, harmless } from "../lib/format";
import { colour, colours } from "../lib/prefs";
import { LAST_MARK, timeAxis } from "../lib/timeaxis";
import { Scroll, Time } from "./parts";

export interface Line {
  name: string;
  /** By time, as `times` has it. */
  values: (number | null)[];
  /** What it is of, where a comparison has it: its colour. */
  role?: "baseline" | "candidate";
  /** Lines of one group share their dashes. */
  group?: string;
  words?: string;
}

interface Props {
  label: string;
  /** Seconds since 1970. */
  times: number[];
  lines: Line[];
  digits: number;
  /** Which times are whole stretches; without it all are. What is counted in a part of one is no fall, and is not drawn. */
  whole?: boolean[];
}

/** Colours of lines, each with a dash of its own: never a colour alone. */
const PENS: [string, number[]][] = [
  ["baseline", []],
  ["candidate", [6, 3]],
  ["better", [2, 2]],
  ["changed", [8, 3, 2, 3]],
  ["worse", [4, 2]],
  ["link", [1, 3]],
];
/** Lines that are drawn; the table has all. */
export const DRAWN = 6;
/** Arms of comparisons that are drawn: colour tells the arm, and dashes the service. */
export const DRAWN_ARMS = 8;

/** Colour and dashes of each line that is drawn. */
export function pensOf(lines: Line[]): [string, number[]][] {
  if (!lines.some((of) => of.role)) return lines.slice(0, DRAWN).map((_, at) => PENS[at]!);
  const groups = [...new Set(lines.flatMap((of) => (of.role ? [of.group ?? of.name] : [])))];
  // What is no arm of a comparison has neither of their colours.
  const others = PENS.filter(([tone]) => tone !== "baseline" && tone !== "candidate" && tone !== "worse");
  let other = 0;
  return lines.slice(0, DRAWN_ARMS).map((of) => (of.role ? [of.role, PENS[groups.indexOf(of.group ?? of.name) % PENS.length]![1]] : others[other++ % others.length]!));
}
/** Rows of the table behind a chart. */
const NUMBERS = 60;

/** What is drawn: nothing where only a part of a stretch was counted. */
export const drawnOf = (values: Line["values"], whole?: boolean[]): Line["values"] => values.map((value, row) => (whole?.[row] === false ? null : value));

export function SeriesChart({ label, times, lines, digits, whole }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const pens = pensOf(lines);
  const drawn = lines.slice(0, pens.length);
  const isWhole = (row: number): boolean => whole?.[row] ?? true;
  const parts = times.map((_, row) => row).filter((row) => !isWhole(row));
  const key = `${colours.value}:${whole?.join()}:${times.at(0)}:${times.at(-1)}:${lines.map((of) => `${of.name}${of.role ?? ""}=${of.values.at(-1)}`).join()}`;
  useEffect(() => {
    const element = box.current;
    if (!element || times.length < 2) return;
    const [quiet, faint] = ["quiet", "faint"].map(colour) as [string, string];
    const axis = { stroke: quiet, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint, width: 1 }, font: "12px system-ui, sans-serif" };
    const width = (): number => Math.max(220, element.clientWidth);
    // What comes first lies above all others, and canaries above the baselines they are compared with.
    const isCanary = (at: number): number => (drawn[at]!.role === "candidate" ? 1 : 0);
    const order = drawn.map((_, at) => drawn.length - 1 - at).toSorted((a, b) => isCanary(a) - isCanary(b));
    const plot = new uPlot(
      {
        width: width(),
        height: 180,
        padding: [8, LAST_MARK, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false } },
        scales: { x: { time: true }, y: { range: (_, least, most) => [Math.min(0, least ?? 0), most > 0 ? most * 1.1 : 1] } },
        series: [{}, ...order.map((at) => ({ stroke: colour(pens[at]![0]), width: 2, dash: pens[at]![1], points: { show: times.length - parts.length < 2 }, spanGaps: true }))],
        axes: [
          { ...axis, ...timeAxis(80) },
          { ...axis, size: 56, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en-GB")) },
        ],
      },
      [times, ...order.map((at) => drawnOf(drawn[at]!.values, whole))],
      element,
    );
    const resize = new ResizeObserver(() => plot.setSize({ width: width(), height: 180 }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [key]);
  if (times.length < 2) return <p class="aside">Not enough of it to draw.</p>;
  const step = Math.max(1, Math.ceil(times.length / NUMBERS));
  const shown = (value: number | null | undefined): string => (value == null ? "–" : digits === 0 ? grouped(value) : fixed(value, digits));
  return (
    <figure class="chart">
      <div class="plot small" ref={box} role="img" aria-label={`${label}: ${drawn.map((of) => of.name).join(", ")}`} />
      <figcaption class="legend">
        {drawn.map((of, at) => (
          <span key={of.name}>
            <svg width="26" height="8" aria-hidden="true" class={`pen ${pens[at]![0]}`}>
              <line x1="0" x2="26" y1="4" y2="4" stroke-dasharray={pens[at]![1].join(" ")} />
            </svg>{" "}
            {harmless(of.name, 60)}
            {of.words && ` (${of.words})`}
          </span>
        ))}
        {lines.length > drawn.length && <span>{lines.length - drawn.length} more in the table</span>}
        {parts.length > 0 && (
          <span>
            the {parts.map((row) => (row === 0 ? "first" : "last")).join(" and the ")} stretch of time {parts.length > 1 ? "are" : "is"} there in part, and in the table alone
          </span>
        )}
      </figcaption>
      <details>
        <summary>Show data</summary>
        <Scroll label={`${label}, data`}>
          <table class="numbers">
            <caption class="unseen">{label} by time</caption>
            <thead>
              <tr>
                <th scope="col">time</th>
                {lines.map((of) => (
                  <th scope="col" class="number" key={of.name}>
                    {harmless(of.name, 60)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.map((at, row) =>
                (times.length - 1 - row) % step === 0 || !isWhole(row) ? (
                  <tr key={at}>
                    <td>
                      <Time at={at * 1000} />
                      {!isWhole(row) && <small>in part</small>}
                    </td>
                    {lines.map((of) => (
                      <td class="number" key={of.name}>
                        {shown(of.values[row])}
                      </td>
                    ))}
                  </tr>
                ) : null,
              )}
            </tbody>
          </table>
        </Scroll>
      </details>
    </figure>
  );
}
