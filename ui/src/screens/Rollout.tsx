// One rollout: what all its screens have in common, and which of them is shown.

import { signal, type Signal, useSignal } from "@preact/signals";
import { useLayoutEffect } from "preact/hooks";
import { Actions } from "../components/Actions";
import { armQuery, canSearch } from "../components/Lines";
import { Badge, Copy, Loading, Problem, Time } from "../components/parts";
import { frozen, lasting } from "../lib/asof";
import { get } from "../lib/api";
import { useAsked } from "../lib/ask";
import { useTries } from "../lib/behind";
import { silentSince } from "../lib/silence";
import { useSteady } from "../lib/steady";
import { waitingWords } from "../lib/waiting";
import { asCommand } from "../lib/command";
import { between, grouped, harmless, span } from "../lib/format";
import { withKeys } from "../lib/keys";
import { heardAt, newest, report, rolloutsVersion, status, waitingFor } from "../lib/live";
import { go, param, query, rolloutPath, setQuery } from "../lib/router";
import type { Comparison, GroupTable, Report, RolloutFull } from "../lib/types";
import { groupOf, lookOfComparison, lookOfRollout, PHASES, serviceName } from "../lib/words";
import { Explain } from "./Explain";
import { TemplateDiff } from "./TemplateDiff";
import { TimelineScreen } from "./Timeline";
import { VerdictScreen } from "./Verdict";
import { Who } from "./Who";

const TABS: [string, string][] = [
  ["", "Verdict"],
  ["templates", "Templates"],
  ["explain", "Explain"],
  ["who", "Who"],
  ["timeline", "Timeline"],
];

/** The comparisons of the report that belong to a rollout, as it says itself. */
export function comparisonsOf(rollout: RolloutFull, from: Report | null): Comparison[] {
  if (!from) return [];
  return (rollout.compared ?? []).flatMap((of) => {
    const name = serviceName(of.service, of.environment, of.cell);
    return from.comparisons.findLast((one) => one.service === name && one.control === of.control && one.candidate === of.candidate) ?? [];
  });
}

/** Baseline and canary change places: every difference changes its sign. */
export const isSwapped = (): boolean => param("swap") === "1";

/** What of an address is of all tabs: what is open on one of them is not. */
export function shared(from: URLSearchParams): string {
  const of = new URLSearchParams(from);
  for (const key of ["lines", "users", "beside", "ages"]) of.delete(key);
  return of.toString();
}

const tick = signal(0);

/** Versions that an arm's lines name, at most. */
const VERSIONS = 3;

type VersionsOf = Record<"baseline" | "canary", string[]>;

/** Which versions the arms serve, where arms have other names than versions. */
function useVersions(comparison: Comparison | undefined): Signal<VersionsOf | null> {
  const versions = useSignal<VersionsOf | null>(null);
  const isAsked = useSignal(false);
  const field = report.value?.survey.roles.version?.fields[0]?.path;
  const search = canSearch();
  const tries = useTries(isAsked.value, [comparison?.service, comparison?.control, comparison?.candidate].join("\n"));
  useSteady([comparison?.service, comparison?.control, comparison?.candidate, field, search].join("\n"), tries, async (signal) => {
    if (!comparison || !field || !search) return;
    const of = async (side: 0 | 1): Promise<string[]> => {
      const asked = new URLSearchParams({ by: field, size: String(VERSIONS + 1), q: armQuery(comparison, side) });
      const table = await get<GroupTable>(`/v1/aggregate?${asked}`, signal).catch(() => null);
      return (table?.groups ?? []).flatMap((one) => one.key[field] ?? []);
    };
    const [baseline, canary] = [await of(0), await of(1)];
    isAsked.value = baseline.length > 0 && canary.length > 0;
    const isSaid = (arm: string, list: string[]): boolean => list.length === 0 || list.includes(arm);
    if (!signal.aborted) versions.value = isSaid(comparison.control, baseline) && isSaid(comparison.candidate, canary) ? null : { baseline, canary };
  });
  return versions;
}

function Versions({ of }: { of: VersionsOf }) {
  const words = (list: string[]): string => (list.length === 0 ? "none named" : `${list.slice(0, VERSIONS).map((one) => harmless(one, 40)).join(", ")}${list.length > VERSIONS ? " and more" : ""}`);
  return (
    <>
      {": "}version{of.baseline.length > 1 ? "s" : ""} <span class="baseline">{words(of.baseline)}</span> and <span class="candidate">{words(of.canary)}</span>
    </>
  );
}

function Header({ rollout, comparison }: { rollout: RolloutFull; comparison: Comparison | undefined }) {
  const services = rollout.services.join(", ") || rollout.id;
  const versions = useVersions(comparison);
  const until = comparison?.ended_at ?? null;
  const silent = frozen.value || groupOf(rollout) === "done" ? null : silentSince(comparison, newest.value ? Date.parse(newest.value) : 0);
  const arms = isSwapped() ? "canary against baseline turned round: baseline against canary" : null;
  return (
    <header class="of">
      <h1>
        <Badge look={lookOfRollout(rollout)}>
          <span class="unseen">{lookOfRollout(rollout).word}: </span>
        </Badge>
        {harmless(services, 80)}
        {rollout.environment && <small> {harmless(rollout.environment, 40)}</small>}
      </h1>
      <p class="facts">
        {rollout.candidate && (
          <span>
            <span class="baseline">{harmless(rollout.control ?? "", 60)}</span>
            {rollout.control === "baseline" ? "" : " (baseline)"} against <span class="candidate">{harmless(rollout.candidate, 60)}</span>
            {rollout.candidate === "canary" ? "" : " (canary)"}
            {versions.value && <Versions of={versions.value} />}
          </span>
        )}
        {rollout.steps ? (
          <span>
            step {(rollout.step ?? 0) + 1} of {rollout.steps}
          </span>
        ) : null}
        {rollout.phase && <span>{PHASES[rollout.phase] ?? rollout.phase}</span>}
        {!rollout.declared && <span>found, not declared: nothing acts on it</span>}
        {silent && (
          <span class="invalid">
            no line since <Time at={silent} />
          </span>
        )}
        {comparison && until && (
          <span>
            {span(between(comparison.started_at, until))} of data, to <Time at={until} />
          </span>
        )}
        {(rollout.owners ?? []).length > 0 && <span>{rollout.owners!.map((owner) => harmless(owner, 40)).join(", ")}</span>}
      </p>
      <p class="tools">
        <Copy label="Copy link" text={lasting} title="shows the same numbers later, too (c)" />
        <Copy label="Copy as command" title="the same for programs (y)" text={asCommand} />
      </p>
      {arms && <p class="swap">Baseline and canary are swapped ({arms}). Press <kbd>b</kbd> to turn back.</p>}
    </header>
  );
}

/** Lines so old, in seconds, are those of an old log. */
const OLD_LOG_S = 7 * 86_400;
/** After so long without anything new, what is shown may not be what is. */
const STALE_MS = 120_000;

function Stale({ comparison }: { comparison: Comparison | undefined }) {
  void tick.value;
  const until = newest.value;
  if (!until || frozen.value) return null;
  const silent = silentSince(comparison, Date.parse(until));
  const count = status.value?.lines_waiting ?? 0;
  const waits = count > 0 ? ` ${waitingWords(count, grouped)}.` : "";
  if (silent) {
    return (
      <div class="note stale" role="status">
        <strong>Silent.</strong> No line of {harmless(comparison!.service, 60)} has come since <Time at={silent} />; the log goes on to <Time at={until} />, {span(between(silent, until))} later. What follows is true of then.{waits} If it was to end there, nothing needs to be done; else check whether it still runs, and what ships its logs.
      </div>
    );
  }
  const lag = (Date.now() - Date.parse(until)) / 1000;
  const quiet = Date.now() - (heardAt.value ?? Date.now());
  if (lag < 300 || (quiet < 0 && lag < 0)) return null;
  return (
    <div class="note stale" role="status">
      <strong>Stale.</strong> The newest line that was judged is {span(lag)} old (<Time at={until} />){quiet > STALE_MS ? `, and nothing has come for ${span(quiet / 1000)}` : ""}.
      What follows is true of then.{waits} {lag > OLD_LOG_S ? "An old log that was sent again looks so." : "Check what ships the logs;"} <a href="/status">Status</a> says how far each source has been read.
    </div>
  );
}

export function Rollout({ id, tab }: { id: string; tab: string }) {
  const asked = useAsked<RolloutFull>(`/v1/rollouts/${encodeURIComponent(id)}`, rolloutsVersion);
  const { value: rollout, error } = asked.value;
  const list = rollout ? comparisonsOf(rollout, report.value) : [];
  const chosen = Math.min(Number(param("c")) || 0, Math.max(0, list.length - 1));
  const comparison = list[chosen];
  useLayoutEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) tick.value += 1;
    }, 15_000);
    return () => clearInterval(timer);
  }, []);
  useLayoutEffect(() => {
    const to = (name: string) => () => go(rolloutPath(id, name, shared(query.peek())));
    return withKeys([
      ...TABS.map(([name, words], at) => ({ key: String(at + 1), words, run: to(name) })),
      { key: "b", words: "swap baseline and canary", run: () => setQuery({ swap: isSwapped() ? null : "1" }) },
      { key: "Escape", words: "back to rollouts", run: () => go("/") },
    ]);
  }, [id]);
  if (!rollout && error?.startsWith("there is no such rollout")) {
    return (
      <section class="empty">
        <h1>No such rollout</h1>
        <p>
          None is called {harmless(id, 80)}, or it is forgotten. <a href="/">Rollouts</a>
        </p>
      </section>
    );
  }
  if (!rollout) return error ? <Problem words={error} /> : <Loading what="Asking for the rollout…" />;
  const screen = !comparison && tab !== "timeline" ? (
    <section class="empty">
      <h2>{rollout.phase === "waiting" ? "Nothing runs yet" : "No numbers"}</h2>
      <p>
        {rollout.phase === "waiting"
          ? `No comparison of ${rollout.services.join(", ")} has begun: two versions must serve requests side by side. A rollout begins by itself when they do.`
          : waitingFor.value
            ? `Waiting for ${harmless(waitingFor.value, 200)}.`
            : "The report has no comparison of this rollout any more; its timeline has what was decided."}
      </p>
      {(report.value?.nothing_to_compare ?? [])
        .filter((of) => rollout.services.some((service) => of.service.startsWith(service)))
        .map((of) => (
          <p key={of.service}>
            {harmless(of.service, 80)}: {harmless(of.reason, 300)} ({of.arms.map((arm) => `${harmless(arm.arm, 40)}: ${grouped(arm.requests)} requests`).join(", ")})
          </p>
        ))}
    </section>
  ) : null;
  return (
    <>
      <Header rollout={rollout} comparison={comparison} />
      <Stale comparison={comparison} />
      <nav class="tabs" aria-label="Of this rollout">
        {TABS.map(([name, words]) => (
          <a key={name} href={rolloutPath(id, name, shared(query.value))} {...(name === tab ? { "aria-current": "page" as const } : {})}>
            {words}
            {name === "templates" && comparison ? <span class="count">{grouped(comparison.templates.listed.length)}</span> : null}
          </a>
        ))}
      </nav>
      {list.length > 1 && (
        <div class="choices" role="group" aria-label="Which service">
          {list.map((of, at) => (
            <button type="button" key={`${of.service}${of.candidate}`} aria-pressed={at === chosen} onClick={() => setQuery({ c: at === 0 ? null : String(at) })}>
              {harmless(of.service, 60)}: {lookOfComparison(of).word}
            </button>
          ))}
        </div>
      )}
      {screen ??
        (tab === "templates" ? (
          <TemplateDiff rollout={rollout} comparison={comparison!} />
        ) : tab === "explain" ? (
          <Explain comparison={comparison!} />
        ) : tab === "who" ? (
          <Who rollout={rollout} comparison={comparison!} />
        ) : tab === "timeline" ? (
          <TimelineScreen rollout={rollout} list={list} />
        ) : (
          <VerdictScreen rollout={rollout} comparison={comparison!} />
        ))}
      <Actions rollout={rollout} />
    </>
  );
}
