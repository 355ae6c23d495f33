// An interval on the scale that all rows of its kind share. What is further out ends in an arrow; the numbers stand beside it.

import { effectValue, onScale } from "../lib/format";
import type { Effect, Finding, Num } from "../lib/types";
import type { Look } from "../lib/words";

const WIDTH = 220;
const HEIGHT = 26;
const PAD = 9;

export interface Row {
  effect: Effect | null;
  margin: Num;
  finding?: Finding;
}

/** Times what else would be the reach that an end of an interval may need: one further out ends in an arrow. */
const FAR = 3;

/** Half the width of the scale of a kind: what the rows need, and never so much that a margin cannot be seen, unless that is where what failed lies. */
export function domainOf(rows: Row[], kind: Effect["kind"]): number {
  const of = rows.filter((row): row is Row & { effect: Effect } => row.effect?.kind === kind);
  const margins = of.flatMap((row) => (row.margin === null ? [] : [Math.abs(onScale(kind, row.margin, 0))]));
  const ends = of.flatMap((row) =>
    [row.effect.low, row.effect.high, row.effect.estimate].flatMap((value) => {
      const at = Math.abs(onScale(kind, value, Infinity));
      return Number.isFinite(at) ? [at] : [];
    }),
  );
  const margin = Math.max(0, ...margins);
  const most = Math.max(0, ...ends);
  // What failed is in the picture with its estimate and the nearer end, and the other end too where it is not far beyond.
  const failed = Math.max(
    0,
    ...of
      .filter((row) => row.finding === "regressed")
      .map((row) => {
        const [low, high, estimate] = [row.effect.low, row.effect.high, row.effect.estimate].map((value) => Math.abs(onScale(kind, value, Infinity))) as [number, number, number];
        const middle = Number.isFinite(estimate) ? estimate : Math.min(low, high);
        const end = Math.max(low, high);
        return Number.isFinite(middle) ? (end <= FAR * middle ? end : 1.25 * middle) : 0;
      }),
  );
  const reach = Math.max(failed, margin > 0 ? Math.min(Math.max(most, 1.5 * margin), 6 * margin) : most);
  return reach > 0 ? reach * 1.08 : 1;
}

export function Whisker({ effect, margin, domain, look, swap }: Row & { domain: number; look: Look; swap: boolean }) {
  if (!effect) return <span class="none">{"\u2013"}</span>;
  const place = (value: number): number => PAD + ((Math.max(-domain, Math.min(domain, value)) + domain) / (2 * domain)) * (WIDTH - 2 * PAD);
  const low = onScale(effect.kind, effect.low, -Infinity);
  const high = onScale(effect.kind, effect.high, Infinity);
  const estimate = onScale(effect.kind, effect.estimate, high > -low ? Infinity : -Infinity);
  const edge = margin === null ? null : onScale(effect.kind, margin, 0) * (swap ? -1 : 1);
  const zero = place(0);
  const y = HEIGHT / 2;
  const words = `${effectValue(effect.kind, effect.estimate)}, ${effectValue(effect.kind, effect.low)} to ${effectValue(effect.kind, effect.high)}`;
  return (
    <svg class={`whisker ${look.tone}`} role="img" aria-label={words} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width={WIDTH} height={HEIGHT}>
      {edge !== null && Math.abs(edge) < domain && (
        <>
          <rect class="beyond" x={edge > 0 ? place(edge) : PAD} y={1} width={edge > 0 ? WIDTH - PAD - place(edge) : place(edge) - PAD} height={HEIGHT - 2} />
          <line class="margin" x1={place(edge)} x2={place(edge)} y1={1} y2={HEIGHT - 1} />
        </>
      )}
      <line class="same" x1={zero} x2={zero} y1={1} y2={HEIGHT - 1} />
      <line class="span" x1={place(low)} x2={place(high)} y1={y} y2={y} />
      {low < -domain ? <path class="end" d={`M${PAD} ${y}l7 -4v8z`} /> : low <= domain && <line class="span" x1={place(low)} x2={place(low)} y1={y - 4} y2={y + 4} />}
      {high > domain ? (
        <path class="end" d={`M${WIDTH - PAD} ${y}l-7 -4v8z`} />
      ) : high >= -domain && (
        <line class="span" x1={place(high)} x2={place(high)} y1={y - 4} y2={y + 4} />
      )}
      {Math.abs(estimate) <= domain && <circle class="middle" cx={place(estimate)} cy={y} r={4.2} />}
    </svg>
  );
}

/** The scale under the whiskers of a kind. */
export function scaleWords(kind: Effect["kind"], domain: number): [string, string, string] {
  if (kind === "difference") return [`\u2212${(domain * 100).toFixed(1)} pp`, "same", `+${(domain * 100).toFixed(1)} pp`];
  const high = Math.exp(domain);
  return [`\u00d7${(1 / high).toFixed(2)}`, "same", `\u00d7${high.toFixed(2)}`];
}
