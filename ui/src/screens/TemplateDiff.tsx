// Which log lines are new, gone or shifted in the canary?

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Affected } from "../components/Affected";
import { armQuery as linesOf, canSearch, LineAt, PlaceLink } from "../components/Lines";
import { MuteButton } from "../components/Mute";
import { Note, Pill, Scroll, Time } from "../components/parts";
import { Trend } from "../components/Trend";
import { EVIDENCE, evidence, grouped, harmless, percent, three } from "../lib/format";
import { useHeld } from "../lib/held";
import { withKeys } from "../lib/keys";
import { toggleLive } from "../lib/live";
import { param, setQuery } from "../lib/router";
import { type SideBySide, UNITS, useSideBySide } from "../lib/sidebyside";
import { useSteady } from "../lib/steady";
import { ratioOf, type Trends, trendsOf } from "../lib/trends";
import type { Comparison, Muted, Num, RolloutFull, Template } from "../lib/types";
import { isSwapped } from "./Rollout";

type Change = Template["change"];
const CHANGES: [Change, string][] = [
  ["new", "new"],
  ["up", "up"],
  ["down", "down"],
  ["gone", "gone"],
];
const TURNED: Record<Change, Change> = { new: "gone", gone: "new", up: "down", down: "up" };
/** Rows that are drawn before somebody asks for more. */
const SHOWN = 100;
/** Lines of each side in an open row. */
const EXAMPLES = 3;

const rate = (value: Num): string => (value === null ? "–" : value === 0 ? "0" : three(value));

/** What a count of zero still allows: 3/n bounds the share at 95 % (Hanley and Lippman-Hand 1983). */
export function zeroWords(comparison: Pick<Comparison, "units" | "unit">, side: 0 | 1, both: SideBySide | null): string {
  // Of an arm that goes on, those who were there while both ran, as the verdict counts: they met it no more than all did.
  const goesOn = both?.longer === side ? both : null;
  if (goesOn?.isAwaited) return "…";
  const units = goesOn?.values.get(UNITS) ?? comparison.units[side];
  return `0 of ${grouped(units)} ${comparison.unit}s: at most ${percent(Math.min(1, 3 / Math.max(1, units)))} (95 %)`;
}

function ratioWords(of: Template, swap: boolean, comparison: Comparison, both: SideBySide | null): string {
  if (of.change === "new") return zeroWords(comparison, 0, both);
  if (of.change === "gone") return zeroWords(comparison, 1, both);
  const turned = <T,>([x, y]: [T, T]): [T, T] => (swap ? [y, x] : [x, y]);
  const found = ratioOf(turned(of.units), turned(comparison.units));
  return found ? `×${three(found[0])} [${three(found[1])}, ${three(found[2])}]` : "–";
}

/** By what rows are in order; first the one that the program tells them in. */
const ORDERS: [string, string, ((of: Template, comparison: Comparison) => number) | null][] = [
  ["", "strongest evidence first", null],
  ["-ratio", "largest ratio first", (of, comparison) => (of.change === "new" ? Infinity : of.change === "gone" ? 0 : (ratioOf(of.units, comparison.units)?.[0] ?? 1))],
  ["-canary", "most in the canary first", (of) => of.per_thousand_requests[1] ?? 0],
  ["-first", "newest first", (of) => Date.parse(of.first_seen)],
];

/** What rates are told by. */
const PER: [string, string][] = [
  ["", "for 1,000 requests"],
  ["unit", ""],
];

/** Ids in a key of the address, with commas. */
const idsOf = (key: string): string[] => param(key).split(",").filter(Boolean);

/** Opens or closes a row. The key may name what is open on another tab: that goes. */
function toggleOpen(id: string): void {
  const ids = idsOf("sel").filter((of) => /^[0-9a-f]{16}$/.test(of));
  setQuery({ sel: (ids.includes(id) ? ids.filter((of) => of !== id) : [...ids, id]).join(",") });
}

/** Adds an id to a key of the address, or takes it out. */
function toggle(key: string, id: string): void {
  const ids = idsOf(key);
  setQuery({ [key]: (ids.includes(id) ? ids.filter((of) => of !== id) : [...ids, id]).join(",") });
}

interface RowOf {
  trends: Trends | null;
  both: SideBySide | null;
  of: Template;
  comparison: Comparison;
  rollout: string;
  swap: boolean;
  muted: Muted | undefined;
}

/** What a side meets of it: lines for 1,000 requests, or the part of its users. */
function sideWords(of: Template, comparison: Comparison, side: 0 | 1): string {
  if (param("per") === "unit") return comparison.units[side] > 0 ? percent(of.units[side] / comparison.units[side]) : "–";
  return rate(of.per_thousand_requests[side]!);
}

function Row({ of, comparison, rollout, swap, muted, trends, both }: RowOf) {
  const open = idsOf("sel").includes(of.id);
  const isMarked = idsOf("mark").includes(of.id);
  const change = swap ? TURNED[of.change] : of.change;
  const sides: (0 | 1)[] = swap ? [1, 0] : [0, 1];
  const isFailing = comparison.templates.failing.includes(of.id);
  return (
    <>
      <tr class={`${of.level === "error or worse" ? "severe" : ""} ${isMarked ? "marked" : ""}`}>
        <td>
          {isMarked && <span title="marked">{"●"} <span class="unseen">marked</span></span>}
          <span class={`change ${change}`}>{change === "up" || change === "down" ? change : change.toUpperCase()}</span>
          <small>{of.level === "error or worse" ? "error" : "below error"}</small>
        </td>
        <th scope="row">
          <button type="button" class="quiet template" aria-expanded={open} data-id={of.id} onClick={() => toggleOpen(of.id)}>
            <code>{of.text ? masked(of.text) : `(text not kept) ${of.id}`}</code>
          </button>
          {isFailing && <small class="worse">one of the reasons for the verdict</small>}
          {muted && (
            <small>
              muted by {harmless(muted.actor, 60)} until <Time at={muted.until_ms} />: “{harmless(muted.reason, 200)}”
            </small>
          )}
          {of.instead_of && <small>instead of one that reads alike</small>}
        </th>
        {sides.map((side) => (
          <td class={`number ${side === 0 ? "baseline" : "candidate"}`} key={side} data-of={side === 0 ? "baseline" : "canary"}>
            <PlaceLink query={armQuery(of, comparison, side)}>{sideWords(of, comparison, side)}</PlaceLink>
            <small>
              {grouped(of.units[side]!)} {of.units[side] === 1 ? comparison.unit : `${comparison.unit}s`}
            </small>
          </td>
        ))}
        <td class="ratio" data-of="ratio">
          {ratioWords(of, swap, comparison, both)}
        </td>
        <td class="trend">
          <Trend of={trends?.get(of.id)} swap={swap} />
        </td>
        <td data-of="evidence" title={EVIDENCE}>
          {evidence(of.log_e)}
        </td>
        <td data-of="first seen">
          <Time at={of.first_seen} />
        </td>
      </tr>
      {open && (
        <tr class="detail">
          <td colSpan={8}>
            <p>
              Lines: <PlaceLink query={armQuery(of, comparison, 0)}>{grouped(of.lines[0])}</PlaceLink> of the baseline, <PlaceLink query={armQuery(of, comparison, 1)}>{grouped(of.lines[1])}</PlaceLink> of the canary
              {of.lines[2] > 0 && `, ${grouped(of.lines[2])} of no known arm`}.{" "}
              <span class="aside">template {of.id}</span>
            </p>
            <p class="links">
              {of.query && canSearch() && <PlaceLink query={of.query}>All its lines</PlaceLink>}
              <a href={`/templates/${of.id}`}>Its page</a>
              <button type="button" class="quiet small" onClick={() => setQuery({ only: of.id })}>
                only this one
              </button>
              <button type="button" class="quiet small" onClick={() => toggle("not", of.id)}>
                without it
              </button>
              <MuteButton rollout={rollout} template={of.id} text={of.text} muted={muted} />
            </p>
            {canSearch() && of.units[1] > 0 && (
              <details>
                <summary>
                  Who met it in the canary ({grouped(of.units[1])} {of.units[1] === 1 ? comparison.unit : `${comparison.unit}s`})
                </summary>
                <Affected comparison={comparison} queries={queriesOf(of.id, comparison)} met="met this line" version={of.lines.join(" ")} expected={of.lines[1]} />
              </details>
            )}
            {(["baseline", "canary", "unattributed"] as const).map((side) =>
              of[side].length === 0 ? null : (
                <div key={side}>
                  <h4 class={side === "canary" ? "candidate" : side === "baseline" ? "baseline" : ""}>{side === "unattributed" ? "no known arm" : side}</h4>
                  <ol class="places">
                    {of[side].slice(0, EXAMPLES).map((place) => (
                      <li key={`${place.stream}/${place.offset}`}>
                        {canSearch() ? (
                          <LineAt place={place} template={of.text} />
                        ) : (
                          <>
                            <Time at={place.time} /> {harmless(place.stream, 80)}, byte {grouped(place.offset)}
                          </>
                        )}
                      </li>
                    ))}
                  </ol>
                </div>
              ),
            )}
          </td>
        </tr>
      )}
    </>
  );
}

/** The lines of a template in either arm. */
const queriesOf = (id: string, comparison: Comparison): [string, string] => [linesOf(comparison, 0, `_template:${id}`), linesOf(comparison, 1, `_template:${id}`)];

/** The lines of a template in one arm. */
function armQuery(of: Template, comparison: Comparison, side: 0 | 1): string | null {
  return of.query ? `${of.query} AND _arm:"${(side === 0 ? comparison.control : comparison.candidate).replaceAll('"', '\\"')}"` : null;
}

/** A template with its masked values set apart. */
function masked(text: string) {
  return harmless(text, 400)
    .split("<*>")
    .flatMap((part, at) => (at === 0 ? [part] : [<mark key={at}>{"<*>"}</mark>, part]));
}

export function TemplateDiff({ rollout, comparison }: { rollout: RolloutFull; comparison: Comparison }) {
  const { templates } = comparison;
  const swap = isSwapped();
  const show = param("change") as Change | "";
  const level = param("level");
  const find = param("q").toLowerCase();
  const [most, setMost] = useState(SHOWN);
  const input = useRef<HTMLInputElement>(null);
  const box = useRef<HTMLTableSectionElement>(null);
  const trends = useSignal<Trends | null>(null);
  const both = useSideBySide(comparison);
  const sort = ORDERS.find(([name]) => name === param("sort")) ?? ORDERS[0]!;
  const sorted = useMemo(() => {
    const by = sort[2];
    return by ? templates.listed.toSorted((x, y) => by(y, comparison) - by(x, comparison)) : templates.listed;
  }, [templates.listed, sort[0]]);
  const held = useHeld(sorted, (one) => one.id, box);
  const [pending, apply] = [useRef(0), useRef(held.apply)];
  pending.current = held.pending;
  apply.current = held.apply;
  // A course is as long as what was judged: it is asked for again a minute later, or when there are other lines.
  const search = canSearch();
  const until = Math.floor(Date.parse(comparison.ended_at) / 60_000);
  const ids = templates.listed.map((one) => one.id).toSorted().join(" ");
  useSteady([search, ids, comparison.service, comparison.candidate].join("\n"), until, async (signal) => {
    if (!search || ids === "") return;
    // Without its course a row says all the same.
    const of = await trendsOf(comparison, ids.split(" "), signal).catch(() => null);
    if (of && !signal.aborted) trends.value = of;
  });
  useLayoutEffect(() => {
    const move = (by: number) => () => {
      const rows = [...document.querySelectorAll<HTMLElement>("button.template")];
      const at = rows.indexOf(document.activeElement as HTMLElement);
      rows[Math.min(rows.length - 1, Math.max(0, at + by))]?.focus();
    };
    const withId = (what: (id: string) => void) => () => {
      const id = (document.activeElement as HTMLElement | null)?.dataset?.id;
      if (id) what(id);
    };
    return withKeys([
      { key: "i", words: "only this template", run: withId((id) => setQuery({ only: id })) },
      { key: "e", words: "without this template", run: withId((id) => toggle("not", id)) },
      { key: "x", words: "mark the template", run: withId((id) => toggle("mark", id)) },
      { key: "X", words: "take all marks away", run: () => setQuery({ mark: null }) },
      { key: ".", words: "apply changes of order, else pause or resume", run: () => (pending.current > 0 ? apply.current() : toggleLive()) },
      { key: "/", words: "find in templates", run: () => input.current?.focus() },
      { key: "j", words: "next template", run: move(1) },
      { key: "k", words: "previous template", run: move(-1) },
      {
        key: "o",
        words: "lines of the template",
        run: () => {
          const rows = [...document.querySelectorAll<HTMLElement>("button.template")];
          const at = rows.indexOf(document.activeElement as HTMLElement);
          (rows[Math.max(0, at)] as HTMLElement | undefined)?.click();
        },
      },
    ]);
  }, []);
  const of = (change: Change): Change => (swap ? TURNED[change] : change);
  const counts = new Map<Change, number>();
  templates.listed.forEach((one) => counts.set(of(one.change), (counts.get(of(one.change)) ?? 0) + 1));
  const muted = new Map((rollout.muted ?? []).map((one) => [one.template, one]));
  const [only, not] = [param("only"), idsOf("not")];
  const wanted = held.rows
    .filter((one) => !only || one.id === only)
    .filter((one) => !not.includes(one.id))
    .filter((one) => !show || of(one.change) === show)
    .filter((one) => !level || (level === "error") === (one.level === "error or worse"))
    .filter((one) => !find || one.text.toLowerCase().includes(find) || one.id.includes(find));
  const rows = wanted.filter((one) => !muted.has(one.id));
  const quiet = wanted.filter((one) => muted.has(one.id));
  const tested = templates.below_error.tested + templates.error_or_worse.tested;
  const past = [...templates.below_error.lines_past_bound, ...templates.error_or_worse.lines_past_bound].reduce((sum, one) => sum + one, 0);
  const hasNoBaseline = comparison.units[0] === 0;
  const hasRandomness = comparison.flaws.includes("missing_arm");
  return (
    <>
      {(hasNoBaseline || hasRandomness) && (
        <Note tone="invalid" title="One arm has no lines">
          <p>Everything would look new or gone, so nothing is called that.</p>
        </Note>
      )}
      <div class="bar">
        <div class="choices" role="group" aria-label="Change">
          <button type="button" aria-pressed={!show} onClick={() => setQuery({ change: null })}>
            all {grouped(templates.listed.length)}
          </button>
          {CHANGES.map(([change, words]) => (
            <button type="button" key={change} aria-pressed={show === change} onClick={() => setQuery({ change })}>
              {words} {grouped(counts.get(change) ?? 0)}
            </button>
          ))}
        </div>
        <label>
          <span class="unseen">Level</span>
          <select value={level} onChange={(event) => setQuery({ level: event.currentTarget.value })}>
            <option value="">any level</option>
            <option value="error">error or worse</option>
            <option value="below">below error</option>
          </select>
        </label>
        <label>
          <span class="unseen">Rates</span>
          <select value={param("per")} onChange={(event) => setQuery({ per: event.currentTarget.value })}>
            {PER.map(([value, words]) => (
              <option key={value} value={value}>
                {words || `part of ${comparison.unit}s`}
              </option>
            ))}
          </select>
        </label>
        <label>
          <span class="unseen">Order</span>
          <select value={sort[0]} onChange={(event) => setQuery({ sort: event.currentTarget.value })}>
            {ORDERS.map(([value, words]) => (
              <option key={value} value={value}>
                {words}
              </option>
            ))}
          </select>
        </label>
        <input ref={input} type="search" placeholder="find" aria-label="Find in templates" value={param("q")} onInput={(event) => setQuery({ q: event.currentTarget.value }, false)} />
        <Pill pending={held.pending} apply={held.apply} />
      </div>
      {(only || not.length > 0) && (
        <p class="swap">
          {only ? "One template alone" : `${not.length} ${not.length === 1 ? "template" : "templates"} left out`}.{" "}
          <button type="button" class="quiet" onClick={() => setQuery({ only: null, not: null })}>
            Show all
          </button>
        </p>
      )}
      {templates.listed.length === 0 ? (
        <section class="empty">
          <h2>{tested === 0 ? "No log line tested yet" : "No log line differs"}</h2>
          <p>
            {tested === 0
              ? `No template of ${harmless(comparison.service, 80)} could be tested yet: none has been met by enough ${comparison.unit}s.`
              : `${grouped(tested)} templates of ${harmless(comparison.service, 80)} were tested: ${comparison.unit}s of both arms meet each of them about as often.`}
          </p>
        </section>
      ) : (
        <Scroll label="Templates">
          <table class="templates cards-if-narrow">
            <caption>
              Values are masked; {param("per") === "unit" ? `rates are the part of ${comparison.unit}s that meet a line` : "rates are lines for 1,000 requests of each arm"}, ratios those of {comparison.unit}s that meet it (with an interval for one look alone), and evidence holds however often one looks.
            </caption>
            <thead>
              <tr>
                <th scope="col">change</th>
                <th scope="col">template</th>
                <th scope="col" class={`number ${swap ? "candidate" : "baseline"}`}>
                  {swap ? "canary" : "baseline"}
                </th>
                <th scope="col" class={`number ${swap ? "baseline" : "candidate"}`}>
                  {swap ? "baseline" : "canary"}
                </th>
                <th scope="col">ratio [95 %]</th>
                <th scope="col">course</th>
                <th scope="col">evidence</th>
                <th scope="col">first seen</th>
              </tr>
            </thead>
            <tbody ref={box}>
              {rows.slice(0, most).map((one) => (
                <Row key={one.id} of={one} comparison={comparison} rollout={rollout.id} swap={swap} muted={undefined} trends={trends.value} both={both} />
              ))}
              {quiet.length > 0 && (
                <tr>
                  <th scope="rowgroup" colSpan={8}>
                    Muted: {quiet.length}. Verdicts do not go by this.
                  </th>
                </tr>
              )}
              {quiet.map((one) => (
                <Row key={one.id} of={one} comparison={comparison} rollout={rollout.id} swap={swap} muted={muted.get(one.id)} trends={trends.value} both={both} />
              ))}
            </tbody>
          </table>
          {wanted.length === 0 && <p>No template matches.</p>}
          {rows.length > most && (
            <button type="button" onClick={() => setMost(most + SHOWN)}>
              {rows.length - most} more
            </button>
          )}
        </Scroll>
      )}
      <p class="aside">
        {grouped(tested)} templates tested, {grouped(Math.max(0, tested - templates.below_error.differ - templates.error_or_worse.differ))} of them the same in both arms; {past === 0 ? "every template is followed" : `${grouped(past)} lines are of more templates than are followed, and are not told apart`}. That a line differs is said wrongly at most as rarely as a verdict is: once in 100 rollouts.
      </p>
    </>
  );
}
