// The team's own view, from a file.

import { useComputed, useSignal, type ReadonlySignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { armQuery, canSearch, inTime, PlaceLink } from "../components/Lines";
import { LogLine } from "../components/LogLine";
import { Badge, Loading, Note, Problem, Said, Scroll, Time } from "../components/parts";
import { DRAWN, SeriesChart, type Line } from "../components/SeriesChart";
import { usualTime } from "../components/TimeRange";
import { armsOf } from "../lib/arms";
import { get, getText } from "../lib/api";
import { useSteady } from "../lib/steady";
import { useAsked } from "../lib/ask";
import { filled } from "../lib/board";
import { bytes, effectWords, evidence, grouped, harmless, millis, percent, span, STEPS, valueOf } from "../lib/format";
import { dataEnd, newest, report, reportVersion, rollouts, status } from "../lib/live";
import { ALL, inQuery, logEnd, timesOf, type Times } from "../lib/logtime";
import { metricRows, type MetricRow } from "../lib/metrics";
import { param, rolloutPath, setQuery } from "../lib/router";
import { wholeOf } from "../lib/timeaxis";
import { barLength, millisOf } from "../lib/times";
import type { Board as BoardOf, BoardRow, Comparison, Found, FoundLine, GroupTable, Panel, RolloutRow } from "../lib/types";
import { apartOf, settled, told, untilThen, usePlain, useSettled, useSideBySide } from "../lib/sidebyside";
import { newLineQuery, SAME_MIX, WITHIN } from "./Verdict";
import { findingLook, freshOf, groupOf, inOrder, LATELY_MS, lookOfRollout, PHASES, serviceName, WORSE } from "../lib/words";
import { comparisonOf, evidenceOf, silentOf } from "./Rollouts";

const KINDS = ["quantile", "distinct"];
/** A panel asks again so often at most, in milliseconds. */
const PAUSE = 5_000;

/** Counts up when the report is another one, and not too often. */
function useSlow(): ReadonlySignal<number> {
  const slow = useSignal(0);
  const version = reportVersion.value;
  const waiting = useRef<ReturnType<typeof setTimeout> | null>(null);
  useEffect(() => {
    waiting.current ??= setTimeout(() => {
      waiting.current = null;
      slow.value += 1;
    }, PAUSE);
  }, [version]);
  useEffect(() => () => void (waiting.current && clearTimeout(waiting.current)), []);
  return slow;
}

export function Board({ name }: { name: string }) {
  const never = useSignal(0);
  const asked = useAsked<BoardOf | { dashboards: BoardRow[] }>(name ? `/v1/dashboards/${encodeURIComponent(name)}` : "/v1/dashboards", never);
  const { value, error } = asked.value;
  if (!value) return error ? <Problem words={error} /> : <Loading what="Asking for dashboards…" />;
  return "dashboards" in value ? <List rows={value.dashboards} /> : <Shown board={value} />;
}

function List({ rows }: { rows: BoardRow[] }) {
  return (
    <>
      <h1>Dashboards</h1>
      <ul class="plain">
        {rows.map((row) => (
          <li key={row.name} class="card">
            <h2>{row.problems ? harmless(row.name, 60) : <a href={`/d/${row.name}`}>{harmless(row.title, 100)}</a>}</h2>
            {row.problems ? (
              <Note tone="invalid" title="This file is wrong">
                <pre class="said">{harmless(row.problems, 2_000)}</pre>
              </Note>
            ) : (
              <p>{harmless(row.description, 300)}</p>
            )}
            <p class="aside">{row.file ? harmless(row.file, 100) : "built in"}</p>
          </li>
        ))}
      </ul>
      <p class="aside">
        A dashboard is a file of YAML (docs/ui.md); <code>--dashboards DIR</code> names a folder of your own, and <code>serin check FILE</code> says what is wrong in one.
      </p>
    </>
  );
}

function Shown({ board }: { board: BoardOf }) {
  useEffect(() => {
    usualTime.value = board.duration_seconds;
    return () => (usualTime.value = null);
  }, [board.duration_seconds]);
  const slow = useSlow().value;
  const isKnown = useComputed(() => newest.value !== null).value;
  // It moves with the log, and not with each report.
  const times = useMemo(() => boardTimes(param("from"), param("to"), board.duration_seconds, newest.peek(), Date.now()), [slow, isKnown, param("from"), param("to"), board.duration_seconds]);
  const hasTime = board.panels.some((of) => ["TimeSeries", "Table", "Lines"].includes(of.kind)) && canSearch();
  const values = Object.fromEntries(board.variables.map((of) => [of.name, param(of.name) || of.default]));
  const services = [...new Set((rollouts.value ?? []).flatMap((row) => row.services))].toSorted();
  const panels = board.panels.toSorted((a, b) => (a.place?.y ?? 1e6) - (b.place?.y ?? 1e6) || (a.place?.x ?? 0) - (b.place?.x ?? 0));
  return (
    <>
      <h1>{harmless(board.title, 100)}</h1>
      {board.description && <p>{harmless(board.description, 400)}</p>}
      <div class="bar">
        {board.variables.map((of) => (
          <label key={of.name}>
            {of.name}{" "}
            <input
              type="text"
              list={`known-${of.name}`}
              placeholder="all"
              value={param(of.name)}
              onChange={(event) => setQuery({ [of.name]: event.currentTarget.value.trim() })}
            />
            {of.name === "service" && (
              <datalist id="known-service">
                {services.map((service) => (
                  <option key={service} value={service} />
                ))}
              </datalist>
            )}
          </label>
        ))}
        <a href="/d">All dashboards</a>
        {hasTime && (
          <span class="aside">
            {times.since === "" && times.until === "" ? (
              "all time"
            ) : (
              <>
                {times.since ? <Time at={times.since} /> : "all time"} to {times.until ? <Time at={times.until} /> : "now"}
              </>
            )}
          </span>
        )}
      </div>
      <div class="grid">
        {panels.map((panel) => (
          <section key={panel.name} class={`panel w${panel.place?.width ?? 12}`} aria-label={panel.title}>
            <h2>{harmless(filled(panel.title, values), 100)}</h2>
            <PanelBody panel={panel} values={values} times={times} version={slow} />
          </section>
        ))}
      </div>
    </>
  );
}

/** The time that panels are of: what the address asks for, else the last of the log; both ends as times. */
export function boardTimes(from: string, to: string, duration: number, until: string | null, clock: number): Times {
  const end = logEnd(until, clock) ?? clock;
  const of = timesOf(from || `now-${Math.round(duration)}s`, from ? to : "", end);
  // Until now is open: what comes is there.
  return end === clock && !to ? { ...of, until: "" } : of;
}

interface Props {
  panel: Panel;
  values: Record<string, string>;
  times: Times;
  version: number;
}

const textOf = (panel: Panel, key: string): string => (typeof panel.spec[key] === "string" ? panel.spec[key] : "");
const listOf = (panel: Panel, key: string): string[] => (Array.isArray(panel.spec[key]) ? panel.spec[key] : []);
const numberOf = (panel: Panel, key: string, usual: number): number => (typeof panel.spec[key] === "number" ? panel.spec[key] : usual);

function PanelBody(props: Props) {
  const service = filled(textOf(props.panel, "service"), props.values).replaceAll('"', "");
  switch (props.panel.kind) {
    case "Rollouts":
      return <RolloutsPanel show={textOf(props.panel, "show")} />;
    case "DeltaTable":
      return <DeltasPanel service={service} />;
    case "TemplateDiff":
      return <TemplatesPanel service={service} change={listOf(props.panel, "change")} limit={numberOf(props.panel, "limit", 20)} />;
    case "Metrics":
      return <MetricsPanel names={listOf(props.panel, "names")} />;
    case "TimeSeries":
    case "Table":
    case "Lines":
      return status.value === null ? <p class="aside">…</p> : canSearch() ? <QueryPanel {...props} /> : <p class="aside">This program keeps no lines for search.</p>;
  }
}

const isOf = (comparison: Comparison, service: string): boolean => !service || comparison.service === service || comparison.service.startsWith(`${service} in `);

function rowOf(comparison: Comparison): RolloutRow | undefined {
  return (rollouts.value ?? []).find((of) => of.candidate === comparison.candidate && of.services.some((service) => serviceName(service, of.environment, of.cell) === comparison.service));
}

function Named({ comparison, tab = "" }: { comparison: Comparison; tab?: string }) {
  const row = rowOf(comparison);
  const name = `${comparison.service} ${comparison.candidate}`;
  return row ? <a href={rolloutPath(row.id, tab)}>{harmless(name, 100)}</a> : <>{harmless(name, 100)}</>;
}

function RolloutsPanel({ show }: { show: string }) {
  const [all, list] = [rollouts.value ?? [], report.value?.comparisons ?? []];
  const silent = silentOf(all, list, newest.value ? Date.parse(newest.value) : 0);
  const isOf = (row: RolloutRow): boolean => {
    const group = groupOf(row, silent.has(row.id));
    return (group === "silent" ? "running" : group) === show;
  };
  const rows = inOrder(all, freshOf(all, list, [], Date.now()), silent, freshOf(all, list, [], Date.now(), LATELY_MS)).filter((row) => !["needs", "running", "done"].includes(show) || isOf(row));
  if (rows.length === 0) return <p class="aside">No rollout.</p>;
  return (
    <Scroll label="Rollouts of the panel">
      <table class="numbers">
        <caption class="unseen">Rollouts</caption>
        <thead>
          <tr>
            <th scope="col">verdict</th>
            <th scope="col">rollout</th>
            <th scope="col">versions</th>
            <th scope="col">stands</th>
            <th scope="col">why</th>
          </tr>
        </thead>
        <tbody>
          {rows.slice(0, 50).map((row) => (
            <tr key={row.id}>
              <td>
                <Badge look={lookOfRollout(row)} />
              </td>
              <th scope="row">
                <a href={rolloutPath(row.id)}>{harmless(row.id, 60)}</a>
              </th>
              <td class="whole">
                <span class="baseline">{harmless(row.control ?? "–", 40)}</span> → <span class="candidate">{harmless(row.candidate ?? "–", 40)}</span>
              </td>
              <td>{row.phase ? (PHASES[row.phase] ?? row.phase) : row.over ? "over" : "found"}</td>
              <td class="evidence">
                <Said words={evidenceOf(row, comparisonOf(row, report.value?.comparisons ?? [])).slice(0, 220)} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

function DeltasPanel({ service }: { service: string }) {
  const list = (report.value?.comparisons ?? []).filter((of) => isOf(of, service)).slice(-10);
  if (list.length === 0) return <p class="aside">No comparison{service ? ` of ${harmless(service, 60)}` : ""}.</p>;
  return (
    <Scroll label="Guardrails of the panel">
      <table class="numbers">
        <caption class="unseen">Guardrails</caption>
        <thead>
          <tr>
            <th scope="col">rollout</th>
            <th scope="col">guardrail</th>
            <th scope="col" class="number baseline">baseline</th>
            <th scope="col" class="number candidate">canary</th>
            <th scope="col">difference [interval]</th>
            <th scope="col">finding</th>
          </tr>
        </thead>
        <tbody>
          {list.map((comparison) => (
            <Deltas key={`${comparison.service}${comparison.candidate}`} comparison={comparison} />
          ))}
        </tbody>
      </table>
      {list.some((of) => of.guardrails.some((row) => row.values_in === "ms" && row.finding !== "no data")) && <p class="aside">{STEPS}</p>}
      {list.some((of) => apartOf(of)) && <p class="aside">Where one arm was heard of no more: of the time while both ran, as the verdict has it.</p>}
    </Scroll>
  );
}

/** A panel shows percentiles of latencies. */
export const isOfLatency = (spec: Panel["spec"]): boolean => spec.quantiles === "_latency" || (spec.figure === "quantile" && spec.of === "_latency");

/** The guardrails of one comparison, as its verdict has them. */
function Deltas({ comparison }: { comparison: Comparison }) {
  const both = useSideBySide(comparison);
  const plain = usePlain(comparison);
  const course = useSettled(comparison);
  const failing = comparison.templates.listed.filter((of) => comparison.templates.failing.includes(of.id));
  return (
    <>
      {failing.map((of) => (
        <tr key={of.id}>
          <th scope="row">
            <Named comparison={comparison} tab="templates" />
          </th>
          <td>new error line</td>
          {([0, 1] as const).map((side) => (
            <td class="number" key={side}>
              <PlaceLink query={newLineQuery(of, comparison, side)}>{grouped(of.units[side])}</PlaceLink> <small>{comparison.unit}s</small>
            </td>
          ))}
          <td>
            <code>{harmless(of.text || of.id, 80)}</code>
          </td>
          <td>
            <Badge look={{ ...WORSE, word: "worse" }} />
          </td>
        </tr>
      ))}
      {comparison.guardrails
        .filter((row) => row.finding !== "no data")
        .map((of) => settled(of, course))
        .map((row, at) => (
          <tr key={row.guardrail}>
            <th scope="row">{at === 0 ? <Named comparison={comparison} /> : <span class="unseen">{comparison.service}</span>}</th>
            <td>{row.label}</td>
            {([0, 1] as const).map((side) => {
              const of = told(row, side, both, comparison.strata, plain);
              const query = row.lines?.[side === 0 ? "baseline" : "canary"]?.query;
              return (
                <td class="number" key={side}>
                  {of.isAwaited ? "…" : <PlaceLink query={of.until && query ? untilThen(query, comparison, of.until) : query}>{valueOf(of.value, row.values_in)}</PlaceLink>}
                  {of.isOfAll && <small>of all the time</small>}
                  {of.isWeighted && <small title={SAME_MIX}>with the same mix</small>}
                </td>
              );
            })}
            <td>
              {row.effect ? effectWords(row.effect) : "needs more data"}
              {row.effect && row.above?.threshold_ms != null && <small title={WITHIN}>in what takes longer than {millis(row.above.threshold_ms)}</small>}
            </td>
            <td>
              <Badge look={findingLook(row.finding)} />
            </td>
          </tr>
        ))}
    </>
  );
}

function TemplatesPanel({ service, change, limit }: { service: string; change: string[]; limit: number }) {
  const list = (report.value?.comparisons ?? [])
    .filter((of) => isOf(of, service))
    .flatMap((comparison) => comparison.templates.listed.map((template) => ({ comparison, template })))
    .filter(({ template }) => change.length === 0 || change.includes(template.change));
  if (list.length === 0) return <p class="aside">No log line differs.</p>;
  return (
    <Scroll label="Log lines of the panel">
      <table class="templates">
        <caption class="unseen">Log lines that differ</caption>
        <thead>
          <tr>
            <th scope="col">change</th>
            <th scope="col">line</th>
            <th scope="col">rollout</th>
            <th scope="col" class="number baseline">baseline’s users</th>
            <th scope="col" class="number candidate">canary’s users</th>
            <th scope="col">evidence</th>
          </tr>
        </thead>
        <tbody>
          {list.slice(0, limit).map(({ comparison, template }) => (
            <tr key={`${comparison.service}${comparison.candidate}${template.id}`} class={template.level === "error or worse" ? "severe" : ""}>
              <td>
                <span class={`change ${template.change}`}>{template.change.toUpperCase()}</span>
              </td>
              <th scope="row">
                <a href={`/templates/${template.id}`}>
                  <code>{harmless(template.text || template.id, 200)}</code>
                </a>
              </th>
              <td>
                <Named comparison={comparison} tab="templates" />
              </td>
              <td class="number">
                <PlaceLink query={armQuery(comparison, 0, `_template:${template.id}`)}>{grouped(template.units[0])}</PlaceLink>
              </td>
              <td class="number">
                <PlaceLink query={armQuery(comparison, 1, `_template:${template.id}`)}>{grouped(template.units[1])}</PlaceLink>
              </td>
              <td>{evidence(template.log_e)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

const WORDS = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 3 });

/** What metrics are called, for people; others by their names. */
const METRICS: Record<string, string> = {
  serin_source_lines_total: "lines that came",
  serin_source_bytes_total: "bytes that came",
  serin_source_lag_bytes: "not read yet",
  serin_source_lag_records: "records not read yet",
  serin_data_lag_seconds: "age of the newest line that was judged",
  serin_windows_total: "stretches of time judged",
  serin_ready: "takes lines and judges them",
  serin_caught_up: "has read again what was there before it started",
  serin_rejected_records_total: "lines that could not be read",
  serin_role_coverage_ratio: "part of the first lines that name it",
  serin_index_lines: "lines that can be searched",
  serin_index_bytes: "their size on disk",
  serin_index_parts: "files they are in",
  serin_index_lost_total: "lines removed before they could be searched",
  serin_state_bytes: "state that is kept",
  serin_memory_limit_bytes: "memory it may take",
  serin_buffer_bytes: "memory that waiting lines take",
  serin_rollout_log_e: "evidence that it is worse",
  serin_rollout_units: "users and others who were counted",
  serin_hook_deliveries: "messages to hooks",
  serin_hook_waiting_deliveries: "messages that no hook has taken yet",
};
const YES_OR_NO = new Set(["serin_ready", "serin_caught_up"]);

export function metricValue(row: MetricRow): string {
  if (!Number.isFinite(row.value)) return row.text === "NaN" ? "not known yet" : row.text;
  if (YES_OR_NO.has(row.name)) return row.value === 1 ? "yes" : "no";
  if (row.name === "serin_data_lag_seconds" && row.value < -1) return `ahead of the clock by ${span(-row.value)}`;
  if (row.name.endsWith("_seconds")) return row.value < 0 ? `−${span(-row.value)}` : span(row.value);
  if (row.name.endsWith("_ratio")) return percent(row.value);
  if (row.name.endsWith("_bytes") || row.name.endsWith("_bytes_total")) {
    return bytes(row.value);
  }
  if (row.name === "serin_rollout_log_e") return evidence(row.value);
  return WORDS.format(row.value).replace("-", "\u2212");
}

/** Rows of a family that are 0 and shown one by one. */
const ZEROS = 3;

/** Of many series that are 0 one row says how many there are. */
function short(rows: MetricRow[]): MetricRow[] {
  return [...new Set(rows.map((row) => row.name))].flatMap((name) => {
    const of = rows.filter((row) => row.name === name);
    const zeros = of.filter((row) => row.value === 0);
    if (zeros.length <= ZEROS) return of;
    const some = zeros.length === of.length ? "all" : "others";
    return [...of.filter((row) => row.value !== 0), { ...zeros[0]!, labels: `${some}: ${zeros.map((row) => row.labels.replace(/^\w+ /, "")).join(", ")}` }];
  });
}

function MetricsPanel({ names }: { names: string[] }) {
  const rows = useSignal<MetricRow[] | null>(null);
  const problem = useSignal("");
  const slow = useSlow().value;
  useEffect(() => {
    const stopping = new AbortController();
    getText("/metrics", stopping.signal).then(
      (text) => (rows.value = metricRows(text, names)),
      (error: unknown) => {
        if (!stopping.signal.aborted) problem.value = error instanceof Error ? error.message : String(error);
      },
    );
    return () => stopping.abort();
  }, [slow]);
  if (!rows.value) return problem.value ? <p class="aside">{problem.value}</p> : <p class="aside">…</p>;
  if (rows.value.length === 0) return <p class="aside">None of these has a value yet: {names.join(", ")}.</p>;
  return (
    <Scroll label="Values of the panel">
      <table class="numbers">
        <caption class="unseen">Values of /metrics now</caption>
        <thead>
          <tr>
            <th scope="col">what</th>
            <th scope="col">of</th>
            <th scope="col" class="number">now</th>
          </tr>
        </thead>
        <tbody>
          {short(rows.value).map((row) => (
            <tr key={row.name + row.labels}>
              <th scope="row" title={`${row.name}: ${row.help}`}>
                {row.name === "serin_role_coverage_ratio" ? row.labels.replace(/^role /, "") : METRICS[row.name] ?? row.name.replace(/^serin_/, "").replaceAll("_", " ")}
              </th>
              <td>{row.name === "serin_role_coverage_ratio" ? "of all lines" : harmless(row.labels.replaceAll("_", " "), 160) || "–"}</td>
              <td class="number">{metricValue(row)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

type Answer = { kind: "series"; times: number[]; lines: Line[]; whole: boolean[] } | { kind: "table"; table: GroupTable } | { kind: "lines"; lines: FoundLine[] };

/** The first and the last time at which there are such lines, in milliseconds. */
async function extentOf(q: string, signal: AbortSignal): Promise<[number, number] | null> {
  const starts = async (every: string): Promise<number[]> => (await get<GroupTable>(`/v1/aggregate?${q}&every=${every}&size=2000`, signal)).groups.flatMap((of) => (of.from ? [Date.parse(of.from)] : [])).toSorted((a, b) => a - b);
  const days = await starts("24h");
  if (days.length === 0) return null;
  if (days.length > 2) return [days[0]!, days.at(-1)! + 86_400_000];
  const some = await starts("5m");
  return some.length === 0 ? null : [some[0]!, some.at(-1)! + 300_000];
}

/** Series of arms, by service: those of what failed first, in each service the baseline first, with what a comparison says of them. */
export function armLines(lines: Line[]): Line[] {
  const groupOfLine = (line: Line): string => line.name.split(" ")[0]!;
  const groups = [...new Set(lines.map(groupOfLine))];
  const key = (line: Line): [number, number, number] => {
    const of = armsOf.value.get(line.name);
    return [of?.rank ?? 99, groups.indexOf(groupOfLine(line)), of?.role === "candidate" ? 1 : 0];
  };
  return lines
    .map((line): Line => {
      const of = armsOf.value.get(line.name);
      return of ? { ...line, role: of.role, words: of.words, group: groupOfLine(line) } : line;
    })
    .toSorted((x, y) => {
      const [a, b] = [key(x), key(y)];
      return a[0] - b[0] || a[1] - b[1] || a[2] - b[2];
    });
}

async function answerOf(panel: Panel, query: string, asked: Times, signal: AbortSignal): Promise<Answer> {
  const times = inQuery(asked);
  const q = `q=${encodeURIComponent(query || "*")}`;
  if (panel.kind === "Lines") {
    const found = await get<Found>(`/v1/search?${q}&limit=${numberOf(panel, "limit", 20)}&count=0${times}`, signal);
    return { kind: "lines", lines: found.lines };
  }
  if (panel.kind === "Table") {
    const by = listOf(panel, "by");
    const quantiles = textOf(panel, "quantiles");
    const distinct = textOf(panel, "distinct");
    const more = `${quantiles ? `&quantiles=${quantiles}&shares=0.5,0.95,0.99` : ""}${distinct ? `&distinct=${distinct}` : ""}`;
    return { kind: "table", table: await get<GroupTable>(`/v1/aggregate?${q}&by=${by.join(",")}&size=${numberOf(panel, "limit", 50)}${more}${times}`, signal) };
  }
  const now = Date.now();
  const extent = asked.since ? null : await extentOf(q, signal);
  const [first, last] = extent ?? [millisOf(asked.since, now) ?? now - 3_600_000, millisOf(asked.until || "now", now) ?? now];
  const every = Math.max(1, barLength((last - first) / 1_000));
  const figure = textOf(panel, "figure") || "lines";
  const by = textOf(panel, "by");
  // Services may call their versions alike: an arm is told with its service.
  const isByArm = by === "_arm";
  const share = numberOf(panel, "share", 0.5);
  const more = figure === "quantile" ? `&quantiles=${textOf(panel, "of")}&shares=${share}` : figure === "distinct" ? `&distinct=${textOf(panel, "of")}` : "";
  const table = await get<GroupTable>(`/v1/aggregate?${q}&every=${every}s&size=2000${by ? `&by=${isByArm ? "_service,_arm" : by}` : ""}${more}${times}`, signal);
  const at = [...new Set(table.groups.flatMap((of) => (of.from ? [Date.parse(of.from) / 1_000] : [])))].toSorted((a, b) => a - b);
  // Bars in which nothing came are none, for counts.
  const grid: number[] = [];
  for (let time = at[0] ?? 0; time <= (at.at(-1) ?? -1) && grid.length < 500; time += every) grid.push(time);
  const lines = new Map<string, (number | null)[]>();
  const sums = new Map<string, number>();
  for (const of of table.groups) {
    if (!of.from) continue;
    const own = by ? (of.key[by] ?? "none") : "all";
    const name = isByArm && of.key._service ? `${of.key._service} ${own}` : own;
    const values = lines.get(name) ?? grid.map(() => (KINDS.includes(figure) ? null : 0));
    const place = Math.round((Date.parse(of.from) / 1_000 - (grid[0] ?? 0)) / every);
    values[place] = figure === "quantile" ? (Object.values(of.quantiles ?? {})[0] ?? null) : figure === "distinct" ? (of.distinct ?? null) : figure === "per second" ? of.lines / every : of.lines;
    lines.set(name, values);
    sums.set(name, (sums.get(name) ?? 0) + of.lines);
  }
  // Those with most lines are drawn, by name; the others follow in the table.
  const order = [...lines.keys()].toSorted((a, b) => sums.get(b)! - sums.get(a)! || (a < b ? -1 : 1));
  const names = [...order.slice(0, DRAWN).toSorted(), ...order.slice(DRAWN, 30)];
  const all = (isByArm ? order : names).map((name) => ({ name, values: lines.get(name)! }));
  // What is typical of a part of a stretch is no less for it.
  const whole = figure === "quantile" ? grid.map(() => true) : wholeOf(grid, every, extent ? null : first / 1_000, Math.min(last, dataEnd(now)) / 1_000);
  return { kind: "series", times: grid, lines: isByArm ? armLines(all).slice(0, 30) : all, whole };
}

/** Nothing came in this time: where there is some is said, and one step away. */
function NoLine({ query, times }: { query: string; times: Times }) {
  const last = useSignal<string | null | undefined>(undefined);
  const key = `${query}\n${inQuery(times)}`;
  useEffect(() => {
    const stopping = new AbortController();
    const q = encodeURIComponent(query || "*");
    get<Found>(`/v1/search?limit=1&count=0&q=${q}`, stopping.signal).then(
      (found) => (last.value = found.lines[0]?.time ?? null),
      () => {},
    );
    return () => stopping.abort();
  }, [key]);
  return (
    <p class="aside">
      No line in this time
      {last.value ? (
        <>
          ; the newest such line is of <Time at={last.value} />.{" "}
          <button type="button" class="link" onClick={() => setQuery({ from: ALL, to: null })}>
            Show all time
          </button>
        </>
      ) : last.value === null ? (
        ", nor in any other."
      ) : (
        "."
      )}
    </p>
  );
}

function QueryPanel({ panel, values, times, version }: Props) {
  const answer = useSignal<Answer | null>(null);
  const problem = useSignal("");
  const query = filled(textOf(panel, "query"), values);
  const isKnown = useComputed(() => newest.value !== null).value;
  useSteady([query, param("from"), param("to"), isKnown].join("\n"), version, (signal) =>
    answerOf(panel, query, times, signal).then(
      (of) => {
        answer.value = of;
        problem.value = "";
      },
      (error: unknown) => {
        if (!signal.aborted) problem.value = error instanceof Error ? error.message : String(error);
      },
    ),
  );
  const of = answer.value;
  if (problem.value) {
    return (
      <Note tone="invalid" title="No answer">
        <pre class="said">{harmless(problem.value, 600)}</pre>
      </Note>
    );
  }
  if (!of) return <p class="aside">…</p>;
  const link = (
    <p class="aside">
      <a href={inTime(query || "*", times)}>its lines</a>
      {isOfLatency(panel.spec) && <>. {STEPS}</>}
    </p>
  );
  if (of.kind === "series") {
    if (of.lines.length === 0) return <NoLine query={query} times={times} />;
    const figure = textOf(panel, "figure");
    return (
      <>
        <SeriesChart label={panel.title} times={of.times} lines={of.lines} whole={of.whole} digits={figure === "per second" ? 2 : figure === "quantile" ? 1 : 0} />
        {link}
      </>
    );
  }
  if (of.kind === "lines") {
    return (
      <>
        {of.lines.length === 0 ? <NoLine query={query} times={times} /> : of.lines.map((line) => <LogLine key={line.cursor} line={line} />)}
        {link}
      </>
    );
  }
  const by = listOf(panel, "by");
  if (of.table.groups.length === 0) return <NoLine query={query} times={times} />;
  const shares = Object.keys(of.table.groups[0]?.quantiles ?? {});
  const hasDistinct = textOf(panel, "distinct") !== "";
  return (
    <>
      <Scroll label={`${panel.title}, table`}>
        <table class="numbers">
          <caption class="unseen">{panel.title}</caption>
          <thead>
            <tr>
              {by.map((name) => (
                <th scope="col" key={name}>
                  {name.replace(/^_/, "")}
                </th>
              ))}
              <th scope="col" class="number">lines</th>
              {hasDistinct && (
                <th scope="col" class="number">
                  {textOf(panel, "distinct") === "_unit" ? `${report.value?.survey?.unit ?? "user"}s` : "different"}
                </th>
              )}
              {shares.map((share) => (
                <th scope="col" class="number" key={share}>
                  p{Math.round(Number(share) * 100)}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {of.table.groups.map((group) => (
              <tr key={by.map((name) => group.key[name]).join("/")}>
                {by.map((name) => (
                  <td key={name}>{harmless(group.key[name] ?? "–", 100)}</td>
                ))}
                <td class="number">
                  <PlaceLink times={times} query={[query, ...by.flatMap((name) => (group.key[name] == null ? [] : [`${name}:"${group.key[name]!.replaceAll('"', '\\"')}"`]))].join(" ")}>{grouped(group.lines)}</PlaceLink>
                </td>
                {hasDistinct && <td class="number">{grouped(group.distinct ?? 0)}</td>}
                {shares.map((share) => (
                  <td class="number" key={share}>
                    {textOf(panel, "quantiles") === "_latency" ? millis(group.quantiles?.[share] ?? null) : (group.quantiles?.[share] ?? "–")}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </Scroll>
      {link}
    </>
  );
}
