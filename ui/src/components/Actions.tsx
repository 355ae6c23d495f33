// What a person may do to a rollout: with a reason, and after reading what it will do.

import { signal, useSignal } from "@preact/signals";
import { command, Refused, session } from "../lib/api";
import { harmless } from "../lib/format";
import { refreshRollouts, status } from "../lib/live";
import type { RolloutFull } from "../lib/types";
import { CHANGES } from "../lib/words";
import { Dialog } from "./Dialog";

/** The login dialog is open. */
export const isLoggingIn = signal(false);

interface Action {
  word: "approve" | "hold" | "resume" | "rollback" | "accept";
  label: string;
  finding?: string;
  /** What it will do, in words. */
  effect: string;
  isGrave?: boolean;
}

function hooks(): string {
  const names = (status.value?.hooks ?? []).map((hook) => hook.name);
  return names.length === 0 ? "no hook is configured, so nobody is told" : `hooks are told at once: ${names.join(", ")}`;
}

export function actionsOf(rollout: RolloutFull): Action[] {
  const name = rollout.id;
  const phase = rollout.phase ?? "";
  const list: Action[] = [];
  if (!rollout.declared || phase === "waiting") return list;
  const isOpen = ["running", "passed", "held", "failed"].includes(phase);
  const changed = [...new Set((rollout.compared ?? []).flatMap((of) => of.changed))].filter((finding) => !(rollout.accepted ?? []).includes(finding));
  if (isOpen && rollout.verdict === "inconclusive") {
    for (const finding of changed) {
      list.push({
        word: "accept",
        label: `Accept: ${CHANGES[finding] ?? finding}`,
        finding,
        effect: `The change of ${CHANGES[finding] ?? finding} no longer holds this attempt back. Once every change is accepted, ${name} passes as soon as its evidence says so. It cannot be taken back for this attempt.`,
      });
    }
  }
  // What cannot be compared has no evidence, and nothing of it passes.
  if ((phase === "running" || phase === "passed") && rollout.verdict !== "invalid") {
    list.push({
      word: "approve",
      label: "Approve",
      effect: `Step ${(rollout.step ?? 0) + 1} of ${name} passes once its evidence says so, and ${hooks()}.`,
    });
  }
  if (phase === "running" || phase === "passed") {
    list.push({
      word: "hold",
      label: "Hold",
      effect: `Nothing of ${name} is promoted until somebody resumes it; ${hooks()}. A proven failure is rolled back all the same.`,
    });
  }
  if (phase === "held") {
    list.push({ word: "resume", label: "Resume", effect: `The hold of ${name} ends: a step that passes may be promoted again; ${hooks()}.` });
  }
  if (isOpen || phase === "done") {
    list.push({
      word: "rollback",
      label: "Roll back",
      isGrave: true,
      effect: `${name} is rolled back now: ${hooks()}. Users of ${rollout.candidate ?? "the candidate"} get ${rollout.control ?? "the control"} back as soon as your deploy system has done so.`,
    });
  }
  return list;
}

export function Actions({ rollout }: { rollout: RolloutFull }) {
  const chosen = useSignal<Action | null>(null);
  const who = session.value;
  const list = actionsOf(rollout);
  if (list.length === 0) return null;
  const mayOperate = who?.scopes.includes("operate") ?? false;
  return (
    <section class="actions" id="act" aria-label="Actions">
      <h2>Act on it</h2>
      {mayOperate ? (
        <p class="buttons">
          {list.map((action) => (
            <button type="button" key={action.label} class={action.isGrave ? "grave" : ""} title={action.effect} onClick={() => (chosen.value = action)}>
              {action.label}
            </button>
          ))}
          <span class="aside">as {harmless(who?.name ?? "", 60)}</span>
        </p>
      ) : who && !who.commands ? (
        <p>Read only: no token for commands is configured (<code>operate_token_file</code> in serin.yaml, or <code>serin token NAME --for operate</code>).</p>
      ) : (
        <p>
          Read only.{" "}
          <button type="button" onClick={() => (isLoggingIn.value = true)}>
            Log in to {list.some((action) => action.word === "accept") ? "accept, " : ""}
            {list.map((action) => action.label.toLowerCase()).slice(-2).join(" or ")}
          </button>
        </p>
      )}
      {chosen.value && <Confirm rollout={rollout} action={chosen.value} close={() => (chosen.value = null)} />}
    </section>
  );
}

function Confirm({ rollout, action, close }: { rollout: RolloutFull; action: Action; close: () => void }) {
  const reason = useSignal("");
  const said = useSignal("");
  const busy = useSignal(false);
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!reason.peek().trim()) {
      said.value = "A reason is needed: it stands in the journal, for whoever asks later.";
      return;
    }
    busy.value = true;
    try {
      await command(rollout.id, action.word, reason.peek().trim(), action.finding);
      refreshRollouts();
      close();
    } catch (error) {
      said.value = error instanceof Refused && error.status === 409 ? `The rollout does not allow it now: ${error.message}` : error instanceof Error ? error.message : String(error);
    } finally {
      busy.value = false;
    }
  };
  return (
    <Dialog title={`${action.label}: ${rollout.id}`} close={close}>
      <form onSubmit={(event) => void send(event)}>
        <p>{action.effect}</p>
        <label class="block">
          Reason
          <textarea maxLength={500} rows={3} autofocus value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} />
        </label>
        <p role="alert" class="worse">
          {said.value}
        </p>
        <p class="buttons">
          <button type="submit" class={action.isGrave ? "grave" : "main"} disabled={busy.value}>
            {action.label}
          </button>
          <button type="button" onClick={close}>
            Cancel
          </button>
        </p>
      </form>
    </Dialog>
  );
}
