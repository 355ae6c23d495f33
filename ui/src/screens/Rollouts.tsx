// Which rollouts are live, and which one needs me now?

import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { Badge, Loading, Problem, Said, Time } from "../components/parts";
import { Empty } from "../components/Empty";
import { Sparkline } from "../components/Sparkline";
import { useAsked } from "../lib/ask";
import { between, effectWords, grouped, harmless, span } from "../lib/format";
import { withKeys } from "../lib/keys";
import { report, reportVersion, rollouts, trouble, toggleLive } from "../lib/live";
import { go, param, rolloutPath, setQuery } from "../lib/router";
import type { Comparison, Guardrail, RolloutRow, Spark } from "../lib/types";
import { toRow, useWide, useWindow } from "../lib/window";
import { CHANGES, groupOf, inOrder, lookOfRollout, PHASES, serviceName, type Group } from "../lib/words";

/** Rows that are drawn before somebody asks for more. */
const SHOWN = 200;
const GROUPS: [Group, string][] = [
  ["needs", "Needs you"],
  ["running", "Running"],
  ["done", "Done"],
];

/** The comparison of the report that a rollout of one service is. */
export function comparisonOf(row: RolloutRow, list: Comparison[]): Comparison | undefined {
  const names = row.services.map((service) => serviceName(service, row.environment));
  const of = list.filter((one) => names.includes(one.service) && (!row.candidate || one.candidate === row.candidate));
  return of.findLast((one) => one.verdict === row.verdict) ?? of.at(-1);
}

/** The strongest thing that is known, in one sentence. */
function evidenceOf(row: RolloutRow, comparison: Comparison | undefined): string {
  if (!comparison) return row.reason || "no comparison has begun";
  const need = comparison.needs[0];
  if (comparison.verdict === "fail") {
    const number = (of: Guardrail): number => (typeof of.log_e === "number" ? of.log_e : of.log_e === "inf" ? Infinity : -Infinity);
    const worst = comparison.guardrails.filter((of) => of.finding === "regressed" && of.effect).toSorted((a, b) => number(b) - number(a))[0];
    const lines = comparison.templates.listed.filter((of) => of.change === "new" && of.level === "error or worse").length;
    const parts = [
      worst?.effect ? `${worst.label} ${effectWords(worst.effect)}` : comparison.reasons[1],
      lines && worst?.effect ? `${lines} new error ${lines === 1 ? "line" : "lines"}` : lines > 1 ? `${lines - 1} more` : "",
    ];
    return parts.flatMap((part) => (part ? [part.replace(/\.$/, "")] : [])).join("; ");
  }
  if (comparison.held_back_by_change) return `behaves differently: ${comparison.changed_groups.map((name) => CHANGES[name] ?? name).join(", ")}`;
  if (comparison.verdict === "inconclusive" && !comparison.held_back_by_change && need?.needed != null && need.have != null) {
    const more = Math.max(0, Math.ceil(need.needed - need.have));
    const time = need.seconds !== null ? ` (about ${span(need.seconds)})` : "";
    if (more > 0) return `needs ${grouped(more)} more ${need.counted}${time}`;
  }
  if (comparison.verdict === "pass") return `all ${comparison.guardrails.filter((of) => of.finding === "held").length} guardrails within bounds`;
  return comparison.reasons[1] ?? comparison.reasons[0] ?? row.reason;
}

/** Height of a row of a long list in pixels, as the style sheet has it. */
const ROW = 76;

function Course({ row, comparison, sparks }: { row: RolloutRow; comparison: Comparison; sparks: Spark[] }) {
  const spark = sparks.find((of) => of.service === comparison.service && of.control === comparison.control && of.candidate === comparison.candidate);
  const guardrail = comparison.guardrails.find((of) => of.guardrail === spark?.guardrail);
  if (!spark || !guardrail?.effect) return null;
  return (
    <>
      <Sparkline spark={spark} kind={guardrail.effect.kind} look={lookOfRollout(row)} label={guardrail.label} />
      <span class="effect">
        {guardrail.label} {effectWords(guardrail.effect)}
      </span>
    </>
  );
}

const openFirst = (): void => document.querySelector<HTMLElement>("tbody a.row")?.click();

export function Rollouts() {
  const list = rollouts.value;
  const found = report.value;
  const filter = param("q").toLowerCase();
  const group = (param("show") || "all") as Group | "all";
  const box = useRef<HTMLTableSectionElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const order = useSignal<string[]>([]);
  const most = useSignal(SHOWN);
  const sparks = useAsked<{ sparks: Spark[] }>("/v1/sparks", reportVersion).value.value?.sparks ?? [];
  const wanted = useComputed(() => inOrder(rollouts.value ?? []));
  const pending = useComputed(() => {
    const [now, next] = [order.value, wanted.value];
    // Before there is an order nothing can be out of it.
    if (now.length === 0) return 0;
    return next.filter((id, at) => now[at] !== id).length;
  });
  const apply = (): void => {
    order.value = wanted.peek();
  };
  // Nothing moves under a pointer or the focus: there a pill says that something would.
  useSignalEffect(() => {
    const next = wanted.value;
    const isHeld = box.current?.matches(":hover") || box.current?.contains(document.activeElement);
    if (!isHeld || order.peek().length === 0) order.value = next;
  });
  // Of ten thousand rows none is looked for by looking at all others.
  const rows = useMemo(() => {
    const byId = new Map((list ?? []).map((row) => [row.id, row]));
    return order.value
      .flatMap((id) => byId.get(id) ?? [])
      .filter((row) => group === "all" || groupOf(row) === group)
      .filter((row) => !filter || `${row.id} ${row.services.join(" ")} ${row.candidate ?? ""}`.toLowerCase().includes(filter));
  }, [order.value, list, group, filter]);
  const counts = useMemo(() => {
    const all: Record<Group, number> = { needs: 0, running: 0, done: 0 };
    for (const row of list ?? []) all[groupOf(row)] += 1;
    return all;
  }, [list]);
  // A long list draws what is in sight; where rows are cards, it is asked for piece by piece.
  const isWide = useWide();
  const isLong = rows.length > SHOWN && isWide;
  const [from, to] = useWindow(box, rows.length, ROW, isLong);
  const shown = isLong ? rows.slice(from, to) : rows.slice(0, most.value);
  useLayoutEffect(() =>
    withKeys([
      { key: ".", words: "apply changes of order, else pause or resume", run: () => (pending.peek() > 0 ? apply() : toggleLive()) },
      { key: "/", words: "filter", run: () => input.current?.focus() },
      { key: "j", words: "next row", run: () => focus(1) },
      { key: "k", words: "previous row", run: () => focus(-1) },
      { key: "Enter", words: "open the rollout that needs you most", run: openFirst },
    ]),
  [rows.length]);
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
            All {list.length}
          </button>
          {GROUPS.map(([name, words]) => (
            <button type="button" key={name} aria-pressed={group === name} onClick={() => setQuery({ show: name })}>
              {words} {counts[name]}
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
        {pending.value > 0 && (
          <button type="button" class="pill" onClick={apply}>
            {pending.value} {pending.value === 1 ? "change" : "changes"} of order: press <kbd>.</kbd>
          </button>
        )}
      </div>
      {list.length === 0 ? (
        <Empty />
      ) : (
        <table class={`rollouts cards-if-narrow ${isLong ? "long" : ""}`} aria-rowcount={rows.length + 1}>
          <caption class="unseen">Rollouts, those that need somebody first</caption>
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
              return (
                <tr key={row.id} class={lookOfRollout(row).tone} aria-rowindex={(isLong ? from : 0) + number + 2}>
                  <td>
                    <Badge look={lookOfRollout(row)} />
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
                  <td class="course">{comparison && <Course row={row} comparison={comparison} sparks={sparks} />}</td>
                  <td data-of="step">{row.steps ? `${(row.step ?? 0) + 1}/${row.steps}` : "–"}</td>
                  <td data-of="began">
                    {row.began ? <Time at={row.began} /> : "–"}
                    {row.began && until && <small>{span(between(row.began, until))} of data</small>}
                  </td>
                  <td data-of="stands">
                    {row.phase ? PHASES[row.phase] ?? row.phase : row.over ? "over" : "found, not declared"}
                    {row.withheld && <small class="invalid">automatic actions withheld</small>}
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
      {list.length > 0 && rows.length === 0 && <p>No rollout matches. <button type="button" class="quiet" onClick={() => setQuery({ q: null, show: null })}>Show all</button></p>}
    </>
  );
}
