// From a number to its lines, and through them.

import { expect, test } from "@playwright/test";
import { accessible, complaints, demoAddress } from "./shared";
import { lines, run, send, stop, until, ask } from "./program";

test("from a verdict to the text of its lines, and to what stands around them", async ({ page }) => {
  const said = complaints(page);
  await page.goto(`${demoAddress()}/rollouts/checkout`);
  await expect(page.getByRole("region", { name: "Verdict" })).toBeVisible();
  await page.keyboard.press("o");
  const first = page.locator("#lines .line").first();
  await expect(first).toContainText("request failed");
  await page.locator("#lines").getByRole("button", { name: "lines around it" }).first().click();
  await expect(page.locator("#lines li").first().locator(".line.own")).toHaveCount(1);
  await expect(page.locator("#lines li").first().locator(".line").nth(5)).toBeVisible();
  await accessible(page);
  expect(said).toEqual([]);
});

test("a template leads to all its lines, and facets narrow them", async ({ page }) => {
  const said = complaints(page);
  await page.goto(`${demoAddress()}/rollouts/checkout/templates`);
  await page.locator("button.template").first().click();
  await expect(page.locator(".detail .line").first()).toContainText("price list");
  await page.getByRole("link", { name: "All its lines" }).first().click();
  await expect(page).toHaveURL(/\/search\?q=/);
  await expect(page.locator(".lines .line").first()).toContainText("price list");
  await expect(page.locator(".found [role=status]")).toContainText(/\d+ lines?/);
  await expect(page.locator(".histogram svg")).toBeVisible();
  await page.locator("aside").getByRole("button", { name: /2\.5\.0/ }).click();
  await expect(page.getByLabel("Query")).toHaveValue(/_arm:2\.5\.0/);
  await page.locator("button.line-head").first().click();
  await page.getByRole("button", { name: /^without level/ }).click();
  await expect(page.getByRole("heading", { name: "No line matches" })).toBeVisible();
  await page.goBack();
  await expect(page.locator(".lines .line").first()).toBeVisible();
  expect(said).toEqual([]);
});

for (const scheme of ["light", "dark"] as const) {
  test(`search, ${scheme}`, async ({ page }) => {
    await page.emulateMedia({ colorScheme: scheme });
    await page.goto(`${demoAddress()}/search?q=level:error`);
    await expect(page.locator(".lines .line").nth(5)).toBeVisible();
    await expect(page.locator(".histogram svg")).toBeVisible();
    await page.locator("button.line-head").first().click();
    await accessible(page);
    await page.screenshot({ path: `e2e/shots/search-${scheme}.png` });
    await page.setViewportSize({ width: 320, height: 800 });
    expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
    await accessible(page);
    if (scheme === "light") await page.screenshot({ path: "e2e/shots/search-320.png" });
  });
}

test("a query that is none says where, and hostile lines are text", async ({ page }) => {
  const said = complaints(page);
  const program = await run();
  await send(program, lines({ errors: [0.01, 0.25], hostile: true, minutes: 4 }));
  await until("lines are indexed", async () => ((await ask<{ index?: { lines: number } }>(program, "/v1/status"))?.index?.lines ?? 0) >= 1_600);
  await page.goto(`${program.address}/search?q=voucher`);
  await expect(page.locator(".lines .line").first()).toContainText("<script>");
  await page.locator("button.line-head").first().click();
  await expect(page.locator(".line-body")).toContainText('"><script>');
  expect(await page.evaluate(() => (window as unknown as { __hit?: number }).__hit)).toBeUndefined();
  expect(await page.locator("main img, main script").count()).toBe(0);
  await page.getByLabel("Query").fill("nothing_of_that_name:1");
  await page.keyboard.press("Enter");
  await expect(page.locator(".note")).toContainText("no line has a field `nothing_of_that_name`");
  expect(said.filter((words) => !words.includes("400"))).toEqual([]);
  await stop(program);
});
