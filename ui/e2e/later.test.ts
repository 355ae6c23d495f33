// What a link shows later, what is written beside rollouts, and what is asked of hooks.

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test, type Page } from "@playwright/test";
import { ask, lines, run, send, stop, TOKEN, until, type Program } from "./program";
import { accessible, complaints, SEVEN } from "./shared";

const ROLLOUT = "rollouts:\n- {name: shop, services: [shop]}\n";

async function login(page: Page): Promise<void> {
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.getByLabel("Token").fill(TOKEN);
  await page.getByRole("dialog").getByRole("button", { name: "Log in" }).click();
  await expect(page.getByRole("dialog")).toBeHidden();
}

const verdictOf = async (program: Program): Promise<string | undefined> => (await ask<{ verdict: string }>(program, "/v1/rollouts/shop"))?.verdict;

test("a copied link shows the same numbers later, when others are true", SEVEN, async ({ page, context, browser }) => {
  const said = complaints(page);
  const program = await run(ROLLOUT);
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: program.address });
  await send(program, lines({ errors: [0.01, 0.01], minutes: 6 }));
  await page.goto(`${program.address}/rollouts/shop`);
  const row = page.getByRole("row", { name: /users with errors/ });
  await expect(row).toContainText("×");
  await until("all windows are judged", async () => ((await ask<{ records: { read: number } }>(program, "/v1/report"))?.records.read ?? 0) >= 2_300);
  await page.reload();
  await expect(row).toContainText("×");
  await expect(page.locator(".guardrails td[data-of]").filter({ hasText: "…" })).toHaveCount(0);
  const before = await page.locator(".guardrails").innerText();
  await page.keyboard.press("c");
  await expect.poll(() => page.evaluate(() => navigator.clipboard.readText())).toContain("asof=");
  const link = await page.evaluate(() => navigator.clipboard.readText());

  await send(program, lines({ errors: [0.01, 0.4], minutes: 14, from: Date.parse("2026-06-01T09:06:00Z") }));
  await until("it has failed", async () => (await verdictOf(program)) === "fail");
  const other = await (await browser.newContext({ timezoneId: "UTC", locale: "en-GB" })).newPage();
  const saidThere = complaints(other);
  await other.goto(link);
  await expect(other.locator(".banner.asof")).toContainText("As it was at");
  await expect.poll(() => other.locator(".guardrails").innerText()).toBe(before);
  await expect(other.locator(".plot canvas")).toBeVisible();
  await accessible(other);
  // It is so on the other screens too, and in the list.
  await other.keyboard.press("5");
  await expect(other.locator(".timeline")).toContainText("The comparison began");
  await expect(other.locator(".timeline")).not.toContainText("fail");
  await other.getByRole("link", { name: "Rollouts" }).click();
  await expect(other).toHaveURL(/asof=/);
  await expect(other.getByRole("row", { name: /shop/ })).not.toContainText("Worse");
  await other.getByRole("button", { name: "Show now" }).click();
  await expect(other.getByRole("row", { name: /shop/ })).toContainText("Worse");
  await other.goto(`${program.address}/status`);
  await expect(other.getByRole("row", { name: /links with a time/ })).toContainText("earlier report");
  expect([...said, ...saidThere]).toEqual([]);
  await stop(program);
});

test("a template is muted with a reason, is listed apart, and stands in the timeline", async ({ page }) => {
  const said = complaints(page);
  const program = await run(ROLLOUT);
  await send(program, lines({ errors: [0.01, 0.25] }));
  await until("it has failed", async () => (await verdictOf(program)) === "fail");
  await page.goto(`${program.address}/rollouts/shop/templates`);
  await page.locator("button.template").first().click();
  await expect(page.getByRole("button", { name: "log in to mute" })).toBeVisible();
  await login(page);
  await page.getByRole("button", { name: "mute", exact: true }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("Verdicts, gates and hooks do not go by this");
  await dialog.getByRole("button", { name: "Mute" }).click();
  await expect(dialog.getByRole("alert")).toContainText("A reason is needed");
  await dialog.getByLabel("Reason").fill("a known <b>outage</b>");
  await dialog.getByRole("button", { name: "Mute" }).click();
  await expect(dialog).toBeHidden();
  await expect(page.locator(".templates")).toContainText("muted by operator until");
  await accessible(page);
  await page.keyboard.press("5");
  await expect(page.locator(".timeline")).toContainText("operator muted the log line");
  await expect(page.locator(".timeline")).toContainText("a known <b>outage</b>");
  await page.keyboard.press("1");
  await expect(page.getByRole("region", { name: "Verdict" })).toContainText("is worse than");
  expect(said.filter((words) => !words.includes("401"))).toEqual([]);
  await stop(program);
});

test("a hook is tried before it matters", async ({ page }) => {
  const came: string[] = [];
  let status = 200;
  const target: Server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk: Buffer) => (body += chunk.toString()));
    request.on("end", () => {
      came.push(body);
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((done) => target.listen(0, "127.0.0.1", done));
  const { port } = target.address() as AddressInfo;
  const program = await run((folder) => {
    writeFileSync(join(folder, "secret"), "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
    return `hooks:\n- {name: pager, url: 'http://127.0.0.1:${port}/hook', secret_file: ${folder}/secret}\n`;
  });
  await page.goto(`${program.address}/hooks`);
  await page.getByRole("button", { name: "Log in to send a test" }).click();
  await page.getByLabel("Token").fill(TOKEN);
  await page.getByRole("dialog").getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Send a test" }).click();
  await expect(page.getByRole("row", { name: /pager/ })).toContainText("taken");
  expect(JSON.parse(came[0]!)).toMatchObject({ type: "serin.test", data: { action: "none", actor: "operator" } });
  status = 500;
  await page.getByRole("button", { name: "Send a test" }).click();
  await expect(page.getByRole("row", { name: /pager/ })).toContainText("not taken");
  await expect(page.getByRole("row", { name: /pager/ })).toContainText("status 500");
  await accessible(page);
  target.close();
  await stop(program);
});
