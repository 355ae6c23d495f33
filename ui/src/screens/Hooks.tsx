// What did Serin tell the rollout controller, and did it hear?

import { useSignal } from "@preact/signals";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { isLoggingIn } from "../components/Actions";
import { Badge, Loading, Pill, Problem, Scroll, Time } from "../components/parts";
import { session, tryHook } from "../lib/api";
import { useAsked } from "../lib/ask";
import { grouped, harmless } from "../lib/format";
import { useHeld } from "../lib/held";
import { withKeys } from "../lib/keys";
import { newest, rolloutsVersion, toggleLive } from "../lib/live";
import { isOtherClock } from "../lib/logtime";
import { rolloutPath } from "../lib/router";
import type { Delivery, Hook, Trial } from "../lib/types";
import { OK, UNCLEAR, WORSE, type Look } from "../lib/words";

function lookOf(hook: Hook): Look {
  if (hook.state === "ok" || hook.state === "working" || hook.state === "well") return { ...OK, word: hook.state };
  if (hook.given_up > 0 || hook.last_answer) return { ...WORSE, word: hook.state };
  return { ...UNCLEAR, word: hook.state };
}

const standing: Record<Delivery["state"], Look> = {
  taken: { ...OK, word: "acknowledged" },
  waiting: { ...UNCLEAR, word: "on its way" },
  "given up": { ...WORSE, word: "given up" },
};

/** Sends a message that says it is a trial, and shows what went and what came back. */
function Try({ name }: { name: string }) {
  const said = useSignal<Trial | string | null>(null);
  const busy = useSignal(false);
  const who = session.value;
  if (!who?.commands) return <span class="aside">needs a token for commands</span>;
  if (!who.scopes.includes("operate")) {
    return (
      <button type="button" class="quiet" onClick={() => (isLoggingIn.value = true)}>
        Log in to send a test
      </button>
    );
  }
  const send = async (): Promise<void> => {
    busy.value = true;
    try {
      said.value = await tryHook(name);
    } catch (error) {
      said.value = error instanceof Error ? error.message : String(error);
    } finally {
      busy.value = false;
    }
  };
  const of = said.value;
  return (
    <>
      <button type="button" disabled={busy.value} onClick={() => void send()} title={`One signed message of the type serin.test goes to ${name} at once; nothing is rolled back`}>
        Send a test
      </button>
      <div role="status">
        {typeof of === "string" && <span class="worse">{harmless(of, 200)}</span>}
        {of && typeof of === "object" && (
          <>
            <Badge look={of.is_taken ? { ...OK, word: "taken" } : { ...WORSE, word: "not taken" }} /> <small>{of.words ? harmless(of.words, 200) : ""} after {Math.round(of.took_ms)} ms</small>
            <details>
              <summary>What was sent</summary>
              <pre>{harmless(JSON.stringify(of.body, null, 1), 2_000)}</pre>
            </details>
          </>
        )}
      </div>
    </>
  );
}

export function Hooks() {
  const asked = useAsked<{ hooks: Hook[]; deliveries: Delivery[] }>("/v1/hooks", rolloutsVersion);
  const { value, error } = asked.value;
  const box = useRef<HTMLTableSectionElement>(null);
  const all = value?.deliveries;
  const held = useHeld(useMemo(() => all ?? [], [all]), (of) => of.id, box);
  useLayoutEffect(
    () => withKeys([{ key: ".", words: "show what came meanwhile, else pause or resume", run: () => (held.pending > 0 ? held.apply() : toggleLive()) }]),
    [held.pending],
  );
  if (!value) return error ? <Problem words={error} /> : <Loading what="Asking for hooks…" />;
  return (
    <>
      <h1>Hooks</h1>
      {value.hooks.length === 0 ? (
        <section class="empty">
          <h2>No hook is configured</h2>
          <p>
            So a failure is shown here and rolls nothing back. Name one under <code>hooks:</code> in serin.yaml; <code>serin check</code> says what is wrong in it.
          </p>
        </section>
      ) : (
        <Scroll label="Hooks">
          <table class="numbers cards-if-narrow">
            <caption>Targets, and what became of what they were told</caption>
            <thead>
              <tr>
                <th scope="col">hook</th>
                <th scope="col">state</th>
                <th scope="col" class="number">waiting</th>
                <th scope="col" class="number">acknowledged</th>
                <th scope="col" class="number">given up</th>
                <th scope="col">last answer that was no success</th>
                <th scope="col">test</th>
              </tr>
            </thead>
            <tbody>
              {value.hooks.map((hook) => (
                <tr key={hook.name}>
                  <th scope="row">{harmless(hook.name, 60)}</th>
                  <td>
                    <Badge look={lookOf(hook)} />
                  </td>
                  <td data-of="waiting" class="number">{grouped(hook.waiting)}</td>
                  <td data-of="acknowledged" class="number">{grouped(hook.taken)}</td>
                  <td data-of="given up" class="number">{grouped(hook.given_up)}</td>
                  <td data-of="last answer">{hook.last_answer ? harmless(hook.last_answer, 200) : hook.taken > 0 ? "none: all were successes" : "–"}</td>
                  <td>
                    <Try name={hook.name} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
      {value.deliveries.length > 0 && (
        <Scroll label="Deliveries">
          <Pill pending={held.pending} apply={held.apply} words="what came meanwhile" />
          <table class="numbers cards-if-narrow">
            <caption>Deliveries, the latest first: each is repeated until it is acknowledged or means nothing any more</caption>
            <thead>
              <tr>
                <th scope="col">told{isOtherClock(newest.value) && ", by the clock"}</th>
                <th scope="col">rollout</th>
                <th scope="col">event</th>
                <th scope="col">hook</th>
                <th scope="col">stands</th>
                <th scope="col">took</th>
                <th scope="col">id</th>
              </tr>
            </thead>
            <tbody ref={box}>
              {held.rows.map((of) => (
                <tr key={of.id}>
                  <td>
                    <Time at={of.decided_ms} />
                  </td>
                  <th scope="row">
                    <a href={rolloutPath(of.rollout, "timeline")}>{harmless(of.rollout, 60)}</a>
                  </th>
                  <td data-of="event">{of.event}</td>
                  <td data-of="hook">{harmless(of.hook, 60)}</td>
                  <td>
                    <Badge look={standing[of.state]} />
                    {of.why && <small>{harmless(of.why, 200)}</small>}
                  </td>
                  <td data-of="took">{of.ended_ms !== null ? `${grouped(of.ended_ms - of.decided_ms)} ms` : "–"}</td>
                  <td>
                    <code>{of.id}</code>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </Scroll>
      )}
    </>
  );
}
