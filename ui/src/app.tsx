// The frame around every screen.

import { useEffect } from "preact/hooks";
import { Login, LoginForm, Who } from "./components/Login";
import { canSearch } from "./components/Lines";
import { Help, isHelp, isPalette, Palette } from "./components/Palette";
import { needsLogin } from "./lib/api";
import { withKeys } from "./lib/keys";
import { isLive, link, rollouts, status, toggleLive, trouble } from "./lib/live";
import { nextTheme, theme } from "./lib/prefs";
import { follow, go, path, route } from "./lib/router";
import { Hooks } from "./screens/Hooks";
import { Rollout } from "./screens/Rollout";
import { Rollouts } from "./screens/Rollouts";
import { Search } from "./screens/Search";
import { Status } from "./screens/Status";
import { groupOf } from "./lib/words";
import { harmless } from "./lib/format";

function LivePill() {
  const words = { live: "live", polling: "every 5 s", lost: "not connected", resting: "paused" }[link.value];
  return (
    <button type="button" class={`quiet live ${link.value}`} aria-pressed={isLive.value} onClick={toggleLive} title="Live updates">
      <span class="dot" aria-hidden="true" />
      {words}
    </button>
  );
}

function titleOf(name: string): string {
  const needs = (rollouts.value ?? []).filter((row) => groupOf(row) === "needs").length;
  return `${needs > 0 ? `(${needs}) ` : ""}${name} - Serin`;
}

function Screen() {
  const at = route(path.value);
  const name = at.name === "rollout" ? at.id : { rollouts: "Rollouts", search: "Search", hooks: "Hooks", status: "Status", nothing: "Nothing here" }[at.name];
  useEffect(() => {
    document.title = titleOf(name);
  });
  switch (at.name) {
    case "rollouts":
      return <Rollouts />;
    case "rollout":
      return <Rollout key={at.id} id={at.id} tab={at.tab} />;
    case "hooks":
      return <Hooks />;
    case "status":
      return <Status />;
    case "search":
      return <Search />;
    case "nothing":
      return (
        <section class="empty">
          <h1>Nothing here</h1>
          <p>
            No screen has this address. <a href="/">Rollouts</a>
          </p>
        </section>
      );
  }
}

export function App() {
  const at = route(path.value).name;
  useEffect(() =>
    withKeys([
      { key: "?", words: "this help", run: () => (isHelp.value = true) },
      { key: "g r", words: "rollouts", run: () => go("/") },
      { key: "g s", words: "search", run: () => canSearch() && go("/search") },
      { key: "g h", words: "hooks", run: () => go("/hooks") },
      { key: "g u", words: "status", run: () => go("/status") },
      { key: "c", words: "copy the link", run: () => void navigator.clipboard?.writeText(location.href) },
      { key: "Escape", words: "back", run: () => history.back() },
    ]),
  []);
  const here = (name: string): { "aria-current"?: "page" } => (at === name || (name === "rollouts" && at === "rollout") ? { "aria-current": "page" } : {});
  return (
    <div class="page" onClick={follow}>
      <a class="skip" href="#main">
        To the content
      </a>
      <header class="top">
        <a class="brand" href="/">
          <svg viewBox="0 0 16 16" width="20" height="20" aria-hidden="true">
            <path d="M2 12 6 3l4 5 4-6v10z" />
          </svg>
          Serin
        </a>
        <nav aria-label="Screens">
          <a href="/" {...here("rollouts")}>
            Rollouts
          </a>
          {canSearch() && (
            <a href="/search" {...here("search")}>
              Search
            </a>
          )}
          <a href="/hooks" {...here("hooks")}>
            Hooks
          </a>
          <a href="/status" {...here("status")}>
            Status
          </a>
        </nav>
        <div class="right">
          <LivePill />
          <button type="button" class="quiet" onClick={() => (isPalette.value = true)} title="Ctrl K">
            Go to
          </button>
          <button type="button" class="quiet" onClick={nextTheme} title="Colours: auto, light, dark">
            {theme.value}
            <span class="unseen"> colours</span>
          </button>
          <button type="button" class="quiet" aria-label="Keyboard help" onClick={() => (isHelp.value = true)}>
            ?
          </button>
          <Who />
        </div>
      </header>
      {status.value?.trouble && (
        <p class="banner" role="alert">
          Out of order: {harmless(status.value.trouble, 300)}. What is shown is of before. <a href="/status">Status</a>
        </p>
      )}
      {trouble.value && link.value !== "live" && (
        <p class="banner" role="alert">
          The program does not answer ({harmless(trouble.value, 200)}). What is shown is of before; it is asked again.
        </p>
      )}
      <main id="main" tabIndex={-1}>
        {needsLogin.value ? (
          <section class="card login">
            <h1>Log in</h1>
            <LoginForm done={() => {}} />
          </section>
        ) : (
          <Screen />
        )}
      </main>
      <Palette />
      <Help />
      <Login />
    </div>
  );
}
