// What did Serin tell the rollout controller, and did it hear?

import { Badge, Loading, Problem, Time } from "../components/parts";
import { useAsked } from "../lib/ask";
import { grouped, harmless } from "../lib/format";
import { rolloutsVersion } from "../lib/live";
import { rolloutPath } from "../lib/router";
import type { Delivery, Hook } from "../lib/types";
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

export function Hooks() {
  const asked = useAsked<{ hooks: Hook[]; deliveries: Delivery[] }>("/v1/hooks", rolloutsVersion);
  const { value, error } = asked.value;
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
        <div class="scroll" tabIndex={0} role="region" aria-label="Hooks">
          <table class="numbers">
            <caption>Targets, and what became of what they were told</caption>
            <thead>
              <tr>
                <th scope="col">hook</th>
                <th scope="col">state</th>
                <th scope="col" class="number">waiting</th>
                <th scope="col" class="number">acknowledged</th>
                <th scope="col" class="number">given up</th>
                <th scope="col">last answer that was no success</th>
              </tr>
            </thead>
            <tbody>
              {value.hooks.map((hook) => (
                <tr key={hook.name}>
                  <th scope="row">{harmless(hook.name, 60)}</th>
                  <td>
                    <Badge look={lookOf(hook)} />
                  </td>
                  <td class="number">{grouped(hook.waiting)}</td>
                  <td class="number">{grouped(hook.taken)}</td>
                  <td class="number">{grouped(hook.given_up)}</td>
                  <td>{hook.last_answer ? harmless(hook.last_answer, 200) : "–"}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {value.deliveries.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label="Deliveries">
          <table class="numbers">
            <caption>Deliveries, the latest first: each is repeated until it is acknowledged or means nothing any more</caption>
            <thead>
              <tr>
                <th scope="col">decided</th>
                <th scope="col">rollout</th>
                <th scope="col">event</th>
                <th scope="col">hook</th>
                <th scope="col">stands</th>
                <th scope="col">took</th>
                <th scope="col">id</th>
              </tr>
            </thead>
            <tbody>
              {value.deliveries.map((of) => (
                <tr key={of.id}>
                  <td>
                    <Time at={of.decided_ms} />
                  </td>
                  <th scope="row">
                    <a href={rolloutPath(of.rollout, "timeline")}>{harmless(of.rollout, 60)}</a>
                  </th>
                  <td>{of.event}</td>
                  <td>{harmless(of.hook, 60)}</td>
                  <td>
                    <Badge look={standing[of.state]} />
                    {of.why && <small>{harmless(of.why, 200)}</small>}
                  </td>
                  <td>{of.ended_ms !== null ? `${grouped(of.ended_ms - of.decided_ms)} ms` : "–"}</td>
                  <td>
                    <code>{of.id}</code>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </>
  );
}
