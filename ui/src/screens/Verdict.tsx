// Is the new version worse than the baseline, how sure are we, what happens next?

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { Affected } from "../components/Affected";
import { Ages } from "../components/Ages";
import { Beside, blames } from "../components/Beside";
import { DeltaChart } from "../components/DeltaChart";
import { cellTerm, armQuery, canSearch, Lines, linesWords, PlaceLink } from "../components/Lines";
import { term } from "../components/LogLine";
import { ownEffects, OwnRows } from "../components/OwnRows";
import { Badge, Note, Said, Scroll, Time } from "../components/parts";
import { domainOf, scaleWords, Whisker } from "../components/Whisker";
import { carriersOf } from "../lib/affected";
import { useAsked } from "../lib/ask";
import { frozen } from "../lib/asof";
import { between, effectValue, effectWords, EVIDENCE, evidence, grouped, harmless, local, millis, neededWords, percent, span, STEPS, swapped, three, valueOf } from "../lib/format";
import { type Key, withKeys } from "../lib/keys";
import { newest, report, reportVersion, rolloutsVersion } from "../lib/live";
import { isOtherClock } from "../lib/logtime";
import { marksOf } from "../lib/marks";
import { param, rolloutPath, setQuery } from "../lib/router";
import { apartOf, courseUntil, settled, told, UNITS as UNITS_THEN, untilThen, type Told, usePlain, useSideBySide, weighted } from "../lib/sidebyside";
import { useSeldom } from "../lib/seldom";
import type { Comparison, Course, Effect, Guardrail, RolloutFull, Template, Timeline } from "../lib/types";
import { bareService, CHANGES, findingLook, FLAWS, lookOfComparison, serviceName, WORSE } from "../lib/words";
import { isSwapped } from "./Rollout";

const KINDS: Effect["kind"][] = ["ratio", "change", "difference"];

/** Times that are so far apart, in milliseconds, are of two clocks: that of the log and that of the wall. */
const TWO_CLOCKS_MS = 60_000;

/** What comes next, or was done, of what the program knows. */
function next(rollout: RolloutFull, comparison: Comparison): ["Next" | "Done", string] | null {
  if (rollout.phase === "done" && comparison.verdict === "inconclusive")
    return ["Done", "The last step had passed, and the rollout is over. What is said here is of what came since."];
  const latest = rollout.deliveries?.[0];
  if (latest) {
    const state = latest.state === "taken" ? "acknowledged" : latest.state === "waiting" ? "on its way" : `given up (${latest.why ?? "no answer"})`;
    const isOfClock = Math.abs(latest.decided_ms - Date.parse(comparison.automatic_at ?? comparison.ended_at)) > TWO_CLOCKS_MS;
    const by = rollout.commanded ? `after ${rollout.commanded.actor} said “${rollout.commanded.command}”` : "automatically, by the policy";
    return [latest.state === "waiting" ? "Next" : "Done", `Hook ${latest.hook} was told “${latest.event}” at ${local(latest.decided_ms)}${isOfClock ? " by the clock of this machine" : ""}, ${by}: ${state}.`];
  }
  if (rollout.withheld) return ["Next", `Automatic actions are withheld: ${rollout.withheld}`];
  if (!rollout.declared) return ["Next", "Nobody declared this rollout, so nothing acts on it: a person rolls it back. Named under rollouts: in serin.yaml (serin run --config), hooks can be told."];
  if (rollout.phase === "failed") return ["Next", "It is not rolled back yet: the evidence must be ten times as strong for an automatic action, or somebody rolls back."];
  if (rollout.phase === "passed") return ["Next", "The step has passed and waits for its shortest time or for approval."];
  return null;
}

/** Not enough data: how much more, and how long. */
function Needs({ comparison }: { comparison: Comparison }) {
  const needs = comparison.needs.filter((need) => need.needed === null || need.have === null || need.needed > need.have);
  if (comparison.verdict !== "inconclusive" || needs.length === 0) return null;
  return (
    <Note title="Not enough data yet for a pass">
      <ul>
        {needs.map((need) => {
          const label = comparison.guardrails.find((row) => row.guardrail === need.guardrail)?.label ?? need.guardrail;
          const more = need.needed !== null && need.have !== null ? Math.max(0, Math.round(need.needed) - Math.round(need.have)) : null;
          return (
            <li key={need.guardrail}>
              {label}: {more !== null ? `${grouped(more)} more ${neededWords(need.counted, comparison.unit)} (${grouped(need.have ?? 0)} of ${grouped(need.needed ?? 0)})` : neededWords(need.counted, comparison.unit)}
              {need.seconds !== null ? `, about ${span(need.seconds)} at this traffic` : need.over_90_days ? ", more than 90 days at this traffic: this will not pass" : ""}
            </li>
          );
        })}
      </ul>
    </Note>
  );
}

/** How units come to an arm, for people. */
const ROUTINGS: Record<string, (unit: string) => string> = {
  sticky: (unit) => `each ${unit} stays in one arm`,
  "per request": (unit) => `each request goes to any arm, not each ${unit}`,
  mixed: (unit) => `some ${unit}s stay in one arm, and some do not`,
  undecided: (unit) => `not known yet whether a ${unit} stays in one arm`,
};

/**
 * What of a comparison is not followed in full. Traces without a request are those of the whole log, and go on after a comparison has ended
 * or one arm has stopped: of such a one they say nothing.
 */
export function boundsWords(of: Pick<Comparison, "bounds_met" | "rollout_end" | "active_until">): string[] {
  const isOver = Boolean(of.rollout_end) || apartOf(of) !== null;
  return of.bounds_met.flatMap((words) => {
    const traces = /^(\d+) traces never showed a request of the service$/.exec(words);
    if (traces) return isOver ? [] : [`${grouped(Number(traces[1]))} traces in the log have no request of a service that is compared, and count for nobody`];
    const part = /^([\d.]+) % of (\w+)s that come new, for the (.+) are followed$/.exec(words);
    if (part) return [`which ${part[3]!.replace("services they call", "services are called").replace("routes they request", "routes are asked for")} is followed for ${Number(part[1])}\u00a0% of the ${part[2]}s that come new`];
    return [words];
  });
}

/** Sentences once, and in plain words: what a person has to do stands with why; a condition that says the same is left out. */
export function plainReasons(sentences: string[], isOtherClock: boolean): string[] {
  const isAssigned = sentences.some((of) => /^The conditions?: (?:.*; and )?each \w+ counts by itself/.test(of));
  return sentences.flatMap((of) => {
    if (/^Nobody should act on it without a person: that requests, not users, are assigned/.test(of) && isAssigned)
      return ["A person must decide: look at the lines, then roll back or go on. Nothing acts on it by itself while that condition is not known (`assignment: requests` in the policy says that it holds)."];
    // When hooks were told is of another clock.
    return [isOtherClock ? of.replace(/^(The logs proved it at \S+Z)/, "$1, by the times in the log") : of];
  });
}

/** The service with its environment, over all cells. */
const placeOf = (comparison: Comparison): string => serviceName(comparison.by_service[0]?.service ?? bareService(comparison.service), comparison.by_service[0]?.environment ?? "");

function Checks({ comparison }: { comparison: Comparison }) {
  const placebo = report.value?.placebos?.find((of) => serviceName(of.service, of.environment) === placeOf(comparison));
  const ratio = comparison.sample_ratio;
  const chips: { name: string; isWell: boolean | null; words: string; detail: string }[] = comparison.flaws.map((flaw) => {
    const [words, remedy] = FLAWS[flaw] ?? [flaw.replaceAll("_", " "), "See docs/report.md."];
    return { name: flaw, isWell: false, words, detail: remedy };
  });
  if (!comparison.flaws.includes("sample_ratio")) {
    const detail =
      comparison.declared_share === null
        ? "Nobody said how many users the canary is to get, so it cannot be checked whether it got them (--share says it)."
        : `Declared ${percent(comparison.declared_share)}; evidence against it ${evidence(typeof ratio === "string" ? null : ratio)}.`;
    chips.push({ name: "split", isWell: comparison.declared_share === null ? null : true, words: comparison.declared_share === null ? "share of the canary: none declared, so not checked" : "share of the canary: as declared", detail });
  }
  chips.push({
    name: "routing",
    isWell: comparison.routing === "undecided" ? null : comparison.routing !== "mixed",
    words: ROUTINGS[comparison.routing]?.(comparison.unit) ?? `${comparison.unit}s, ${comparison.routing}`,
    detail: `What is assigned to arms is the ${comparison.unit}; ${grouped(comparison.units[0])} and ${grouped(comparison.units[1])} of them.`,
  });
  chips.push({
    name: "calibration",
    isWell: placebo ? !placebo.withheld : null,
    words: placebo ? `calibration: ${placebo.failed} of ${placebo.splits} random splits failed` : "calibration: not made yet",
    detail: placebo
      ? `Random splits of a day of this service's own traffic (${placebo.day}); up to ${placebo.allowed} may fail. ${placebo.withheld ?? ""}`
      : "Once a day this service's own traffic is split at random; how often that fails says whether verdicts on it can be trusted.",
  });
  const bounds = boundsWords(comparison);
  if (bounds.length > 0) {
    const words = bounds.length === 1 ? bounds[0]! : `${bounds.length} things are followed in part`;
    chips.push({ name: "bounds", isWell: null, words, detail: `${bounds.join("; ")}. That keeps memory within its limit; nothing needs to be done.` });
  }
  return (
    <ul class="chips" aria-label="Checks">
      {chips.map((chip) => (
        <li key={chip.name}>
          <details class={chip.isWell === false ? "chip odd" : "chip"}>
            <summary>
              <span class="sign" aria-hidden="true">
                {/* What was not looked at is neither well nor odd. */}
                {chip.isWell === null ? "–" : chip.isWell ? "✓" : "!"}
              </span>
              {harmless(chip.words, 120)}
            </summary>
            <p>{harmless(chip.detail, 400)}</p>
          </details>
        </li>
      ))}
    </ul>
  );
}

/** Without what comes from other users: the ratio within segments, where one can be told. */
export function mixAdjusted(comparison: Comparison): Effect | null {
  const of = comparison.segments?.descriptive?.adjusted_ratio;
  return of && of.estimate !== null ? { kind: "ratio", estimate: of.estimate, low: of.low, high: of.high } : null;
}

/** The lines of a new error line in one arm: without the arm, a count of none would lead to those of the other. */
export const newLineQuery = (of: Pick<Template, "query">, comparison: Pick<Comparison, "control" | "candidate">, side: 0 | 1): string | null =>
  of.query ? `${of.query} AND ${term("_arm", side === 0 ? comparison.control : comparison.candidate)}` : null;

/** Error lines that are new: they carry verdicts, and are no guardrail with an interval. */
function NewLines({ comparison, rollout, both }: { comparison: Comparison; rollout: RolloutFull; both: ReturnType<typeof useSideBySide> }) {
  const failing = comparison.templates.listed.filter((of) => comparison.templates.failing.includes(of.id));
  if (failing.length === 0) return null;
  const swap = isSwapped();
  const most = failing.toSorted((a, b) => b.units[1] - a.units[1])[0]!;
  const cell = (side: 0 | 1) => {
    const goesOn = both?.longer === side ? both : null;
    const then = goesOn?.values.get(UNITS_THEN);
    return (
      <td class={`number ${side === 1 ? "candidate" : "baseline"}`} data-of={side === 1 ? "canary" : "baseline"}>
        <PlaceLink query={newLineQuery(most, comparison, side)}>{grouped(most.units[side])}</PlaceLink>
        <small>
          of{" "}
          {goesOn?.isAwaited ? (
            "…"
          ) : (
            <PlaceLink query={armQuery(comparison, side, "_kind:request", then != null ? goesOn!.until : undefined)}>{grouped(then ?? comparison.units[side])}</PlaceLink>
          )}
        </small>
        {goesOn && !goesOn.isAwaited && then == null && <small>of all the time</small>}
      </td>
    );
  };
  return (
    <tr>
      <th scope="row">
        <a href={rolloutPath(rollout.id, "templates", "change=new")}>
          {failing.length === 1 ? "new error line" : `${failing.length} new error lines`}
        </a>
        <small>{comparison.unit}s that met {failing.length === 1 ? "it" : "the most frequent"}</small>
      </th>
      {cell(swap ? 1 : 0)}
      {cell(swap ? 0 : 1)}
      <td class="number difference" colSpan={2}>
        <code>{harmless(most.text, 120)}</code>
      </td>
      <td>
        <Badge look={{ ...WORSE, word: "worse" }} />
        <small title={EVIDENCE}>evidence {evidence(most.log_e)}</small>
      </td>
    </tr>
  );
}

/** What “with the same mix” means. */
export const SAME_MIX = "As if those of the baseline had come when those of the canary did; very slow requests count from when it was known which are. The difference rests on these shares; the numbers beside it are plain counts, those of their links.";

/** Why a difference is not that of the numbers beside it. */
export const WITHIN = "A difference is estimated within stretches of time, and need not be the plain difference of the numbers of both arms.";

/** What “within bounds” means where the interval does not show it. */
export const OWN_TEST = "“Within bounds” goes by a test of its own, which asks only whether the canary is worse by the margin; once proven it stands until the data speak against it. The interval looks in both directions and is wider: it may reach past the margin all the same.";

/** Within bounds, and the interval reaches past the margin. */
export const isPast = (row: Pick<Guardrail, "finding" | "margin" | "effect">): boolean => row.finding === "held" && row.margin !== null && row.effect !== null && (row.effect.high === null || row.effect.high > row.margin);

/** Both ends of a scale. */
function scaleEnds(kind: Effect["kind"], domain: number): string {
  const words = scaleWords(kind, domain);
  return `${words[0]} to ${words.at(-1)}`;
}

interface GuardrailsOf {
  comparison: Comparison;
  rollout: RolloutFull;
  /** Where one arm has stopped, differences are those of the last look with both. */
  course: Course | null;
  selected: string;
  select: (name: string) => void;
}

function Guardrails({ comparison, rollout, course, selected, select }: GuardrailsOf) {
  const swap = isSwapped();
  const adjusted = param("adj") === "mix";
  const until = apartOf(comparison)?.until;
  const rows = comparison.guardrails
    .filter((row) => row.finding !== "no data" || row.baseline !== null || row.canary !== null)
    .map((row) => (until && course ? settled(row, courseUntil(course, until)) : row));
  const empty = comparison.guardrails.filter((row) => !rows.some((of) => of.guardrail === row.guardrail));
  const domains = new Map(KINDS.map((kind) => [kind, domainOf([...rows, ...ownEffects(comparison)], kind)]));
  const kinds = KINDS.filter((kind) => rows.some((row) => row.effect?.kind === kind));
  const both = useSideBySide(comparison);
  const plain = usePlain(comparison);
  const [first, second] = swap ? (["canary", "baseline"] as const) : (["baseline", "canary"] as const);
  return (
    <Scroll label="Guardrails">
      <table class="guardrails cards-if-narrow">
        <caption>
          Intervals hold however often one looks; shaded is past the margin. {rows.some(isPast) && `${OWN_TEST} `}{WITHIN}{kinds.includes("difference") && " pp are percentage points."}{rows.some((row) => row.values_in === "ms") && ` ${STEPS}`}{" "}
          {kinds.length > 0 && `Scale: ${kinds.map((kind) => `${kind === "difference" ? "differences" : kind === "ratio" ? "ratios" : "changes"} ${scaleEnds(kind, domains.get(kind)!)}`).join(", ")}.`}
        </caption>
        <thead>
          <tr>
            <th scope="col">guardrail</th>
            <th scope="col" class={`number ${swap ? "candidate" : "baseline"}`}>
              {swap ? "canary" : "baseline"}
            </th>
            <th scope="col" class={`number ${swap ? "baseline" : "candidate"}`}>
              {swap ? "baseline" : "canary"}
            </th>
            <th scope="col">difference [interval]</th>
            <th scope="col">
              <span class="unseen">drawn</span>
            </th>
            <th scope="col">verdict</th>
          </tr>
        </thead>
        <tbody>
          <NewLines comparison={comparison} rollout={rollout} both={both} />
          {rows.map((row) => {
            const look = findingLook(row.finding);
            const mixed = adjusted && row.guardrail === "error_units" ? mixAdjusted(comparison) : null;
            const raw = mixed ?? row.effect;
            const effect = raw && swap ? swapped(raw) : raw;
            const cells: [Told, Told] = [told(row, 0, both, comparison.strata, plain), told(row, 1, both, comparison.strata, plain)];
            // An interval for one look that leaves out “no difference”, beside “not decided”, would be taken for a decision.
            const isOneLook = mixed !== null && row.finding === "undecided";
            const mix = mixed ? null : weighted(row, cells);
            return (
              <tr key={row.guardrail} class={row.guardrail === selected ? "selected" : ""}>
                <th scope="row">
                  <button type="button" class="quiet name" aria-pressed={row.guardrail === selected} onClick={() => select(row.guardrail)}>
                    {row.label}
                  </button>
                  {row.above?.threshold_ms != null && <small title="The baseline’s value when the comparison began.">tested: which part takes longer than {millis(row.above.threshold_ms)}</small>}
                </th>
                {[first, second].map((arm) => {
                  const side = arm === "baseline" ? 0 : 1;
                  const of = cells[side];
                  const asked = row.lines?.[arm]?.query;
                  const query = row[arm] === null ? null : of.until && asked ? untilThen(asked, comparison, of.until) : asked;
                  return (
                    <td class={`number ${arm === "canary" ? "candidate" : "baseline"}`} data-of={arm} key={arm}>
                      {of.isAwaited ? (
                        <span class="aside">…</span>
                      ) : row.values_in === null && of.value === null && of.count !== null ? (
                        // Nothing is a part of the number: it is the number.
                        <PlaceLink query={armQuery(comparison, side, "_kind:request", of.until ?? undefined)}>{grouped(of.count)}</PlaceLink>
                      ) : (
                        <PlaceLink query={query}>{valueOf(of.value, row.values_in)}</PlaceLink>
                      )}
                      <small>
                        {row.values_in === null && of.value === null ? (
                          `${comparison.unit}s`
                        ) : of.count !== null ? (
                          <>
                            {of.met !== null && (
                              <>
                                <PlaceLink query={query}>{grouped(of.met)}</PlaceLink>{" "}
                              </>
                            )}
                            of <PlaceLink query={armQuery(comparison, side, "_kind:request", of.until ?? undefined)}>{grouped(of.count)}</PlaceLink>
                          </>
                        ) : of.isAwaited ? (
                          "of …"
                        ) : of.isWeighted ? (
                          <span title={SAME_MIX}>with the same mix</span>
                        ) : (
                          "while both ran"
                        )}
                      </small>
                      {row.above && of.slower !== null && <small>{percent(of.slower)} take longer</small>}
                      {of.isOfAll && <small>of all the time</small>}
                    </td>
                  );
                })}
                <td class="number difference">
                  {effect ? (isOneLook ? effectValue(effect.kind, effect.estimate) : effectWords(effect)) : comparison.verdict === "invalid" ? "–" : "needs more data"}
                  {row.above?.threshold_ms != null && effect && <small title={WITHIN}>in what takes longer, at like times</small>}
                  {mix && effect && (
                    <small title={SAME_MIX}>
                      with the same mix: {percent(mix[first === "baseline" ? 0 : 1])} against {percent(mix[second === "baseline" ? 0 : 1])}
                    </small>
                  )}
                  {mixed && <small>within segments of {harmless(comparison.segments?.descriptive?.field ?? "", 40)}</small>}
                  {mixed && <small>for one look alone{isOneLook && ": its interval once it is decided"}</small>}
                </td>
                <td class="drawing">{row.effect && !isOneLook && <Whisker effect={effect} margin={row.margin} domain={domains.get(row.effect.kind)!} look={look} swap={swap} />}</td>
                <td>
                  <Badge look={look} />
                  <small title={EVIDENCE}>evidence {evidence(row.log_e)}</small>
                  {isPast(row) && <small title={OWN_TEST}>by a test of its own</small>}
                </td>
              </tr>
            );
          })}
          <OwnRows comparison={comparison} swap={swap} domains={domains} />
        </tbody>
      </table>
      {both && (
        <p class="aside">
          The {both.longer === 0 ? "canary" : "baseline"} was last heard of at <Time at={both.until} />. Numbers here are of the time while both ran, until then, but for those that say otherwise; the {both.longer === 0 ? "baseline" : "canary"} goes on.
        </p>
      )}
      {empty.length > 0 && <p class="aside">No data yet: {empty.map((row) => row.label).join(", ")}.</p>}
    </Scroll>
  );
}

/** What is read aloud is another one at most so often. */
const SPOKEN_MS = 30_000;

/** The guardrail that the chart follows when nobody has chosen one: what carries the verdict. */
function leading(rows: Guardrail[]): string {
  const of = rows.filter((row) => row.effect);
  const number = (row: Guardrail): number => (typeof row.log_e === "number" ? row.log_e : row.log_e === "inf" ? Infinity : 0);
  const worst = of.filter((row) => row.finding === "regressed").toSorted((a, b) => number(b) - number(a))[0];
  return (worst ?? of[0] ?? rows[0])?.guardrail ?? "";
}

/** Goes to a part of the page once it is open: what comes next with Tab is in it. */
function toPart(id: string): void {
  requestAnimationFrame(() => {
    const part = document.getElementById(id);
    part?.querySelector("summary")?.focus({ preventScroll: true });
    part?.scrollIntoView({ block: "start" });
  });
}

/** Whether a part is open, which is in the address. */
function useOpen(name: string): Signal<boolean> {
  const open = useSignal(param(name) === "1");
  const isOpen = open.value;
  useEffect(() => setQuery({ [name]: isOpen ? "1" : null }, false), [isOpen]);
  return open;
}

/** A key that opens a part and goes there. */
const opens = (key: string, words: string, id: string, open: Signal<boolean>): Key => ({
  key,
  words,
  run: () => {
    open.value = true;
    toPart(id);
  },
});

/** Log lines, by text, that could be tested. */
export const testedOf = (of: Pick<Comparison, "templates">): number => of.templates.below_error.tested + of.templates.error_or_worse.tested;

/** Sentences that come once all else has been said. */
const isLate = (sentence: string): boolean => sentence.startsWith("The rollout ended") || /^((Enough|It is not enough) to act on without a person|A person must decide:)/.test(sentence);

/** Both arms as two filters, of the time while both ran. */
function comparePath(comparison: Comparison): string {
  const of = (arm: string): string => `${[term("_service", bareService(comparison.service)), cellTerm(comparison.service), term("_arm", arm)].filter(Boolean).join(" ")}`;
  const asked = new URLSearchParams({ a: of(comparison.control), b: of(comparison.candidate), from: comparison.started_at, to: apartOf(comparison)?.until ?? comparison.ended_at });
  return `/compare?${asked.toString().replaceAll("%3A", ":")}`;
}

export function VerdictScreen({ rollout, comparison }: { rollout: RolloutFull; comparison: Comparison }) {
  const chosen = param("sel");
  const selected = comparison.guardrails.some((row) => row.guardrail === chosen) ? chosen : leading(comparison.guardrails);
  const query = new URLSearchParams({ service: comparison.service, control: comparison.control, candidate: comparison.candidate });
  const course = useAsked<Course>(`/v1/course?${query}`, reportVersion);
  const timeline = useAsked<Timeline>(`/v1/rollouts/${encodeURIComponent(rollout.id)}/timeline`, rolloutsVersion);
  const until = apartOf(comparison)?.until;
  const look = lookOfComparison(comparison);
  // Whether lines are shown is in the address, as all that one sees.
  const showLines = useOpen("lines");
  // Who comes by a link, or back, comes to what is open.
  useEffect(() => {
    if (param("lines") === "1") toPart("lines");
  }, []);
  const showUsers = useOpen("users");
  const showBeside = useOpen("beside");
  const showAges = useOpen("ages");
  const rows = comparison.guardrails.filter((row) => row.finding !== "no data" || row.baseline !== null || row.canary !== null);
  const select = (name: string): void => setQuery({ sel: name });
  useLayoutEffect(() => {
    const by = (step: number) => () => {
      const names = rows.map((row) => row.guardrail);
      const at = names.indexOf(selected);
      const to = names[Math.min(names.length - 1, Math.max(0, at + step))];
      if (to) setQuery({ sel: to }, false);
    };
    return withKeys([
      { key: "j", words: "next guardrail", run: by(1) },
      { key: "k", words: "previous guardrail", run: by(-1) },
      { key: "m", words: "raw or mix-adjusted", run: () => setQuery({ adj: param("adj") === "mix" ? null : "mix" }) },
      opens("o", "lines that show it", "lines", showLines),
      {
        key: "u",
        words: "who met it",
        run: () => {
          if (!document.getElementById("affected")) return;
          showUsers.value = true;
          toPart("affected");
        },
      },
      ...(comparison.overlaps?.length ? [opens("r", "rollouts at the same time", "beside", showBeside)] : []),
      ...(comparison.by_age ? [opens("a", "by age: since users were first seen", "ages", showAges)] : []),
      {
        key: "s",
        words: "every service, by arm",
        run: () => {
          const services = document.getElementById("services") as HTMLDetailsElement | null;
          if (!services) return;
          services.open = true;
          toPart("services");
        },
      },
    ]);
  }, [selected, comparison]);
  const [headline, ...reasons] = plainReasons(comparison.reasons, isOtherClock(newest.value));
  const affected = canSearch() ? carriersOf(comparison).find((of) => of.isFailed) : undefined;
  // Of several new lines nobody has counted together whom they met; of one it is known.
  const failing = comparison.templates.listed.filter((of) => comparison.templates.failing.includes(of.id));
  const users = affected?.name !== "new_lines" || failing.length === 0 || failing.some((of) => of.units[1] !== failing[0]!.units[1]) ? null : failing[0]!.units[1];
  const row = comparison.guardrails.find((of) => of.guardrail === selected);
  const events = (timeline.value.value?.events ?? []).filter((of) => !frozen.value || of.number < frozen.value.events);
  const marks = marksOf(events, rollout.deliveries ?? [], [
    ...(comparison.failed_at ? [{ at: comparison.failed_at, words: `proved after ${span(comparison.seconds_to_fail ?? 0)}`, sign: "◆" as const }] : []),
    ...(comparison.automatic_at && comparison.automatic_at !== comparison.failed_at ? [{ at: comparison.automatic_at, words: "enough to act", sign: "◆" as const }] : []),
  ]);
  const spoken = useSeldom(`${look.word}: ${harmless(headline ?? "", 400)}`, SPOKEN_MS);
  const then = next(rollout, comparison);
  return (
    <>
      {/* Numbers change all the time; what is read aloud is the verdict alone. */}
      <p class="unseen" aria-live="polite">
        {spoken}
      </p>
      <section class={`verdict ${look.tone}`} aria-label="Verdict">
        <p class="headline">
          <Badge look={look} /> <span>{harmless(headline ?? "", 400)}</span>
        </p>
        {reasons.filter((sentence) => !sentence.startsWith("To accept it, --policy") && !isLate(sentence)).map((sentence) => (
          <p key={sentence}>
            <Said words={sentence} />
          </p>
        ))}
        {comparison.changed_groups.length > 0 && comparison.verdict === "inconclusive" && <Changes comparison={comparison} />}
        {comparison.changed_groups.length > 0 && comparison.verdict === "inconclusive" && (
          <p>
            <b>Next:</b> somebody accepts each change (<a href="#act">Act on it</a>, or <code>expect: [{comparison.changed_groups.join(", ")}]</code> in the policy of the next rollout), or rolls back.
          </p>
        )}
        <p class="links">
          {affected && (
            <a href="#affected" onClick={() => (showUsers.value = true)}>
              {users === null ? `The ${comparison.unit}s that ${affected.met}` : `The ${grouped(users)} ${comparison.unit}${users === 1 ? "" : "s"} that met it`}
            </a>
          )}
          {(comparison.evidence.length > 0 || comparison.templates.failing.length > 0) && (
            <a href="#lines" onClick={() => (showLines.value = true)}>
              {linesWords(comparison)}
            </a>
          )}
          {blames(comparison).length > 0 && (
            <a href="#beside" onClick={() => (showBeside.value = true)}>
              Rollouts at the same time
            </a>
          )}
          {(comparison.by_age?.says.length ?? 0) > 0 && comparison.verdict !== "invalid" && (
            <a href="#ages" onClick={() => (showAges.value = true)}>
              By age
            </a>
          )}
          <a href={rolloutPath(rollout.id, "timeline")}>Decisions</a>
          {canSearch() && <a href={comparePath(comparison)}>Compare the arms</a>}
          {comparison.templates.listed.length === 0 && testedOf(comparison) === 0 ? (
            // Nothing to see there.
            <span class="aside">No log line could be tested yet</span>
          ) : (
          <a href={rolloutPath(rollout.id, "templates")}>{comparison.templates.listed.length === 0 ? "No log line differs" : comparison.templates.listed.length === 1 ? "1 log line differs" : `${comparison.templates.listed.length} log lines differ`}</a>
          )}
        </p>
        {/* What comes while somebody reads moves no link from under the pointer. */}
        {then && (
          <p>
            <b>{then[0]}:</b> {harmless(then[1], 400)}
          </p>
        )}
        {reasons.filter(isLate).map((sentence) => (
          <p key={sentence}>
            <Said words={sentence} />
          </p>
        ))}
      </section>
      {comparison.verdict === "invalid" && (
        <Note tone="invalid" title="Invalid comparison">
          <ul>
            {comparison.flaws.map((flaw) => (
              <li key={flaw}>
                {FLAWS[flaw]?.[0] ?? flaw}. {FLAWS[flaw]?.[1]}
              </li>
            ))}
          </ul>
        </Note>
      )}
      <Needs comparison={comparison} />
      <Checks comparison={comparison} />
      {param("adj") === "mix" && !mixAdjusted(comparison) && <p class="swap">Mix-adjusted was asked for, and there is no segment by which it can be told. Press <kbd>m</kbd> for raw numbers.</p>}
      <Guardrails comparison={comparison} rollout={rollout} course={course.value.value} selected={selected} select={select} />
      {course.value.value && row?.effect && comparison.verdict === "fail" && row.finding !== "regressed" && failing.length > 0 && (
        <p class="aside">
          The chart below is not of what failed: that is {failing.length === 1 ? "a new error line" : `${failing.length} new error lines`}, whose course stands under <a href={rolloutPath(rollout.id, "templates", "change=new")}>Templates</a>.
        </p>
      )}
      {course.value.value && row?.effect && (
        <DeltaChart course={until ? courseUntil(course.value.value, until) : course.value.value} guardrail={selected} label={row.above?.threshold_ms != null ? `${row.label}: part that takes longer than ${millis(row.above.threshold_ms)}` : row.label} kind={row.effect.kind} margin={row.margin} marks={marks} swap={isSwapped()} />
      )}
      {comparison.limits.length > 0 && (
        <Scroll label="Absolute limits"><table class="numbers">
          <caption>Absolute limits, both arms together over five minutes</caption>
          <thead>
            <tr>
              <th scope="col">limit</th>
              <th scope="col" class="number">
                allowed
              </th>
              <th scope="col" class="number">
                now
              </th>
              <th scope="col">stands</th>
            </tr>
          </thead>
          <tbody>
            {comparison.limits.map((limit) => (
              <tr key={limit.limit}>
                <th scope="row">{limit.limit}</th>
                <td class="number">{percent(limit.allowed)}</td>
                <td class="number">{percent(limit.both)}</td>
                <td>{limit.broken ? "broken" : limit.holds_back ? "holds back a pass" : "kept"}</td>
              </tr>
            ))}
          </tbody>
        </table></Scroll>
      )}
      {affected && (
        <details class="more" id="affected" open={showUsers.value} onToggle={(event) => (showUsers.value = event.currentTarget.open)}>
          <summary>
            {`The ${comparison.unit}s that ${affected.met}`}
            {users !== null && ` (${grouped(users)})`}
          </summary>
          {showUsers.value && <Affected comparison={comparison} queries={affected.queries} met={affected.met} version={affected.version} expected={affected.expected} />}
          <p>
            <a href={rolloutPath(rollout.id, "explain", `metric=${affected.name}`)}>Arm by arm, by field</a>
          </p>
        </details>
      )}
      <Lines comparison={comparison} open={showLines} />
      <Beside comparison={comparison} open={showBeside} swap={isSwapped()} />
      <Ages comparison={comparison} open={showAges} swap={isSwapped()} />
      <Services comparison={comparison} />
    </>
  );
}

/** What changed, with its lines on both sides. */
function Changes({ comparison }: { comparison: Comparison }) {
  const list = (comparison.changes ?? []).filter((of) => of.lines && (of.lines.baseline || of.lines.canary));
  if (list.length === 0 || !canSearch()) return null;
  return (
    <details>
      <summary>Lines of what changed</summary>
      <ul>
        {list.slice(0, 20).map((of) => (
          <li key={`${of.group}${of.what}`}>
            {CHANGES[of.group] ?? of.group}
            {of.what && `: ${harmless(of.what, 80)}`}
            {(["baseline", "canary"] as const).map((arm) => {
              const counted = of.lines?.[arm];
              return counted ? (
                <span key={arm}>
                  {arm === "baseline" ? ": " : ", "}
                  <PlaceLink query={counted.query}>{counted.count === null ? "lines" : grouped(counted.count)}</PlaceLink> {UNITS[counted.counted] ?? counted.counted}{" "}
                  <span class={arm === "canary" ? "candidate" : "baseline"}>{arm}</span>
                </span>
              ) : null;
            })}
          </li>
        ))}
      </ul>
    </details>
  );
}

/** What a count counts, for people. */
const UNITS: Record<string, string> = { lines: "lines of the", _unit: "users of the", trace_id: "requests of the" };

/** How many times as long half of the canary's requests take; 0 where it is not known. */
const slower = (of: Comparison["by_service"][number]): number => (of.baseline.p50_ms && of.canary.p50_ms ? of.canary.p50_ms / of.baseline.p50_ms : 0);

function Services({ comparison }: { comparison: Comparison }) {
  const rate = (value: number | null | undefined): string => (value == null ? "–" : three(value));
  const ends = apartOf(comparison);
  const some = comparison.by_service.filter((of) => of.baseline.requests + of.canary.requests + of.baseline.lines + of.canary.lines > 0);
  // Nothing is no link.
  const linked = (count: number, query: string | null | undefined) => <PlaceLink query={count > 0 ? query : null}>{grouped(count)}</PlaceLink>;
  return (
    <details class="more" id="services">
      <summary>Every service of the release, by arm</summary>
      <Scroll label="Services by arm">
        <table class="numbers">
          <caption>
            Services of the release by arm, those first that became slowest. Plain counts: a service that waits for another is slow with it. {STEPS}
            {ends && (
              <>
                {" "}
                All the time is counted, {span(between(comparison.started_at, comparison.ended_at))}; the table above is of the time while both ran.
              </>
            )}
          </caption>
          <thead>
            <tr>
              <th scope="col">service</th>
              <th scope="col">arm</th>
              <th scope="col" class="number">requests</th>
              <th scope="col" class="number">failed</th>
              <th scope="col" class="number">p50</th>
              <th scope="col" class="number">canary : baseline</th>
              <th scope="col" class="number">p99</th>
              <th scope="col" class="number">error lines / request</th>
              <th scope="col" class="number">lines</th>
            </tr>
          </thead>
          <tbody>
            {some.toSorted((x, y) => slower(y) - slower(x)).flatMap((of) =>
              (["baseline", "canary"] as const).map((arm) => (
                <tr key={`${of.environment}/${of.service}/${arm}`}>
                  <th scope="row">{harmless(of.service, 60)}</th>
                  <td class={arm === "canary" ? "candidate" : "baseline"}>{arm}</td>
                  <td class="number">
                    {linked(of[arm].requests, of.queries?.[arm]?.requests)}
                  </td>
                  <td class="number">
                    {linked(of[arm].errors, of.queries?.[arm]?.errors)}
                  </td>
                  <td class="number">{millis(of[arm].p50_ms)}</td>
                  <td class="number">{arm === "canary" && slower(of) > 0 ? `×${three(slower(of))}` : ""}</td>
                  <td class="number">{millis(of[arm].p99_ms)}</td>
                  <td class="number">{rate(of[arm].per_request.error_lines)}</td>
                  <td class="number">
                    {linked(of[arm].lines, `${term("_service", of.service)} ${term("_arm", arm === "baseline" ? comparison.control : comparison.candidate)} _time:[${comparison.started_at} TO ${comparison.ended_at}]`)}
                  </td>
                </tr>
              )),
            )}
          </tbody>
        </table>
      </Scroll>
    </details>
  );
}
