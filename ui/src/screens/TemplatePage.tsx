// What is this line, since which version, where?

import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { Affected } from "../components/Affected";
import { Histogram, type Bar } from "../components/Histogram";
import { armQuery, canSearch, PlaceLink } from "../components/Lines";
import { LogLine } from "../components/LogLine";
import { SeriesChart, type Line } from "../components/SeriesChart";
import { Loading, Note, Scroll, Time } from "../components/parts";
import { get } from "../lib/api";
import { EVIDENCE, evidence, grouped, harmless, three } from "../lib/format";
import { dataEnd, report, rollouts, status } from "../lib/live";
import { useTimes } from "../lib/logtime";
import { rolloutPath, setQuery } from "../lib/router";
import { wholeOf } from "../lib/timeaxis";
import { barLength, millisOf } from "../lib/times";
import type { Comparison, Found, FoundLine, Group, GroupTable, Template } from "../lib/types";
import { serviceName } from "../lib/words";
import { draw } from "./Search";

/** Lines that are shown. */
const SHOWN = 20;
/** How much of the time before its first line a trend shows. */
const AHEAD_MS = 120_000;

export interface Of {
  comparison: Comparison;
  template: Template;
}

/** What the report says of a template. */
export function saidOf(id: string): Of[] {
  return (report.value?.comparisons ?? []).flatMap((comparison) => {
    const template = comparison.templates.listed.find((one) => one.id === id);
    return template ? [{ comparison, template }] : [];
  });
}

/** Its lines in one arm of a comparison. */
const armOf = (id: string, comparison: Comparison, side: 0 | 1): string => `_template:${id} ${armQuery(comparison, side)}`;

interface Arm {
  service: string;
  arm: string;
  lines: number;
  requests: number;
  users: number | null;
}

/** Arms that are drawn. */
const DRAWN = 4;

interface Trend {
  times: number[];
  lines: Line[];
  /** Which times are whole stretches; rates are of parts, too. */
  whole: boolean[];
  /** For so many requests; where no requests are logged, lines. */
  isRate: boolean;
}

const armName = (of: Group): string => `${of.key._service ?? ""} ${of.key._arm ?? ""}`.trim() || "none";

/** Rates by arm over time, the baseline of a comparison first. */
async function trendOf(id: string, [from, until]: [number, number], order: string[], signal: AbortSignal): Promise<Trend | null> {
  const every = barLength((until - from) / 1_000);
  const times = new URLSearchParams({ since: new Date(from).toISOString(), until: new Date(until).toISOString(), every: `${every}s`, size: "2000" });
  const ask = (q: string): Promise<GroupTable> => get<GroupTable>(`/v1/aggregate?by=_service,_arm&q=${encodeURIComponent(q)}&${times}`, signal);
  const own = await ask(`_template:${id}`);
  const services = new Set(own.groups.map((of) => of.key._service ?? ""));
  const named = [...services].map((service) => (service ? `_service:"${service.replaceAll('"', '\\"')}"` : "NOT _exists_:_service"));
  const requests = await ask(`_kind:request AND (${named.join(" OR ") || "*"})`);
  const cells = (table: GroupTable): Map<string, Map<number, number>> => {
    const by = new Map<string, Map<number, number>>();
    for (const of of table.groups) {
      if (!of.from || !services.has(of.key._service ?? "")) continue;
      const name = armName(of);
      by.set(name, (by.get(name) ?? new Map<number, number>()).set(Date.parse(of.from) / 1_000, of.lines));
    }
    return by;
  };
  const [met, all] = [cells(own), cells(requests)];
  const isRate = [...met.keys()].every((name) => all.has(name));
  const names = isRate ? [...all.keys()] : [...met.keys()];
  const rank = (name: string): number => (order.includes(name) ? order.indexOf(name) : order.length);
  const ats = [...new Set([...(isRate ? all : met).values()].flatMap((of) => [...of.keys()]))].toSorted((a, b) => a - b);
  if (ats.length < 2) return null;
  const value = (name: string, at: number): number | null => {
    const lines = met.get(name)?.get(at) ?? 0;
    if (!isRate) return lines;
    const of = all.get(name)?.get(at) ?? 0;
    return of > 0 ? (lines / of) * 1_000 : null;
  };
  const lines = names.toSorted((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1)).slice(0, DRAWN);
  return { times: ats, isRate, whole: isRate ? ats.map(() => true) : wholeOf(ats, every, from / 1_000, Math.min(until, dataEnd(Date.now())) / 1_000), lines: lines.map((name) => ({ name, values: ats.map((at) => value(name, at)) })) };
}

/** The time of the first line of a template, whose minute is known. */
async function firstOf(id: string, minute: string, signal: AbortSignal): Promise<string> {
  const until = new Date(Date.parse(minute) + 60_000).toISOString();
  const found = await get<Found>(`/v1/search?limit=1000&count=0&until=${until}&q=_template:${id}`, signal).catch(() => null);
  return found?.lines.at(-1)?.time ?? minute;
}

export function TemplatePage({ id }: { id: string }) {
  const arms = useSignal<Arm[] | null>(null);
  const lines = useSignal<FoundLine[]>([]);
  const bars = useSignal<Bar[]>([]);
  const trend = useSignal<Trend | null>(null);
  const first = useSignal<string | null>(null);
  const total = useSignal("");
  const problem = useSignal("");
  const said = saidOf(id);
  const text = said.find((of) => of.template.text)?.template.text;
  const spanOf = useTimes();
  const search = canSearch();
  useEffect(() => {
    if (!search) return;
    const stopping = new AbortController();
    const asked = new URLSearchParams({ q: `_template:${id}` });
    const times = new URLSearchParams();
    const { since: from, until: to } = spanOf;
    if (from) times.set("since", from);
    if (to) times.set("until", to);
    const and = `&${asked}${times.size > 0 ? `&${times}` : ""}`;
    const ask = <T,>(path: string): Promise<T> => get<T>(path, stopping.signal);
    problem.value = "";
    Promise.all([
      ask<Found>(`/v1/search?limit=${SHOWN}${and}`),
      ask<GroupTable>(`/v1/aggregate?by=_service,_arm&distinct=_unit${and}`),
      ask<GroupTable>(`/v1/aggregate?by=_service,_arm&q=_kind:request${times.size > 0 ? `&${times}` : ""}`),
      // The first is asked of all that is kept.
      ask<GroupTable>(`/v1/aggregate?every=1m&size=1000&${asked}`),
    ]).then(
      ([found, by, requests, minutes]) => {
        lines.value = found.lines;
        // Search stops counting where there are many; groups are counted to the end.
        total.value = `${found.total.is_exact || !by.partial ? "" : "at least "}${grouped(found.total.is_exact ? found.total.lines : Math.max(found.total.lines, by.lines))}`;
        const name = (of: Group): string => `${of.key._service ?? ""}\n${of.key._arm ?? ""}`;
        const all = new Map(requests.groups.map((of) => [name(of), of.lines]));
        arms.value = by.groups.map((of) => ({
          service: of.key._service ?? "",
          arm: of.key._arm ?? "",
          lines: of.lines,
          requests: all.get(name(of)) ?? 0,
          users: of.distinct ?? null,
        }));
        const seen = minutes.groups.flatMap((of) => (of.from ? [of.from] : [])).toSorted();
        const minute = seen[0];
        const now = Date.now();
        const [begin, end] = [from ? millisOf(from, now) : minute ? Date.parse(minute) - AHEAD_MS : null, to ? millisOf(to, now) : from ? now : seen.length > 0 ? Date.parse(seen.at(-1)!) + 60_000 : null];
        if (begin !== null && end !== null && end > begin) {
          const order = saidOf(id).flatMap(({ comparison }) => [comparison.control, comparison.candidate].map((arm) => `${comparison.service.split(" in ")[0]} ${arm}`));
          trendOf(id, [begin, end], order, stopping.signal).then(
            (of) => (trend.value = of),
            () => (trend.value = null),
          );
        }
        if (minute) void firstOf(id, minute, stopping.signal).then((at) => (first.value = at));
        return draw(found.lines, and, stopping.signal).then((of) => (bars.value = of));
      },
    ).catch((error: unknown) => {
      if (!stopping.signal.aborted) problem.value = error instanceof Error ? error.message : String(error);
    });
    return () => stopping.abort();
  }, [id, spanOf, search]);
  if (!status.value) return <Loading what="Asking whether lines are kept…" />;
  return (
    <>
      <h1>Template</h1>
      <p class="template large">
        <code>{text ? harmless(text, 1_000) : lines.value[0] ? "a line without a template's text in the report; its lines are below" : `template ${id}`}</code>
      </p>
      <div class="bar">
        <PlaceLink timed query={`_template:${id}`}>All its lines</PlaceLink>
        <span class="aside">template {id}</span>
      </div>
      {problem.value && (
        <Note tone="invalid" title="No answer">
          <p>{harmless(problem.value, 400)}</p>
        </Note>
      )}
      {!search && <p>This program keeps no lines for search, so only what the report says is shown.</p>}
      {said.map(({ comparison, template }) => {
        const row = (rollouts.value ?? []).find((of) => of.candidate === comparison.candidate && of.services.some((service) => serviceName(service, of.environment, of.cell) === comparison.service));
        return (
          <section class="card" key={`${comparison.service}${comparison.candidate}`}>
            <h2>
              {row ? <a href={rolloutPath(row.id, "templates", `sel=${id}`)}>{harmless(comparison.service, 60)}</a> : harmless(comparison.service, 60)}: {template.change} in{" "}
              <span class="candidate">{harmless(comparison.candidate, 40)}</span>
            </h2>
            <p>
              <PlaceLink query={armOf(id, comparison, 0)}>{grouped(template.units[0])}</PlaceLink> {comparison.unit}s of <span class="baseline">{harmless(comparison.control, 40)}</span> met it, and{" "}
              <PlaceLink query={armOf(id, comparison, 1)}>{grouped(template.units[1])}</PlaceLink> of{" "}
              <span class="candidate">{harmless(comparison.candidate, 40)}</span>; <span title={EVIDENCE}>evidence {evidence(template.log_e)}</span>, first met in the window that began at{" "}
              <Time at={template.first_seen} />.
            </p>
            {search && template.units[1] > 0 && (
              <details>
                <summary>
                  Who met it in the canary ({grouped(template.units[1])} {comparison.unit}
                  {template.units[1] === 1 ? "" : "s"})
                </summary>
                <Affected comparison={comparison} queries={[armOf(id, comparison, 0), armOf(id, comparison, 1)]} met="met this line" version={template.lines.join(" ")} expected={template.lines[1]} />
              </details>
            )}
          </section>
        );
      })}
      {said.length === 0 && report.value && <p>{arms.value?.length === 0 ? "No line of it is kept, and no comparison knows it." : "No comparison of the report says that it differs between arms."}</p>}
      {arms.value && arms.value.length > 0 && (
        <Scroll label="By arm">
          <table class="numbers">
            <caption>
              {total.value} lines{first.value ? ", the first of those that are kept at " : ""}
              {first.value && <Time at={first.value} />}
            </caption>
            <thead>
              <tr>
                <th scope="col">service</th>
                <th scope="col">version (arm)</th>
                <th scope="col" class="number">lines</th>
                <th scope="col" class="number">for 1,000 requests</th>
                <th scope="col" class="number">users</th>
              </tr>
            </thead>
            <tbody>
              {arms.value.map((of) => (
                <tr key={`${of.service}/${of.arm}`}>
                  <th scope="row">{harmless(of.service || "none", 60)}</th>
                  <td>{harmless(of.arm || "none", 60)}</td>
                  <td class="number">
                    <PlaceLink timed query={`_template:${id}${of.service ? ` _service:"${of.service}"` : ""}${of.arm ? ` _arm:"${of.arm}"` : ""}`}>{grouped(of.lines)}</PlaceLink>
                  </td>
                  <td class="number">{of.requests > 0 ? three((of.lines / of.requests) * 1_000) : "–"}</td>
                  <td class="number">{of.users === null ? "–" : grouped(of.users)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {trend.value && (
        <>
          <h2>{trend.value.isRate ? "For 1,000 requests, by arm, over time" : "Lines by arm, over time"}</h2>
          <SeriesChart label={trend.value.isRate ? "Lines for 1,000 requests by arm" : "Lines by arm"} times={trend.value.times} lines={trend.value.lines} whole={trend.value.whole} digits={trend.value.isRate ? 2 : 0} />
          <p class="aside">Plain counts of lines: they describe; the evidence above is what is tested.</p>
        </>
      )}
      {bars.value.length > 1 && <Histogram bars={bars.value} choose={(from, to) => setQuery({ from, to })} />}
      {lines.value.length > 0 && (
        <>
          <h2>Latest lines</h2>
          {lines.value.map((line) => (
            <LogLine key={line.cursor} line={line} template={text} />
          ))}
        </>
      )}
    </>
  );
}
