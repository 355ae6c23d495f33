// Where to go and what to do, by name.

import { signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { harmless } from "../lib/format";
import { active } from "../lib/keys";
import { isLive, rollouts, toggleLive } from "../lib/live";
import { hasKeys, nextTheme, theme } from "../lib/prefs";
import { go, rolloutPath } from "../lib/router";
import { lookOfRollout } from "../lib/words";
import { isLoggingIn } from "./Actions";
import { Dialog } from "./Dialog";
import { canSearch } from "./Lines";
import { useMore } from "./parts";

export const isPalette = signal(false);
export const isHelp = signal(false);

interface Entry {
  words: string;
  hint: string;
  run: () => void;
}

function entries(text: string): Entry[] {
  const list: Entry[] = [
    { words: "Rollouts", hint: "g r", run: () => go("/") },
    ...(canSearch() ? [{ words: "Search lines", hint: "g s", run: () => go("/search") }] : []),
    ...(canSearch() ? [{ words: "Compare two filters", hint: "g c", run: () => go("/compare") }] : []),
    { words: "Dashboards", hint: "g d", run: () => go("/d") },
    { words: "Hooks", hint: "g h", run: () => go("/hooks") },
    { words: "Status", hint: "g u", run: () => go("/status") },
    ...(rollouts.value ?? []).map((row) => ({
      words: row.services.join(", ") || row.id,
      hint: `${lookOfRollout(row).word}${row.candidate ? `, ${row.candidate}` : ""}`,
      run: () => go(rolloutPath(row.id)),
    })),
    { words: isLive.value ? "Pause live updates" : "Resume live updates", hint: "", run: toggleLive },
    { words: `Colours: ${theme.value}`, hint: "auto, light, dark", run: nextTheme },
    { words: hasKeys.value ? "Turn single keys off" : "Turn single keys on", hint: "", run: () => (hasKeys.value = !hasKeys.peek()) },
    { words: "Keyboard help", hint: "?", run: () => (isHelp.value = true) },
    { words: "Log in", hint: "", run: () => (isLoggingIn.value = true) },
  ];
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = list.filter((entry) => words.every((word) => `${entry.words} ${entry.hint}`.toLowerCase().includes(word)));
  if (text.trim() && canSearch()) found.push({ words: `Search lines for ${text.trim()}`, hint: "", run: () => go(`/search?${new URLSearchParams({ q: text.trim() })}`) });
  return found.slice(0, 30);
}

export function Palette() {
  const text = useSignal("");
  const at = useSignal(0);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    text.value = "";
    at.value = 0;
    input.current?.focus();
  }, [isPalette.value]);
  if (!isPalette.value) return null;
  const list = entries(text.value);
  const close = (): void => {
    isPalette.value = false;
  };
  const run = (entry: Entry | undefined): void => {
    close();
    entry?.run();
  };
  return (
    <Dialog title="Go to" close={close}>
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-label="Command"
        aria-expanded="true"
        aria-controls="palette"
        aria-activedescendant={list.length > 0 ? `palette-${at.value}` : ""}
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
          at.value = 0;
        }}
        onKeyDown={(event) => {
          if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            event.preventDefault();
            const by = event.key === "ArrowDown" ? 1 : -1;
            at.value = (at.value + by + list.length) % Math.max(1, list.length);
          } else if (event.key === "Enter") {
            event.preventDefault();
            run(list[at.value]);
          }
        }}
      />
      <ul id="palette" role="listbox" aria-label="Commands" class="palette">
        {list.map((entry, number) => (
          <li key={entry.words} id={`palette-${number}`} role="option" aria-selected={number === at.value} onClick={() => run(entry)}>
            <span>{harmless(entry.words, 100)}</span> <small>{harmless(entry.hint, 80)}</small>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

export function Help() {
  return isHelp.value ? <Keys /> : null;
}

function Keys() {
  const box = useRef<HTMLDivElement>(null);
  useMore(box, "below");
  const close = (): void => {
    isHelp.value = false;
  };
  return (
    <Dialog title="Keyboard" close={close}>
      <p class="aside">These do something on this page, its own first.</p>
      <div class="keys-box" ref={box} tabIndex={0} role="region" aria-label="Keys">
        <dl class="keys">
          <dt>
            <kbd>Ctrl</kbd> <kbd>K</kbd>
          </dt>
          <dd>go to, by name</dd>
          {active.value.map((key) => (
            <>
              <dt key={key.key}>
                {key.key.split(" ").map((one) => (
                  <kbd key={one}>{one}</kbd>
                ))}
              </dt>
              <dd>{key.words}</dd>
            </>
          ))}
        </dl>
      </div>
      <label>
        <input type="checkbox" checked={hasKeys.value} onChange={(event) => (hasKeys.value = event.currentTarget.checked)} /> single keys do what is listed
      </label>
    </Dialog>
  );
}
