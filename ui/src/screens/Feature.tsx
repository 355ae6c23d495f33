// Who uses a feature: how many took it up and how soon, which segments, how far they come, and whether they return.

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { FirstUse, interval, type Curve } from "../components/FirstUse";
import { canSearch, PlaceLink } from "../components/Lines";
import { Badge, Copy, Loading, Note, Scroll, Time } from "../components/parts";
import { domainOf, scaleWords, Whisker } from "../components/Whisker";
import { get } from "../lib/api";
import { asCommand } from "../lib/command";
import { between, effectWords, grouped, harmless, percent, signed, span } from "../lib/format";
import { param, setQuery } from "../lib/router";
import type { Comparison, CurvePoint, Effect, Estimate, FunnelStep, GroupTable, RolloutFull, WhoAnswer, WhoSegment } from "../lib/types";
import { ASKED, whoPath } from "../lib/who";
import type { Look } from "../lib/words";

/** What is offered as a use while nobody has said what one is. */
const OFFERED = 8;
/** Segments that are not found, before the others are asked for. */
const NOT_FOUND = 5;

const MORE: Look = { tone: "changed", sign: "▲", word: "more" };
const LESS: Look = { tone: "changed", sign: "▼", word: "less" };
const ALIKE: Look = { tone: "unclear", sign: "○", word: "not shown" };

const ratio = (of: Estimate): Effect => ({ kind: "ratio", estimate: of.value, low: of.low, high: of.high });
const quoted = (text: string): string => `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;

interface Offer {
  query: string;
  words: string;
  users: number;
}

/** The question for routes: of the arms and of the time that the answer is of, so that both count the same. */
export function offersAsked(rollout: Pick<RolloutFull, "services">, comparison: Pick<Comparison, "control" | "candidate" | "started_at" | "ended_at">): { service: string; asked: URLSearchParams } {
  const any = (field: string, values: string[]): string => (values.length > 1 ? `(${values.map((of) => `${field}:${quoted(of)}`).join(" OR ")})` : values.map((of) => `${field}:${quoted(of)}`).join(""));
  const service = any("_service", rollout.services);
  const q = ["_kind:request", "_failed:false", service, any("_arm", [comparison.control, comparison.candidate])].filter(Boolean).join(" AND ");
  return { service, asked: new URLSearchParams({ by: "_route", distinct: "_unit", size: "50", since: comparison.started_at, until: comparison.ended_at, q }) };
}

/** Routes of the rollout's services with their users: each could be the feature. */
async function offers(rollout: RolloutFull, comparison: Comparison, signal: AbortSignal): Promise<Offer[]> {
  const { service, asked } = offersAsked(rollout, comparison);
  const table = await get<GroupTable>(`/v1/aggregate?${asked}`, signal);
  return table.groups
    .flatMap((of) => (of.key._route ? [{ query: [service, `_route:${quoted(of.key._route)}`, "_failed:false"].filter(Boolean).join(" "), words: of.key._route, users: of.distinct ?? 0 }] : []))
    .toSorted((a, b) => b.users - a.users)
    .slice(0, OFFERED);
}

export function Feature({ rollout, comparison }: { rollout: RolloutFull; comparison: Comparison }) {
  const answer = useSignal<WhoAnswer | null>(null);
  const list = useSignal<Offer[] | null>(null);
  const problem = useSignal("");
  const asking = useSignal(0);
  const isBusy = useSignal(false);
  const to = whoPath(rollout.id);
  const search = canSearch();
  useEffect(() => {
    if (!search) return;
    const stopping = new AbortController();
    problem.value = "";
    const fail = (error: unknown): void => {
      if (!stopping.signal.aborted) problem.value = error instanceof Error ? error.message : String(error);
    };
    if (to) {
      isBusy.value = true;
      get<WhoAnswer>(to, stopping.signal)
        .then((of) => (answer.value = of), fail)
        .finally(() => {
          if (!stopping.signal.aborted) isBusy.value = false;
        });
    } else {
      answer.value = null;
      offers(rollout, comparison, stopping.signal).then((of) => (list.value = of), fail);
    }
    // Who leaves does not wait: the program stops as well.
    return () => stopping.abort();
  }, [to, search, asking.value]);
  if (!search) return <p class="aside">Who uses a feature is told from lines, and this program keeps none for search. From files <code>serin who</code> tells it.</p>;
  const of = to ? answer.value : null;
  return (
    <section aria-label="Who uses a feature">
      <h2>Who uses a feature</h2>
      <Form unit={comparison.unit} />
      {problem.value && (
        <Note tone="invalid" title="No answer">
          <pre class="said">{harmless(problem.value, 1_000)}</pre>
        </Note>
      )}
      {!to && (list.value === null ? !problem.value && <Loading what="Looking for routes…" /> : <Offers list={list.value} comparison={comparison} />)}
      {to && !of && !problem.value && <Loading what="Reading the lines of the rollout…" />}
      {of && (
        <>
          <p class="bar">
            <button type="button" disabled={isBusy.value} onClick={() => (asking.value += 1)}>
              Ask again
            </button>
            <Copy label="Copy as command" text={asCommand} />
            <span class="aside" role="status">
              {isBusy.value ? "asking…" : `${grouped(of.lines.read)} lines read in ${(of.took_ms / 1_000).toFixed(1)} s`}
            </span>
          </p>
          <Answer of={of} comparison={comparison} />
        </>
      )}
    </section>
  );
}

function Offers({ list, comparison }: { list: Offer[]; comparison: Comparison }) {
  const { unit } = comparison;
  if (list.length === 0) return <p>No request names a route, so nothing can be offered: a query says what a use is, for example <code>message:exported</code>.</p>;
  return (
    <div class="card">
      <p>
        What is a use of it? A query says so, or one of the routes that are asked for, here with the {unit}s of both arms from <Time at={comparison.started_at} /> to <Time at={comparison.ended_at} />:
      </p>
      <ul class="offers">
        {list.map((of) => (
          <li key={of.query}>
            <button type="button" onClick={() => setQuery({ used: of.query })}>
              <code>{harmless(of.words, 80)}</code>
            </button>{" "}
            <span class="aside">
              {grouped(of.users)} {unit}s
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

export function Form({ unit }: { unit: string }) {
  const more = param("steps") !== "" || param("within") !== "" || param("segment") !== "";
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const said = new FormData(form);
    // Without a use there is nothing to show.
    lacks.value = !String(said.get("used") ?? "").trim();
    if (lacks.value) {
      form.querySelector<HTMLInputElement>('[name="used"]')?.focus();
      return;
    }
    setQuery(Object.fromEntries(ASKED.map((key) => [key, String(said.get(key) ?? "").trim()])));
  };
  const lacks = useSignal(false);
  // What the address says fills the fields anew when it changes.
  const key = ASKED.map(param).join("\n");
  return (
    <form key={key} class="who" onSubmit={submit}>
      <label class="block">
        A use is
        <input type="text" name="used" spellcheck={false} placeholder={'_route:"/export" _failed:false'} defaultValue={param("used")} {...(lacks.value ? { "aria-invalid": true, "aria-describedby": "used-lacks" } : {})} />
      </label>
      <p id="used-lacks" role="alert" class="worse">
        {lacks.value && (
          <>
            Say what a use is: a query like those of Search, for example <code>_route:"/export"</code>, or choose one of the routes below.
          </>
        )}
      </p>
      <label class="block">
        Who could have used it <small class="inline">left empty: exposures that are logged, else everybody who was served by one of the arms</small>
        <input type="text" name="exposed" spellcheck={false} placeholder={'_route:"/menu"'} defaultValue={param("exposed")} />
      </label>
      <details open={more}>
        <summary>Funnel and segments</summary>
        <label class="block">
          Steps of a funnel, in order: NAME=QUERY, a line each
          <textarea name="steps" rows={3} spellcheck={false} placeholder={'cart=_route:"/cart"\npay=_route:"/checkout/pay"'} defaultValue={param("steps")} />
        </label>
        <label class="block">
          Funnel: from the first step to the last within
          <input type="text" name="within" placeholder="1h" defaultValue={param("within")} />
        </label>
        <label class="block">
          Fields whose values are segments of {unit}s, with commas
          <input type="text" name="segment" spellcheck={false} placeholder="country,device" defaultValue={param("segment")} />
        </label>
      </details>
      <p class="buttons">
        <button type="submit" class="main">
          Show
        </button>
        {param("used") && (
          <button type="button" onClick={() => setQuery(Object.fromEntries(ASKED.map((name) => [name, null])))}>
            Something else
          </button>
        )}
      </p>
    </form>
  );
}

function Answer({ of, comparison }: { of: WhoAnswer; comparison: Comparison }) {
  const { unit } = of.asked;
  if (of.adopted.exposed === 0) {
    return (
      <section class="empty">
        <h3>Nobody was exposed</h3>
        <p>
          No {unit} has a line of <code>{harmless(of.asked.exposed, 200)}</code> between <Time at={of.span[0]} /> and <Time at={of.span[1]} /> ({grouped(of.lines.read)} lines).
        </p>
        <p>Next: another query for who could have used it; Search shows which fields there are.</p>
      </section>
    );
  }
  const arms = inOrder(of, comparison);
  const curves: Curve[] =
    arms.length > 1
      ? arms.slice(0, 2).map((arm, at) => ({ name: arm.arm, tone: at === 0 ? "baseline" : "candidate", points: watchedCurve(arm.curve, watchedOf(arm.arm, comparison)) }))
      : [{ name: "all", tone: "ink", points: of.first_use.curve }];
  const median = of.first_use.median_s;
  const watched = (arm: string): number | null => watchedOf(arm, comparison);
  const age = commonAge(arms.slice(0, 2).map((arm) => ({ curve: arm.curve, watched: watched(arm.arm) })));
  return (
    <>
      <div class="card">
        <p class="headline">
          <PlaceLink query={of.queries?.used}>{grouped(of.adopted.used)}</PlaceLink> of <PlaceLink query={of.queries?.exposed}>{grouped(of.adopted.exposed)}</PlaceLink> {unit}s used it: {percent(of.adopted.rate?.value ?? null)}
        </p>
        <p>
          Between {percent(of.adopted.rate?.low ?? null)} and {percent(of.adopted.rate?.high ?? null)} with a certainty of 95 %, for one look alone. {median === null ? "Fewer than half have used it within this time." : `Half have used it within ${span(median)}.`} Exposed:{" "}
          {harmless(of.asked.exposed, 200)}. Read were all lines from <Time at={of.span[0]} /> to <Time at={of.span[1]} />.
        </p>
        <Caveats of={of} />
      </div>
      {arms.length > 1 && (
        <Scroll label="By arm">
          <table class="numbers">
            <caption>
              By arm, which is the first that a {unit} met.{" "}
              {age !== null && <>To compare the arms: what {unit}s had used {span(age)} after they were exposed, the longest that both arms were watched. What has come so far depends on how long each was watched. </>}
              Intervals are for one look alone; what a release does to business events is tested where the policy names them.
            </caption>
            <thead>
              {age !== null && (
                <tr>
                  <td />
                  <th scope="colgroup" class="number">
                    to compare
                  </th>
                  <th scope="colgroup" colSpan={3} class="number">
                    so far, not to compare
                  </th>
                </tr>
              )}
              <tr>
                <th scope="col">arm</th>
                {age !== null && (
                  <th scope="col" class="number">
                    used it within {span(age)} [95 %]
                  </th>
                )}
                <th scope="col" class="number">exposed</th>
                <th scope="col" class="number">used it</th>
                <th scope="col" class="number">watched for</th>
              </tr>
            </thead>
            <tbody>
              {arms.map((arm) => (
                <tr key={arm.arm}>
                  <th scope="row" class={toneOf(arm.arm, comparison)}>
                    {harmless(arm.arm, 60)}
                  </th>
                  {age !== null && <td class="number">{interval(usedAt(arm.curve, age))}</td>}
                  <td class="number">
                    <PlaceLink query={arm.lines?.exposed}>{grouped(arm.adopted.exposed)}</PlaceLink>
                  </td>
                  <td class="number">
                    <PlaceLink query={arm.lines?.used}>{grouped(arm.adopted.used)}</PlaceLink>
                  </td>
                  <td class="number">{watched(arm.arm) === null ? "–" : span(watched(arm.arm)!)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      <FirstUse curves={curves} unit={unit} />
      <SegmentTable of={of} />
      <Funnel of={of} arms={arms} comparison={comparison} />
      <Return of={of} />
    </>
  );
}

type Arm = WhoAnswer["arms"][number];

/** For how long an arm served, in seconds; `null` where that is not known. */
function watchedOf(arm: string, comparison: Comparison): number | null {
  const side = arm === comparison.control ? 0 : arm === comparison.candidate ? 1 : null;
  const until = side === null ? null : comparison.active_until?.[side];
  return until ? between(comparison.started_at, until) : null;
}

/** The last age of the curves that both arms reach while they serve, in seconds. */
export function commonAge(arms: { curve: CurvePoint[]; watched: number | null }[]): number | null {
  if (arms.length < 2) return null;
  const least = Math.min(...arms.map((arm) => Math.min(arm.watched ?? Infinity, arm.curve.at(-1)?.age_s ?? 0)));
  const ages = arms[0]!.curve.map((point) => point.age_s).filter((age) => age > 0 && age <= least);
  return ages.at(-1) ?? null;
}

/** A curve ends where the arm stopped: nobody was watched for longer. Its later points have no value, so that both arms have the same ages. */
export const watchedCurve = (curve: CurvePoint[], watched: number | null): CurvePoint[] => (watched === null ? curve : curve.map((point) => (point.age_s <= watched ? point : { ...point, used: { value: null, low: null, high: null } })));

/** What part had used it at an age. */
export const usedAt = (curve: CurvePoint[], age: number): Estimate | null => curve.findLast((point) => point.age_s <= age)?.used ?? null;

/** The baseline first, then the canary, then others. */
function inOrder(of: WhoAnswer, comparison: Comparison): Arm[] {
  const rank = (arm: Arm): number => (arm.arm === comparison.control ? 0 : arm.arm === comparison.candidate ? 1 : 2);
  return of.arms.toSorted((a, b) => rank(a) - rank(b));
}

const toneOf = (arm: string, comparison: Comparison): string => (arm === comparison.control ? "baseline" : arm === comparison.candidate ? "candidate" : "");

const PARTIAL: Record<string, string> = {
  time: "Not all lines were read in time: the latest are missing.",
  matches: "There are more lines than are read at once: the latest are missing.",
  damaged: "A part of the index cannot be read: its lines are missing.",
};

function Caveats({ of }: { of: WhoAnswer }) {
  const { unit } = of.asked;
  const list: string[] = [];
  if (of.partial) list.push(PARTIAL[of.partial] ?? of.partial);
  if (of.is_sampled) list.push("Only part of the lines is kept for search (--index sampled), and more of the canary's than of the baseline's: numbers describe the lines that are kept.");
  if (of.followed_one_of > 1) list.push(`One ${unit} in ${of.followed_one_of} is followed, by hash: numbers are multiples (± ${grouped(of.units.standard_error)} of all ${grouped(of.units.seen)}).`);
  if (of.used_without_exposure > 0) list.push(`${grouped(of.used_without_exposure)} ${unit}s used it without having been exposed before, and count nowhere.`);
  if (of.lines.without_unit > 0) list.push(`${grouped(of.lines.without_unit)} lines name no ${unit}, and count nowhere.`);
  if (list.length === 0) return null;
  return (
    <ul class="aside">
      {list.map((words) => (
        <li key={words}>{words}</li>
      ))}
    </ul>
  );
}

function SegmentTable({ of }: { of: WhoAnswer }) {
  const all = useSignal(false);
  if (of.segments.length === 0) {
    return (
      <p>
        {of.asked.segments.length === 0
          ? `No field of the first lines says who the ${of.asked.unit}s are; name some under “Funnel and segments”.`
          : `No segment of ${of.asked.segments.map((field) => harmless(field, 40)).join(", ")} has 30 ${of.asked.unit}s or more beside others.`}
      </p>
    );
  }
  // What has nearly the units of one that stands above it is told beside that one.
  const isTold = (at: number): boolean => of.segments.slice(0, at).some((other) => other.found && other.same_units.some((same) => same.field === of.segments[at]!.field && same.value === of.segments[at]!.value));
  const found = of.segments.filter((one, at) => one.found && !isTold(at));
  const others = of.segments.filter((one) => !one.found);
  const shown = all.value ? others : others.slice(0, NOT_FOUND);
  const rows = [...found, ...shown];
  const domain = domainOf(
    rows.map((one) => ({ effect: ratio(one.rate_ratio), margin: null })),
    "ratio",
  );
  return (
    <>
      <Scroll label="Segments">
        <table class="segments cards-if-narrow">
          <caption>
            Which segments take it up sooner or later than all others. {found.length === 0 ? "None was found" : `${found.length === 1 ? "One was" : `${found.length} were`} found`} among {grouped(of.segments_tested)}: the interval beside the drawing holds
            however often one looks; parts and lift are for one look alone. Who uses a feature chose it: this is selection, and no effect.
          </caption>
          <thead>
            <tr>
              <th scope="col">segment</th>
              <th scope="col">differs</th>
              <th scope="col" class="number">exposed</th>
              <th scope="col" class="number">used it</th>
              <th scope="col">first uses, times others’ [interval]</th>
              <th scope="col">
                <span class="unseen">drawn: {scaleWords("ratio", domain).join(", ")}</span>
              </th>
              <th scope="col">lift [one look]</th>
            </tr>
          </thead>
          <tbody>
            {rows.map((one) => (
              <SegmentRow key={`${one.field}=${one.value}`} one={one} domain={domain} unit={of.asked.unit} />
            ))}
          </tbody>
        </table>
      </Scroll>
      {others.length > NOT_FOUND && (
        <p>
          <button type="button" class="quiet" aria-pressed={all.value} onClick={() => (all.value = !all.value)}>
            {all.value ? "Fewer" : `${others.length - NOT_FOUND} more for which no difference is shown`}
          </button>
        </p>
      )}
    </>
  );
}

function SegmentRow({ one, domain, unit }: { one: WhoSegment; domain: number; unit: string }) {
  const look = !one.found ? ALIKE : (one.rate_ratio.value ?? 2) > 1 ? MORE : LESS;
  return (
    <tr>
      <th scope="row">
        {harmless(one.field, 40)} = {harmless(one.value, 60)}
        {one.same_units.length > 0 && <small>nearly the same {unit}s as {harmless(one.same_units.map((same) => `${same.field} = ${same.value}`).join(", "), 120)}</small>}
      </th>
      <td data-of="differs">
        <Badge look={look} />
      </td>
      <td class="number" data-of="exposed">
        <PlaceLink query={one.lines?.exposed}>{grouped(one.adopted.exposed)}</PlaceLink>
      </td>
      <td class="number" data-of="used it">
        <PlaceLink query={one.lines?.used}>{grouped(one.adopted.used)}</PlaceLink>
        <small>{interval(one.adopted.rate)}</small>
      </td>
      <td data-of="times others’">{effectWords(ratio(one.rate_ratio))}</td>
      <td class="drawing">
        <Whisker effect={ratio(one.rate_ratio)} margin={null} domain={domain} look={look} swap={false} />
      </td>
      <td data-of="lift">
        {one.lift ? <span class="whole">{effectWords(ratio(one.lift))}</span> : "–"}
        {one.difference && one.difference.value !== null && <small>{signed(one.difference.value * 100, 1)} points</small>}
      </td>
    </tr>
  );
}

const BAR = 160;

function FunnelBar({ step, tone }: { step: FunnelStep; tone: string }) {
  const part = step.of_first?.value ?? 0;
  return (
    <svg class="funnel" role="img" aria-label={percent(part)} viewBox={`0 0 ${BAR} 12`} width={BAR} height="12">
      <rect class="ground" x="0" y="0" width={BAR} height="12" />
      <rect class={tone} x="0" y="0" width={Math.max(part > 0 ? 1 : 0, part * BAR)} height="12" />
    </svg>
  );
}

function Funnel({ of, arms, comparison }: { of: WhoAnswer; arms: Arm[]; comparison: Comparison }) {
  if (of.steps.length < 2) return <p class="aside">No funnel was asked for: steps, in order, under “Funnel and segments”.</p>;
  const columns = arms.length > 1 ? arms.slice(0, 3).map((arm) => ({ name: arm.arm, tone: toneOf(arm.arm, comparison), steps: arm.funnel })) : [{ name: "all", tone: "", steps: of.steps }];
  return (
    <Scroll label="Funnel">
      <table class="numbers">
        <caption>
          Funnel: exposed {of.asked.unit}s that came through the steps in order within {harmless(of.asked.within, 20)}, and how many stayed behind at each (for one look alone)
        </caption>
        <thead>
          <tr>
            <th scope="col">step</th>
            {columns.map((column) => (
              <th scope="col" key={column.name} class={column.tone}>
                {harmless(column.name, 40)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {of.steps.map((step, at) => (
            <tr key={step.name}>
              <th scope="row">
                {at + 1}. {harmless(step.name, 60)}
              </th>
              {columns.map((column) => {
                const own = column.steps[at]!;
                const before = column.steps[at - 1];
                return (
                  <td key={column.name}>
                    <PlaceLink query={own.lines}>{grouped(own.units)}</PlaceLink> <FunnelBar step={own} tone={column.tone || "ink"} />
                    {before && (
                      <small>
                        {interval(own.of_before)} of the step before; {grouped(Math.max(0, before.units - own.units))} stayed behind
                      </small>
                    )}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

/** Counts of uses and of days, in their order, for people. */
const NAMES: Record<"uses" | "days", [string, string][]> = {
  uses: [["1", "1"], ["2-4", "2 to 4"], ["5-9", "5 to 9"], ["10+", "10 and more"]],
  days: [["1", "1"], ["2", "2"], ["3-6", "3 to 6"], ["7+", "7 and more"]],
};

function Return({ of }: { of: WhoAnswer }) {
  const used = of.adopted.used;
  if (used === 0) return <p>Nobody used it yet, so nobody can have come back.</p>;
  const days = Math.max(...of.retention.map((row) => row.again.length));
  const part = (count: number, all: number): string => percent(all > 0 ? count / all : 0);
  return (
    <>
      <Scroll label="How often">
        <table class="numbers">
          <caption>How often: {of.asked.unit}s that used it, by number of uses and of days with a use (for one look alone)</caption>
          <tbody>
            {(["uses", "days"] as const).map((what) => (
              <tr key={what}>
                <th scope="row">{what}</th>
                {NAMES[what].map(([name, words]) => (
                  <td key={name} class="number">
                    {words}: {part(of[what][name] ?? 0, used)}
                    <small>{grouped(of[what][name] ?? 0)}</small>
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      <Scroll label="Return">
        <table class="numbers triangle">
          <caption>Return: of those whose first use fell on a day (UTC), how many used it again so many days later (for one look alone; + the day is not over)</caption>
          <thead>
            <tr>
              <th scope="col">first use on</th>
              {Array.from({ length: days }, (_, day) => (
                <th scope="col" class="number" key={day}>
                  {day === 0 ? "day 0" : `day ${day}`}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {of.retention.map((row) => (
              <tr key={row.day}>
                <th scope="row">{row.day.slice(0, 10)}</th>
                {row.again.map((cell, day) => (
                  <td key={day} class={`number heat-${Math.round((cell.units / Math.max(1, row.units)) * 5)}`}>
                    <PlaceLink query={cell.lines}>{day === 0 ? grouped(cell.units) : part(cell.units, row.units)}</PlaceLink>
                    {!cell.whole_day && "+"}
                    {day > 0 && <small>{grouped(cell.units)}</small>}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {days < 2 && <p class="aside">A single day was seen: who comes back on another shows when there is one.</p>}
    </>
  );
}
