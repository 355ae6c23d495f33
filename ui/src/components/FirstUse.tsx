// How many of those that were exposed have used it by an age: a line with its band for each arm, and the table behind it.

import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import { harmless, percent, span } from "../lib/format";
import { colour, colours } from "../lib/prefs";
import type { CurvePoint, Estimate } from "../lib/types";
import { Scroll } from "./parts";

export interface Curve {
  name: string;
  tone: "baseline" | "candidate" | "ink";
  points: CurvePoint[];
}

/** Never a colour alone. */
const DASHES: Record<Curve["tone"], number[]> = { baseline: [], candidate: [7, 3], ink: [] };
const BANDS: Record<Curve["tone"], string> = { baseline: "band-baseline", candidate: "band", ink: "band-baseline" };
/** Rows of the table behind the chart. */
const NUMBERS = 20;

export const interval = (of: Estimate | null): string => (of === null || of.value === null ? "\u2013" : `${percent(of.value)} [${percent(of.low)}, ${percent(of.high)}]`);

export function FirstUse({ curves, unit }: { curves: Curve[]; unit: string }) {
  const box = useRef<HTMLDivElement>(null);
  const ages = curves[0]?.points.map((point) => point.age_s) ?? [];
  const key = `${colours.value}:${curves.map((of) => `${of.name}${of.points.length}${of.points.at(-1)?.used.value}${of.points.at(-1)?.age_s}`).join()}`;
  useEffect(() => {
    const element = box.current;
    if (!element || ages.length < 2) return;
    const [quiet, faint] = ["quiet", "faint"].map(colour) as [string, string];
    const axis = { stroke: quiet, grid: { stroke: faint, width: 1 }, ticks: { stroke: faint, width: 1 }, font: "12px system-ui, sans-serif" };
    const most = Math.max(...curves.flatMap((of) => of.points.map((point) => point.used.high ?? 0)), 0.001);
    const step = uPlot.paths.stepped!({ align: 1 });
    const of = (curve: Curve, end: keyof Estimate): (number | null)[] => curve.points.map((point) => point.used[end]);
    const width = (): number => Math.max(240, element.clientWidth);
    const plot = new uPlot(
      {
        width: width(),
        height: 240,
        padding: [8, 32, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false } },
        scales: { x: { time: false }, y: { range: [0, Math.min(1, most * 1.08)] } },
        series: [
          {},
          ...curves.flatMap((curve) => [
            { stroke: "transparent", width: 0, paths: step, points: { show: false } },
            { stroke: "transparent", width: 0, paths: step, points: { show: false } },
            { stroke: colour(curve.tone), width: 2, dash: DASHES[curve.tone], paths: step, points: { show: false } },
          ]),
        ],
        bands: curves.map((curve, at) => ({ series: [3 * at + 1, 3 * at + 2] as [number, number], fill: colour(BANDS[curve.tone]) })),
        axes: [
          { ...axis, space: 80, incrs: [1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800], values: (_, ticks) => ticks.map((tick) => (tick === 0 ? "0" : span(tick))) },
          { ...axis, size: 64, values: (_, ticks) => ticks.map((tick) => `${Number((tick * 100).toPrecision(4))} %`) },
        ],
      },
      [ages, ...curves.flatMap((curve) => [of(curve, "high"), of(curve, "low"), of(curve, "value")])],
      element,
    );
    const resize = new ResizeObserver(() => plot.setSize({ width: width(), height: 240 }));
    resize.observe(element);
    return () => {
      resize.disconnect();
      plot.destroy();
    };
  }, [key]);
  if (ages.length < 2) return null;
  const words = curves.map((of) => `${of.name}: ${interval(of.points.at(-1)!.used)}`).join("; ");
  const every = Math.max(1, Math.ceil(ages.length / NUMBERS));
  return (
    <figure class="chart">
      <figcaption>
        <b>Time to the first use</b>: part of exposed {unit}s that have used it by then, with a band of 95 % (Kaplan and Meier’s estimate, which leaves out who was not watched for so long: it may be more than the part that has used it so far; for one look alone)
      </figcaption>
      <div class="plot" ref={box} role="img" aria-label={`Time to the first use; after ${span(ages.at(-1)!)} ${words}`} />
      <p class="legend">
        {curves.map((of) => (
          <span key={of.name}>
            <svg width="26" height="8" aria-hidden="true" class={`pen ${of.tone}`}>
              <line x1="0" x2="26" y1="4" y2="4" stroke-dasharray={DASHES[of.tone].join(" ")} />
            </svg>{" "}
            {harmless(of.name, 60)}
          </span>
        ))}
      </p>
      <details>
        <summary>Show data</summary>
        <Scroll label="Data of the chart">
          <table class="numbers">
            <caption class="unseen">Part of exposed {unit}s that have used it, by age</caption>
            <thead>
              <tr>
                <th scope="col">within</th>
                {curves.map((of) => (
                  <th scope="col" class="number" key={of.name}>
                    {harmless(of.name, 60)}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {ages.map((age, row) =>
                (ages.length - 1 - row) % every === 0 ? (
                  <tr key={age}>
                    <th scope="row">{span(age)}</th>
                    {curves.map((of) => (
                      <td class="number" key={of.name}>
                        {interval(of.points[row]?.used ?? null)}
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
