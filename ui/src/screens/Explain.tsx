// Which segment carries the difference, and is it mix or code?

import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { canSearch, PlaceLink, searchPath } from "../components/Lines";
import { term } from "../components/LogLine";
import { Badge, Note, Pill } from "../components/parts";
import { effectWords, evidence, grouped, harmless, percent, signed, swapped } from "../lib/format";
import { useHeld } from "../lib/held";
import { withKeys } from "../lib/keys";
import { toggleLive } from "../lib/live";
import { go } from "../lib/router";
import type { Comparison, Num, SegmentCell } from "../lib/types";
import { findingLook } from "../lib/words";
import { isSwapped } from "./Rollout";

const name = (cell: SegmentCell): string => cell.segment.map((of) => `${of.field} = ${of.value}`).join(", ");
const share = (of: [number, number], all: [number, number], side: 0 | 1): number => (all[side] > 0 ? of[side] / all[side] : 0);
const points = (value: Num): string => (value === null ? "–" : `${signed(value * 100, 2)} pp`);

/** Two bars, the baseline always first. */
function Bars({ cell, most }: { cell: SegmentCell; most: number }) {
  const [a, b] = [share(cell.erring, cell.units, 0), share(cell.erring, cell.units, 1)];
  const width = (value: number): number => (most > 0 ? (value / most) * 120 : 0);
  return (
    <svg class="bars" role="img" aria-label={`baseline ${percent(a)}, canary ${percent(b)}`} viewBox="0 0 124 22" width={124} height={22}>
      <rect class="baseline" x={0} y={2} width={Math.max(1, width(a))} height={8} />
      <rect class="candidate" x={0} y={12} width={Math.max(1, width(b))} height={8} />
    </svg>
  );
}

/** Erring units of all, each a link to its lines. */
function Counts({ cell, side }: { cell: SegmentCell; side: 0 | 1 }) {
  const arm = side === 0 ? "baseline" : "canary";
  return (
    <small>
      <PlaceLink query={cell.lines?.erring?.[arm]?.query}>{grouped(cell.erring[side])}</PlaceLink> of{" "}
      <PlaceLink query={cell.lines?.units?.[arm]?.query}>{grouped(cell.units[side])}</PlaceLink>
    </small>
  );
}

/** A segment as a search: a click asks for its failed requests, with Alt for those of all others. */
function SegmentLink({ cell, service }: { cell: SegmentCell; service: string }) {
  if (!canSearch()) return <>{harmless(name(cell), 120)}</>;
  const terms = cell.segment.map((of) => term(of.field, of.value)).join(" ");
  const failed = `_kind:request _failed:true ${term("_service", service.replace(/ in \S+$/, ""))}`;
  const to = (query: string): string => searchPath(`${failed} ${query}`);
  return (
    <a
      href={to(terms)}
      title="its failed requests; with Alt those of all others"
      onClick={(event) => {
        if (!event.altKey) return;
        event.preventDefault();
        event.stopPropagation();
        go(to(`NOT (${terms})`));
      }}
    >
      {harmless(name(cell), 120)}
    </a>
  );
}

export function Explain({ comparison }: { comparison: Comparison }) {
  const { segments } = comparison;
  const box = useRef<HTMLTableSectionElement>(null);
  const held = useHeld(useMemo(() => segments?.cells ?? [], [segments]), name, box);
  useLayoutEffect(
    () => withKeys([{ key: ".", words: "apply changes of order, else pause or resume", run: () => (held.pending > 0 ? held.apply() : toggleLive()) }]),
    [held.pending],
  );
  const swap = isSwapped();
  if (!segments) {
    return (
      <section class="empty">
        <h2>No segments</h2>
        <p>No field of the first lines says who the {comparison.unit}s are (region, client, tier, ...), or has too many values for it. Name some: `segments: [region]` in the policy, or --segments region.</p>
      </section>
    );
  }
  const of = segments.descriptive;
  const most = Math.max(...segments.cells.flatMap((cell) => [share(cell.erring, cell.units, 0), share(cell.erring, cell.units, 1)]), 0);
  const turn = (value: Num): Num => (value === null || !swap ? value : -value);
  return (
    <>
      {of ? (
        <section class="verdict unclear">
          <p class="headline">
            Difference in {comparison.unit}s with errors {points(turn(of.difference))} = code {points(turn(of.rate))} and mix {points(turn(of.mix))}
          </p>
          <p>
            “Mix” is what comes from the arms holding other segments of {harmless(of.field, 60)}; “code” is what differs within them (Kitagawa).
            {of.adjusted_ratio && of.adjusted_ratio.estimate !== null && ` Within segments the ratio is ×${of.adjusted_ratio.estimate.toFixed(2)} [${of.adjusted_ratio.low?.toFixed(2) ?? "–"}, ${of.adjusted_ratio.high?.toFixed(2) ?? "–"}].`}
          </p>
          <p class="aside">A single look at plain counts: it describes, and no error level holds for it.</p>
        </section>
      ) : (
        <p>Nobody met an error yet, so there is no difference to split.</p>
      )}
      {segments.unequal.length > 0 && (
        <Note tone="invalid" title="The arms hold different users">
          <p>
            By {segments.unequal.map((field) => harmless(field, 60)).join(", ")} the {comparison.unit}s of the arms differ by more than chance.
          </p>
        </Note>
      )}
      {segments.cells.length === 0 ? (
        <p>No segment has units yet.</p>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Segments">
          <Pill pending={held.pending} apply={held.apply} />
          <table class="segments cards-if-narrow">
            <caption>
              Segments in order of the excess that they explain: {comparison.unit}s with an error, baseline above, canary below.
            </caption>
            <thead>
              <tr>
                <th scope="col">segment</th>
                <th scope="col" class="number baseline">baseline</th>
                <th scope="col" class="number candidate">canary</th>
                <th scope="col">
                  <span class="unseen">drawn</span>
                </th>
                <th scope="col" class="number">of the excess</th>
                <th scope="col" class="number">of the canary</th>
                <th scope="col">errors: ratio</th>
                <th scope="col">latency</th>
              </tr>
            </thead>
            <tbody ref={box}>
              {held.rows.map((cell) => (
                <tr key={name(cell)}>
                  <th scope="row">
                    <SegmentLink cell={cell} service={comparison.service} />
                    {cell.same_units.length > 0 && <small>the same {comparison.unit}s as {harmless(cell.same_units.map((one) => `${one.field} = ${one.value}`).join(", "), 120)}</small>}
                  </th>
                  <td class="number" data-of="baseline">
                    {percent(share(cell.erring, cell.units, 0))}
                    <Counts cell={cell} side={0} />
                  </td>
                  <td class="number" data-of="canary">
                    {percent(share(cell.erring, cell.units, 1))}
                    <Counts cell={cell} side={1} />
                  </td>
                  <td>
                    <Bars cell={cell} most={most} />
                  </td>
                  <td class="number" data-of="of the excess">
                    {cell.of_excess === null ? "–" : percent(cell.of_excess)}
                    {cell.excess !== null && <small>{signed(cell.excess, 1)} {comparison.unit}s</small>}
                  </td>
                  <td class="number" data-of="of the canary">{percent(cell.of_units)}</td>
                  {(["errors", "latency"] as const).map((test) => {
                    const one = cell.tests[test];
                    return (
                      <td key={test} data-of={test}>
                        {one && one.finding !== "no data" ? (
                          <>
                            <Badge look={findingLook(one.finding)} />
                            {one.effect && <small>{effectWords(swap ? swapped(one.effect) : one.effect)}</small>}
                            {one.log_e !== null && <small>evidence {evidence(one.log_e)}</small>}
                          </>
                        ) : cell.segment.length > 1 ? (
                          <small>a pair is not tested</small>
                        ) : (
                          <small>needs more data</small>
                        )}
                      </td>
                    );
                  })}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <p class="aside">
        Fields: {segments.fields.map((field) => harmless(field, 60)).join(", ")} ({segments.found ? "found in the first lines" : "asked for"}).{" "}
        {segments.more > 0 && `${grouped(segments.more)} more segments are not listed. `}
        {segments.rest.filter((rest) => rest.units[0] + rest.units[1] > 0).map((rest) => `${harmless(rest.field, 60)}: ${grouped(rest.units[0])} and ${grouped(rest.units[1])} name none.`).join(" ")}
      </p>
    </>
  );
}
