// The stories on logs of a real system (Online Boutique, 2022): a frontend that a noisy neighbour slowed down in the canary's minutes.

import { existsSync, readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import { expect, test } from "@playwright/test";
import { ask, run, send, stop, until } from "./program";
import { accessible, complaints } from "./shared";

const FILE = process.env.SERIN_BOUTIQUE ?? new URL("../../../shared/data/boutique/f0.ndjson.gz", import.meta.url).pathname;

test("the offending lines of a real fault are found in three keys, and each number leads to its lines", async ({ page }) => {
  if (!existsSync(FILE) && process.env.CI) throw new Error(`${FILE} is missing`);
  test.skip(!existsSync(FILE), `${FILE} is missing`);
  const said = complaints(page);
  const program = await run();
  const text = gunzipSync(readFileSync(FILE)).toString().trim();
  await send(program, text.split("\n"));
  type List = { rollouts: { verdict: string; reason: string; services: string[] }[] };
  await until("it has failed", async () => (await ask<List>(program, "/v1/rollouts"))?.rollouts.some((of) => of.verdict === "fail"));
  await page.goto(program.address);
  await expect(page.getByRole("row", { name: /frontend/ })).toContainText("Worse");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name: "Verdict" })).toContainText("is worse than");
  await page.keyboard.press("o");
  const first = page.locator("#lines li").first();
  await expect(first).toContainText("slow");
  await expect(first.locator(".line").first()).toContainText("frontend");
  await accessible(page);
  // A number of the canary leads to the lines that it counts.
  await page.getByRole("row", { name: /latency p90/ }).getByRole("link").last().click();
  await expect(page).toHaveURL(/\/search\?q=.*_arm/);
  await expect(page.locator(".lines .line").first()).toContainText("frontend");
  await page.screenshot({ path: "e2e/shots/real-search.png" });
  for (const [path, words] of [["/compare?a=_arm:baseline&b=_arm:canary", "latency p50"], ["/d/service-overview?service=frontend&from=2022-08-22T03:50:00Z&to=2022-08-22T04:00:00Z", "frontend"]] as const) {
    await page.goto(program.address + path);
    await expect(page.locator("main")).toContainText(words);
    await expect(page.locator(".note.invalid")).toHaveCount(0);
    await accessible(page);
  }
  expect(said).toEqual([]);
  await stop(program);
});
