// Whom a failure met, and what one needs to tell others of it.

import { expect, test } from "@playwright/test";
import { accessible, complaints, demoAddress } from "./shared";
import { ask, lines, type Program, run, send, stop, until } from "./program";

test("a failure by new lines leads to the users that met them, each with their lines, and to what they have in common", async ({ page }) => {
  const said = complaints(page);
  await page.goto(`${demoAddress()}/rollouts/checkout`);
  const link = page.getByRole("link", { name: /^The \d+ users that met it$/ });
  const count = Number(/\d+/.exec(await link.innerText())![0]);
  await link.click();
  const users = page.getByRole("region", { name: "The users" });
  await expect(users.locator("tbody tr")).toHaveCount(count);
  await expect(users.locator("caption")).toContainText(`${count} users of the canary met the new error lines`);
  const first = users.locator("tbody tr").first();
  // By the name that the log has for them, and not by a hash.
  await expect(first.locator("th")).toHaveText(/^u-\d+$/);
  const common = page.getByRole("region", { name: "What they have in common" });
  for (const field of ["region", "client", "route", "version", "pod"]) await expect(common.locator("tbody td:first-child").filter({ hasText: field }).first()).toBeAttached();
  await expect(common.getByRole("row", { name: /\/api\/checkout/ }).locator("td.number").first()).toHaveText(String(count));
  await accessible(page);
  const name = await first.locator("th").innerText();
  const number = await first.getByRole("link").innerText();
  await first.getByRole("link").click();
  await expect(page.locator(".found [role=status]")).toContainText(`${number} lines`);
  await page.locator("button.line-head").first().click();
  await expect(page.locator(".drawer")).toContainText(name);
  // It is in the address, too.
  await page.goto(`${demoAddress()}/rollouts/checkout?users=1`);
  await expect(page.getByRole("region", { name: "The users" }).locator("tbody tr")).toHaveCount(count);
  // A line that differs, and its page, lead to them as well.
  await page.goto(`${demoAddress()}/rollouts/checkout/templates`);
  await page.locator("button.template").first().click();
  await page.getByText(`Who met it in the canary (${count} users)`).click();
  await expect(page.getByRole("region", { name: "The users" }).locator("tbody tr")).toHaveCount(count);
  await page.getByRole("link", { name: "Its page" }).first().click();
  await page.getByText(`Who met it in the canary (${count} users)`).click();
  await expect(page.getByRole("region", { name: "The users" }).locator("tbody tr")).toHaveCount(count);
  expect(said).toEqual([]);
});

test("what is explained is what failed; of anything else it is said that it is not", async ({ page }) => {
  const said = complaints(page);
  await page.goto(`${demoAddress()}/rollouts/checkout/explain`);
  await expect(page.locator("main")).toContainText("This is what failed: users that met the new error lines, arm by arm.");
  const table = page.getByRole("region", { name: "Segments" });
  await expect(table.getByRole("row", { name: /^region = eu-west-1/ })).toContainText("0 of");
  await accessible(page);
  await page.getByLabel("Explain").selectOption("error_units");
  await expect(page).toHaveURL(/metric=error_units/);
  await expect(page.locator(".note")).toContainText("This is not what failed.");
  await expect(page.locator("main")).toContainText("It is not proven that there is one");
  // Segments of few users are left out, and that is told.
  await page.getByLabel(/Segments of at least/).selectOption("1000");
  await expect(page).toHaveURL(/min=1000/);
  await page.getByRole("button", { name: "Explain that" }).click();
  await expect(page.locator("main")).toContainText("This is what failed");
  expect(said).toEqual([]);
});

test("where arms have other names than versions, their versions are told", async ({ page }) => {
  const program = await run();
  const of = lines({ errors: [0.01, 0.25], minutes: 6 }).map((line) => line.replace('"version":"2.0.0"', '"version":"2.0.0","cohort":"canary"').replace('"version":"1.0.0"', '"version":"1.0.0","cohort":"baseline"'));
  await send(program, of);
  await until("it is judged", async () => ((await ask<{ comparisons: unknown[] }>(program, "/v1/report"))?.comparisons.length ?? 0) > 0);
  const id = (await ask<{ rollouts: { id: string; control: string }[] }>(program, "/v1/rollouts"))!.rollouts[0]!;
  expect(id.control).toBe("baseline");
  await page.goto(`${program.address}/rollouts/${encodeURIComponent(id.id)}`);
  await expect(page.locator(".facts")).toContainText("version 1.0.0 and 2.0.0");
  await stop(program);
});

test("nothing is kept yet: whatever is asked for, that is what is said, and an answer comes with the first lines", async ({ page }) => {
  const said = complaints(page);
  const program = await run();
  await page.goto(`${program.address}/search?q=_service:shop`);
  await expect(page.getByRole("heading", { name: "No line is kept yet" })).toBeVisible();
  await expect(page.locator(".note.invalid")).toHaveCount(0);
  await accessible(page);
  await send(program, lines({ errors: [0.01, 0.25], minutes: 4 }));
  await expect(page.locator(".lines .line").first()).toContainText("shop");
  await page.getByLabel("Query").fill("duration_ms:>100j");
  await page.keyboard.press("Enter");
  await expect(page.locator(".empty")).toContainText("100j is neither a number nor a duration");
  expect(said.filter((words) => !/status of (400|503)/.test(words))).toEqual([]);
  await stop(program);
});

test("a list of slow requests says how long each took, and the query shows its end", async ({ page }) => {
  await page.goto(`${demoAddress()}/search?q=_kind:request _latency:>=500ms`);
  const row = page.locator(".lines .line").first();
  await expect(row.locator(".latency")).toHaveText(/^([\d,]+ ms|[\d.]+ s) $/);
  await page.goto(`${demoAddress()}/search?q=_kind:request`);
  await expect(page.locator(".lines .line").first()).toBeVisible();
  await expect(page.locator(".lines .latency")).toHaveCount(0);
  await page.setViewportSize({ width: 390, height: 844 });
  // Values are at the top, and open when they are asked for.
  const values = page.getByText("Narrow by value");
  expect((await values.boundingBox())!.y).toBeLessThan((await page.locator(".lines .line").first().boundingBox())!.y);
  await values.click();
  await page.locator("aside").getByRole("button", { name: /^eu-west-1/ }).click();
  await expect(page.getByLabel("Query")).toHaveValue("_kind:request region:eu-west-1");
  await page.goto(`${demoAddress()}/search?q=${encodeURIComponent("_kind:request _service:checkout _arm:2.4.0 _failed:false region:eu-west-1")}`);
  await expect(page.locator(".lines .line").first()).toBeVisible();
  const [left, most] = await page.getByLabel("Query").evaluate((of) => [of.scrollLeft, of.scrollWidth - of.clientWidth]);
  expect(most).toBeGreaterThan(10);
  expect(most! - left!).toBeLessThan(3);
});

test("arms that were watched for different times are compared at one age, which is told", async ({ page }) => {
  const said = complaints(page);
  await page.goto(`${demoAddress()}/rollouts/checkout/who?used=${encodeURIComponent('_service:checkout _route:"/api/checkout" _failed:false')}`);
  const table = page.getByRole("region", { name: "By arm" });
  const head = table.getByRole("columnheader", { name: /^used it within .* \[95 %\]$/ });
  await expect(head).toBeVisible();
  const age = /within (.*) \[/.exec(await head.innerText())![1]!;
  await expect(table.locator("caption")).toContainText(`${age} after they were exposed, the longest that both arms were watched`);
  // The canary was taken back after some minutes: it is not compared at the age that the baseline has reached.
  const watched = table.locator("tbody tr").nth(1).locator("td").last();
  const seconds = (text: string): number => [...text.matchAll(/([\d.]+)\s(s|min|h)/g)].reduce((sum, of) => sum + Number(of[1]) * { s: 1, min: 60, h: 3_600 }[of[2] as "s" | "min" | "h"], 0);
  expect(seconds(age)).toBeGreaterThan(0);
  expect(seconds(age)).toBeLessThanOrEqual(seconds(await watched.innerText()));
  await expect(table.locator("tbody tr").first().locator("td").first()).toContainText("%");
  // Two periods stand in one table: it says which of them is to compare.
  await expect(table.locator("thead")).toContainText("so far, not to compare");
  await accessible(page);
  expect(said).toEqual([]);
});

test("of the arm that goes on it is told what it had while both ran", async ({ page }) => {
  await page.goto(`${demoAddress()}/rollouts/checkout`);
  await expect(page.locator("main")).toContainText("The canary was last heard of at");
  await expect(page.locator("main")).toContainText("of the time while both ran");
  const baseline = (name: RegExp) => page.getByRole("row", { name }).locator("td.baseline");
  await expect(baseline(/errors per request/)).not.toContainText("of all the time");
  await expect(baseline(/latency, typical/)).toHaveText(/ms/);
  await expect(page.locator(".guardrails td[data-of]").filter({ hasText: "…" })).toHaveCount(0);
  // Nothing of it moves any more, whatever the baseline does since.
  const before = await page.locator("table.guardrails tbody").innerText();
  const looks = async (): Promise<number> => ((await ask<{ comparisons: { service: string; looks: number }[] }>({ address: demoAddress() } as Program, "/v1/report"))?.comparisons.find((of) => of.service.startsWith("ranking"))?.looks ?? 0);
  const at = await looks();
  await expect.poll(looks).toBeGreaterThan(at + 1);
  expect(await page.locator("table.guardrails tbody").innerText()).toBe(before);
  // The list and the chart have the same.
  const [, interval] = /users with errors[\s\S]*?(×[\d.]+ \[[^\]]+\])/.exec(before)!;
  await page.goto(demoAddress());
  await expect(page.getByRole("row", { name: /checkout/ })).toContainText(interval!);
  await page.goBack();
  // Both arms of the same time, held against each other.
  await page.getByRole("link", { name: "Compare the arms" }).click();
  await expect(page).toHaveURL(/\/compare\?.*from=.*to=/);
  await expect(page.getByRole("region", { name: "Figures" })).toContainText("%");
});
