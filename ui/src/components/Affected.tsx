// Who met what a verdict goes by: the users one by one, each with their lines, and beside them what they have in common.

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { type Affected as AffectedOf, type Cell, LISTED, splitOf, type Split, unitsOf } from "../lib/affected";
import { useTries } from "../lib/behind";
import { grouped, harmless, percent } from "../lib/format";
import { useSteady } from "../lib/steady";
import type { Comparison } from "../lib/types";
import { canSearch, PlaceLink } from "./Lines";
import { term } from "./LogLine";
import { useMore } from "./parts";

/** Values of a field that are shown. */
const VALUES = 5;

/** Values of fields that units of the canary have, the most frequent first, by field. */
export function commonOf(split: Split): [string, Cell[]][] {
  const byField = new Map<string, Cell[]>();
  for (const cell of split.cells) if (cell.met[1] > 0) byField.set(cell.field, [...(byField.get(cell.field) ?? []), cell]);
  return [...byField].map(([field, cells]): [string, Cell[]] => [field, cells.toSorted((a, b) => b.met[1] - a.met[1] || b.lines[1] - a.lines[1])]);
}

/** A box with a height of its own, which says that there is more. */
function Below({ label, children }: { label: string; children: ComponentChildren }) {
  const box = useRef<HTMLElement>(null);
  useMore(box, "below");
  return (
    <section aria-label={label} ref={box} tabIndex={0}>
      {children}
    </section>
  );
}

interface Props {
  comparison: Comparison;
  /** Lines of the baseline and of the canary. */
  queries: [string, string];
  /** What they met or did, in words. */
  met: string;
  /** Changes when there are other lines. */
  version: string;
  /** So many lines there are of the canary, where that is known. */
  expected: number | null;
}

export function Affected({ comparison, queries, met, version, expected }: Props) {
  const found = useSignal<{ units: AffectedOf; split: Split } | null>(null);
  const problem = useSignal("");
  const search = canSearch();
  const query = queries[1];
  const tries = useTries(found.value !== null && found.value.units.lines >= (expected ?? 0), version);
  // The end of the time that was judged moves all the while: only other lines are asked for again.
  useSteady(`${comparison.service}\n${comparison.candidate}\n${met}\n${search}`, `${version}\n${tries}`, async (signal) => {
    if (!search) return;
    try {
      const [units, split] = await Promise.all([unitsOf(query, comparison.unit, signal), splitOf(comparison, { queries }, signal, true)]);
      found.value = { units, split };
      problem.value = "";
    } catch (error) {
      if (!signal.aborted) problem.value = error instanceof Error ? error.message : String(error);
    }
  });
  if (!search) return <p class="aside">This program keeps no lines for search, so whom it met is not known one by one.</p>;
  const of = found.value;
  if (!of) return <div class="affected">{problem.value ? <p class="aside">{harmless(problem.value, 300)}</p> : <p class="aside">Asking who met it…</p>}</div>;
  const { unit } = comparison;
  const total = of.units.count;
  return (
    <div class="affected">
      <Below label={`The ${unit}s`}>
        {total === null ? (
          <p>
            <PlaceLink query={query}>{grouped(of.units.lines)} lines</PlaceLink> of the canary; they name nobody.
          </p>
        ) : (
          <table class="numbers">
            <caption>
              {grouped(total)} {unit}
              {total === 1 ? "" : "s"} of the canary {met}
              {total > of.units.units.length && `; the ${grouped(of.units.units.length)} with the most lines`}
            </caption>
            <thead>
              <tr>
                <th scope="col">{unit}</th>
                <th scope="col" class="number">
                  lines
                </th>
              </tr>
            </thead>
            <tbody>
              {of.units.units.slice(0, LISTED).map((one) => (
                <tr key={one.id}>
                  <th scope="row">{harmless(one.name, 80)}</th>
                  <td class="number">
                    <PlaceLink query={`${query} ${term("_unit", one.id)}`}>{grouped(one.lines)}</PlaceLink>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        )}
      </Below>
      <Below label="What they have in common">
        <table class="numbers">
          <caption>What their lines name, with the {unit}s that have it. Where some lines name it not, {unit}s may be missing.</caption>
          <thead>
            <tr>
              <th scope="col">field</th>
              <th scope="col">value</th>
              <th scope="col" class="number">
                {unit}s
              </th>
              <th scope="col" class="number">
                of them
              </th>
              <th scope="col" class="number">
                lines
              </th>
            </tr>
          </thead>
          <tbody>
            {commonOf(of.split).flatMap(([field, cells]) =>
              cells.slice(0, VALUES).map((cell, at) => (
                <tr key={`${field}=${cell.value}`}>
                  <td>{at === 0 ? harmless(field.replace(/^_/, ""), 60) : <span class="unseen">{harmless(field.replace(/^_/, ""), 60)}</span>}</td>
                  <th scope="row">
                    {harmless(cell.value, 80)}
                    {at === VALUES - 1 && cells.length > VALUES && <small>and {grouped(cells.length - VALUES)} more</small>}
                  </th>
                  <td class="number">{grouped(cell.met[1])}</td>
                  <td class="number">{percent(of.split.met[1] > 0 ? cell.met[1] / of.split.met[1] : null)}</td>
                  <td class="number">
                    <PlaceLink query={`${query} ${term(cell.field, cell.value)}`}>{grouped(cell.lines[1])}</PlaceLink>
                  </td>
                </tr>
              )),
            )}
          </tbody>
        </table>
      </Below>
    </div>
  );
}
