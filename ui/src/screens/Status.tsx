// Can I trust what I see?

import { useEffect, useState } from "preact/hooks";
import { Coverage } from "../components/Coverage";
import { PlaceLink } from "../components/Lines";
import { Badge, Loading, Note, Problem, Said, Scroll, Time } from "../components/parts";
import { getText } from "../lib/api";
import { bytes, grouped, harmless, local, percent, span } from "../lib/format";
import { heardAt, link, newest, report, rollouts, status, trouble } from "../lib/live";
import { metricRows } from "../lib/metrics";
import type { Status as StatusOf } from "../lib/types";
import { silentSince } from "../lib/silence";
import { waitingWords } from "../lib/waiting";
import { groupOf, INVALID, OK, UNCLEAR, WORSE, type Look } from "../lib/words";
import { comparisonOf } from "./Rollouts";

function Row({ name, look, value, remedy }: { name: string; look: Look; value: string; remedy?: string | undefined }) {
  return (
    <tr>
      <th scope="row">{name}</th>
      <td>
        <Badge look={look} />
      </td>
      <td>
        {harmless(value, 400)}
        {remedy && <small>{harmless(remedy, 400)}</small>}
      </td>
    </tr>
  );
}

const REJECTS: Record<string, string> = {
  malformed: "Not a whole JSON object: look at how the shipper cuts or escapes lines.",
  no_time: "No time field: name it with --role time=FIELD.",
  bad_time: "The time cannot be read: RFC 3339 or seconds since 1970 are.",
  unknown_format: "Neither JSON nor an access log.",
  quarantined: "A clock that is far ahead of all others.",
  too_long: "Longer than 16 MiB.",
};

/** How often it is asked how many lines came, in milliseconds. */
const RATE_MS = 5_000;

/** Lines that come a second, as the last seconds had it; `null` until there were some. */
function useRate(): number | null {
  const [rate, setRate] = useState<number | null>(null);
  useEffect(() => {
    const stopping = new AbortController();
    let before: { lines: number; at: number } | null = null;
    const ask = (): void => {
      if (document.hidden) return;
      getText("/metrics", stopping.signal).then(
        (text) => {
          const lines = metricRows(text, ["serin_source_lines_total"]).reduce((sum, row) => sum + row.value, 0);
          const at = performance.now();
          if (before) setRate(Math.max(0, lines - before.lines) / ((at - before.at) / 1_000));
          before = { lines, at };
        },
        // Whoever may not read them has the rest of the page.
        () => {},
      );
    };
    ask();
    const timer = setInterval(ask, RATE_MS);
    return () => {
      clearInterval(timer);
      stopping.abort();
    };
  }, []);
  return rate;
}

/** A note of how lines are read. One value of the first lines is no list of arms, least of all where several services have theirs. */
export const noteWords = (note: string, services: number): string =>
  services > 1 ? note.replace(/^(arms: the values of `[^`]*`) \([^),]*\)/, "$1, of each service its own") : note;

/** Settings as people read them: without topics lines come over HTTP whatever the switch for that says. */
export const settingsOf = (all: { name: string; value: string; from: string }[]): { name: string; value: string; from: string }[] => {
  const hasTopics = all.some((one) => one.name === "brokers");
  return all.filter((one) => hasTopics || one.name !== "http" || one.from !== "default");
};

/** What the program goes by: it is changed in files, and read here. */
function Configuration({ of }: { of: NonNullable<StatusOf["configuration"]> }) {
  return (
    <Scroll label="Configuration">
      <table class="numbers">
        <caption>
          Configuration that is in force{of.file !== null && `, from ${harmless(of.file, 120)}`}; it is changed in files and options, not here
        </caption>
        <thead>
          <tr>
            <th scope="col">setting</th>
            <th scope="col">value</th>
            <th scope="col">from</th>
          </tr>
        </thead>
        <tbody>
          {settingsOf(of.settings).map((one) => (
            <tr key={one.name}>
              <th scope="row">
                <code>{harmless(one.name, 80)}</code>
              </th>
              <td>
                <code>{harmless(one.value, 400)}</code>
              </td>
              <td>{harmless(one.from, 120)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Scroll>
  );
}

export function Status() {
  const rate = useRate();
  const said = status.value;
  const of = report.value;
  if (!said) return trouble.value ? <Problem words={trouble.value} /> : <Loading what="Asking how it is…" />;
  const lag = newest.value ? (Date.now() - Date.parse(newest.value)) / 1000 : null;
  const records = of?.records;
  const rejected = records ? Object.entries(records.rejects).filter(([, count]) => count > 0) : [];
  const sum = rejected.reduce((total, [, count]) => total + count, 0);
  const waiting = said.hooks.reduce((total, hook) => total + hook.waiting, 0);
  const roles = of?.survey.roles ?? {};
  const requests = of?.survey.requests ?? 0;
  const services = of?.survey.services?.length ?? 0;
  const index = said.index;
  const waits = said.lines_waiting;
  const silent = (rollouts.value ?? []).flatMap((row) => {
    const since = groupOf(row) === "done" ? null : silentSince(comparisonOf(row, of?.comparisons ?? []), newest.value ? Date.parse(newest.value) : 0);
    return since ? [`${row.services.join(", ") || row.id} since ${local(since)}`] : [];
  });
  return (
    <>
      <h1>Status</h1>
      {said.trouble && (
        <Note tone="worse" title="Out of order">
          <p>{harmless(said.trouble, 400)}</p>
        </Note>
      )}
      <Scroll label="The program">
      <table class="numbers status cards-if-narrow">
        <caption>The program</caption>
        <thead>
          <tr>
            <th scope="col">what</th>
            <th scope="col">stands</th>
            <th scope="col">detail</th>
          </tr>
        </thead>
        <tbody>
          <Row
            name="health"
            look={said.status === "ok" ? { ...OK, word: "well" } : said.status === "waiting" ? { ...UNCLEAR, word: "waiting" } : { ...WORSE, word: "trouble" }}
            value={said.trouble ?? (said.waiting_for ? `waiting for ${said.waiting_for}` : `version ${said.version}; texts are told from values by rules of version ${said.masker}`)}
          />
          <Row
            name="data"
            look={lag === null ? { ...UNCLEAR, word: "none" } : lag > 300 ? { ...INVALID, word: "stale" } : { ...OK, word: "fresh" }}
            value={lag === null ? "no window was judged yet" : lag < -60 ? `log time is ahead of the clock by ${span(-lag)}` : `the newest line that was judged is ${span(Math.max(0, lag))} old`}
            remedy={lag !== null && lag > 300 ? "Check what ships the logs, and its clock; a replay of an old log is always stale." : undefined}
          />
          <Row
            name="lines"
            look={rate === null ? { ...UNCLEAR, word: "counting" } : rate > 0 ? { ...OK, word: "come" } : { ...UNCLEAR, word: "none now" }}
            value={rate === null ? "it takes five seconds" : `${grouped(rate)} a second${records ? `, ${grouped(records.read)} judged so far` : ""}${index && !index.is_off && index.lines !== null ? `, ${grouped(index.lines)} kept for search` : ""}${waits > 0 ? `; ${waitingWords(waits, grouped)}` : ""}`}
          />
          <Row
            name="this page"
            look={link.value === "live" ? { ...OK, word: "live" } : { ...UNCLEAR, word: link.value }}
            value={heardAt.value ? `last answer ${span((Date.now() - heardAt.value) / 1000)} ago` : "nothing came yet"}
          />
          <Row name="decisions" look={said.caught_up ? { ...OK, word: "caught up" } : { ...UNCLEAR, word: "reading again" }} value={`${grouped(said.ledger_entries)} entries in the ledger, ${grouped(said.journal_rows)} rows in the journal`} />
          <Row name="rollouts" look={silent.length > 0 ? { ...INVALID, word: silent.length === 1 ? "one is silent" : "some are silent" } : { ...OK, word: "listed" }} remedy={silent.length > 0 ? `No line of ${silent.join(", ")}: what is said of ${silent.length === 1 ? "it" : "them"} is of then.` : undefined} value={`${grouped(said.declared)} declared, ${grouped(said.found)} found${said.not_listed ? `, ${grouped(said.not_listed)} not listed` : ""}`} />
          <Row
            name="hooks"
            look={waiting > 0 ? { ...UNCLEAR, word: "waiting" } : { ...OK, word: said.hooks.length ? "idle" : "none" }}
            value={said.hooks.length ? `${grouped(said.hooks.length)} configured, ${grouped(waiting)} messages on their way` : "none is configured: nothing acts on a failure"}
          />
          {said.files && (
            <Row name="files" look={said.files.not_followed > 0 ? { ...INVALID, word: "some are not" } : { ...OK, word: "followed" }} value={`${grouped(said.files.followed)} followed, ${bytes(said.files.unread_bytes)} not read yet`} />
          )}
          {index && (
            <Row
              name="search"
              look={index.trouble ? { ...WORSE, word: "trouble" } : index.is_off ? { ...UNCLEAR, word: "off" } : { ...OK, word: "kept" }}
              value={index.trouble ?? (index.is_off ? "lines are not kept (--no-index)" : `${grouped(index.lines ?? 0)} lines in ${bytes(index.bytes ?? 0)}, ${grouped(index.parts ?? 0)} ${index.parts === 1 ? "part" : "parts"}`)}
              remedy={index.lost > 0 ? `${grouped(index.lost)} lines were removed before they were indexed: raise --keep-log.` : undefined}
            />
          )}
          {said.reports && (
            <Row
              name="links with a time"
              look={said.reports.trouble ? { ...WORSE, word: "trouble" } : { ...OK, word: "kept" }}
              value={`${grouped(said.reports.kept)} earlier reports in ${bytes(said.reports.bytes)}, at most ${span(said.reports.keep_seconds)} and ${bytes(said.reports.bytes_max)}`}
              remedy={said.reports.trouble ?? (said.reports.oldest ? `The oldest is of ${local(said.reports.oldest)}. A link that somebody copies shows its numbers as long as that (--keep-reports).` : undefined)}
            />
          )}
          {said.not_reloaded && <Row name="configuration" look={{ ...INVALID, word: "not read again" }} value={said.not_reloaded} remedy="serin check names what is wrong, with its place." />}
        </tbody>
      </table>
      </Scroll>
      {(said.lag?.partitions ?? []).length > 0 && (
        <Scroll label="Partitions">
          <table class="numbers">
            <caption>How far each partition has been read: {grouped(said.lag!.records)} records and {span(said.lag!.seconds)} behind</caption>
            <thead>
              <tr>
                <th scope="col">partition</th>
                <th scope="col" class="number">next</th>
                <th scope="col" class="number">end</th>
                <th scope="col" class="number">records behind</th>
                <th scope="col" class="number">behind</th>
              </tr>
            </thead>
            <tbody>
              {said.lag!.partitions.map((one) => (
                <tr key={one.stream}>
                  <th scope="row">{harmless(one.stream, 100)}</th>
                  <td class="number">{grouped(one.next)}</td>
                  <td class="number">{one.end === null ? "–" : grouped(one.end)}</td>
                  <td class="number">{one.records === null ? "–" : grouped(one.records)}</td>
                  <td class="number">{one.seconds === null ? "–" : span(one.seconds)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      <Coverage />
      {records && rejected.length === 0 && (
        <p class="aside">
          {grouped(records.read)} lines: {grouped(records.on_time)} count, {grouped(records.late)} came too late, {grouped(records.outside)} left out as asked, none could not be read.{waits > 0 && ` ${waitingWords(waits, grouped)}.`}
        </p>
      )}
      {records && rejected.length > 0 && (
        <Scroll label="Lines that are no events"><table class="numbers">
          <caption>
            {grouped(records.read)} lines: {grouped(records.on_time)} count, {grouped(records.late)} came too late, {grouped(records.outside)} left out as asked, {grouped(sum)} could not be read{waits > 0 && `; ${waitingWords(waits, grouped)}`}
          </caption>
          <thead>
            <tr>
              <th scope="col">lines that are no events</th>
              <th scope="col" class="number">count</th>
              <th scope="col">remedy</th>
            </tr>
          </thead>
          <tbody>
            {rejected.map(([reason, count]) => (
                <tr key={reason}>
                  <th scope="row">{reason.replaceAll("_", " ")}</th>
                  <td class="number">
                    <PlaceLink query={`_kind:reject _reject:${reason}`}>{grouped(count)}</PlaceLink>
                  </td>
                  <td>{REJECTS[reason] ?? "See docs/ingest.md."}</td>
                </tr>
              ))}
          </tbody>
        </table></Scroll>
      )}
      {of && (
        <Scroll label="How lines are read">
          <table class="numbers">
            <caption>How lines are read: which field plays which role, on how many of the first requests</caption>
            <thead>
              <tr>
                <th scope="col">role</th>
                <th scope="col">fields</th>
                <th scope="col" class="number">of requests</th>
              </tr>
            </thead>
            <tbody>
              {Object.entries(roles)
                .filter(([, role]) => role.fields.length > 0)
                .map(([name, role]) => (
                  <tr key={name}>
                    <th scope="row">{name}</th>
                    <td>
                      <code>{harmless(role.fields.map((field) => field.path).join(", "), 200)}</code>
                    </td>
                    <td class="number">{percent(requests > 0 ? role.requests / requests : null)}</td>
                  </tr>
                ))}
            </tbody>
          </table>
          {of.survey.notes.map((note) => (
            <p key={note} class="aside">
              <Said words={noteWords(note, services).slice(0, 400)} />
            </p>
          ))}
        </Scroll>
      )}
      {said.placebos.length === 0 ? (
        <p class="aside">Calibration: none yet. Once a day random splits of each service's own traffic are judged; the first are made after a day of lines.</p>
      ) : (
      <Scroll label="Calibration"><table class="numbers">
        <caption>Calibration: once a day, random splits of each service's own traffic; a split has no difference, so a failure is false</caption>
        <thead>
          <tr>
            <th scope="col">service</th>
            <th scope="col">day</th>
            <th scope="col" class="number">failed</th>
            <th scope="col" class="number">allowed</th>
            <th scope="col">stands</th>
          </tr>
        </thead>
        <tbody>
          {said.placebos.map((one) => (
              <tr key={`${one.environment}/${one.service}`}>
                <th scope="row">{harmless(one.service, 60)}</th>
                <td>
                  <Time at={one.day} />
                </td>
                <td class="number">
                  {one.failed} of {one.splits}
                </td>
                <td class="number">{one.allowed}</td>
                <td>{one.withheld ? harmless(one.withheld, 300) : "as it should be"}</td>
              </tr>
            ))}
        </tbody>
      </table></Scroll>
      )}
      {said.configuration && <Configuration of={said.configuration} />}
      <p class="aside">
        For programs: <a href="/v1/status">/v1/status</a>, <a href="/metrics">/metrics</a>, <a href="/v1/report">/v1/report</a>, <a href="/v1/report.html">the report as one page without scripts</a>, <a href="/v1/openapi.json">/v1/openapi.json</a>.
      </p>
    </>
  );
}
