import AxeBuilder from "@axe-core/playwright";
import { expect, type Page } from "@playwright/test";
import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** The seven stories that the UI is for: what `ui/check --stories` tells. */
export const SEVEN = { tag: "@seven" };

export const STATE = join(tmpdir(), "serin-ui-e2e.json");
export const demoAddress = (): string => (JSON.parse(readFileSync(STATE, "utf8")) as { address: string }).address;

/** What the browser complains of: a page of ours has none. */
export function complaints(page: Page): string[] {
  const list: string[] = [];
  page.on("pageerror", (error) => list.push(`error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error" && !/status of (401|404|503)/.test(message.text())) list.push(message.text());
  });
  return list;
}

export async function accessible(page: Page): Promise<void> {
  // Rows of a result are alike; some of them are looked at.
  const found = await new AxeBuilder({ page }).exclude(".lines [role=row]:nth-child(n + 12)").withTags(["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]).analyze();
  const words = found.violations.map((of) => `${of.id}: ${of.help} (${of.nodes.map((node) => node.target.join(" ")).slice(0, 4).join("; ")})`);
  expect(words).toEqual([]);
}
