// Other rollouts that ran at the same time over the same users: a table of the arms of both, and whose a harm is.

import type { Signal } from "@preact/signals";
import { effectValue, effectWords, grouped, harmless, percent, swapped } from "../lib/format";
import { report, rollouts } from "../lib/live";
import { rolloutPath } from "../lib/router";
import type { Comparison, Effect, Overlap, Ratio } from "../lib/types";
import { serviceName, UNCLEAR } from "../lib/words";
import { armQuery, canSearch, PlaceLink } from "./Lines";
import { Scroll } from "./parts";
import { domainOf, scaleWords, Whisker } from "./Whisker";

/** Characters of a name that are shown. */
const NAME = 60;
/** Tables that are shown; the report has all. */
const TABLES = 8;

export const ratioOf = (of: Ratio): Effect => ({ kind: "ratio", ...of });

/** A ratio in words; past one end it may not be known. */
export function ratioWords(of: Effect): string {
  if (of.high !== null) return effectWords(of);
  return of.low !== null && of.low > 0 ? `at least ${effectValue("ratio", of.low)}` : "not known";
}

/** How far a scale of ratios reaches to either side for intervals alone: one that is as good as endless ends in an arrow. */
const WIDEST = Math.log(10);

/** Half the width of the scale that some ratios share: each is on it with its estimate. */
export function scaleOf(effects: (Effect | null)[]): number {
  const most = Math.max(0, ...effects.flatMap((of) => (of?.estimate ? [Math.abs(Math.log(of.estimate))] : [])));
  return Math.min(domainOf(effects.map((effect) => ({ effect, margin: null })), "ratio"), Math.max(WIDEST, 1.25 * most));
}

/** What joins the requests of both, in the plural. */
export const joinedWords = (of: Overlap): string => `${of.joined_by}s`;

const inBoth = (of: Overlap, here: string, there: string): number => of.cells.find((cell) => cell.here === here && cell.there === there)?.units ?? 0;

const canaryOf = (of: Overlap): string => `the canary${of.candidate === "canary" ? "" : ` ${harmless(of.candidate, NAME)}`} of ${harmless(of.service, NAME)}`;

/** Whose the harm is that is seen here, in a few words; and whether this one does harm there. */
export function blameWords(of: Overlap): string | null {
  const other = harmless(of.service, NAME);
  const says: Record<NonNullable<Overlap["says"]>, string> = {
    explained_by_it: `${other} explains it`,
    its_own: `${other} does not explain it`,
    both: `both do harm, here and in ${other}`,
    same_units: `cannot be told apart from ${other}: the same ${joinedWords(of)}`,
    too_few: `cannot be told apart from ${other} yet`,
  };
  return [...(of.says ? [says[of.says]] : []), ...(of.explains_it ? [`it explains what ${other} shows`] : [])].join("; ") || null;
}

/** The same as sentences; their numbers stand in the table. */
export function blameSentences(of: Overlap): string[] {
  const other = harmless(of.service, NAME);
  const units = joinedWords(of);
  const [first, second, both] = [inBoth(of, "canary", "baseline"), inBoth(of, "baseline", "canary"), inBoth(of, "canary", "canary")];
  const [alone, either] = [grouped(first + second), grouped(first + second + both)];
  const share = (here: string): string => {
    const [a, b] = [inBoth(of, here, "baseline"), inBoth(of, here, "canary")];
    return percent(b / Math.max(1, a + b));
  };
  const often = `${units} of the canary here are more often in ${canaryOf(of)} (${share("canary")}, of the baseline’s ${share("baseline")})`;
  const says: Record<NonNullable<Overlap["says"]>, string> = {
    explained_by_it: `Explained by ${other}: ${often}, and among ${units} with the same arm of ${other} nothing is left that chance does not explain. The verdict stays as it is.`,
    its_own: `That ${often} does not explain it: it stays among ${units} with the same arm of ${other}.`,
    both: `It stays among ${units} with the same arm of ${other}; and ${canaryOf(of)} does harm here too.`,
    same_units: `Whether it comes from here or from ${canaryOf(of)} cannot be told apart: the same ${units}. Of ${either} that are in either canary, ${alone} ${first + second === 1 ? "is" : "are"} in one alone. Other ${units} for one of the two (another seed, another salt) would tell.`,
    too_few: `Whether it comes from here or from ${canaryOf(of)} cannot be told apart yet: of ${either} ${units} that are in either canary, ${alone} are in one alone.`,
  };
  return [...(of.says ? [says[of.says]] : []), ...(of.explains_it ? [`It explains what ${canaryOf(of)} shows.`] : [])];
}

/** What is told of rollouts beside this one: of what cannot be compared, nothing. */
export const blames = (comparison: Pick<Comparison, "overlaps" | "verdict">): string[] => (comparison.verdict === "invalid" ? [] : (comparison.overlaps ?? []).flatMap((of) => blameWords(of) ?? []));

/** What the section is called; `null`: no other rollout ran beside this one. */
export function besideWords(comparison: Pick<Comparison, "overlaps" | "verdict">): string | null {
  const list = comparison.overlaps ?? [];
  if (list.length === 0) return null;
  const told = blames(comparison);
  return `Rollouts at the same time (${grouped(list.length)})${told.length > 0 ? `: ${told.join("; ")}` : ""}`;
}

const ARMS = ["baseline", "canary"] as const;

/** Lines of one service do not say in which arm of another their user is: what leads to lines are the arms alone. */
function ArmLinks({ comparison, list }: { comparison: Comparison; list: Overlap[] }) {
  if (!canSearch()) return null;
  const others = list.flatMap((of) => report.value?.comparisons.find((one) => one.service === of.service && one.control === of.control && one.candidate === of.candidate) ?? []);
  const links = (one: Comparison) => ARMS.map((arm, side) => (
    <>
      {side === 1 && " and "}
      <span class={arm === "canary" ? "candidate" : "baseline"}>
        <PlaceLink query={armQuery(one, side as 0 | 1, "_kind:request")}>{arm}</PlaceLink>
      </span>
    </>
  ));
  return (
    <p class="aside">
      No line says in which arm of another rollout its {list[0]!.joined_by} is, so these counts lead to none. Requests here: {links(comparison)}
      {others.map((one) => (
        <>
          ; of {harmless(one.service, NAME)}: {links(one)}
        </>
      ))}
      .
    </p>
  );
}

function Table({ comparison, of, swap }: { comparison: Comparison; of: Overlap; swap: boolean }) {
  const units = joinedWords(of);
  const other = harmless(of.service, NAME);
  const heading = `Beside ${harmless(of.candidate, NAME)} of ${other}`;
  const row = rollouts.value?.find((one) => one.candidate === of.candidate && one.services.some((service) => serviceName(service, one.environment, one.cell) === of.service));
  const part = (some: number, all: number) => (all === 0 ? "\u2013" : <>{grouped(some)} <small class="inline">({percent(some / all)})</small></>);
  const name = (arm: "baseline" | "canary", one: Pick<Overlap, "control" | "candidate">): string => {
    const own = arm === "baseline" ? one.control : one.candidate;
    return own === arm ? arm : `${harmless(own, NAME)} (${arm})`;
  };
  const tone = (arm: string): string => (arm === "canary" ? "candidate" : "baseline");
  const ratios: [string, Effect][] = [
    ["by the arms here", ratioOf(of.ratios.here)],
    [`among ${units} with the same arm of ${other}`, ratioOf(of.ratios.here_within)],
    [`by the arms of ${other}`, ratioOf(of.ratios.there)],
    [`among ${units} with the same arm here`, ratioOf(of.ratios.there_within)],
  ].map(([words, effect]) => [words as string, swap ? swapped(effect as Effect) : (effect as Effect)]);
  const domain = scaleOf(ratios.map(([, effect]) => effect));
  return (
    <>
      <h3>
        {row ? <>Beside {harmless(of.candidate, NAME)} of <a href={rolloutPath(row.id)}>{other}</a></> : heading}
      </h3>
      {comparison.verdict !== "invalid" && blameSentences(of).map((sentence) => <p key={sentence}>{sentence}</p>)}
      <Scroll label={heading}>
        <table class="numbers cards-if-narrow">
          <caption>
            {units[0]!.toUpperCase() + units.slice(1)} in both{of.over && ", until one of the two was over"}, by the arms of both{of.followed !== null && of.followed < 1 && `; of ${units}, ${percent(of.followed)} are followed`}
          </caption>
          <thead>
            <tr>
              <th scope="col">arm here</th>
              <th scope="col">arm there</th>
              <th scope="col" class="number">in both</th>
              <th scope="col" class="number">with errors here</th>
              <th scope="col" class="number">requests here</th>
              <th scope="col" class="number">failed</th>
            </tr>
          </thead>
          <tbody>
            {(swap ? of.cells.toReversed() : of.cells).map((cell) => (
              <tr key={`${cell.here}${cell.there}`}>
                <th scope="row" class={tone(cell.here)}>
                  {name(cell.here, comparison)}
                  <span class="if-narrow"> here</span>
                </th>
                <td class={tone(cell.there)} data-of="there">{name(cell.there, of)}</td>
                <td class="number" data-of="in both">{grouped(cell.units)}</td>
                <td class="number" data-of="with errors here">{part(cell.erring, cell.at_risk)}</td>
                <td class="number" data-of="requests here">{grouped(cell.requests)}</td>
                <td class="number" data-of="failed">{part(cell.failed, cell.requests)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <Scroll label={`${heading}: whose it is`}>
        <table class="numbers cards-if-narrow">
          <caption>
            With a failed request here, {swap ? "baseline to canary" : "canary to baseline"}. Intervals hold at all looks at once with 95&nbsp;%; failures alone, and no verdict rests on it. Scale: {scaleWords("ratio", domain)[0]} to {scaleWords("ratio", domain)[2]}.
          </caption>
          <thead>
            <tr>
              <th scope="col">{units} compared</th>
              <th scope="col">ratio [interval]</th>
              <th scope="col">
                <span class="unseen">drawn</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {ratios.map(([words, effect]) => {
              const shown = ratioWords(effect);
              return (
                <tr key={words}>
                  <th scope="row">{words}</th>
                  <td class="whole">{shown}</td>
                  <td class="drawing">{shown !== "not known" && <Whisker effect={effect} margin={null} domain={domain} look={UNCLEAR} swap={swap} />}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </Scroll>
    </>
  );
}

export function Beside({ comparison, open, swap }: { comparison: Comparison; open: Signal<boolean>; swap: boolean }) {
  const list = comparison.overlaps ?? [];
  const words = besideWords(comparison);
  if (!words) return null;
  return (
    <details class="more" id="beside" open={open.value} onToggle={(event) => (open.value = event.currentTarget.open)}>
      <summary>{words}</summary>
      {open.value && list.slice(0, TABLES).map((of) => <Table key={`${of.service}${of.candidate}`} comparison={comparison} of={of} swap={swap} />)}
      {open.value && list.length > TABLES && <p class="aside">And {grouped(list.length - TABLES)} more rollouts beside it, in the JSON report.</p>}
      {open.value && <ArmLinks comparison={comparison} list={list.slice(0, TABLES)} />}
    </details>
  );
}
