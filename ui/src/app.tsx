// The frame around every screen.

import { useEffect, useRef } from "preact/hooks";
import { Clocks } from "./components/Clocks";
import { Login, LoginForm, Who } from "./components/Login";
import { canSearch } from "./components/Lines";
import { Help, isHelp, isPalette, Palette } from "./components/Palette";
import { needsLogin, SILENT } from "./lib/api";
import { TimeRange } from "./components/TimeRange";
import { withKeys } from "./lib/keys";
import { isLive, link, newest, notFrozen, report, rollouts, status, toggleLive, trouble } from "./lib/live";
import { isOtherClock } from "./lib/logtime";
import { nextTheme, shownTheme, theme, type Theme } from "./lib/prefs";
import { follow, go, param, path, route, setQuery } from "./lib/router";
import { frozen, lasting } from "./lib/asof";
import { Board } from "./screens/Board";
import { Compare } from "./screens/Compare";
import { Hooks } from "./screens/Hooks";
import { Rollout } from "./screens/Rollout";
import { Rollouts, silentOf } from "./screens/Rollouts";
import { Search } from "./screens/Search";
import { Status } from "./screens/Status";
import { TemplatePage } from "./screens/TemplatePage";
import { groupOf } from "./lib/words";
import { asCommand, twins } from "./lib/command";
import { copyText, said } from "./lib/copied";
import { harmless } from "./lib/format";
import { asPanel } from "./lib/panel";
import { Copy, Time, useMore } from "./components/parts";

function LivePill() {
  const words = { live: "live", polling: "every 5 s", lost: "not connected", resting: "paused", frozen: "earlier" }[link.value];
  return (
    <button type="button" class={`quiet live of-${link.value}`} aria-pressed={isLive.value} onClick={toggleLive} title="Live updates">
      <span class="dot" aria-hidden="true" />
      {words}
    </button>
  );
}

/** Never a word alone where a sign is looked for. */
const SIGNS: Record<Theme, string> = { auto: "◐", light: "○", dark: "●" };
const themeWords = (): string => (theme.value === "auto" ? `as the system has it, now ${shownTheme()}` : theme.value);

/** Which environment is looked at, where there are several. */
function Environment() {
  const chosen = param("env");
  const names = [...new Set((rollouts.value ?? []).flatMap((row) => row.environment ?? []))].toSorted();
  if (names.length < 2 && !chosen) return null;
  return (
    <label>
      <span class="unseen">environment</span>
      <select value={chosen} onChange={(event) => setQuery({ env: event.currentTarget.value })}>
        <option value="">all environments</option>
        {[...new Set([...names, ...(chosen ? [chosen] : [])])].map((name) => (
          <option key={name} value={name}>
            {harmless(name, 40)}
          </option>
        ))}
      </select>
    </label>
  );
}

function titleOf(name: string): string {
  const silent = silentOf(rollouts.value ?? [], report.value?.comparisons ?? [], newest.value ? Date.parse(newest.value) : 0);
  const needs = (rollouts.value ?? []).filter((row) => groupOf(row, silent.has(row.id)) === "needs").length;
  return `${needs > 0 ? `(${needs}) ` : ""}${name} - Serin`;
}

function Screen() {
  const at = route(path.value);
  const name =
    at.name === "rollout" || (at.name === "board" && at.id)
      ? at.id
      : { rollouts: "Rollouts", search: "Search", compare: "Compare", template: "Template", board: "Dashboards", hooks: "Hooks", status: "Status", nothing: "Nothing here" }[at.name];
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
    case "compare":
      return <Compare />;
    case "template":
      return <TemplatePage key={at.id} id={at.id} />;
    case "board":
      return <Board key={at.id} name={at.id} />;
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

/** What is seen, for others, for later, and for programs: the same on every screen. */
function Foot() {
  if (needsLogin.value) return null;
  return (
    <footer class="foot" aria-label="This page for others and for programs">
      <Copy label="Copy link" text={lasting} title="shows the same numbers later, too (c)" />
      <Copy label="Copy as command" text={asCommand} title="the same for programs (y)" />
      {asPanel() && <Copy label="Copy as panel" text={() => asPanel() ?? ""} title="YAML for a dashboard of your own" />}
      {twins().map((of, at, all) => (
        <a key={of} href={of}>
          JSON{all.length > 1 ? ` ${"AB"[at]}` : ""}
        </a>
      ))}
    </footer>
  );
}

export function App() {
  const at = route(path.value).name;
  const screens = useRef<HTMLElement>(null);
  useMore(screens, "right");
  useEffect(() =>
    withKeys([
      { key: "?", words: "this help", run: () => (isHelp.value = true) },
      { key: "g r", words: "rollouts", run: () => go("/") },
      { key: "g s", words: "search", run: () => canSearch() && go("/search") },
      { key: "g c", words: "compare", run: () => canSearch() && go("/compare") },
      { key: "g d", words: "dashboards", run: () => go("/d") },
      { key: "g h", words: "hooks", run: () => go("/hooks") },
      { key: "g u", words: "status", run: () => go("/status") },
      { key: "c", words: "copy the link", run: () => void copyText(lasting(), "link copied") },
      { key: "y", words: "copy as a command for programs", run: () => void copyText(asCommand(), "command copied") },
      { key: ".", words: "pause or resume live updates", run: toggleLive },
      { key: "Escape", words: "back", run: () => history.back() },
    ], true),
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
        <nav aria-label="Screens" class="screens" ref={screens}>
          <a href="/" {...here("rollouts")}>
            Rollouts
          </a>
          {canSearch() && (
            <a href="/search" {...here("search")}>
              Search
            </a>
          )}
          {canSearch() && (
            <a href="/compare" {...here("compare")}>
              Compare
            </a>
          )}
          <a href="/d" {...here("board")}>
            {/* In the smallest window there is no room for all names. */}
            <span class="unless-tiny">Dashboards</span>
            <span class="if-tiny">Boards</span>
          </a>
          <a href="/hooks" {...here("hooks")}>
            Hooks
          </a>
          <a href="/status" {...here("status")}>
            Status
          </a>
        </nav>
        <div class="scope">
          {at === "rollouts" && <Environment />}
          {(canSearch() && (at === "search" || at === "compare" || at === "template")) || (at === "board" && path.value !== "/d") ? <TimeRange /> : null}
        </div>
        <div class="right">
          <LivePill />
          <button type="button" class="quiet" onClick={() => (isPalette.value = true)} title="Ctrl K">
            Go to
          </button>
          <button type="button" class="quiet" onClick={nextTheme} title={`Colours: ${themeWords()}`}>
            <span aria-hidden="true">{SIGNS[theme.value]} </span>
            <span class="if-wide">Colours: </span>
            {theme.value}
            <span class="unseen"> colours{theme.value === "auto" ? `, now ${shownTheme()}` : ""}</span>
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
          The program does not answer{trouble.value === SILENT ? "" : ` (${harmless(trouble.value, 200)})`}. What is shown is of before; it is asked again.
        </p>
      )}
      {param("asof") && (
        <p class="banner asof" role="status">
          {notFrozen.value ? (
            <>Not as it was: {harmless(notFrozen.value, 200)}.</>
          ) : frozen.value ? (
            <>
              As it was at <Time at={frozen.value.asof} />
              {isOtherClock(newest.value) && " by the clock; times of the data are the log's"}.
            </>
          ) : (
            "Asking for an earlier time…"
          )}{" "}
          <button type="button" onClick={() => setQuery({ asof: null })}>
            Show now
          </button>
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
      <Foot />
      {/* Below all else: when it comes while somebody reads, nothing moves. */}
      {!needsLogin.value && <Clocks />}
      <p class={said.value ? "told" : "unseen"} role="status">
        {said.value}
      </p>
      <Palette />
      <Help />
      <Login />
    </div>
  );
}
