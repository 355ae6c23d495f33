import { render, screen } from "@testing-library/preact";
import { useRef } from "preact/hooks";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Pill } from "../src/components/parts";
import { useHeld } from "../src/lib/held";
import { useSeldom } from "../src/lib/seldom";
import { useSteady } from "../src/lib/steady";
import { inTurn } from "../src/lib/turns";

function List({ rows }: { rows: string[] }) {
  const box = useRef<HTMLUListElement>(null);
  const held = useHeld(rows, (row) => row.slice(0, 1), box);
  return (
    <>
      <Pill pending={held.pending} apply={held.apply} />
      <ul ref={box}>
        {held.rows.map((row) => (
          <li key={row.slice(0, 1)}>
            <button type="button">{row}</button>
          </li>
        ))}
      </ul>
    </>
  );
}
const shown = (): string[] => screen.getAllByRole("listitem").map((of) => of.textContent ?? "");

it("keeps rows in their places while one has the focus, and their words current", () => {
  const { rerender } = render(<List rows={["a1", "b1", "c1"]} />);
  rerender(<List rows={["b1", "a1", "c1"]} />);
  expect(shown()).toEqual(["b1", "a1", "c1"]);
  screen.getByText("a1").focus();
  rerender(<List rows={["d2", "c2", "a2"]} />);
  // New rows wait, rows that have gone stay, and what is there says what is true now.
  expect(shown()).toEqual(["b1", "a2", "c2"]);
  const pill = screen.getByText(/changes of order/);
  expect(pill.textContent).toContain("3 changes");
  pill.click();
  rerender(<List rows={["d2", "c2", "a2"]} />);
  expect(shown()).toEqual(["d2", "c2", "a2"]);
  expect(screen.queryByText(/of order/)).toBeNull();
});

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

function Spoken({ text }: { text: string }) {
  return <p data-testid="spoken">{useSeldom(text, 30_000)}</p>;
}

it("is read aloud at most once in half a minute, and then what is true", async () => {
  const spoken = (): string | null => screen.getByTestId("spoken").textContent;
  const { rerender } = render(<Spoken text="one" />);
  rerender(<Spoken text="two" />);
  await vi.advanceTimersByTimeAsync(29_000);
  expect(spoken()).toBe("one");
  rerender(<Spoken text="three" />);
  await vi.advanceTimersByTimeAsync(1_500);
  expect(spoken()).toBe("three");
});

it("answers the first questions first, and goes on after one that was given up", async () => {
  const done: string[] = [];
  const ends: (() => void)[] = [];
  const stopping = new AbortController();
  const ask = (name: string, signal = new AbortController().signal): Promise<unknown> =>
    inTurn(() => new Promise<void>((end) => ends.push(end)), signal).then(
      () => done.push(name),
      () => done.push(`${name} given up`),
    );
  const all = [ask("a"), ask("b"), ask("c", stopping.signal), ask("d")];
  expect(ends).toHaveLength(2);
  stopping.abort();
  ends.shift()!();
  await vi.advanceTimersByTimeAsync(0);
  // The third never asked, and the fourth has its turn.
  expect(ends).toHaveLength(2);
  ends.forEach((end) => end());
  await Promise.all(all);
  expect(done.toSorted()).toEqual(["a", "b", "c given up", "d"]);
});

function Steady({ name, version, ask }: { name: string; version: number; ask: (name: string, signal: AbortSignal) => Promise<void> }) {
  useSteady(name, version, (signal) => ask(`${name}${version}`, signal));
  return null;
}

it("answers a slow question although things keep coming, and gives it up only for another one", async () => {
  const asked: { name: string; signal: AbortSignal; end: () => void }[] = [];
  const ask = (name: string, signal: AbortSignal): Promise<void> => new Promise((end) => asked.push({ name, signal, end }));
  const { rerender } = render(<Steady name="a" version={1} ask={ask} />);
  await vi.advanceTimersByTimeAsync(50);
  rerender(<Steady name="a" version={2} ask={ask} />);
  rerender(<Steady name="a" version={3} ask={ask} />);
  await vi.advanceTimersByTimeAsync(50);
  expect(asked.map((of) => of.name)).toEqual(["a1"]);
  expect(asked[0]!.signal.aborted).toBe(false);
  asked[0]!.end();
  await vi.advanceTimersByTimeAsync(50);
  // Once more for all that came meanwhile.
  expect(asked.map((of) => of.name)).toEqual(["a1", "a3"]);
  rerender(<Steady name="b" version={3} ask={ask} />);
  await vi.advanceTimersByTimeAsync(50);
  expect(asked[1]!.signal.aborted).toBe(true);
  expect(asked.map((of) => of.name)).toEqual(["a1", "a3", "b3"]);
});
