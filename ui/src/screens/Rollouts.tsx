// Which rollouts are live, and which one needs me now?

import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { useLayoutEffect, useRef } from "preact/hooks";
import { Badge, Loading, Problem, Time } from "../components/parts";
import { Empty } from "../components/Empty";
import { between, effectWords, grouped, harmless, span } from "../lib/format";
import { withKeys } from "../lib/keys";
import { report, rollouts, trouble } from "../lib/live";
import { go, param, rolloutPath, setQuery } from "../lib/router";
import type { Comparison, RolloutRow } from "../lib/types";
import { bySeverity, CHANGES, groupOf, lookOfRollout, PHASES, serviceName, type Group } from "../lib/words";

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
    const worst = comparison.guardrails.find((of) => of.finding === "regressed" && of.effect);
    const lines = comparison.templates.listed.filter((of) => of.change === "new" && of.level === "error or worse").length;
    const parts = [
      worst?.effect ? `${worst.label} ${effectWords(worst.effect)}` : comparison.reasons[1],
      lines ? `${lines} new error ${lines === 1 ? "line" : "lines"}` : "",
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

function Sparkline({ comparison }: { comparison: Comparison }) {
  const row = comparison.guardrails.find((of) => of.finding === "regressed" && of.effect) ?? comparison.guardrails.find((of) => of.effect);
  if (!row?.effect) return null;
  return <span class="effect">{effectWords(row.effect)}</span>;
}

export function Rollouts() {
  const list = rollouts.value;
  const found = report.value;
  const filter = param("q").toLowerCase();
  const group = (param("show") || "all") as Group | "all";
  const box = useRef<HTMLTableSectionElement>(null);
  const input = useRef<HTMLInputElement>(null);
  const order = useSignal<string[]>([]);
  const most = useSignal(SHOWN);
  const wanted = useComputed(() => (rollouts.value ?? []).toSorted(bySeverity).map((row) => row.id));
  const pending = useComputed(() => {
    const [now, next] = [order.value, wanted.value];
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
  const rows = order.value
    .flatMap((id) => list?.find((row) => row.id === id) ?? [])
    .filter((row) => group === "all" || groupOf(row) === group)
    .filter((row) => !filter || `${row.id} ${row.services.join(" ")} ${row.candidate ?? ""}`.toLowerCase().includes(filter));
  useLayoutEffect(() =>
    withKeys([
      { key: ".", words: "apply changes of order", run: apply },
      { key: "/", words: "filter", run: () => input.current?.focus() },
      { key: "j", words: "next row", run: () => focus(1) },
      { key: "k", words: "previous row", run: () => focus(-1) },
      { key: "Enter", words: "open the rollout that needs you most", run: () => (document.querySelector("tbody a.row") as HTMLElement | null)?.click() },
    ]),
  []);
  const focus = (by: number): void => {
    const links = [...document.querySelectorAll<HTMLElement>("tbody a.row")];
    const at = links.indexOf(document.activeElement as HTMLElement);
    const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, at + by));
    links[next]?.focus();
  };
  if (!list) return trouble.value ? <Problem words={trouble.value} /> : <Loading what="Asking for rollouts…" />;
  const counts = (of: Group): number => list.filter((row) => groupOf(row) === of).length;
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
              {words} {counts(name)}
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
        <table class="rollouts">
          <caption class="unseen">Rollouts, those that need somebody first</caption>
          <thead>
            <tr>
              <th scope="col">verdict</th>
              <th scope="col">service and versions</th>
              <th scope="col">evidence</th>
              <th scope="col">step</th>
              <th scope="col">began</th>
              <th scope="col">stands</th>
            </tr>
          </thead>
          <tbody ref={box}>
            {rows.slice(0, most.value).map((row) => {
              const comparison = comparisonOf(row, found?.comparisons ?? []);
              const until = comparison?.ended_at;
              return (
                <tr key={row.id} class={lookOfRollout(row).tone}>
                  <td>
                    <Badge look={lookOfRollout(row)} />
                  </td>
                  <th scope="row">
                    <a class="row" href={rolloutPath(row.id)} onClick={(event) => {
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
                    {harmless(evidenceOf(row, comparison), 220)}
                    {comparison && row.verdict !== "fail" && <Sparkline comparison={comparison} />}
                  </td>
                  <td>{row.steps ? `${(row.step ?? 0) + 1}/${row.steps}` : "–"}</td>
                  <td>
                    {row.began ? <Time at={row.began} /> : "–"}
                    {row.began && until && <small>{span(between(row.began, until))} of data</small>}
                  </td>
                  <td>
                    {row.phase ? PHASES[row.phase] ?? row.phase : row.over ? "over" : "found, not declared"}
                    {row.withheld && <small class="invalid">automatic actions withheld</small>}
                  </td>
                </tr>
              );
            })}
          </tbody>
        </table>
      )}
      {rows.length > most.value && (
        <button type="button" onClick={() => (most.value += SHOWN)}>
          {grouped(rows.length - most.value)} more
        </button>
      )}
      {list.length > 0 && rows.length === 0 && <p>No rollout matches. <button type="button" class="quiet" onClick={() => setQuery({ q: null, show: null })}>Show all</button></p>}
    </>
  );
}
