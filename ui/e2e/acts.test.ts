// What a person does to a rollout: each with a reason, after reading what it will do, and all of it in the timeline.

import { expect, test, type Page } from "@playwright/test";
import { ask, demo, lines, run, send, stop, TOKEN, until } from "./program";
import { accessible, complaints } from "./shared";

async function login(page: Page, token: string): Promise<void> {
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.getByLabel("Token").fill(token);
  await page.getByRole("dialog").getByRole("button", { name: "Log in" }).click();
  await expect(page.getByRole("dialog")).toBeHidden();
}

async function act(page: Page, name: string | RegExp, effect: RegExp, reason: string): Promise<void> {
  await page.getByRole("region", { name: "Actions" }).getByRole("button", { name }).first().click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText(effect);
  await accessible(page);
  await dialog.getByLabel("Reason").fill(reason);
  await dialog.getByRole("button", { name }).click();
  await expect(dialog).toBeHidden();
}

test("a step is approved, held, resumed and rolled back, and the timeline says by whom and why", async ({ page }) => {
  const said = complaints(page);
  const program = await run("rollouts:\n- {name: shop, services: [shop]}\n");
  await send(program, lines({ errors: [0.01, 0.01] }));
  await until("it runs", async () => (await ask<{ phase: string }>(program, "/v1/rollouts/shop"))?.phase === "running");
  await page.goto(`${program.address}/rollouts/shop`);
  await login(page, TOKEN);
  const facts = page.locator(".facts");
  await act(page, "Approve", /Step 1 of shop passes once its evidence says so/, "looks well");
  await act(page, "Hold", /Nothing of shop is promoted/, "the shop opens");
  await expect(facts).toContainText("held");
  await act(page, "Resume", /The hold of shop ends/, "it is open");
  await expect(facts).toContainText("running");
  await act(page, "Roll back", /shop is rolled back now/, "found by hand");
  await expect(facts).toContainText("rolled back");
  await expect(page.getByRole("region", { name: "Actions" })).toBeHidden();
  await page.keyboard.press("5");
  const timeline = page.locator(".timeline");
  for (const words of ["operator approved", "looks well", "operator held it", "the shop opens", "operator resumed it", "it is open", "operator rolled it back", "found by hand"]) {
    await expect(timeline).toContainText(words);
  }
  // Chart and timeline name the same person; and the list begins with nobody's failure.
  await page.keyboard.press("1");
  await expect(page.locator(".marks")).toContainText("operator");
  expect(said).toEqual([]);
  await stop(program);
});

test("a change is accepted with a reason, and holds nothing back any more", async ({ page }) => {
  const said = complaints(page);
  const program = await demo("--story", "faster");
  const token = await until("it says its token", () => Promise.resolve(/with this token: (\S+)/.exec(program.said())?.[1]));
  type Of = { compared?: { changed: string[] }[]; accepted?: string[] };
  await until("it has changed", async () => (await ask<Of>(program, "/v1/rollouts/ranking"))?.compared?.some((of) => of.changed.length > 0));
  await page.goto(`${program.address}/rollouts/ranking`);
  await expect(page.getByRole("region", { name: "Verdict" })).toContainText("behaves differently");
  await login(page, token);
  await act(page, /^Accept: speed/, /no longer holds this attempt back/, "the cache is meant");
  await until("it is accepted", async () => (await ask<Of>(program, "/v1/rollouts/ranking"))?.accepted?.includes("faster"));
  await expect(page.getByRole("button", { name: /^Accept: speed/ })).toHaveCount(0);
  await page.keyboard.press("5");
  await expect(page.locator(".timeline")).toContainText("accepted speed (much faster)");
  await expect(page.locator(".timeline")).toContainText("the cache is meant");
  expect(said).toEqual([]);
  await stop(program);
});
