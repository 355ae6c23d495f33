// Who is in which arm, who reached a business event, and from which instances it came.

import { armQuery, PlaceLink } from "../components/Lines";
import { term } from "../components/LogLine";
import { Badge, Scroll, Time } from "../components/parts";
import { effectWords, fixed, grouped, harmless, percent, swapped } from "../lib/format";
import { report } from "../lib/live";
import type { Comparison, RolloutFull } from "../lib/types";
import { findingLook } from "../lib/words";
import { UNITS, useSideBySide } from "../lib/sidebyside";
import { Feature } from "./Feature";
import { isSwapped } from "./Rollout";

export function Who({ rollout, comparison }: { rollout: RolloutFull; comparison: Comparison }) {
  const swap = isSwapped();
  const [control, canary] = comparison.units;
  const all = control + canary;
  const both = useSideBySide(comparison);
  const there = both?.values.get(UNITS);
  // Of the arm that has stopped all units are of that time.
  const shareThen = both && there != null && there > 0 ? (both.longer === 0 ? canary / (canary + there) : there / (control + there)) : null;
  const fields = [...new Set((comparison.segments?.cells ?? []).filter((cell) => cell.segment.length === 1).map((cell) => cell.segment[0]!.field))];
  /** The field that names an instance. */
  const instance = report.value?.survey.roles.instance?.fields[0]?.path;
  return (
    <>
      <Feature rollout={rollout} comparison={comparison} />
      <h2 class="apart">Who is in which arm</h2>
      <section class="cards">
        <div class="card">
          <h3>
            {grouped(all)} {comparison.unit}s{both && ", of all the time"}
          </h3>
          <p>
            <PlaceLink query={armQuery(comparison, 0, "_kind:request")}>{grouped(control)}</PlaceLink> in the <span class="baseline">baseline</span>, <PlaceLink query={armQuery(comparison, 1, "_kind:request")}>{grouped(canary)}</PlaceLink> in the{" "}
            <span class="candidate">canary</span>: {percent(all > 0 ? canary / all : 0)}
            {comparison.declared_share !== null && ` (declared ${percent(comparison.declared_share)})`}.
          </p>
          {both && (
            <p>
              The {both.longer === 0 ? "canary" : "baseline"} was last heard of at <Time at={both.until} />{shareThen !== null && <>; while both ran, until then, the canary had <b>{percent(shareThen)}</b></>}.
            </p>
          )}
        </div>
        <div class="card">
          <h3>
            {grouped(comparison.requests[0] + comparison.requests[1])} requests{both && ", of all the time"}
          </h3>
          <p>
            {control > 0 && `${fixed(comparison.requests[0] / control, 1)} for each ${comparison.unit} of the baseline`}
            {canary > 0 && `, ${fixed(comparison.requests[1] / canary, 1)} of the canary`}. {comparison.unassigned > 0 && `${grouped(comparison.unassigned)} of nobody that an exposure names.`}
          </p>
        </div>
        <div class="card">
          <h3>Assignment: {comparison.routing === "sticky" ? `each ${comparison.unit} stays in one arm (sticky)` : comparison.routing}</h3>
          <p>{comparison.strata === 1 ? "The share of the canary has not changed." : `The share of the canary has changed ${comparison.strata === 2 ? "once" : `${grouped(comparison.strata - 1)} times`}: ${grouped(comparison.strata)} stretches of time are compared each by itself.`}</p>
        </div>
      </section>
      {comparison.conversions.length > 0 ? (
        <Scroll label={"Business events"}>
<table class="numbers">
          <caption>Business events: share of {comparison.unit}s that reached them</caption>
          <thead>
            <tr>
              <th scope="col">event</th>
              <th scope="col" class="number baseline">baseline</th>
              <th scope="col" class="number candidate">canary</th>
              <th scope="col">ratio</th>
              <th scope="col">finding</th>
            </tr>
          </thead>
          <tbody>
            {comparison.conversions.map((of) => (
              <tr key={of.event}>
                <th scope="row">{harmless(of.event, 80)}{of.at_least > 1 && ` (${grouped(of.at_least)} times and more)`}</th>
                <td class="number">
                  {percent(of.baseline)}
                  <small>
                    {grouped(of.met[0])} of {grouped(of.counts[0])}
                  </small>
                </td>
                <td class="number">
                  {percent(of.canary)}
                  <small>
                    {grouped(of.met[1])} of {grouped(of.counts[1])}
                  </small>
                </td>
                <td>{of.effect ? effectWords(swap ? swapped(of.effect) : of.effect) : "–"}</td>
                <td>
                  <Badge look={findingLook(of.finding)} />
                </td>
              </tr>
            ))}
          </tbody>
        </table></Scroll>
      ) : (
        <p>
          No business event is followed: the policy names none (<code>conversions: [order_placed]</code> counts who reaches one).
        </p>
      )}
      {fields.map((field) => (
        <Scroll label={`By ${field}`} key={field}>
<table class="numbers">
          <caption>
            {comparison.unit}s by {harmless(field, 60)}
            {both && ", over all the time"}
            {comparison.strata > 1 && `. Who was there in several of the ${comparison.strata} stretches of time with another share counts in each, so these are more than above, and no share is told`}
          </caption>
          <thead>
            <tr>
              <th scope="col">{harmless(field, 60)}</th>
              <th scope="col" class="number baseline">baseline</th>
              <th scope="col" class="number candidate">canary</th>
              <th scope="col" class="number">share of the canary</th>
            </tr>
          </thead>
          <tbody>
            {(comparison.segments?.cells ?? [])
              .filter((cell) => cell.segment.length === 1 && cell.segment[0]!.field === field)
              .toSorted((a, b) => b.units[0] + b.units[1] - a.units[0] - a.units[1])
              .map((cell) => (
                <tr key={cell.segment[0]!.value}>
                  <th scope="row">{harmless(cell.segment[0]!.value, 80)}</th>
                  <td class="number">
                    <PlaceLink query={cell.lines?.units?.baseline?.query}>{grouped(cell.units[0])}</PlaceLink>
                  </td>
                  <td class="number">
                    <PlaceLink query={cell.lines?.units?.canary?.query}>{grouped(cell.units[1])}</PlaceLink>
                  </td>
                  <td class="number">{comparison.strata > 1 ? "–" : percent(cell.units[1] / Math.max(1, cell.units[0] + cell.units[1]))}</td>
                </tr>
              ))}
          </tbody>
        </table></Scroll>
      ))}
      {(["baseline", "canary"] as const).map((arm) => {
        const of = comparison.instances[arm];
        return of.list.length === 0 ? null : (
          <details class="more" key={arm}>
            <summary>
              {grouped(of.seen)}
              {of.more ? " and more" : ""} instances of the {arm}
            </summary>
            <Scroll label={`Instances of the ${arm}`}>
<table class="numbers">
              <caption class="unseen">Instances of the {arm}</caption>
              <thead>
                <tr>
                  <th scope="col">instance</th>
                  <th scope="col" class="number">requests</th>
                  <th scope="col" class="number">lines</th>
                  <th scope="col" class="number">late</th>
                </tr>
              </thead>
              <tbody>
                {of.list.map((one) => (
                  <tr key={one.instance}>
                    <th scope="row">{harmless(one.instance, 80)}</th>
                    <td class="number">
                      <PlaceLink query={instance && armQuery(comparison, arm === "baseline" ? 0 : 1, `${term(instance, one.instance)} _kind:request`)}>{grouped(one.requests)}</PlaceLink>
                    </td>
                    <td class="number">
                      <PlaceLink query={instance && armQuery(comparison, arm === "baseline" ? 0 : 1, term(instance, one.instance))}>{grouped(one.lines)}</PlaceLink>
                    </td>
                    <td class="number">{grouped(one.late)}</td>
                  </tr>
                ))}
              </tbody>
            </table></Scroll>
          </details>
        );
      })}
    </>
  );
}
