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
  // What carried the verdict stands first.
  await expect(first).toContainText("price list");
  await page.locator("#lines").getByRole("button", { name: "lines around it" }).first().click();
  // Lines to look at are others while the rollout goes on; the one that was asked about stays open.
  const opened = page.locator("#lines li", { has: page.locator(".line.own") });
  await expect(opened.locator(".line").nth(5)).toBeVisible();
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
  // A line opens beside the others, is named by the address, and the next one by a key.
  await page.locator("button.line-head").first().click();
  await expect(page).toHaveURL(/sel=/);
  await expect(page.locator(".drawer")).toContainText("Around it");
  const first = page.url();
  await page.keyboard.press("j");
  await expect(page).not.toHaveURL(first);
  await page.keyboard.press("x");
  await expect(page.locator("main")).toContainText("1 marked");
  await page.keyboard.press("X");
  await expect(page.locator("main")).not.toContainText("1 marked");
  await page.keyboard.press("e");
  await expect(page.getByLabel("Query")).toHaveValue(/NOT _template:/);
  await page.goBack();
  await page.locator("button.line-head").first().click();
  await page.locator(".drawer").getByRole("button", { name: /^without level/ }).first().click();
  await expect(page.getByRole("heading", { name: "No line matches" })).toBeVisible();
  await page.goBack();
  await expect(page.locator(".lines .line").first()).toBeVisible();
  expect(said).toEqual([]);
});

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

test("what could follow is offered while one types a query, by names and by values", async ({ page }) => {
  const said = complaints(page);
  await page.goto(`${demoAddress()}/search?q=level:error`);
  await expect(page.locator(".lines .line").first()).toBeVisible();
  const query = page.getByLabel("Query");
  await query.fill("");
  await query.pressSequentially("_arm:2.5");
  const offered = page.getByRole("listbox", { name: "Offers" });
  await expect(offered.getByRole("option")).toHaveText(["_arm:2.5.0"]);
  await accessible(page);
  await query.press("ArrowDown");
  await expect(query).toHaveAttribute("aria-activedescendant", /-0$/);
  await query.press("Enter");
  await expect(query).toHaveValue("_arm:2.5.0 ");
  await expect(offered).toHaveCount(0);
  await query.pressSequentially("_fai");
  await offered.getByText("_failed:", { exact: true }).click();
  // After a name come its values.
  await expect(offered.getByRole("option")).toHaveText(["_failed:false", "_failed:true"]);
  await query.press("ArrowUp");
  await query.press("Tab");
  await expect(query).toHaveValue("_arm:2.5.0 _failed:true ");
  await query.press("Enter");
  await expect(page).toHaveURL(/q=_arm:2\.5\.0\+_failed:true/);
  await expect(page.locator(".lines .line.candidate").first()).toContainText("2.5.0");
  expect(said).toEqual([]);
});

test("what was found is shown by text and by field, and canaries are told apart", async ({ page }) => {
  const said = complaints(page);
  await page.goto(`${demoAddress()}/search?q=_service:checkout _level:error`);
  await expect(page.locator(".lines .line").first()).toBeVisible();
  // Lines of the canary alone are there as such: in bars, beside values, and in the table behind the bars.
  await expect(page.locator(".histogram rect.candidate").first()).toBeAttached();
  await expect(page.getByRole("button", { name: /^2\.5\.0 [\d,]+ 100 % of canaries/ })).toBeVisible();
  await expect(page.getByRole("button", { name: /^2\.4\.0 [\d,]+ 0 % of canaries/ })).toBeVisible();
  await page.getByText("Show data").click();
  await expect(page.getByRole("columnheader", { name: "canaries" })).toBeVisible();
  await page.locator("main").focus();
  await page.keyboard.press("2");
  await expect(page).toHaveURL(/tab=templates/);
  const texts = page.getByRole("region", { name: "Lines by text" });
  await expect(texts).toContainText("no price list for voucher <*> in catalogue <*>");
  await accessible(page);
  await page.getByRole("button", { name: "Fields", exact: true }).click();
  const fields = page.getByRole("region", { name: "Fields" });
  await expect(fields.getByRole("row", { name: /^region/ })).toContainText("%");
  await accessible(page);
  await fields.getByRole("row", { name: /^region/ }).getByRole("button").first().click();
  await expect(page).toHaveURL(/q=.*region:/);
  await expect(page).not.toHaveURL(/tab=/);
  expect(said).toEqual([]);
});

test("marks of lines are in the address", async ({ page, browser }) => {
  await page.goto(`${demoAddress()}/search?q=_failed:true&to=${new Date().toISOString()}`);
  await page.locator("button.line-head").nth(1).focus();
  await page.keyboard.press("x");
  await expect(page).toHaveURL(/mark=/);
  const other = await (await browser.newContext()).newPage();
  await other.goto(page.url());
  await expect(other.locator(".line.marked")).toHaveCount(1);
  await page.goBack();
  await expect(page.locator(".line.marked")).toHaveCount(0);
});
