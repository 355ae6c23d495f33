// Which log lines are new, gone or shifted in the canary?

import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { canSearch, LineAt, PlaceLink } from "../components/Lines";
import { MuteButton } from "../components/Mute";
import { Note, Time } from "../components/parts";
import { evidence, grouped, harmless, percent } from "../lib/format";
import { withKeys } from "../lib/keys";
import { param, setQuery } from "../lib/router";
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

const rate = (value: Num): string => (value === null ? "–" : value === 0 ? "0" : value.toPrecision(3));

/** What a count of zero still allows: 3/n bounds the share at 95 % (Hanley and Lippman-Hand 1983). */
function zeroWords(comparison: Comparison, side: 0 | 1): string {
  const units = comparison.units[side];
  return `0 of ${grouped(units)} ${comparison.unit}s: at most ${percent(Math.min(1, 3 / Math.max(1, units)))} (95 %)`;
}

function ratioWords(of: Template, swap: boolean, comparison: Comparison): string {
  if (of.change === "new") return `new: ${zeroWords(comparison, 0)}`;
  if (of.change === "gone") return `gone: ${zeroWords(comparison, 1)}`;
  const [baseline, canary] = of.per_thousand_requests;
  if (!baseline || canary === null) return "–";
  const value = swap ? baseline / canary : canary / baseline;
  return `×${value.toPrecision(3)}`;
}

/** Ids in a key of the address, with commas. */
const idsOf = (key: string): string[] => param(key).split(",").filter(Boolean);

/** Adds an id to a key of the address, or takes it out. */
function toggle(key: string, id: string): void {
  const ids = idsOf(key);
  setQuery({ [key]: (ids.includes(id) ? ids.filter((of) => of !== id) : [...ids, id]).join(",") });
}

interface RowOf {
  of: Template;
  comparison: Comparison;
  rollout: string;
  swap: boolean;
  muted: Muted | undefined;
}

function Row({ of, comparison, rollout, swap, muted }: RowOf) {
  const [open, setOpen] = useState(param("tid") === of.id);
  const isMarked = idsOf("mark").includes(of.id);
  const change = swap ? TURNED[of.change] : of.change;
  const sides: (0 | 1)[] = swap ? [1, 0] : [0, 1];
  const isFailing = comparison.templates.failing.includes(of.id);
  return (
    <>
      <tr class={`${of.level === "error or worse" ? "severe" : ""} ${isMarked ? "marked" : ""}`}>
        <td>
          {isMarked && <span title="marked">{"●"} <span class="unseen">marked</span></span>}
          <span class={`change ${change}`}>{change === "up" || change === "down" ? `${change} ${ratioWords(of, swap, comparison)}` : change.toUpperCase()}</span>
        </td>
        <td>{of.level === "error or worse" ? "error" : "below"}</td>
        <th scope="row">
          <button type="button" class="quiet template" aria-expanded={open} data-id={of.id} onClick={() => setOpen(!open)}>
            <code>{of.text ? masked(of.text) : `(text not kept) ${of.id}`}</code>
          </button>
          {isFailing && <small class="worse">carried the failure</small>}
          {muted && (
            <small>
              muted by {harmless(muted.actor, 60)} until <Time at={muted.until_ms} />: “{harmless(muted.reason, 200)}”
            </small>
          )}
          {of.instead_of && <small>instead of one that reads alike</small>}
        </th>
        {sides.map((side) => (
          <td class="number" key={side} data-of={`${side === 0 ? "baseline" : "canary"} / 1k`}>
            <PlaceLink query={armQuery(of, comparison, side)}>{rate(of.per_thousand_requests[side]!)}</PlaceLink>
            <small>
              {grouped(of.units[side]!)} {of.units[side] === 1 ? comparison.unit : `${comparison.unit}s`}
            </small>
          </td>
        ))}
        <td data-of="evidence">
          {evidence(of.log_e)}
          <small>{of.evidence}</small>
        </td>
        <td data-of="first seen">
          <Time at={of.first_seen} />
        </td>
      </tr>
      {open && (
        <tr class="detail">
          <td colSpan={7}>
            <p>
              {of.change === "new" || of.change === "gone" ? ratioWords(of, swap, comparison) : `Lines: ${grouped(of.lines[0])} of the baseline, ${grouped(of.lines[1])} of the canary, ${grouped(of.lines[2])} of no known arm`}.{" "}
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
                            <Time at={place.time} /> {harmless(place.stream, 80)} at {place.offset}
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
  const wanted = templates.listed
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
            all {templates.listed.length}
          </button>
          {CHANGES.map(([change, words]) => (
            <button type="button" key={change} aria-pressed={show === change} onClick={() => setQuery({ change })}>
              {words} {counts.get(change) ?? 0}
            </button>
          ))}
        </div>
        <label>
          level{" "}
          <select value={level} onChange={(event) => setQuery({ level: event.currentTarget.value })}>
            <option value="">any</option>
            <option value="error">error or worse</option>
            <option value="below">below error</option>
          </select>
        </label>
        <input ref={input} type="search" placeholder="find" aria-label="Find in templates" value={param("q")} onInput={(event) => setQuery({ q: event.currentTarget.value }, false)} />
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
          <h2>No log line differs</h2>
          <p>
            {grouped(tested)} templates of {harmless(comparison.service, 80)} were tested: users of both arms meet each of them about as often.
          </p>
        </section>
      ) : (
        <div class="scroll" tabIndex={0} role="region" aria-label="Templates">
          <table class="templates cards-if-narrow">
            <caption>
              Log lines whose values are masked, by how many {comparison.unit}s meet them; lines for a thousand requests of each arm.
            </caption>
            <thead>
              <tr>
                <th scope="col">change</th>
                <th scope="col">level</th>
                <th scope="col">template</th>
                <th scope="col" class={`number ${swap ? "candidate" : "baseline"}`}>
                  {swap ? "canary" : "baseline"} / 1k
                </th>
                <th scope="col" class={`number ${swap ? "baseline" : "candidate"}`}>
                  {swap ? "baseline" : "canary"} / 1k
                </th>
                <th scope="col">evidence</th>
                <th scope="col">first seen</th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, most).map((one) => (
                <Row key={one.id} of={one} comparison={comparison} rollout={rollout.id} swap={swap} muted={undefined} />
              ))}
              {quiet.length > 0 && (
                <tr>
                  <th scope="rowgroup" colSpan={7}>
                    Muted: {quiet.length}. Verdicts do not go by this.
                  </th>
                </tr>
              )}
              {quiet.map((one) => (
                <Row key={one.id} of={one} comparison={comparison} rollout={rollout.id} swap={swap} muted={muted.get(one.id)} />
              ))}
            </tbody>
          </table>
          {wanted.length === 0 && <p>No template matches.</p>}
          {rows.length > most && (
            <button type="button" onClick={() => setMost(most + SHOWN)}>
              {rows.length - most} more
            </button>
          )}
        </div>
      )}
      <p class="aside">
        {grouped(tested)} templates tested; {grouped(past)} lines of templates past the bound. False “differs” share the error budget of the verdict: wrong at most once in 100 rollouts.
      </p>
    </>
  );
}
