// What a key has done is seen and heard: no button is there to say it.

import { signal } from "@preact/signals";

/** What is told for a moment. */
export const said = signal("");

const TOLD_MS = 4_000;
let timer: ReturnType<typeof setTimeout> | undefined;

export function tell(words: string): void {
  clearTimeout(timer);
  said.value = words;
  timer = setTimeout(() => (said.value = ""), TOLD_MS);
}

/** Copies what `text` gives, and tells so; a text that may not be copied is told itself. */
export async function copyText(text: string | Promise<string>, done: string): Promise<void> {
  const words = await text;
  try {
    await navigator.clipboard.writeText(words);
    tell(done);
  } catch {
    tell(words);
  }
}
