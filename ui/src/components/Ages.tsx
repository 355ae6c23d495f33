// A difference by the time since users were first seen in their arm: what passes, and what grows with use.

import type { Signal } from "@preact/signals";
import { grouped, harmless, percent, swapped } from "../lib/format";
import type { Age, ByAge, Comparison, Effect, Ratio } from "../lib/types";
import { UNCLEAR } from "../lib/words";
import { ratioOf, ratioWords, scaleOf } from "./Beside";
import { armQuery, canSearch, PlaceLink } from "./Lines";
import { Scroll } from "./parts";
import { scaleWords, Whisker } from "./Whisker";

/** Characters of the name of a business event that are shown. */
const NAME = 40;
/** The age from which on a unit has been seen for more than an hour; from any later one on, for more than a day. */
const FIRST_DAY = "rest of first day";

const COURSES: Record<ByAge["says"][number]["course"], string> = { gone: "novelty", fades: "fades with use", grows: "grows with use" };

/** What a measure is called. */
const nameOf = (of: ByAge["says"][number], unit: string): string =>
  of.what === "errors" ? `${unit}s with a failed request` : of.what === "latency" ? `latency of the first request of ${unit}s` : `${unit}s with ${harmless(of.event ?? "", NAME)}`;

/** What clearly is another at first than later, in the report's words. */
export function ageSentences(comparison: Pick<Comparison, "by_age" | "unit" | "verdict">, swap = false): string[] {
  // Of what cannot be compared nothing is said; the table is plain counts.
  if (comparison.verdict === "invalid") return [];
  const units = `${comparison.unit}s`;
  const shown = (of: Ratio): string => ratioWords(swap ? swapped(ratioOf(of)) : ratioOf(of));
  return (comparison.by_age?.says ?? []).map((of) => {
    const isHour = of.later_from === FIRST_DAY;
    const among = `among ${units} seen for more than ${isHour ? "an hour" : "a day"}`;
    const later = shown(of.later);
    const said = {
      gone: `${among} nothing is left of it that chance does not explain (${later}): novelty`,
      fades: `${among} less of it is left (${later}): it fades with use`,
      grows: `${among} it is ${later}: it grows with use`,
    }[of.course];
    const words = `${nameOf(of, comparison.unit)} ${isHour ? "in their first hour" : "on their first day"}, ${shown(of.first)}; ${said}.`;
    return words.replace(/^./, (letter) => letter.toUpperCase());
  });
}

/** What the section is called; `null`: there is one age, or none. */
export function agesWords(comparison: Pick<Comparison, "by_age" | "unit" | "verdict">): string | null {
  const of = comparison.by_age;
  if (!of || of.ages.length === 0) return null;
  const told = comparison.verdict === "invalid" ? [] : of.says.map((one) => `${nameOf(one, comparison.unit)}, ${COURSES[one.course]}`);
  return `By the time since ${comparison.unit}s were first seen${told.length > 0 ? `: ${told.join("; ")}` : ""}`;
}

/** Each of the ratios of an age, by what it is of. */
const ratiosOf = (age: Age): [string, Ratio | null][] => [["with errors", age.errors], ["latency of the first request", age.latency], ...age.events.map((of): [string, Ratio | null] => [harmless(of.event, NAME), of.ratio])];

export function Ages({ comparison, open, swap }: { comparison: Comparison; open: Signal<boolean>; swap: boolean }) {
  const of = comparison.by_age;
  const words = agesWords(comparison);
  if (!of || !words) return null;
  const units = `${comparison.unit}s`;
  const sides = swap ? ([1, 0] as const) : ([0, 1] as const);
  const arm = (side: 0 | 1): "baseline" | "canary" => (side === 0 ? "baseline" : "canary");
  const tone = (side: 0 | 1): string => (side === 0 ? "baseline" : "candidate");
  const effectOf = (ratio: Ratio): Effect => (swap ? swapped(ratioOf(ratio)) : ratioOf(ratio));
  // What is of one kind has one scale: latency differs by less than shares of users do.
  const columns = (of.ages[0] ? ratiosOf(of.ages[0]) : []).map(([name], at) => ({
    name,
    domain: scaleOf(of.ages.map((age) => (ratiosOf(age)[at]?.[1] ? effectOf(ratiosOf(age)[at]![1]!) : null))),
  }));
  const each = (age: Age, side: 0 | 1): string => (age.requests[side] / Math.max(1, age.units[side])).toFixed(2);
  return (
    <details class="more" id="ages" open={open.value} onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>{words}</summary>
      {open.value && ageSentences(comparison, swap).map((sentence) => <p key={sentence}>{sentence}</p>)}
      {open.value && (
        <Scroll label={`By the time since ${units} were first seen`}>
          <table class="ages cards-if-narrow">
            <caption>
              By the time since {units} were first seen in their arm: {units} at each age, {swap ? "baseline to canary" : "canary to baseline"} (95&nbsp;%, descriptive, a single look
              {of.moved > 0 && `; ${grouped(of.moved)} ${units} that changed their arm are left out since`}
              {of.followed !== null && of.followed < 1 && `; a sample, ${percent(of.followed)} of ${units}`}). No verdict rests on it. Scales: {columns.map(({ name, domain }) => `${name} ${scaleWords("ratio", domain)[0]} to ${scaleWords("ratio", domain)[2]}`).join(", ")}.
            </caption>
            <thead>
              <tr>
                <th scope="col">seen for</th>
                {sides.map((side) => (
                  <th scope="col" class={`number ${tone(side)}`} key={side}>
                    {arm(side)}
                  </th>
                ))}
                {columns.slice(0, 2).map(({ name }) => (
                  <th scope="col" key={name}>{name}</th>
                ))}
                <th scope="col">requests each</th>
                {columns.slice(2).map(({ name }) => (
                  <th scope="col" key={name}>{name}</th>
                ))}
              </tr>
            </thead>
            <tbody>
              {of.ages.map((age) => {
                const ratios = ratiosOf(age);
                const cell = (at: number) => {
                  const ratio = ratios[at]?.[1];
                  const effect = ratio ? effectOf(ratio) : null;
                  return (
                    <td key={ratios[at]![0]} data-of={ratios[at]![0]}>
                      {effect ? <span class="whole">{ratioWords(effect)}</span> : "\u2013"}
                      {effect && <Whisker effect={effect} margin={null} domain={columns[at]!.domain} look={UNCLEAR} swap={swap} />}
                    </td>
                  );
                };
                return (
                  <tr key={age.age}>
                    <th scope="row">{age.age}</th>
                    {sides.map((side) => (
                      <td class={`number ${tone(side)}`} data-of={arm(side)} key={side}>
                        {grouped(age.units[side])}
                        <small>{grouped(age.erring[side])} with errors</small>
                      </td>
                    ))}
                    {[0, 1].map(cell)}
                    <td data-of="requests each">
                      <span class={tone(sides[0])}>{each(age, sides[0])}</span> and <span class={tone(sides[1])}>{each(age, sides[1])}</span>
                    </td>
                    {columns.slice(2).map((_, at) => cell(at + 2))}
                  </tr>
                );
              })}
            </tbody>
          </table>
        </Scroll>
      )}
      {open.value && canSearch() && (
        <p class="aside">
          No line says how long its {comparison.unit} has been seen, so these counts lead to none. Requests of all ages:{" "}
          {sides.map((side, at) => (
            <>
              {at === 1 && " and "}
              <span class={tone(side)}>
                <PlaceLink query={armQuery(comparison, side, "_kind:request")}>{arm(side)}</PlaceLink>
              </span>
            </>
          ))}
          .
        </p>
      )}
    </details>
  );
}
