// A token, given once. It goes to the program and stands nowhere here afterwards: the cookie that comes back no script can read.

import { useSignal } from "@preact/signals";
import { login, logout, needsLogin, session } from "../lib/api";
import { harmless } from "../lib/format";
import { listen, refresh } from "../lib/live";
import { isLoggingIn } from "./Actions";
import { Dialog } from "./Dialog";

export function LoginForm({ done }: { done: () => void }) {
  const token = useSignal("");
  const said = useSignal("");
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await login(token.peek().trim());
      token.value = "";
      refresh();
      listen();
      done();
    } catch (error) {
      said.value = error instanceof Error ? error.message : String(error);
    }
  };
  return (
    <form onSubmit={(event) => void send(event)}>
      <p>
        A token of the scope <code>read</code> shows, one of <code>operate</code> may act. <code>serin token NAME --for operate</code> makes one; a demo tells its own where it was started.
      </p>
      <label class="block">
        Token
        <input type="password" autocomplete="off" spellcheck={false} autofocus value={token.value} onInput={(event) => (token.value = event.currentTarget.value)} />
      </label>
      <p role="alert" class="worse">
        {said.value}
      </p>
      <p class="buttons">
        <button type="submit" class="main">
          Log in
        </button>
      </p>
    </form>
  );
}

export function Login() {
  if (!isLoggingIn.value) return null;
  const close = (): void => {
    isLoggingIn.value = false;
  };
  return (
    <Dialog title="Log in" close={close}>
      <LoginForm done={close} />
    </Dialog>
  );
}

/** Who this is, in the top bar. */
export function Who() {
  const who = session.value;
  if (!who || (!who.commands && !who.read_needs_token)) return null;
  if (!who.name) {
    return needsLogin.value ? null : (
      <button type="button" class="quiet" onClick={() => (isLoggingIn.value = true)}>
        Log in
      </button>
    );
  }
  return (
    <button type="button" class="quiet" onClick={() => void logout()} title="Log out">
      {harmless(who.name, 30)}
      <span class="unseen">, log out</span>
    </button>
  );
}
