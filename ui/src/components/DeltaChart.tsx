// A difference over time with its always-valid band.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { effectValue, fromScale, onScale } from "../lib/format";
import { colour, colours } from "../lib/prefs";
import type { Mark } from "../lib/marks";
import { LAST_MARK, timeAxis } from "../lib/timeaxis";
import type { Course, Effect, Num } from "../lib/types";
import { Scroll, Time } from "./parts";

interface Props {
  course: Course;
  guardrail: string;
  label: string;
  kind: Effect["kind"];
  margin: Num;
  marks: Mark[];
  swap: boolean;
}

/** Width of a plot, in pixels, that has no room for words. */
const NARROW = 600;
/** Characters of a mark beside its line. */
const LONG = 60;
/** Marks up to which each is told beside its line. */
const WORDED = 3;
/** Rows of the table behind a chart. */
const NUMBERS = 24;
/** What the signs of marks are of. */
const SIGNS: Record<Mark["sign"], string> = { "◆": "decided", "▼": "a hook was told", "●": "a person did it" };

type Point = { at: number; low: number | null; estimate: number | null; high: number | null };

export function pointsOf(course: Course, guardrail: string, kind: Effect["kind"], swap: boolean): Point[] {
  const place = course.guardrails.indexOf(guardrail);
  return course.points.map((point) => {
    const of = point.effects[place] ?? null;
    const at = Date.parse(point.at) / 1000;
    if (!of) return { at, low: null, estimate: null, high: null };
    const scaled = of.map((value, end) => {
      const raw = onScale(kind, value, end === 0 ? -Infinity : Infinity);
      return Number.isFinite(raw) ? raw : null;
    }) as [number | null, number | null, number | null];
    const turn = (value: number | null): number | null => (value === null ? null : -value);
    return swap
      ? { at, low: turn(scaled[2]), estimate: turn(scaled[1]), high: turn(scaled[0]) }
      : { at, low: scaled[0], estimate: scaled[1], high: scaled[2] };
  });
}

/** What the later half of the course needs: early bands are as wide as one likes. */
function reachOf(points: Point[], edge: number | null): [number, number] {
  const later = points.slice(Math.floor(points.length / 2));
  const last = points.at(-1);
  const ends = [last?.low, last?.high, ...later.map((point) => point.estimate)].flatMap((value) => (value == null ? [] : [value]));
  const margin = edge === null ? 0 : edge * 1.25;
  let low = Math.min(0, margin, ...ends);
  let high = Math.max(0, margin, ...ends);
  if (high - low < 1e-9) [low, high] = [-0.01, 0.01];
  const pad = (high - low) * 0.25;
  return [low - pad, high + pad];
}

export function DeltaChart(props: Props) {
  const { course, guardrail, label, kind, margin, marks, swap } = props;
  const box = useRef<HTMLDivElement>(null);
  const points = pointsOf(course, guardrail, kind, swap);
  const scheme = colours.value;
  const edge = margin === null ? null : onScale(kind, margin, 0) * (swap ? -1 : 1);
  const key = `${course.points.length}:${course.points.at(-1)?.at}:${guardrail}:${swap}:${scheme}:${marks.map((mark) => mark.at + mark.words).join()}`;

  useEffect(() => {
    const element = box.current;
    if (!element || points.length < 2) return;
    const [ink, quiet, faint, line, worse, ground] = ["ink", "quiet", "faint", "candidate", "worse", "ground"].map(colour) as [string, string, string, string, string, string];
    const band = colour("band");
    const [least, most] = reachOf(points, edge);
    const cut = (value: number | null, otherwise: number | null): number | null =>
      value === null ? otherwise : Math.max(least - 1e3, Math.min(most + 1e3, value));
    const xs = points.map((point) => point.at);
    const has = (point: Point): boolean => point.estimate !== null;
    const data: uPlot.AlignedData = [
      xs,
      points.map((point) => (has(point) ? cut(point.high, most * 10 + 1) : null)),
      points.map((point) => (has(point) ? cut(point.low, least * 10 - 1) : null)),
      points.map((point) => cut(point.estimate, null)),
    ];
    const axis = { stroke: quiet, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint, width: 1 }, font: "12px system-ui, sans-serif" };
    const draw = (u: uPlot): void => {
      const { ctx } = u;
      const { left, top, width, height } = u.bbox;
      const scale = devicePixelRatio;
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, top, width, height);
      ctx.clip();
      const level = (value: number, stroke: string, dash: number[]): void => {
        const y = u.valToPos(value, "y", true);
        ctx.strokeStyle = stroke;
        ctx.lineWidth = scale;
        ctx.setLineDash(dash.map((of) => of * scale));
        ctx.beginPath();
        ctx.moveTo(left, y);
        ctx.lineTo(left + width, y);
        ctx.stroke();
      };
      level(0, quiet, []);
      if (edge !== null) level(edge, worse, [4, 3]);
      ctx.font = `${11 * scale}px system-ui, sans-serif`;
      ctx.textBaseline = "top";
      const places = marks.map((mark) => u.valToPos(Date.parse(mark.at) / 1000, "x", true));
      for (const x of places) {
        ctx.strokeStyle = ink;
        ctx.setLineDash([2 * scale, 3 * scale]);
        ctx.beginPath();
        ctx.moveTo(x, top);
        ctx.lineTo(x, top + height);
        ctx.stroke();
      }
      // After all lines, and with a rim of the ground: words that lie over one can be read.
      ctx.setLineDash([]);
      ctx.strokeStyle = ground;
      ctx.lineWidth = 4 * scale;
      ctx.lineJoin = "round";
      marks.forEach((mark, number) => {
        const x = places[number]!;
        // Few are told where they are; of many, or where there is no room, the list below says what each was.
        // A word that is cut off says nothing: it is the first thing that happened then, whole, or the number alone.
        const first = mark.words.split("; ")[0]!;
        const words = marks.length > WORDED || width < NARROW * scale || first.length > LONG ? `${number + 1} ${mark.sign}` : `${number + 1} ${mark.sign} ${first}`;
        const isRight = x > left + width * 0.6;
        ctx.textAlign = isRight ? "right" : "left";
        ctx.fillStyle = ink;
        const place = [words, x + (isRight ? -4 : 4) * scale, top + (4 + number * 14) * scale] as const;
        ctx.strokeText(...place);
        ctx.fillText(...place);
      });
      ctx.restore();
    };
    const options: uPlot.Options = {
      width: Math.max(260, element.clientWidth),
      height: 240,
      // The last mark of the time axis reaches beyond the plot.
      padding: [8, LAST_MARK, 0, 0],
      legend: { show: false },
      cursor: { y: false, points: { show: false } },
      scales: { x: { time: true }, y: { range: [least, most] } },
      series: [
        {},
        { stroke: "transparent", width: 0, points: { show: false } },
        { stroke: "transparent", width: 0, points: { show: false } },
        { stroke: line, width: 2, points: { show: false } },
      ],
      bands: [{ series: [1, 2], fill: band }],
      axes: [
        // Marks of the clock are wide: without room they run into each other.
        { ...axis, ...timeAxis(90) },
        { ...axis, size: 88, values: (_, ticks) => ticks.map((tick) => (tick === 0 ? "same" : effectValue(kind, fromScale(kind, tick)))) },
      ],
      hooks: { draw: [draw] },
    };
    const plot = new uPlot(options, data, element);
    const resize = new ResizeObserver(() => plot.setSize({ width: Math.max(260, element.clientWidth), height: 240 }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [key]);

  if (points.length < 2) return null;
  const last = points.at(-1)!;
  const show = (value: number | null): string => (value === null ? "\u221e" : effectValue(kind, fromScale(kind, value)));
  const words = `${label}: difference over time. At the end ${show(last.estimate)}, ${show(last.low)} to ${show(last.high)}.`;
  const step = Math.max(1, Math.ceil(points.length / NUMBERS));
  const rows = points.filter((_, at) => (points.length - 1 - at) % step === 0);
  return (
    <figure class="chart">
      <figcaption>
        <b>{label}</b> over time: line and the band in which the truth lies, at all looks at once, in 19 of 20 rollouts
        {edge !== null && "; dashed red: the margin. A pass is proven by a test of its own, and the band may reach past it all the same"}
      </figcaption>
      <div class="plot" ref={box} role="img" aria-label={words} />
      {marks.length > 0 && (
        <p class="aside">{[...new Set(marks.map((mark) => mark.sign))].map((sign) => `${sign} ${SIGNS[sign]}`).join(", ")}</p>
      )}
      {marks.length > 0 && (
        <ol class="marks" aria-label="Marks of the chart">
          {marks.map((mark) => (
            <li key={mark.at}>
              <span aria-hidden="true">{mark.sign}</span> <Time at={mark.at} /> {mark.words}
            </li>
          ))}
        </ol>
      )}
      <details>
        <summary>Show data</summary>
        <Scroll label="Data of the chart"><table class="numbers">
          <caption>{label}, canary against baseline, by time</caption>
          <thead>
            <tr>
              <th scope="col">time</th>
              <th scope="col" class="number">difference</th>
              <th scope="col" class="number">from</th>
              <th scope="col" class="number">to</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((point) => (
              <tr key={point.at}>
                <td>
                  <Time at={point.at * 1000} />
                </td>
                <td class="number">{point.estimate === null ? "\u2013" : show(point.estimate)}</td>
                <td class="number">{point.estimate === null ? "\u2013" : show(point.low)}</td>
                <td class="number">{point.estimate === null ? "\u2013" : show(point.high)}</td>
              </tr>
            ))}
          </tbody>
        </table></Scroll>
      </details>
    </figure>
  );
}
