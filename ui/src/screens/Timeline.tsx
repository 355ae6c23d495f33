// What was decided when, on which evidence, and who or what acted?

import { signal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { armQuery, PlaceLink } from "../components/Lines";
import { Badge, Loading, Pill, Problem, Said, Scroll, Time } from "../components/parts";
import { type Frozen, frozen } from "../lib/asof";
import { useAsked } from "../lib/ask";
import { EVIDENCE, evidence, grouped, harmless, local } from "../lib/format";
import { useHeld } from "../lib/held";
import { withKeys } from "../lib/keys";
import { rolloutsVersion, toggleLive } from "../lib/live";
import { rolloutPath } from "../lib/router";
import type { Comparison, Delivery, RolloutFull, Timeline, TimelineEvent } from "../lib/types";
import { CHANGES, GUARDRAILS, lookOf, PHASES, reasonWords } from "../lib/words";

const isChange = (of: TimelineEvent): boolean => of.compared.some((one) => one.changed.length > 0);

function title(of: TimelineEvent): string {
  if (of.command === "mute" || of.command === "unmute") {
    const until = of.command === "mute" && of.until_ms !== null ? ` until ${local(of.until_ms)}` : "";
    return `${harmless(of.actor ?? "somebody", 60)} ${of.command === "mute" ? "muted" : "took the mute from"} the log line ${harmless(of.finding ?? "", 20)}${until}`;
  }
  if (of.command) {
    const what = of.command === "rollback" ? "rolled it back" : of.command === "hold" ? "held it" : of.command === "resume" ? "resumed it" : of.command === "approve" ? "approved" : `accepted ${CHANGES[of.finding ?? ""] ?? of.finding ?? "a change"}`;
    return `${harmless(of.actor ?? "somebody", 60)} ${what}`;
  }
  if (of.verdict_before === null) return "The comparison began";
  if (of.verdict !== of.verdict_before) return `The verdict became ${lookOf(of.verdict, isChange(of)).word}`;
  if (of.phase !== of.phase_before) return `Now ${PHASES[of.phase] ?? of.phase}`;
  if (of.over) return "The comparison ended";
  if (of.automatic) return "The evidence became enough to act on without a person";
  if (of.told.some((one) => one.event === "found")) return "The rollout was found in the log";
  return "Judged again: nothing that is told of changed";
}

/** What was compared, from when until it was decided. */
const spanOf = (one: TimelineEvent["compared"][number], rollout: RolloutFull) => ({ ...one, started_at: rollout.compared?.find((of) => of.candidate === one.candidate)?.began ?? rollout.began ?? one.at, ended_at: one.at });

/** When what is told of happened: a comparison began with its first window, and the ledger hears of it at the end of that. */
export function timeOf(of: Pick<TimelineEvent, "at" | "attempt" | "command" | "verdict_before" | "compared">, rollout: Pick<RolloutFull, "began" | "attempt" | "compared">): string | null {
  const began = rollout.compared?.find((one) => of.compared.some((other) => other.candidate === one.candidate))?.began ?? rollout.began;
  const isBegin = of.command === null && of.verdict_before === null && (rollout.attempt === undefined || of.attempt === rollout.attempt);
  return isBegin && began && of.at && Date.parse(began) < Date.parse(of.at) ? began : of.at;
}

/** The step as it stands after the decision, and that the one before has passed. */
export const stepWords = (of: Pick<TimelineEvent, "step" | "step_before">): string =>
  of.step_before !== null && of.step > of.step_before ? `step ${of.step} passed, step ${of.step + 1} begins` : `step ${of.step + 1}`;

/**
 * What a comparison was worse by at a decision, as the ledger says it: guardrails, limits, and error lines with the largest evidence of
 * one of them. Their texts are in the report of that time (`then`), each with its own evidence; where that is not kept, in that of now, which
 * has had them since.
 */
export function worseBy(one: TimelineEvent["compared"][number], then: Pick<Comparison, "templates"> | undefined, now: Pick<Comparison, "templates"> | undefined): string {
  const words = (log10: number) => evidence(log10 * Math.LN10);
  const cells = one.regressed.filter((cell) => cell.guardrail !== "error_lines").map((cell) => `${GUARDRAILS[cell.guardrail] ?? cell.guardrail.replaceAll("_", " ")} (evidence ${words(cell.log10_e)})`);
  const limits = one.over_limit.map((name) => `the limit of ${name}`);
  const ofLines = one.regressed.find((cell) => cell.guardrail === "error_lines");
  const failing = (of: Pick<Comparison, "templates"> | undefined): Comparison["templates"]["listed"] => (of?.templates.listed ?? []).filter((line) => of!.templates.failing.includes(line.id));
  const text = (line: Comparison["templates"]["listed"][number]) => `error line “${harmless(line.text || line.id, 80)}”`;
  const seen = failing(now).filter((line) => Date.parse(line.first_seen) <= Date.parse(one.at));
  const lines = !ofLines
    ? []
    : then && failing(then).length > 0
      ? failing(then).map((line) => `${text(line)} (evidence ${evidence(line.log_e)})`)
      : [`${seen.length > 0 ? seen.map(text).join(", ") : "error lines, new or more frequent"} (evidence ${words(ofLines.log10_e)})`];
  return [...lines, ...cells, ...limits].join(", ") || (one.verdict === "fail" ? "all of its evidence together" : "–");
}

/** A report is shown a moment after what it says was decided. */
const AFTER_MS = 1_500;

const asofPath = (clock: number): string => `/v1/asof?at=${encodeURIComponent(new Date(clock + AFTER_MS).toISOString())}`;

/** What was said at a time stays. */
const NEVER = signal(0);

/** Times that are so far apart, in milliseconds, are of two clocks: that of the log and that of the wall. */
const TWO_CLOCKS_MS = 60_000;

function DeliveryLine({ of, decided }: { of: Delivery; decided: number | null }) {
  const state = of.state === "taken" ? "acknowledged" : of.state === "waiting" ? "on its way" : `given up: ${of.why ?? ""}`;
  return (
    <li>
      Hook <b>{harmless(of.hook, 60)}</b> was told “{of.event}” at <Time at={of.decided_ms} />{decided !== null && Math.abs(of.decided_ms - decided) > TWO_CLOCKS_MS && " by the clock of this machine"}: {state}
      {of.ended_ms !== null && (
        <>
          {" "}
          at <Time at={of.ended_ms} />
        </>
      )}{" "}
      <small>{of.id}</small>
    </li>
  );
}

/**
 * The entry that made the verdict which the report gives reasons for: the latest in which the verdict became what it is.
 * Its reasons are those of the Verdict at the time, in the same words.
 */
export function decided(events: TimelineEvent[], list: Pick<Comparison, "verdict" | "candidate">[]): number | null {
  const last = events.find((of) => of.command === null && of.verdict !== of.verdict_before);
  const isStanding = last !== undefined && last.verdict_before !== null && list.length > 0 && list.every((one) => one.verdict === last.verdict && last.compared.some((of) => of.candidate === one.candidate));
  return isStanding ? last.number : null;
}

/** Why, in the words of the Verdict: what it is, and what it rests on most. */
export const whyWords = (of: Pick<Comparison, "service" | "reasons">, isOneOfMany: boolean): string => {
  const [headline, strongest] = of.reasons;
  return `${isOneOfMany ? `${of.service}: ` : ""}${[headline, strongest && !/^(The logs proved|The rollout ended|Nobody should|It is not enough|Enough)/.test(strongest) ? strongest : ""].filter(Boolean).join(" ")}`;
};

/** Why the verdict became what it is, as the report said it at the time; what the ledger says where that report is not kept. */
function WhyThen({ of, clock, list }: { of: TimelineEvent; clock: number | null; list: Comparison[] }) {
  const asked = useAsked<Frozen>(clock === null ? "" : asofPath(clock), NEVER);
  const then = saidThen(of, list, asked.value.value?.report.comparisons ?? []);
  if (then.length === 0) return of.reason ? <p>{harmless(reasonWords(of.reason), 400)}</p> : null;
  return (
    <>
      {then.map((one) => (
        <p key={`${one.service}${one.candidate}`}>
          <Said words={whyWords(one, then.length > 1)} />
        </p>
      ))}
    </>
  );
}

/** What a report of the time of a decision says of it: nothing where its verdict is not yet, or no more, the one that was decided. */
export function saidThen<T extends Pick<Comparison, "service" | "candidate" | "verdict">>(of: Pick<TimelineEvent, "verdict">, list: Pick<Comparison, "service" | "candidate">[], then: T[]): T[] {
  const said = list.flatMap((one) => then.filter((other) => other.service === one.service && other.candidate === one.candidate));
  return said.length === list.length && said.every((one) => one.verdict === of.verdict) ? said : [];
}

/** What was compared, in numbers of the time. */
function Numbers({ of, clock, rollout, list }: { of: TimelineEvent; clock: number | null; rollout: RolloutFull; list: Comparison[] }) {
  const [isOpen, set] = useState(false);
  const asked = useAsked<Frozen>(isOpen && clock !== null && of.verdict === "fail" ? asofPath(clock) : "", NEVER);
  const reports = asked.value.value?.report.comparisons;
  const isOf = (one: TimelineEvent["compared"][number]) => (other: Comparison) => other.candidate === one.candidate && (other.service === one.service || other.service.startsWith(`${one.service} in `));
  return (
    <details onToggle={(event) => set(event.currentTarget.open)}>
      <summary>The numbers as they were</summary>
      <Scroll label="Numbers at this decision"><table class="numbers">
        <caption class="unseen">Numbers at this decision</caption>
        <thead>
          <tr>
            <th scope="col">service</th>
            <th scope="col">verdict</th>
            <th scope="col" class="number">units</th>
            <th scope="col" class="number" title="of all guardrails and new lines together, each with its weight">evidence, in sum</th>
            <th scope="col">worse by</th>
            <th scope="col">flaws and changes</th>
          </tr>
        </thead>
        <tbody>
          {of.compared.map((one) => (
            <tr key={`${one.service}${one.candidate}`}>
              <th scope="row">
                {harmless(one.service, 60)}
                <small>
                  {harmless(one.control, 40)} → {harmless(one.candidate, 40)}
                </small>
              </th>
              <td>{lookOf(one.verdict, one.changed.length > 0).word}</td>
              <td class="number">
                <PlaceLink query={armQuery(spanOf(one, rollout), 0, "_kind:request")}>{grouped(one.units[0])}</PlaceLink> + <PlaceLink query={armQuery(spanOf(one, rollout), 1, "_kind:request")}>{grouped(one.units[1])}</PlaceLink>
              </td>
              <td class="number" title={EVIDENCE}>{evidence(one.log10_e * Math.LN10)}</td>
              <td>{worseBy(one, reports?.find(isOf(one)), list.find(isOf(one)))}</td>
              <td>{[...one.flaws, ...one.changed].map((word) => word.replaceAll("_", " ")).join(", ") || "–"}</td>
            </tr>
          ))}
        </tbody>
      </table></Scroll>
    </details>
  );
}

export function TimelineScreen({ rollout, list }: { rollout: RolloutFull; list: Comparison[] }) {
  const asked = useAsked<Timeline>(`/v1/rollouts/${encodeURIComponent(rollout.id)}/timeline`, rolloutsVersion);
  const { value, error } = asked.value;
  const box = useRef<HTMLOListElement>(null);
  // Who looks at an earlier time sees nothing of what came after it.
  const kept = frozen.value;
  const all = value?.events;
  const wanted = useMemo(() => (all ?? []).filter((of) => !kept || of.number < kept.events), [all, kept]);
  const held = useHeld(wanted, (of) => String(of.number), box);
  useLayoutEffect(
    () => withKeys([{ key: ".", words: "show what came meanwhile, else pause or resume", run: () => (held.pending > 0 ? held.apply() : toggleLive()) }]),
    [held.pending],
  );
  if (!value) return error ? <Problem words={error} /> : <Loading what="Asking for decisions…" />;
  const events = held.rows;
  const same = decided(wanted, list);
  if (events.length === 0) return <p>Nothing was decided yet.</p>;
  return (
    <>
      <Pill pending={held.pending} apply={held.apply} words="what came meanwhile" />
      <ol class="timeline" ref={box}>
        {events.map((of) => {
          const deliveries = (rollout.deliveries ?? []).filter((one) => of.told.some((told) => told.generation === one.generation));
          // Reports are kept by the clock, and a decision is of the log's time: when it was told, or commanded, is known by the clock.
          const clock = of.clock_ms ?? deliveries[0]?.decided_ms ?? null;
          const isChanged = isChange(of);
          return (
            <li key={of.number} class={lookOf(of.verdict, isChanged).tone}>
              <p class="when">
                {of.at && <Time at={timeOf(of, rollout) ?? of.at} />}
                {clock !== null && (
                  <small>
                    <a href={rolloutPath(rollout.id, "", `asof=${new Date(clock + AFTER_MS).toISOString()}`)}>as it was then</a>
                  </small>
                )}
                {of.clock_ms !== null && <small>on the clock {<Time at={of.clock_ms} />}</small>}
              </p>
              <div>
                <p class="what">
                  <Badge look={lookOf(of.verdict, isChanged)}>
                    <span class="unseen">{lookOf(of.verdict, isChanged).word}</span>
                  </Badge>{" "}
                  {title(of)}
                  {of.phase_before !== null && of.phase !== of.phase_before && of.verdict !== of.verdict_before && `; ${PHASES[of.phase] ?? of.phase}`}
                </p>
                {of.command_reason && <p>“{harmless(of.command_reason, 500)}”</p>}
                {of.number === same
                  ? <WhyThen of={of} clock={clock} list={list} />
                  : // What came after the verdict and left it as it was has the reason that stands below.
                    of.reason && !(same !== null && of.number > same && of.verdict === of.verdict_before) && <p>{harmless(reasonWords(of.reason), 400)}</p>}
                {of.over &&
                  of.verdict === of.verdict_before &&
                  list.flatMap((one) => one.reasons.filter((sentence) => sentence.startsWith("The rollout ended"))).map((sentence) => (
                    <p key={sentence}>
                      <Said words={sentence} />
                    </p>
                  ))}
                {deliveries.length > 0 && (
                  <ul>
                    {deliveries.map((one) => (
                      <DeliveryLine key={one.id} of={one} decided={of.at === null ? null : Date.parse(of.at)} />
                    ))}
                  </ul>
                )}
                {deliveries.length === 0 && of.told.length > 0 && <p class="aside">Event “{of.told.map((one) => one.event).join("”, “")}”: no hook is told of it (or its delivery is no longer kept).</p>}
                <Numbers of={of} clock={clock} rollout={rollout} list={list} />
                <p class="aside">
                  attempt {of.attempt}, {stepWords(of)}, {of.command === null && of.row !== null && "decided as time passed, "}{of.row === null ? `ledger entry ${of.entry}` : `row ${of.row} of the journal, after ledger entry ${of.entry}`}
                  {of.finding !== null && (of.command === "mute" || of.command === "unmute") && (
                    <>
                      , <a href={`/templates/${of.finding}`}>the line</a>
                    </>
                  )}
                </p>
              </div>
            </li>
          );
        })}
      </ol>
      {value.forgotten > 0 && <p class="aside">{grouped(value.forgotten)} older events are forgotten; the ledger has them (serin show).</p>}
    </>
  );
}
