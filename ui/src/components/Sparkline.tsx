// The course of one difference in a row of a list: its band, its line, and where no difference would be.

import { onScale } from "../lib/format";
import type { Effect, Spark } from "../lib/types";
import type { Look } from "../lib/words";

const WIDTH = 120;
const HEIGHT = 28;

export function Sparkline({ spark, kind, look, label }: { spark: Spark; kind: Effect["kind"]; look: Look; label: string }) {
  const points = spark.effects.map((of) => of && of.map((value, end) => onScale(kind, value, end === 0 ? -Infinity : Infinity)));
  const known = points.flatMap((of) => (of && Number.isFinite(of[1]!) ? [of[1]!] : []));
  if (points.length < 3 || known.length < 2) return null;
  // Early bands are as wide as one likes: the line and the last band are to be seen.
  const last = points.at(-1);
  const ends = last ? [last[0]!, last[2]!].filter(Number.isFinite) : [];
  const most = Math.max(...[...known, ...ends].map(Math.abs), 1e-9) * 1.1;
  const x = (at: number): number => (at / (points.length - 1)) * WIDTH;
  const y = (value: number): number => HEIGHT / 2 - (Math.max(-most, Math.min(most, value)) / most) * (HEIGHT / 2 - 1);
  const there = points.flatMap((of, at) => (of ? [[at, of] as const] : []));
  const line = there.map(([at, of]) => `${x(at).toFixed(1)},${y(of[1]!).toFixed(1)}`).join(" ");
  const up = there.map(([at, of]) => `${x(at).toFixed(1)},${y(of[2]!).toFixed(1)}`);
  const down = there.toReversed().map(([at, of]) => `${x(at).toFixed(1)},${y(of[0]!).toFixed(1)}`);
  return (
    <svg class={`spark ${look.tone}`} role="img" aria-label={`course of ${label}`} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT}>
      <polygon class="band" points={[...up, ...down].join(" ")} />
      <line class="same" x1={0} x2={WIDTH} y1={HEIGHT / 2} y2={HEIGHT / 2} />
      <polyline class="course" points={line} />
    </svg>
  );
}
