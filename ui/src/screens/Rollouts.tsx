// Which rollouts are live, and which one needs me now?

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { Badge, Loading, Pill, Problem, Said, Time } from "../components/parts";
import { Empty } from "../components/Empty";
import { Sparkline } from "../components/Sparkline";
import { useAsked } from "../lib/ask";
import { frozen, sparkOf } from "../lib/asof";
import { between, effectWords, grouped, harmless, neededWords, percent, span } from "../lib/format";
import { useHeld } from "../lib/held";
import { withKeys } from "../lib/keys";
import { newest, report, reportVersion, rollouts, rolloutsVersion, status, trouble, toggleLive } from "../lib/live";
import { go, param, rolloutPath, setQuery } from "../lib/router";
import { latest as lastKnown, silentSince } from "../lib/silence";
import { apartOf, settled, useSettled, useUnitsThen } from "../lib/sidebyside";
import type { Comparison, Delivery, Guardrail, Num, RolloutRow, Spark } from "../lib/types";
import { toRow, useWide, useWindow } from "../lib/window";
import { CHANGES, findingLook, FRESH_MS, freshOf, groupOf, inOrder, LATELY_MS, lookOfRollout, PHASES, reasonWords, serviceName, wentWrong, type Group } from "../lib/words";

/** Rows that are drawn before somebody asks for more. */
const SHOWN = 200;
/** What is shown: one of the groups, or what failed and is over, of which only some is long past. */
type Shown = Group | "failed";
const GROUPS: [Shown, string][] = [
  ["needs", "Needs you"],
  ["failed", "Just failed"],
  ["silent", "Silent"],
  ["running", "Needs nobody"],
  ["done", "Done"],
];

/** The comparison of the report that a rollout of one service is. */
export function comparisonOf(row: RolloutRow, list: Comparison[]): Comparison | undefined {
  const names = row.services.map((service) => serviceName(service, row.environment, row.cell));
  const of = list.filter((one) => names.includes(one.service) && (!row.candidate || one.candidate === row.candidate));
  return of.findLast((one) => one.verdict === row.verdict) ?? of.at(-1);
}

/** The strongest thing that is known, in one sentence. */
export function evidenceOf(row: RolloutRow, comparison: Comparison | undefined): string {
  if (row.waits_for && row.verdict !== "fail") return `${row.waits_for} comes first, and is not done.`;
  if (!comparison) return reasonWords(row.reason) || "no comparison has begun";
  const need = comparison.needs[0];
  // Of what has passed its last step nothing is asked any more: what is said is of what came since.
  if (row.phase === "done" && comparison.verdict === "inconclusive") return `The last step had passed. ${comparison.reasons[1] ?? comparison.reasons[0] ?? row.reason}`;
  if (comparison.verdict === "fail") {
    const number = (of: Guardrail): number => (typeof of.log_e === "number" ? of.log_e : of.log_e === "inf" ? Infinity : -Infinity);
    const worst = comparison.guardrails.filter((of) => of.finding === "regressed" && of.effect).toSorted((a, b) => number(b) - number(a))[0];
    const lines = comparison.templates.listed.filter((of) => of.change === "new" && of.level === "error or worse").length;
    // The program's own sentence says what is worse in values; the interval stands beside the course.
    const said = comparison.reasons[1] ?? (worst?.effect ? `${worst.label} ${effectWords(worst.effect)}` : "");
    const isLine = said.includes("new error line");
    const parts = [said, isLine ? (lines > 1 ? `${lines - 1} more` : "") : lines > 0 ? `${lines} new error ${lines === 1 ? "line" : "lines"}` : ""];
    return parts.flatMap((part) => (part ? [part.replace(/\.$/, "")] : [])).join("; ");
  }
  if (comparison.held_back_by_change) return `behaves differently: ${comparison.changed_groups.map((name) => CHANGES[name] ?? name).join(", ")}`;
  if (comparison.verdict === "inconclusive" && !comparison.held_back_by_change && need?.needed != null && need.have != null) {
    const more = Math.max(0, Math.ceil(need.needed - need.have));
    const time = need.seconds !== null ? ` (about ${span(need.seconds)})` : "";
    if (more > 0) return `needs ${grouped(more)} more ${neededWords(need.counted, comparison.unit)}${time}`;
  }
  if (comparison.verdict === "pass") return `no worse: all ${comparison.guardrails.filter((of) => of.finding === "held").length} guardrails within bounds`;
  return comparison.reasons[1] ?? comparison.reasons[0] ?? row.reason;
}

/** Height of a row of a long list in pixels, as the style sheet has it. */
const ROW = 76;

function Course({ comparison, sparks }: { comparison: Comparison; sparks: Spark[] }) {
  const spark = sparks.find((of) => of.service === comparison.service && of.control === comparison.control && of.candidate === comparison.candidate);
  const course = useSettled(comparison);
  const found = comparison.guardrails.find((of) => of.guardrail === spark?.guardrail);
  const guardrail = found && settled(found, course);
  if (!spark || !guardrail?.effect) return null;
  return (
    <>
      {/* Its own colour: what is worse may be something else. */}
      <Sparkline spark={course ? sparkOf({ ...course, leading: spark.guardrail }) : spark} kind={guardrail.effect.kind} look={findingLook(guardrail.finding)} label={guardrail.label} />
      <span class="effect">
        {guardrail.label} <span class="whole">{effectWords(guardrail.effect)}</span>
      </span>
    </>
  );
}

/** Whether verdicts on the service can be trusted, as far as that was tried on its own traffic. */
function Calibration({ row }: { row: RolloutRow }) {
  const of = (report.value?.placebos ?? status.value?.placebos ?? []).filter((one) => row.services.includes(one.service) && (!row.environment || one.environment === row.environment));
  return (
    <>
      {of.map((one) => (
        <small key={one.service} class={one.withheld ? "invalid" : ""} title={`Random splits of a day of its own traffic (${one.day}) have no difference: up to ${one.allowed} may fail. ${one.withheld ?? ""}`}>
          {one.withheld ? "! " : "✓ "}calibration: {grouped(one.failed)} of {grouped(one.splits)} false
        </small>
      ))}
    </>
  );
}

/** How much of the units the canary has; where one arm has stopped, while both ran: `then` are the units of the arm that goes on until then, where they are known. */
export function shareWords(of: Pick<Comparison, "units" | "unit" | "started_at" | "ended_at" | "active_until">, then: Num = null): string {
  const apart = apartOf(of);
  const units: [number, number] = [...of.units];
  if (apart && then !== null) units[apart.longer] = then;
  const all = units[0] + units[1];
  if (all === 0) return "";
  const words = `${percent(units[1] / all)} of ${of.unit}s`;
  if (!apart) return words;
  if (then !== null) return `${words} while both ran (${span(between(of.started_at, apart.until))})`;
  return `${words} of ${span(between(of.started_at, of.ended_at))}; the ${apart.longer === 0 ? "canary" : "baseline"} ran for ${span(between(of.started_at, apart.until))}`;
}

function Share({ comparison }: { comparison: Comparison }) {
  const then = useUnitsThen(comparison);
  return <small>{then === undefined ? "…" : shareWords(comparison, then)}</small>;
}

/** Ids of rollouts of which no line has come for long. */
export const silentOf = (rows: RolloutRow[], list: Comparison[], now: number): Set<string> =>
  new Set(rows.filter((row) => groupOf(row) !== "done" && silentSince(comparisonOf(row, list), now) !== null).map((row) => row.id));

/** What a verdict rests on besides the lines: that, and that nobody should act on it alone, is told here too. */
export function conditionWords(row: Pick<RolloutRow, "verdict" | "reason">, comparison: Pick<Comparison, "verdict" | "assumption" | "reasons"> | undefined): string[] {
  if (row.verdict !== "fail" && row.verdict !== "pass") return [];
  const own = comparison?.verdict === row.verdict ? comparison : undefined;
  const isOn = row.reason.includes("on one condition") || Boolean(own?.assumption) || Boolean(own?.reasons[0]?.includes(", on one condition"));
  const isForPeople = own?.reasons.some((of) => /^(Nobody should act on it|It is not enough to act on) without a person/.test(of));
  return [...(isOn ? ["on one condition"] : []), ...(isForPeople ? ["a person must decide"] : [])];
}

/** What a hook was told last, and whether it heard. */
function toldWords(of: Delivery): string {
  const state = of.state === "taken" ? "heard it" : of.state === "waiting" ? "is being told" : "did not hear it";
  return `${harmless(of.hook, 40)} ${state}: ${of.event}`;
}

const openFirst = (): void => document.querySelector<HTMLElement>("tbody a.row")?.click();

export function Rollouts() {
  const list = rollouts.value;
  const found = report.value;
  const filter = param("q").toLowerCase();
  const group = (param("show") || "all") as Shown | "all";
  const environment = param("env");
  const box = useRef<HTMLTableSectionElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const most = useSignal(SHOWN);
  const sparks = useAsked<{ sparks: Spark[] }>("/v1/sparks", reportVersion).value.value?.sparks ?? [];
  const told = useAsked<{ deliveries: Delivery[] }>("/v1/hooks", rolloutsVersion).value.value?.deliveries;
  const earlier = frozen.value?.asof;
  const deliveries = useMemo(() => (told ?? []).filter((of) => !earlier || of.decided_ms <= Date.parse(earlier)), [told, earlier]);
  const comparisons = found?.comparisons;
  const [fresh, lately] = useMemo(() => [FRESH_MS, LATELY_MS].map((within) => freshOf(list ?? [], comparisons ?? [], deliveries, earlier ? Date.parse(earlier) : Date.now(), within)) as [Set<string>, Set<string>], [list, comparisons, deliveries]);
  // What is fresh is another set with each report; only what it says of the order counts.
  const wrong = useMemo(() => (list ?? []).filter((row) => fresh.has(row.id) && wentWrong(row)).map((row) => row.id), [list, fresh]);
  // The end of the log, and not the clock: of an old log all would be silent.
  const end = newest.value ? Date.parse(newest.value) : 0;
  const silentIds = useMemo(() => silentOf(list ?? [], comparisons ?? [], earlier ? 0 : end), [list, comparisons, end, earlier]);
  const isSilent = (row: RolloutRow): boolean => silentIds.has(row.id);
  const wanted = useMemo(() => inOrder(list ?? [], new Set(wrong), silentIds, lately), [list, wrong.join("\n"), [...silentIds].join("\n"), [...lately].join("\n")]);
  // Nothing moves under a pointer or the focus: there a pill says that something would.
  const held = useHeld(wanted, (row) => row.id, box);
  const rows = useMemo(() => {
    const isOf = (row: RolloutRow): boolean => group === "all" || (group === "failed" ? wrong.includes(row.id) : groupOf(row, isSilent(row)) === group && !wrong.includes(row.id));
    return held.rows
      .filter(isOf)
      .filter((row) => !environment || row.environment === environment)
      .filter((row) => !filter || `${row.id} ${row.services.join(" ")} ${row.candidate ?? ""}`.toLowerCase().includes(filter));
  }, [held.rows, group, environment, filter, wrong.join("\n"), silentIds]);
  const counts = useMemo(() => {
    const all: Record<Shown, number> = { needs: 0, failed: wrong.length, silent: 0, running: 0, done: 0 };
    // Each rollout is in one of them: what has just failed is not counted as done as well.
    for (const row of list ?? []) if (!wrong.includes(row.id)) all[groupOf(row, isSilent(row))] += 1;
    return all;
  }, [list, wrong.length, silentIds]);
  // A long list draws what is in sight; where rows are cards, it is asked for piece by piece.
  const isWide = useWide();
  const isLong = rows.length > SHOWN && isWide;
  const [from, to] = useWindow(box, rows.length, ROW, isLong);
  const shown = isLong ? rows.slice(from, to) : rows.slice(0, most.value);
  useLayoutEffect(() =>
    withKeys([
      { key: ".", words: "apply changes of order, else pause or resume", run: () => (held.pending > 0 ? held.apply() : toggleLive()) },
      { key: "/", words: "filter", run: () => input.current?.focus() },
      { key: "j", words: "next row", run: () => focus(1) },
      { key: "k", words: "previous row", run: () => focus(-1) },
      { key: "Enter", words: "open the first rollout", run: openFirst },
    ]),
  [rows.length, held.pending]);
  const focus = (by: number): void => {
    const at = Number((document.activeElement as HTMLElement | null)?.dataset?.at ?? -1);
    const next = at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by));
    toRow(box.current, next, ROW, (to) => box.current?.querySelector<HTMLElement>(`a.row[data-at="${to}"]`) ?? null);
  };
  if (!list) return trouble.value ? <Problem words={trouble.value} /> : <Loading what="Asking for rollouts…" />;
  return (
    <>
      <h1>Rollouts</h1>
      <div class="bar">
        <div class="choices" role="group" aria-label="Which rollouts">
          <button type="button" aria-pressed={group === "all"} onClick={() => setQuery({ show: null })}>
            All {grouped(list.length)}
          </button>
          {GROUPS.filter(([name]) => (name !== "failed" && name !== "silent") || counts[name] > 0 || group === name).map(([name, words]) => (
            <button type="button" key={name} aria-pressed={group === name} onClick={() => setQuery({ show: name })}>
              {words} {grouped(counts[name])}
            </button>
          ))}
        </div>
        <input
          ref={input}
          type="search"
          placeholder="filter rollouts"
          aria-label="Filter rollouts"
          value={param("q")}
          onInput={(event) => setQuery({ q: event.currentTarget.value }, false)}
          onKeyDown={(event) => {
            // Who has typed a name wants that rollout; who leaves the field has the keys back.
            if (event.key === "Enter") openFirst();
            else if (event.key === "Escape" && !param("q")) event.currentTarget.blur();
          }}
        />
        <Pill pending={held.pending} apply={held.apply} />
      </div>
      {list.length === 0 ? (
        <Empty />
      ) : (
        <table class={`rollouts cards-if-narrow ${isLong ? "long" : ""}`} aria-rowcount={rows.length + 1}>
          <caption class="unseen">Rollouts: what is worse or has just failed first, then what else needs somebody</caption>
          <thead>
            <tr>
              <th scope="col">verdict</th>
              <th scope="col">service and versions</th>
              <th scope="col">evidence</th>
              <th scope="col">course</th>
              <th scope="col">step</th>
              <th scope="col">began</th>
              <th scope="col">stands</th>
            </tr>
          </thead>
          <tbody ref={box}>
            {isLong && <tr aria-hidden="true" class="space" style={{ height: `${from * ROW}px` }} />}
            {shown.map((row, number) => {
              const comparison = comparisonOf(row, found?.comparisons ?? []);
              const until = comparison?.ended_at;
              const latest = deliveries.find((of) => of.rollout === row.id);
              const silent = frozen.value || groupOf(row) === "done" ? null : silentSince(comparison, lastKnown(newest.value, Date.now()));
              return (
                <tr key={row.id} class={lookOfRollout(row).tone} aria-rowindex={(isLong ? from : 0) + number + 2}>
                  <td>
                    <Badge look={lookOfRollout(row)} />
                    {conditionWords(row, comparison).map((words) => (
                      <small key={words}>{words}</small>
                    ))}
                  </td>
                  <th scope="row">
                    <a class="row" data-at={(isLong ? from : 0) + number} href={rolloutPath(row.id)} onClick={(event) => {
                      event.preventDefault();
                      event.stopPropagation();
                      go(rolloutPath(row.id));
                    }}>
                      {harmless(row.services.join(", ") || row.id, 80)}
                    </a>
                    {row.environment && <small>{harmless(row.environment, 40)}</small>}
                    {row.candidate && (
                      <small>
                        <span class="baseline">{harmless(row.control ?? "", 40)}</span> {"→"} <span class="candidate">{harmless(row.candidate, 40)}</span>
                      </small>
                    )}
                  </th>
                  <td class="evidence">
                    <Said words={evidenceOf(row, comparison).slice(0, 220)} />
                  </td>
                  <td class="course">{comparison && <Course comparison={comparison} sparks={sparks} />}</td>
                  <td data-of="step">
                    {row.steps ? `${(row.step ?? 0) + 1}/${row.steps}` : "–"}
                    {comparison && <Share comparison={comparison} />}
                  </td>
                  <td data-of="began">
                    {row.began ? <Time at={row.began} /> : "–"}
                    {row.began && until && <small>{span(between(row.began, until))} of data</small>}
                  </td>
                  <td data-of="stands">
                    {silent && (
                      <div class="invalid">
                        no line since <Time at={silent} />
                      </div>
                    )}
                    {row.phase ? PHASES[row.phase] ?? row.phase : row.over ? "over" : "found, not declared"}
                    <Calibration row={row} />
                    {row.withheld && <small class="invalid">automatic actions withheld</small>}
                    {latest && <small>{toldWords(latest)}</small>}
                  </td>
                </tr>
              );
            })}
            {isLong && <tr aria-hidden="true" class="space" style={{ height: `${(rows.length - to) * ROW}px` }} />}
          </tbody>
        </table>
      )}
      {!isLong && rows.length > most.value && (
        <button type="button" onClick={() => (most.value += SHOWN)}>
          {grouped(rows.length - most.value)} more
        </button>
      )}
      {list.length > 0 && rows.length === 0 && <p>No rollout matches. <button type="button" class="quiet" onClick={() => setQuery({ q: null, show: null, env: null })}>Show all</button></p>}
    </>
  );
}
