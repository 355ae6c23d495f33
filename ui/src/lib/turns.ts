// Questions that wait for their turn: of many that are asked at once the first are answered first, and not all of them late.

/** Questions at a time. */
const AT_ONCE = 2;

let running = 0;
const waiting: (() => void)[] = [];

export async function inTurn<T>(run: () => Promise<T>, signal: AbortSignal): Promise<T> {
  if (running >= AT_ONCE) await new Promise<void>((turn) => waiting.push(turn));
  else running += 1;
  try {
    signal.throwIfAborted();
    return await run();
  } finally {
    // The turn goes on to the next, or ends.
    const next = waiting.shift();
    if (next) next();
    else running -= 1;
  }
}
