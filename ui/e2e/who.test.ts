// Who uses a feature: asked of the program that runs, with links to the lines of each number.

import { expect, test } from "@playwright/test";
import { ask, lines, run, send, stop, until } from "./program";
import { accessible, complaints } from "./shared";

test("who uses a feature is offered, asked, drawn for both arms, and each number leads to its lines", async ({ page, context }) => {
  const said = complaints(page);
  const program = await run("rollouts:\n- {name: shop, services: [shop]}\n");
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: program.address });
  await send(program, lines({ errors: [0.01, 0.2] }));
  await until("it has failed", async () => (await ask<{ verdict: string }>(program, "/v1/rollouts/shop"))?.verdict === "fail");
  await until("lines are indexed", async () => ((await ask<{ index?: { lines: number } }>(program, "/v1/status"))?.index?.lines ?? 0) >= 8_000);
  await page.goto(`${program.address}/rollouts/shop/who`);
  // Nothing was asked: routes are offered.
  await page.getByRole("region", { name: "Who uses a feature" }).getByRole("button", { name: "/r1" }).click();
  await expect(page).toHaveURL(/used=/);
  const headline = page.locator(".headline");
  await expect(headline).toContainText(/[\d,]+ of [\d,]+ users used it/);
  await expect(page.getByRole("region", { name: "By arm" })).toContainText("2.0.0");
  await expect(page.locator(".plot canvas")).toBeVisible();
  await expect(page.getByRole("region", { name: "Segments" })).toContainText("region = r0");
  await expect(page.getByRole("region", { name: "Return" })).toContainText("2026-06-01");
  // A funnel is asked for in words, and stands in the address.
  await page.getByText("Funnel and segments", { exact: true }).click();
  await page.getByLabel("Steps of a funnel").fill('seen=_route:"/r0"\nused=_route:"/r1"\nagain=_route:"/r2"');
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await expect(page).toHaveURL(/steps=/);
  const funnel = page.getByRole("region", { name: "Funnel" });
  await expect(funnel).toContainText("3. again");
  await expect(funnel).toContainText("stayed behind");
  await page.locator("figure").getByText("Show data").click();
  await expect(page.getByRole("region", { name: "Data of the chart" })).toContainText("%");
  await accessible(page);
  // The same for programs.
  await page.keyboard.press("y");
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toMatch(/^curl -s '.*\/v1\/who\?rollout=shop&used=/);
  const url = (await page.evaluate(() => navigator.clipboard.readText())).slice("curl -s '".length, -1);
  const answer = (await (await fetch(url)).json()) as { adopted: { used: number }; steps: unknown[] };
  expect(answer.steps).toHaveLength(3);
  await expect(headline).toContainText(answer.adopted.used.toLocaleString("en-GB"));
  // A number leads to its lines.
  await page.getByRole("region", { name: "By arm" }).getByRole("row", { name: /2\.0\.0/ }).getByRole("link").last().click();
  await expect(page).toHaveURL(/\/search\?q=.*_arm.*_route/);
  await expect(page.locator(".lines .line").first()).toContainText("2.0.0");
  await page.goBack();
  await page.getByRole("button", { name: "Something else" }).click();
  await expect(page).not.toHaveURL(/used=/);
  // What is no query says so.
  await page.getByLabel("A use is").fill("((");
  await page.keyboard.press("Enter");
  await expect(page.locator(".note.invalid")).toBeVisible();
  await page.getByLabel("A use is").fill("status:999");
  await page.keyboard.press("Enter");
  await expect(headline).toContainText("0 of");
  await page.getByLabel("Who could have used it").fill("status:998");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Nobody was exposed" })).toBeVisible();
  await accessible(page);
  expect(said.filter((words) => !words.includes("400"))).toEqual([]);
  await stop(program);
});
