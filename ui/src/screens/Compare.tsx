// What differs between any two filters?

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { canSearch, PlaceLink } from "../components/Lines";
import { fieldsOf, term } from "../components/LogLine";
import { Loading, Note, Scroll } from "../components/parts";
import { QueryInput } from "../components/QueryInput";
import { get } from "../lib/api";
import { grouped, harmless, millis, percent, STEPS, three } from "../lib/format";
import { withKeys } from "../lib/keys";
import { report, rollouts, status } from "../lib/live";
import { inQuery, useTimes } from "../lib/logtime";
import { param, setQuery } from "../lib/router";
import type { Found, GroupTable, Report } from "../lib/types";
import { bareService } from "../lib/words";

/** What is counted: the unit of the comparisons whose service the filters name, else that of the log. */
export function unitOf(filters: string[], from: Pick<Report, "comparisons" | "survey"> | null): string {
  const named = filters.flatMap((text) => [...text.matchAll(/(?:^|[\s(])_service:("(?:[^"\\]|\\.)*"|[^\s()]+)/g)].map((of) => of[1]!.replace(/^"|"$/g, "")));
  const units = new Set((from?.comparisons ?? []).filter((of) => named.includes(bareService(of.service))).map((of) => of.unit));
  return units.size === 1 ? [...units][0]! : (from?.survey?.unit ?? "user");
}

/** Fields whose values are held against each other, of those that every line has. */
const FIELDS = ["_service", "_route", "_status", "_level", "_kind"];
/** Further fields, of those that lines have themselves. */
const MORE_FIELDS = 8;
/** Templates that are asked for, and shown. */
const TEMPLATES = 400;
const SHOWN = 20;
/** Templates whose texts are asked for: some turn out to be one. */
const LOOKED_AT = 30;
/** Values of a field that are shown. */
const VALUES = 4;
/** Two sides: the baseline always first. */
const SIDES = [0, 1] as const;
type Two<T> = [T, T];

interface Figures {
  lines: number;
  requests: number;
  failed: number;
  errors: number;
  users: number | null;
  quantiles: Record<string, number | null>;
  /** Share of users with a failed request, with an interval of 95 % (Wilson). */
  share: { share: number; low: number; high: number } | null;
}

interface Shares {
  groups: { share: number | null; low: number | null; high: number | null; of: number }[];
}

export interface Row {
  /** Templates that it is of, the most frequent first. */
  ids: string[];
  counts: Two<number>;
  rates: Two<number>;
  text: string;
}

interface Value {
  field: string;
  value: string;
  counts: Two<number>;
  shares: Two<number>;
}

interface Compared {
  figures: Two<Figures>;
  templates: Row[];
  values: Value[];
}

const both = (one: string, other: string): string => [one, other].filter(Boolean).map((part) => (/\bOR\b/.test(part) ? `(${part})` : part)).join(" ");

async function figuresOf(query: string, times: string, signal: AbortSignal): Promise<Figures> {
  const ask = <T,>(path: string, q: string, more = ""): Promise<T> => get<T>(`${path}?q=${encodeURIComponent(q)}${more}${times}`, signal);
  const [all, requests, failed, errors, shares] = await Promise.all([
    ask<GroupTable>("/v1/aggregate", query || "*"),
    ask<GroupTable>("/v1/aggregate", both(query, "_kind:request"), "&quantiles=_latency&shares=0.5,0.95,0.99&distinct=_unit"),
    ask<GroupTable>("/v1/aggregate", both(query, "_kind:request _failed:true")),
    ask<GroupTable>("/v1/aggregate", both(query, "_level:>=error")),
    ask<Shares>("/v1/shares", both(query, "_kind:request"), `&of=${encodeURIComponent("_failed:true")}`).catch(() => ({ groups: [] })),
  ]);
  const one = shares.groups[0];
  return {
    lines: all.lines,
    requests: requests.lines,
    failed: failed.lines,
    errors: errors.lines,
    users: requests.groups[0]?.distinct ?? null,
    quantiles: requests.groups[0]?.quantiles ?? {},
    share: one && one.share !== null && one.low !== null && one.high !== null ? { share: one.share, low: one.low, high: one.high } : null,
  };
}

async function fieldNames(signal: AbortSignal): Promise<string[]> {
  const { fields } = await get<{ fields: { path: string; kind: string }[] }>("/v1/fields", signal);
  // What plays a role is there under the role's name already.
  const roles = report.peek()?.survey.roles ?? {};
  const known = new Set(["service", "version", "cohort", "variant", "level", "message", "kind", "status", "route"].flatMap((role) => [role, ...(roles[role]?.fields ?? []).map((of) => of.path)]));
  const own = fields.filter((of) => of.kind === "text" && !of.path.startsWith("_") && !known.has(of.path)).map((of) => of.path);
  return [...FIELDS, ...own.slice(0, MORE_FIELDS)];
}

/** What an id looks like that has no digit by chance: the program takes it for a word, and each for a text of its own. */
const WORDLIKE = /^(?:[a-z]{1,3}[-_])?[a-f]{6,}$/;

/** A text with its values left out, those that look like words as well. */
export const masked = (text: string): string =>
  text
    .split(/([\s()[\]{}=,;"'<>|]+)/)
    .map((token) => (/\d/.test(token) || token === "*" || WORDLIKE.test(token) ? "*" : token))
    .join("")
    .replaceAll("<*>", "*");

/** A text as that of its template: of its values none is that of all lines. */
export const withoutValues = (text: string): string =>
  text
    .split(/([\s()[\]{}=,;"'|]+)/)
    .map((token) => (token !== "<*>" && (/\d/.test(token) || WORDLIKE.test(token)) ? "<*>" : token))
    .join("");

/** Rows whose texts differ by their values alone are one, named by the most frequent. */
export function merged(rows: Row[]): Row[] {
  const byText = new Map<string, Row>();
  for (const row of rows.toSorted((x, y) => y.counts[0] + y.counts[1] - x.counts[0] - x.counts[1])) {
    const key = masked(row.text);
    const known = byText.get(key);
    if (!known) byText.set(key, { ...row });
    else {
      known.ids = [...known.ids, ...row.ids];
      known.counts = [known.counts[0] + row.counts[0], known.counts[1] + row.counts[1]];
      known.rates = [known.rates[0] + row.rates[0], known.rates[1] + row.rates[1]];
    }
  }
  return [...byText.values()];
}

/** How far two shares are apart, in standard errors: an order, and no test. */
function apart([a, b]: Two<number>, [n, m]: Two<number>): number {
  const pooled = (a * n + b * m) / Math.max(1, n + m);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / Math.max(1, n) + 1 / Math.max(1, m)));
  return error > 0 ? Math.abs(a - b) / error : 0;
}

async function compare(a: string, b: string, times: string, signal: AbortSignal): Promise<Compared> {
  const [figuresA, figuresB, names] = await Promise.all([figuresOf(a, times, signal), figuresOf(b, times, signal), fieldNames(signal)]);
  const figures: Two<Figures> = [figuresA, figuresB];
  const groups = (q: string, by: string, size: number): Promise<GroupTable> =>
    get<GroupTable>(`/v1/aggregate?by=${encodeURIComponent(by)}&size=${size}&q=${encodeURIComponent(q || "*")}${times}`, signal);
  const of = async (by: string, size: number): Promise<Map<string, Two<number>>> => {
    const counts = new Map<string, Two<number>>();
    for (const [side, table] of (await Promise.all([groups(a, by, size), groups(b, by, size)])).entries()) {
      for (const group of table.groups) {
        const value = group.key[by];
        if (value == null) continue;
        const pair = counts.get(value) ?? [0, 0];
        pair[side as 0 | 1] = group.lines;
        counts.set(value, pair);
      }
    }
    return counts;
  };
  const total: Two<number> = [figuresA.lines, figuresB.lines];
  const per: Two<number> = [Math.max(1, figuresA.requests || figuresA.lines), Math.max(1, figuresB.requests || figuresB.lines)];
  const score = (counts: Two<number>): number => apart([counts[0] / Math.max(1, total[0]), counts[1] / Math.max(1, total[1])], total);
  const found = [...(await of("_template", TEMPLATES))].toSorted((x, y) => score(y[1]) - score(x[1])).slice(0, LOOKED_AT);
  const texts = new Map((report.peek()?.comparisons ?? []).flatMap((one) => one.templates.listed.map((of) => [of.id, of.text] as const)));
  const rows = await Promise.all(
    found.map(async ([id, counts]): Promise<Row> => {
      const known = texts.get(id);
      const line = known ? null : await get<Found>(`/v1/search?limit=1&count=0&q=_template:${id}${times}`, signal).catch(() => null);
      const text = known ?? (line?.lines[0] ? fieldsOf(line.lines[0].line).message : id);
      return { ids: [id], counts, rates: [(counts[0] / per[0]) * 1_000, (counts[1] / per[1]) * 1_000], text };
    }),
  );
  const templates = merged(rows)
    .toSorted((x, y) => score(y.counts) - score(x.counts))
    .slice(0, SHOWN);
  const values: Value[] = [];
  for (const field of names) {
    // A name that no line has is none.
    const counts = await of(field, 30).catch(() => new Map<string, Two<number>>());
    // Lines that came after all were counted are in these counts too: the shares of a field are of what its values add up to, at least.
    const listed = [...counts.values()].reduce((sum, pair) => [sum[0] + pair[0], sum[1] + pair[1]], [0, 0]);
    const share = (side: 0 | 1, pair: Two<number>): number => pair[side] / Math.max(1, total[side], listed[side]!);
    for (const [value, pair] of counts) values.push({ field, value, counts: pair, shares: [share(0, pair), share(1, pair)] });
  }
  values.sort((x, y) => apart(y.shares, total) - apart(x.shares, total));
  const seen = new Map<string, number>();
  // A field that is another one in each arm (pods) must not crowd out all others.
  const few = values.filter((of) => {
    const count = (seen.get(of.field) ?? 0) + 1;
    seen.set(of.field, count);
    return count <= VALUES;
  });
  return { figures, templates, values: few.slice(0, 30) };
}

export function Compare() {
  const [a, b] = [param("a"), param("b")];
  const asked = useTimes();
  const texts = useSignal<Two<string>>([a, b]);
  const found = useSignal<Compared | null>(null);
  const busy = useSignal(false);
  const problem = useSignal("");
  const search = canSearch();
  // What somebody types while the page finds out what there is stays.
  useEffect(() => {
    texts.value = [a, b];
  }, [a, b]);
  useEffect(() => {
    found.value = null;
    problem.value = "";
    if (!search || (!a && !b)) return;
    const stopping = new AbortController();
    busy.value = true;
    compare(a, b, inQuery(asked), stopping.signal)
      .then((of) => (found.value = of))
      .catch((error: unknown) => {
        if (!stopping.signal.aborted) problem.value = error instanceof Error ? error.message : String(error);
      })
      .finally(() => {
        if (!stopping.signal.aborted) busy.value = false;
      });
    return () => stopping.abort();
  }, [a, b, asked, search]);
  useEffect(
    () =>
      withKeys([
        { key: "b", words: "swap A and B", run: () => setQuery({ a: param("b"), b: param("a") }) },
        { key: "/", words: "filter A", run: () => document.querySelector<HTMLElement>("main input")?.focus() },
      ]),
    [],
  );
  if (!status.value) return <Loading what="Asking whether lines are kept…" />;
  if (!search) {
    return (
      <section class="empty">
        <h1>Compare</h1>
        <p>This program keeps no lines for search, and two filters can be held against each other only where it does: start it without --index off.</p>
      </section>
    );
  }
  const of = found.value;
  const queryOf = (side: 0 | 1, more = ""): string => both(side === 0 ? a : b, more) || "*";
  return (
    <>
      <h1>Compare</h1>
      <form
        class="bar query"
        onSubmit={(event) => {
          event.preventDefault();
          setQuery({ a: texts.peek()[0].trim(), b: texts.peek()[1].trim() });
        }}
      >
        {SIDES.map((side) => (
          <label key={side} class={side === 0 ? "baseline" : "candidate"}>
            {side === 0 ? "A" : "B"}{" "}
            <QueryInput
              label={side === 0 ? "A" : "B"}
              placeholder={side === 0 ? "_service:checkout _arm:2.4.0" : "_service:checkout _arm:2.5.0"}
              value={texts.value[side]}
              set={(to) => {
                const next: Two<string> = [...texts.peek()];
                next[side] = to;
                texts.value = next;
              }}
            />
          </label>
        ))}
        <button type="submit" class="main">
          Compare
        </button>
        <button type="button" onClick={() => setQuery({ a: b, b: a })}>
          Swap
        </button>
      </form>
      {!a && !b && (
        <section class="empty">
          <h2>Two filters, held against each other</h2>
          <p>Each is a query like those of Search. For example the arms of a rollout:</p>
          <ul>
            {(rollouts.value ?? [])
              .filter((row) => row.control && row.candidate)
              .slice(0, 8)
              .map((row) => {
                const arm = (name: string): string => both(row.services[0] ? term("_service", row.services[0]) : "", term("_arm", name));
                return (
                  <li key={row.id}>
                    <a href={`/compare?${new URLSearchParams({ a: arm(row.control!), b: arm(row.candidate!) })}`}>
                      {harmless(row.services.join(", ") || row.id, 60)}: {harmless(row.control!, 40)} and {harmless(row.candidate!, 40)}
                    </a>
                  </li>
                );
              })}
          </ul>
        </section>
      )}
      {problem.value && (
        <Note tone="invalid" title="This cannot be compared">
          <pre class="said">{harmless(problem.value, 1_000)}</pre>
        </Note>
      )}
      {busy.value && <Loading what="Counting both sides…" />}
      {of && (
        <>
          <p class="aside">
            These are plain counts of one look: they describe, and no error level holds for them. Whether a version is worse is what <a href="/">rollouts</a> say.
          </p>
          <FiguresTable figures={of.figures} queryOf={queryOf} unit={unitOf([a, b], report.value)} />
          <Scroll label="Templates">
            <table class="templates cards-if-narrow">
              <caption>Log lines whose share differs most, of the {TEMPLATES} most frequent of each side; for 1,000 requests (without requests: lines)</caption>
              <thead>
                <tr>
                  <th scope="col">line</th>
                  <th scope="col" class="number baseline">A / 1k</th>
                  <th scope="col" class="number candidate">B / 1k</th>
                  <th scope="col" class="number">B : A</th>
                </tr>
              </thead>
              <tbody>
                {of.templates.length === 0 && (
                  <tr>
                    <td colSpan={4}>none: no line of either side has a text</td>
                  </tr>
                )}
                {of.templates.map((row) => (
                  <tr key={row.ids[0]}>
                    <th scope="row">
                      <a href={`/templates/${row.ids[0]}`}>
                        <code>{harmless(withoutValues(row.text), 200)}</code>
                      </a>
                    </th>
                    {SIDES.map((side) => (
                      <td class="number" key={side} data-of={side === 0 ? "A / 1k" : "B / 1k"}>
                        <PlaceLink timed query={queryOf(side, row.ids.length > 1 ? `(${row.ids.map((id) => `_template:${id}`).join(" OR ")})` : `_template:${row.ids[0]}`)}>{three(row.rates[side])}</PlaceLink>
                      </td>
                    ))}
                    <td class="number" data-of="B : A">{row.counts[0] === 0 ? "only B" : row.counts[1] === 0 ? "only A" : `×${three(row.rates[1] / row.rates[0])}`}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
          <Scroll label="Values">
            <table class="numbers">
              <caption>Values whose share of the lines differs most</caption>
              <thead>
                <tr>
                  <th scope="col">field</th>
                  <th scope="col">value</th>
                  <th scope="col" class="number baseline">A</th>
                  <th scope="col" class="number candidate">B</th>
                  <th scope="col">
                    <span class="unseen">drawn</span>
                  </th>
                </tr>
              </thead>
              <tbody>
                {of.values.length === 0 && (
                  <tr>
                    <td colSpan={5}>none</td>
                  </tr>
                )}
                {of.values.map((row) => (
                  <tr key={`${row.field}=${row.value}`}>
                    <td>{harmless(row.field, 60)}</td>
                    <th scope="row">{harmless(row.value, 120)}</th>
                    {SIDES.map((side) => (
                      <td class="number" key={side}>
                        <PlaceLink timed query={queryOf(side, term(row.field, row.value))}>{percent(row.shares[side])}</PlaceLink>
                      </td>
                    ))}
                    <td>
                      <svg class="bars" role="img" aria-label={`A ${percent(row.shares[0])}, B ${percent(row.shares[1])}`} viewBox="0 0 124 22" width={124} height={22}>
                        <rect class="baseline" x={0} y={2} width={Math.max(1, row.shares[0] * 120)} height={8} />
                        <rect class="candidate" x={0} y={12} width={Math.max(1, row.shares[1] * 120)} height={8} />
                      </svg>
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </Scroll>
        </>
      )}
    </>
  );
}

export function FiguresTable({ figures, queryOf, unit }: { figures: Two<Figures>; queryOf: (side: 0 | 1, more?: string) => string; unit: string }) {
  const units = unit === "client address" ? "client addresses" : `${unit}s`;
  const ms = (of: Figures, share: string): number | null => of.quantiles[share] ?? null;
  const rows: { name: string; more: string; value: (of: Figures) => string; number: (of: Figures) => number | null }[] = [
    { name: "lines", more: "", value: (of) => grouped(of.lines), number: (of) => of.lines },
    { name: "requests", more: "_kind:request", value: (of) => grouped(of.requests), number: (of) => of.requests },
    { name: "failed requests", more: "_kind:request _failed:true", value: (of) => percent(of.requests > 0 ? of.failed / of.requests : null), number: (of) => (of.requests > 0 ? of.failed / of.requests : null) },
    {
      name: `${units} with errors [95 %, for one look]`,
      more: "_kind:request _failed:true",
      value: (of) => (of.share ? `${percent(of.share.share)} [${percent(of.share.low)}, ${percent(of.share.high)}]` : "–"),
      number: (of) => of.share?.share ?? null,
    },
    { name: "error lines for 1,000 requests", more: "_level:>=error", value: (of) => (of.requests > 0 ? three((of.errors / of.requests) * 1_000) : grouped(of.errors)), number: (of) => (of.requests > 0 ? of.errors / of.requests : null) },
    { name: units, more: "_kind:request", value: (of) => (of.users === null ? "–" : grouped(of.users)), number: (of) => of.users },
    { name: "latency p50", more: "_kind:request", value: (of) => millis(ms(of, "0.5")), number: (of) => ms(of, "0.5") },
    { name: "latency p95", more: "_kind:request", value: (of) => millis(ms(of, "0.95")), number: (of) => ms(of, "0.95") },
    { name: "latency p99", more: "_kind:request", value: (of) => millis(ms(of, "0.99")), number: (of) => ms(of, "0.99") },
  ];
  // Where requests are the unit, those are told already.
  const shown = rows.filter((row) => unit !== "request" || !row.name.startsWith(units) || row.name === "requests").filter((row, at, all) => all.findIndex((of) => of.name === row.name) === at);
  return (
    <Scroll label="Figures">
      <table class="numbers">
        <caption>Both sides. {STEPS}</caption>
        <thead>
          <tr>
            <th scope="col">figure</th>
            <th scope="col" class="number baseline">A</th>
            <th scope="col" class="number candidate">B</th>
            <th scope="col" class="number">B : A</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((row) => {
            const [x, y] = [row.number(figures[0]), row.number(figures[1])];
            return (
              <tr key={row.name}>
                <th scope="row">{row.name}</th>
                {SIDES.map((side) => (
                  <td class="number" key={side}>
                    <PlaceLink timed query={queryOf(side, row.more)}>{row.value(figures[side])}</PlaceLink>
                  </td>
                ))}
                <td class="number">{x && y !== null ? `×${three(y / x)}` : "–"}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </Scroll>
  );
}
