// The course of one log line in a row of a list: what each arm wrote of it over time. Its table is on the page of the line.

import type { Num } from "../lib/types";

const WIDTH = 96;
const HEIGHT = 28;

/** Points of a line that has gaps where there is no number. */
function path(values: Num[], most: number): string {
  const step = values.length > 1 ? WIDTH / (values.length - 1) : WIDTH;
  let isOn = false;
  return values
    .map((value, at) => {
      if (value === null) {
        isOn = false;
        return "";
      }
      const word = `${isOn ? "L" : "M"}${(at * step).toFixed(1)} ${(HEIGHT - 2 - (value / most) * (HEIGHT - 4)).toFixed(1)}`;
      isOn = true;
      return word;
    })
    .join("");
}

export function Trend({ of, swap }: { of: [Num[], Num[]] | undefined; swap: boolean }) {
  if (!of || of[0].length < 3) return null;
  const most = Math.max(...of.flat().map((value) => value ?? 0), 1e-9);
  const peak = (side: 0 | 1): string => Math.max(...of[side].map((value) => value ?? 0)).toPrecision(3);
  const sides = (swap ? [1, 0] : [0, 1]) as (0 | 1)[];
  const words = sides.map((side) => `${side === 0 ? "baseline" : "canary"} up to ${peak(side)}`).join(", ");
  return (
    <svg class="trend" role="img" aria-label={`course for 1,000 requests: ${words}`} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT}>
      <path class="baseline" d={path(of[0], most)} />
      <path class="candidate" d={path(of[1], most)} stroke-dasharray="4 2" />
    </svg>
  );
}
