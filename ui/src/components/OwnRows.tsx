// Guardrails of one's own: business events and metrics, as rows of the table of guardrails.

import { effectWords, EVIDENCE, evidence, grouped, harmless, percent, swapped, three } from "../lib/format";
import type { Comparison, Conversion, Effect, Metric, Num } from "../lib/types";
import { findingLook, WORSE, type Look } from "../lib/words";
import { canSearch, PlaceLink } from "./Lines";
import { term } from "./LogLine";
import { Badge } from "./parts";
import { Whisker } from "./Whisker";

/** What the rows share. */
interface Own {
  key: string;
  name: string;
  about: string;
  /** Finds its lines. */
  query: string | null;
  harms: boolean;
  of: Conversion | Metric;
  shown: (value: Num) => string;
  /** What stands behind the values of (baseline, canary). */
  counts: [string, string];
}

/** A finding of one's own has a direction. */
function lookOf(own: Own): Look {
  if (own.of.finding !== "regressed") return findingLook(own.of.finding);
  return { ...WORSE, word: own.harms ? "rose" : "fell" };
}

/** The event as a row. */
function ofConversion(of: Conversion, unit: string): Own {
  const often = of.at_least > 1 ? ` ${grouped(of.at_least)} times and more` : "";
  return {
    key: `event ${of.event}`,
    name: of.event,
    about: `${unit}s that meet it${often}; fails when it ${of.harms ? "rises" : "falls"}`,
    query: null,
    harms: of.harms,
    of,
    shown: percent,
    counts: [`of ${grouped(of.counts[0])}`, `of ${grouped(of.counts[1])}`],
  };
}

const ABOUT: Record<Metric["kind"], string> = {
  ratio: "part of its lines",
  count: "lines for each request",
  gauge: "typical value",
};

/** The metric as a row. */
function ofMetric(of: Metric): Own {
  const what = of.kind === "count" ? "requests" : "lines";
  return {
    key: `metric ${of.metric}`,
    name: of.metric,
    about: `${ABOUT[of.kind]}; fails when it ${of.harms ? "rises" : "falls"}`,
    query: of.kind === "gauge" ? `_exists_:${of.field}` : of.kind === "count" ? term(of.field, "1") : `_exists_:${of.field}`,
    harms: of.harms,
    of,
    shown: of.kind === "ratio" ? percent : (value) => (value === null ? "\u2013" : three(value)),
    counts: [`of ${grouped(of.counts[0])} ${what}`, `of ${grouped(of.counts[1])} ${what}`],
  };
}

/** Effects of one's own guardrails, for the scale that all rows share. */
export function ownEffects(comparison: Comparison): { effect: Effect | null; margin: Num }[] {
  return [...comparison.conversions, ...(comparison.metrics ?? [])].map((of) => ({ effect: of.effect, margin: null }));
}

export function OwnRows({ comparison, swap, domains }: { comparison: Comparison; swap: boolean; domains: Map<Effect["kind"], number> }) {
  const rows = [...comparison.conversions.map((of) => ofConversion(of, comparison.unit)), ...(comparison.metrics ?? []).map(ofMetric)];
  const sides = swap ? ([1, 0] as const) : ([0, 1] as const);
  return (
    <>
      {rows.map((own) => {
        const effect = own.of.effect && swap ? swapped(own.of.effect) : own.of.effect;
        const look = lookOf(own);
        return (
          <tr key={own.key}>
            <th scope="row">
              {own.query && canSearch() ? <PlaceLink query={own.query}>{harmless(own.name, 80)}</PlaceLink> : harmless(own.name, 80)}
              <small>{own.about}</small>
            </th>
            {sides.map((side) => (
              <td class={`number ${side === 1 ? "candidate" : "baseline"}`} data-of={side === 1 ? "canary" : "baseline"} key={side}>
                {own.shown(side === 1 ? own.of.canary : own.of.baseline)}
                <small>{own.counts[side]}</small>
              </td>
            ))}
            <td class="number difference">{effect ? effectWords(effect) : "needs more data"}</td>
            <td class="drawing">{effect && <Whisker effect={effect} margin={null} domain={domains.get(effect.kind) ?? 1} look={look} swap={swap} />}</td>
            <td>
              <Badge look={look} />
              <small title={EVIDENCE}>evidence {evidence(own.of.log_e)}</small>
            </td>
          </tr>
        );
      })}
    </>
  );
}
