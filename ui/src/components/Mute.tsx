// Muting a log line of a rollout: with a reason, until a time, and after reading what it does.

import { useSignal } from "@preact/signals";
import { mute, session } from "../lib/api";
import { harmless } from "../lib/format";
import { refreshRollouts } from "../lib/live";
import type { Muted } from "../lib/types";
import { isLoggingIn } from "./Actions";
import { Dialog } from "./Dialog";

const TIMES: [number, string][] = [
  [8, "8 hours"],
  [24, "a day"],
  [24 * 7, "a week"],
  [24 * 30, "30 days"],
];

interface Props {
  rollout: string;
  template: string;
  text: string;
  muted: Muted | undefined;
}

export function MuteButton(props: Props) {
  const isOpen = useSignal(false);
  const who = session.value;
  if (!who?.commands) return null;
  if (!who.scopes.includes("operate")) {
    return (
      <button type="button" class="quiet small" onClick={() => (isLoggingIn.value = true)}>
        log in to mute
      </button>
    );
  }
  return (
    <>
      <button type="button" class="quiet small" onClick={() => (isOpen.value = true)}>
        {props.muted ? "unmute" : "mute"}
      </button>
      {isOpen.value && <MuteDialog {...props} close={() => (isOpen.value = false)} />}
    </>
  );
}

function MuteDialog({ rollout, template, text, muted, close }: Props & { close: () => void }) {
  const reason = useSignal("");
  const hours = useSignal(24);
  const said = useSignal("");
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    if (!reason.peek().trim()) {
      said.value = "A reason is needed: it stands in the journal, for whoever asks later.";
      return;
    }
    try {
      await mute(rollout, template, muted ? 0 : hours.peek(), reason.peek().trim());
      refreshRollouts();
      close();
    } catch (error) {
      said.value = error instanceof Error ? error.message : String(error);
    }
  };
  return (
    <Dialog title={muted ? "Unmute a log line" : "Mute a log line"} close={close}>
      <form onSubmit={(event) => void send(event)}>
        <p>
          <code>{harmless(text || template, 300)}</code>
        </p>
        <p>
          {muted
            ? `It stands among the others of ${rollout} again.`
            : `It is listed apart for everybody who looks at ${rollout}, until the time is over. Verdicts, gates and hooks do not go by this: an error line that is new still fails the rollout.`}
        </p>
        {!muted && (
          <label class="block">
            For{" "}
            <select value={String(hours.value)} onChange={(event) => (hours.value = Number(event.currentTarget.value))}>
              {TIMES.map(([value, words]) => (
                <option key={value} value={value}>
                  {words}
                </option>
              ))}
            </select>
          </label>
        )}
        <label class="block">
          Reason
          <textarea maxLength={500} rows={2} autofocus value={reason.value} onInput={(event) => (reason.value = event.currentTarget.value)} />
        </label>
        <p role="alert" class="worse">
          {said.value}
        </p>
        <p class="buttons">
          <button type="submit" class="main">
            {muted ? "Unmute" : "Mute"}
          </button>
          <button type="button" onClick={close}>
            Cancel
          </button>
        </p>
      </form>
    </Dialog>
  );
}
