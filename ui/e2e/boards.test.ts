// Two filters, one template, and dashboards, on the demo.

import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@playwright/test";
import { ask, lines, run, send, stop, until } from "./program";
import { complaints, demoAddress } from "./shared";

test("two arms are held against each other, with links to the lines of each number", async ({ page }) => {
  const said = complaints(page);
  await page.goto(`${demoAddress()}/compare`);
  await page.getByRole("link", { name: /checkout: 2\.4\.0 and 2\.5\.0/ }).click();
  const figures = page.getByRole("region", { name: "Figures" });
  const failed = figures.getByRole("row", { name: /failed requests/ }).first();
  await expect(failed).toContainText("%");
  await expect(page.getByRole("region", { name: "Templates" })).toContainText("price list");
  const cells = failed.locator("td.number");
  const before = await cells.allInnerTexts();
  await page.keyboard.press("b");
  await expect(page).toHaveURL(/a=.*2\.5\.0.*b=.*2\.4\.0/);
  // Lines come all the while: which side is which is seen by the arm that alone has the line.
  await expect(page.getByRole("region", { name: "Templates" }).getByRole("row", { name: /price list/ }).first()).toContainText("only A");
  expect(before[0]).not.toEqual(before[1]);
  await figures.getByRole("row", { name: /failed requests/ }).first().getByRole("link").first().click();
  await expect(page).toHaveURL(/\/search\?q=.*_arm/);
  await expect(page.locator(".lines .line").first()).toBeVisible();
  await page.goto(`${demoAddress()}/compare?a=${encodeURIComponent("((")}&b=x`);
  await expect(page.locator(".note")).toContainText("cannot be compared");
  expect(said.filter((words) => !words.includes("400"))).toEqual([]);
});

test("a template has a page: its lines with what varies marked, by arm, and since when", async ({ page }) => {
  const said = complaints(page);
  await page.goto(`${demoAddress()}/rollouts/checkout/templates`);
  await page.locator("button.template").first().click();
  await page.getByRole("link", { name: "Its page" }).click();
  await expect(page).toHaveURL(/\/templates\/[0-9a-f]{16}/);
  await expect(page.locator(".template.large")).toContainText("price list");
  await expect(page.getByRole("region", { name: "By arm" })).toContainText("2.5.0");
  await expect(page.locator(".line mark").first()).toBeVisible();
  await expect(page.locator("main")).toContainText("the first of those that are kept at");
  await page.getByRole("link", { name: /checkout/ }).first().click();
  await expect(page.locator(".detail")).toBeVisible();
  expect(said).toEqual([]);
});

for (const [name, words] of [
  ["service-overview", ["Requests by arm", "2.4.0", "Latency, p95"]],
  ["rollout-health", ["Guardrails", "checkout", "price list"]],
  ["ingest-health", ["How far behind", "age of the newest line that was judged", "ahead of the clock by", "Lines a second"]],
] as const) {
  test(`the dashboard ${name} answers all its panels`, async ({ page }) => {
    const said = complaints(page);
    await page.goto(`${demoAddress()}/d/${name}`);
    for (const word of words) await expect(page.locator("main")).toContainText(word);
    await expect(page.locator(".panel .note")).toHaveCount(0);
    await expect(page.getByText("…", { exact: true })).toHaveCount(0);
    expect(said).toEqual([]);
  });
}

test("a folder of own dashboards is read as it is, and says what is wrong with its place", async ({ page }) => {
  const folder = mkdtempSync(join(tmpdir(), "serin-boards-"));
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "ours.yaml");
  const board = "kind: Dashboard\nmetadata: {name: ours}\nspec:\n  display: {name: <b>Ours</b>}\n  panels:\n    a: {kind: Rollouts, spec: {title: All of them}}\n";
  writeFileSync(file, board);
  const program = await run(`dashboards: ${folder}\n`);
  await page.goto(`${program.address}/d`);
  await page.getByRole("link", { name: "<b>Ours</b>" }).click();
  await expect(page.getByRole("region", { name: "All of them" })).toContainText("No rollout");
  writeFileSync(file, board.replace("Rollouts", "Pie"));
  await page.reload();
  await expect(page.locator(".note")).toContainText("ours.yaml:6:15");
  await page.goto(`${program.address}/d`);
  await expect(page.locator(".note")).toContainText("ours.yaml:6:15: spec.panels.a.kind: `Pie` is unknown");
  await stop(program);
});

test("what is seen is copied as a panel, and a dashboard of such panels is one", async ({ page, context, browser }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: demoAddress() });
  const panels: string[] = [];
  for (const [path, kind] of [
    ["/?show=done", "Rollouts"],
    ["/rollouts/checkout", "DeltaTable"],
    ["/rollouts/checkout/templates?change=new", "TemplateDiff"],
    [`/search?q=${encodeURIComponent('_failed:true NOT "a \\"phrase\\": {x}"')}`, "Lines"],
  ] as const) {
    await page.goto(demoAddress() + path);
    await page.getByRole("button", { name: "Copy as panel" }).click();
    await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain(`kind: ${kind}`);
    panels.push(await page.evaluate(() => navigator.clipboard.readText()));
  }
  await page.goto(`${demoAddress()}/status`);
  await expect(page.getByRole("button", { name: "Copy link" })).toBeVisible();
  await expect(page.getByRole("button", { name: "Copy as panel" })).toHaveCount(0);
  const folder = mkdtempSync(join(tmpdir(), "serin-boards-"));
  writeFileSync(join(folder, "copied.yaml"), `kind: Dashboard\nmetadata: {name: copied}\nspec:\n  display: {name: Copied}\n  panels:\n${panels.join("")}`);
  const program = await run(`dashboards: ${folder}\n`);
  await send(program, lines({ errors: [0.01, 0.01], minutes: 4 }));
  await until("lines are indexed", async () => ((await ask<{ index?: { lines: number } }>(program, "/v1/status"))?.index?.lines ?? 0) >= 1_600);
  const other = await (await browser.newContext()).newPage();
  await other.goto(`${program.address}/d/copied`);
  await expect(other.locator(".panel")).toHaveCount(4);
  await expect(other.locator(".note")).toHaveCount(0);
  await expect(other.getByRole("region", { name: "Lines of checkout that differ" })).toBeVisible();
  await stop(program);
});
