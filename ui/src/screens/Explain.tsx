// Whom has what failed met, arm by arm; and of users with errors: which segment carries the difference, and is it mix or code?

import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { canSearch, PlaceLink, searchPath } from "../components/Lines";
import { term } from "../components/LogLine";
import { Badge, Loading, Note, Pill, Scroll, Time } from "../components/parts";
import { type Carrier, carriersOf, type Cell, type Split, splitOf } from "../lib/affected";
import { between, effectWords, EVIDENCE, evidence, grouped, harmless, percent, signed, span, swapped } from "../lib/format";
import { useHeld } from "../lib/held";
import { withKeys } from "../lib/keys";
import { toggleLive } from "../lib/live";
import { go, param, setQuery } from "../lib/router";
import { useTries } from "../lib/behind";
import { apartOf, whileBoth } from "../lib/sidebyside";
import { useSteady } from "../lib/steady";
import type { Comparison, Num, SegmentCell } from "../lib/types";
import { bareService, findingLook } from "../lib/words";
import { isSwapped } from "./Rollout";

const name = (cell: SegmentCell): string => cell.segment.map((of) => `${of.field} = ${of.value}`).join(", ");
const share = (of: [number, number], all: [number, number], side: 0 | 1): number => (all[side] > 0 ? of[side] / all[side] : 0);
const points = (value: Num): string => (value === null ? "–" : `${signed(value * 100, 2)} pp`);

/** Two bars, the baseline always first. */
function Pair({ a, b, most }: { a: number; b: number; most: number }) {
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
  const failed = `_kind:request _failed:true ${term("_service", bareService(service))}`;
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

/** Units that a segment must have before it is listed, while nobody says otherwise. */
const LEAST = 30;
const LEASTS = [1, 10, LEAST, 100, 1_000];
const least = (): number => Number(param("min")) || LEAST;

/** What is explained: what failed, unless the address names another. */
export function explained(list: Carrier[], asked: string): Carrier | undefined {
  return list.find((of) => of.name === asked) ?? list.find((of) => of.isFailed) ?? list.find((of) => of.name === "error_units") ?? list[0];
}

/** What is explained, whether it is what failed, and how many units a segment must have. */
function Choice({ list, chosen, unit, hidden }: { list: Carrier[]; chosen: Carrier | undefined; unit: string; hidden: number }) {
  const failed = list.filter((of) => of.isFailed);
  return (
    <>
      <div class="bar">
        {list.length > 1 && (
          <label>
            Explain{" "}
            <select value={chosen?.name ?? ""} onChange={(event) => setQuery({ metric: event.currentTarget.value })}>
              {list.map((of) => (
                <option key={of.name} value={of.name}>
                  {unit}s that {of.met}
                  {of.isFailed ? " (failed)" : ""}
                </option>
              ))}
            </select>
          </label>
        )}
        <label>
          Segments of at least{" "}
          <select value={String(least())} onChange={(event) => setQuery({ min: event.currentTarget.value === String(LEAST) ? null : event.currentTarget.value })}>
            {LEASTS.map((count) => (
              <option key={count} value={String(count)}>
                {grouped(count)}
              </option>
            ))}
          </select>{" "}
          {unit}s
        </label>
        {hidden > 0 && (
          <span class="aside">
            {grouped(hidden)} smaller {hidden === 1 ? "one is" : "ones are"} hidden
          </span>
        )}
      </div>
      {chosen && failed.length > 0 && !chosen.isFailed && (
        <Note tone="invalid" title="This is not what failed.">
          What failed is {failed.map((of) => of.words).join(", ")}.{" "}
          <button type="button" class="link" onClick={() => setQuery({ metric: failed[0]!.name })}>
            Explain that
          </button>
        </Note>
      )}
      {chosen?.isFailed && <p>This is what failed: {unit}s that {chosen.met}, arm by arm.</p>}
    </>
  );
}

export function Explain({ comparison }: { comparison: Comparison }) {
  const list = canSearch() ? carriersOf(comparison) : [];
  const chosen = explained(list, param("metric"));
  const both = whileBoth(comparison);
  const isApart = both !== comparison;
  const hasTests = chosen?.name === "error_units" && comparison.segments !== null;
  // The report's counts are of all the time, and its tests are of both arms: of the time while both ran lines tell, as the verdict does.
  if (chosen && (!hasTests || isApart)) {
    return (
      <>
        <Counted comparison={both} list={list} chosen={carriersOf(both).find((of) => of.name === chosen.name) ?? chosen} until={isApart ? both.ended_at : null} />
        {hasTests && (
          <details class="more">
            <summary>
              Tests by segment; counts of all the time, {span(between(comparison.started_at, comparison.ended_at))}
            </summary>
            <Segments comparison={comparison} list={[]} chosen={undefined} isWithin />
          </details>
        )}
      </>
    );
  }
  return <Segments comparison={comparison} list={list} chosen={chosen} />;
}

/** Segments that are shown before somebody asks for more. */
const SHOWN = 30;

/** How many more units of the canary were met than would be as in the baseline. */
const excessOf = (cell: Cell): number => cell.met[1] - cell.of[1] * (cell.of[0] > 0 ? cell.met[0] / cell.of[0] : 0);

/** A value that the units of one arm alone have. */
export const namesArm = (cell: Pick<Cell, "of">): boolean => cell.of[0] === 0 || cell.of[1] === 0;

/** Part of either arm's units with a value that the other arm never has, from which on a field is another one because the arm is. */
const APART = 0.9;

/** Fields that name the arm (its version, its instances): they say nothing of whom something met. */
export function armFields(cells: Pick<Cell, "field" | "of">[]): Set<string> {
  const sums = new Map<string, { all: [number, number]; own: [number, number] }>();
  for (const { field, of } of cells) {
    const sum = sums.get(field) ?? { all: [0, 0], own: [0, 0] };
    for (const side of [0, 1] as const) {
      sum.all[side] += of[side];
      if (of[side === 0 ? 1 : 0] === 0) sum.own[side] += of[side];
    }
    sums.set(field, sum);
  }
  const isApart = ({ all, own }: { all: [number, number]; own: [number, number] }): boolean => all[0] > 0 && all[1] > 0 && (own[0] >= APART * all[0] || own[1] >= APART * all[1]);
  return new Set([...sums].filter(([, sum]) => isApart(sum)).map(([field]) => field));
}

/** What is told of values by which the arms differ, whatever the code does. */
function OfArms({ count, children }: { count: number; children: ComponentChildren }) {
  if (count === 0) return null;
  return (
    <details class="more">
      <summary>
        {grouped(count)} {count === 1 ? "value" : "values"} of fields that differ because the arm differs
      </summary>
      {children}
    </details>
  );
}

/** `until`: the time to which both arms were heard of, where one goes on. */
function Counted({ comparison, list, chosen, until }: { comparison: Comparison; list: Carrier[]; chosen: Carrier; until: string | null }) {
  const found = useSignal<{ name: string; split: Split } | null>(null);
  const problem = useSignal("");
  const all = useSignal(false);
  const tries = useTries((found.value?.split.met[1] ?? 0) > 0, `${chosen.name}\n${chosen.version}`);
  useSteady(`${comparison.service}\n${comparison.candidate}\n${chosen.name}\n${until ?? ""}`, `${chosen.version}\n${tries}`, async (signal) => {
    try {
      const split = await splitOf(comparison, chosen, signal);
      found.value = { name: chosen.name, split };
      problem.value = "";
    } catch (error) {
      if (!signal.aborted) problem.value = error instanceof Error ? error.message : String(error);
    }
  });
  const swap = isSwapped();
  const { unit } = comparison;
  const of = found.value?.name === chosen.name ? found.value.split : null;
  const met = (of?.cells ?? []).filter((cell) => cell.met[0] + cell.met[1] > 0);
  const apart = armFields(of?.cells ?? []);
  const sorted = met.filter((cell) => cell.of[0] + cell.of[1] >= least()).toSorted((a, b) => Number(namesArm(a)) - Number(namesArm(b)) || excessOf(b) - excessOf(a));
  const rows = sorted.filter((cell) => !apart.has(cell.field));
  const ofArms = sorted.filter((cell) => apart.has(cell.field));
  const shown = all.value ? rows : rows.slice(0, SHOWN);
  const part = (cell: Pick<Cell, "met" | "of">, side: 0 | 1): number => (cell.of[side] > 0 ? Math.min(1, cell.met[side] / cell.of[side]) : 0);
  const most = Math.max(0, ...sorted.flatMap((cell) => [part(cell, 0), part(cell, 1)]));
  const sides: (0 | 1)[] = swap ? [1, 0] : [0, 1];
  const name = (side: 0 | 1): "baseline" | "canary" => (side === 0 ? "baseline" : "canary");
  const tone = (side: 0 | 1): string => (side === 0 ? "baseline" : "candidate");
  const table = (cells: Cell[], caption: ComponentChildren, label = "Segments") => (
    <Scroll label={label}>
      <table class="segments cards-if-narrow">
        <caption>{caption}</caption>
        <thead>
          <tr>
            <th scope="col">segment</th>
            {sides.map((side) => (
              <th scope="col" class={`number ${tone(side)}`} key={side}>
                {name(side)}
              </th>
            ))}
            <th scope="col">
              <span class="unseen">drawn</span>
            </th>
            <th scope="col" class="number">of those of the canary</th>
            <th scope="col" class="number">of all of the canary</th>
          </tr>
        </thead>
        <tbody>
          {cells.map((cell) => (
            <tr key={`${cell.field}=${cell.value}`}>
              <th scope="row">
                {harmless(cell.field.replace(/^_/, ""), 60)} = {harmless(cell.value, 80)}
                {namesArm(cell) && <small>in the {cell.of[0] === 0 ? "canary" : "baseline"} alone</small>}
              </th>
              {sides.map((side) => (
                <td class="number" data-of={name(side)} key={side}>
                  {cell.of[side] > 0 ? percent(part(cell, side)) : "–"}
                  <small>
                    <PlaceLink query={`${chosen.queries[side]} ${term(cell.field, cell.value)}`}>{grouped(cell.met[side])}</PlaceLink> of {grouped(cell.of[side])}
                  </small>
                </td>
              ))}
              <td>
                <Pair a={part(cell, 0)} b={part(cell, 1)} most={most} />
              </td>
              <td class="number" data-of="of those of the canary">{of && of.met[1] > 0 ? percent(cell.met[1] / of.met[1]) : "–"}</td>
              <td class="number" data-of="of all of the canary">{of && of.of[1] > 0 ? percent(cell.of[1] / of.of[1]) : "–"}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
  return (
    <>
      <Choice list={list} chosen={chosen} unit={unit} hidden={met.length - sorted.length} />
      {problem.value && (
        <Note tone="invalid" title="No answer">
          <p>{harmless(problem.value, 400)}</p>
        </Note>
      )}
      {!of && !problem.value && <Loading what="Counting who met it, by field…" />}
      {of && (
        <>
          <section class="verdict unclear">
            <p class="headline">
              {until && (
                <>
                  While both arms ran, until <Time at={until} />:{" "}
                </>
              )}
              {sides.map((side, at) => (
                <span key={side}>
                  {at > 0 && ", "}
                  <span class={tone(side)}>
                    <PlaceLink query={chosen.queries[side]}>{grouped(of.met[side])}</PlaceLink> of {grouped(of.of[side])} {unit}s of the {name(side)}
                  </span>
                </span>
              ))}{" "}
              {chosen.met}
            </p>
            <p class="aside">Plain counts of what is kept for search: they say whom it met, and no error level holds for them. The difference of the verdict is estimated within stretches of time, and need not be the plain difference of these shares. Segments in which few were met differ by chance.</p>
          </section>
          {rows.length === 0 ? <p>No field of the lines tells them apart.</p> : table(shown, <>Segments in order of how many more {unit}s of the canary there are than as many of the baseline would give{until && ", while both arms ran"}; values that one arm alone has come last</>)}
          {rows.length > shown.length && (
            <button type="button" onClick={() => (all.value = true)}>
              {grouped(rows.length - shown.length)} more
            </button>
          )}
          <OfArms count={ofArms.length}>{table(ofArms, <>Values that name the arm, its version or its instances: whom something met they do not say</>, "Values that name the arm")}</OfArms>
        </>
      )}
    </>
  );
}

/** What the report says of users with errors by segment: with tests that hold however often one looks. */
function Segments({ comparison, list, chosen, isWithin = false }: { comparison: Comparison; list: Carrier[]; chosen: Carrier | undefined; isWithin?: boolean }) {
  const { segments } = comparison;
  const box = useRef<HTMLTableSectionElement>(null);
  const min = least();
  const large = useMemo(() => (segments?.cells ?? []).filter((cell) => cell.units[0] + cell.units[1] >= min), [segments, min]);
  const apart = useMemo(() => armFields((segments?.cells ?? []).flatMap((cell) => (cell.segment.length === 1 ? [{ field: cell.segment[0]!.field, of: cell.units }] : []))), [segments]);
  const isOfArm = (cell: SegmentCell): boolean => cell.segment.some((of) => apart.has(of.field));
  const cells = useMemo(() => large.filter((cell) => !isOfArm(cell)), [large, apart]);
  const ofArms = large.filter(isOfArm);
  const held = useHeld(cells, name, box);
  useLayoutEffect(
    () => withKeys([{ key: ".", words: "apply changes of order, else pause or resume", run: () => (held.pending > 0 ? held.apply() : toggleLive()) }]),
    [held.pending],
  );
  const swap = isSwapped();
  const ends = apartOf(comparison);
  const failed = comparison.guardrails.filter((of) => of.finding === "regressed" && of.guardrail !== "error_units");
  const isOther = list.length === 0 && (failed.length > 0 || comparison.templates.failing.length > 0);
  const choice = (
    <>
      <Choice list={list} chosen={chosen} unit={comparison.unit} hidden={(segments?.cells.length ?? 0) - large.length} />
      {isOther && (
        <Note tone="invalid" title="This is not what failed.">
          What failed is {[...(comparison.templates.failing.length > 0 ? ["a new error line"] : []), ...failed.map((of) => of.label)].join(", ")}; whom that met is told from lines, and this program keeps none.
        </Note>
      )}
    </>
  );
  if (!segments) {
    return (
      <section class="empty">
        <h2>No segments</h2>
        <p>No field of the first lines says who the {comparison.unit}s are (region, client, tier, ...), or has too many values for it. Name some: <code>segments: [region]</code> in the policy, or <code>--segments region</code>.</p>
      </section>
    );
  }
  const isProven = comparison.guardrails.some((of) => of.guardrail === "error_units" && of.finding === "regressed");
  const of = segments.descriptive;
  const most = Math.max(...segments.cells.flatMap((cell) => [share(cell.erring, cell.units, 0), share(cell.erring, cell.units, 1)]), 0);
  const turn = (value: Num): Num => (value === null || !swap ? value : -value);
  return (
    <>
      {!isWithin && choice}
      {ends && (
        <p>
          Counts are of all the time, to <Time at={comparison.ended_at} />: the {ends.longer === 0 ? "canary" : "baseline"} was last heard of at <Time at={ends.until} />. The verdict counts the time while both ran.
        </p>
      )}
      {of ? (
        <section class="verdict unclear">
          <p class="headline">
            Difference in {comparison.unit}s with errors {points(turn(of.difference))} = code {points(turn(of.rate))} and mix {points(turn(of.mix))}
          </p>
          {!isProven && <p>It is not proven that there is one: what follows may be chance.</p>}
          <p>
            “Mix” is what comes from the arms holding other {comparison.unit}s by {harmless(of.field, 60)}; “code” is what differs among {comparison.unit}s of the same {harmless(of.field, 60)} (Kitagawa’s way of telling them apart); pp are percentage points.
            {of.adjusted_ratio && of.adjusted_ratio.estimate !== null && ` Within segments the ratio is ${effectWords({ kind: "ratio", ...of.adjusted_ratio })}, for one look alone.`}
          </p>
          <p class="aside">Plain counts, for one look alone: they describe, and no error level holds for them.</p>
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
      {cells.length === 0 ? (
        <p>No segment has so many {comparison.unit}s yet.</p>
      ) : (
        <Scroll label="Segments">
          <Pill pending={held.pending} apply={held.apply} />
          <table class="segments cards-if-narrow">
            <caption>
              Segments in order of the {comparison.unit}s with an error that the canary has beyond what the baseline’s part would give (“excess”); baseline above, canary below.
              {comparison.strata > 1 && ` Who was there in several of the ${comparison.strata} stretches of time with another share counts in each.`}
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
                    <Pair a={share(cell.erring, cell.units, 0)} b={share(cell.erring, cell.units, 1)} most={most} />
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
                            {one.log_e !== null && <small title={EVIDENCE}>evidence {evidence(one.log_e)}</small>}
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
        </Scroll>
      )}
      <OfArms count={ofArms.length}>
        <p>Whom something met they do not say: {ofArms.map((cell) => `${harmless(name(cell), 80)} (${grouped(cell.units[0])} and ${grouped(cell.units[1])} ${comparison.unit}s)`).join(", ")}.</p>
      </OfArms>
      <p class="aside">
        Fields: {segments.fields.map((field) => harmless(field, 60)).join(", ")} ({segments.found ? "found in the first lines" : "asked for"}).{" "}
        {segments.more > 0 && `${grouped(segments.more)} more segments are not listed. `}
        {segments.rest.filter((rest) => rest.units[0] + rest.units[1] > 0).map((rest) => `${harmless(rest.field, 60)}: ${grouped(rest.units[0])} and ${grouped(rest.units[1])} name none.`).join(" ")}
      </p>
    </>
  );
}
