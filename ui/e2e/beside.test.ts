// What else ran at the same time over the same users, and how a difference passes: from lines to the tables of the Verdict screen.

import { expect, test } from "@playwright/test";
import { ask, run, send, stop, until } from "./program";
import { accessible, complaints } from "./shared";

/** Numbers that look like chance and are the same each time. */
function chance(): () => number {
  let state = 4_711;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return ((state >>> 8) & 0xffffff) / 0x1000000;
  };
}

/** Payments fails for its canary, and web for the users of that; shop fails for its canary in the first hour of a user alone. */
function made(): string[] {
  const from = Date.parse("2026-06-01T09:00:00Z");
  const random = chance();
  const list: [number, string][] = [];
  const add = (at: number, service: string, isCanary: boolean, user: string, fails: boolean): void => {
    list.push([at, JSON.stringify({ timestamp: new Date(from + at).toISOString(), level: "info", service, cohort: isCanary ? "canary" : "baseline", user_id: user, route: "/pay", status: fails ? 503 : 200, duration_ms: 20 + Math.floor(random() * 30) })]);
  };
  const users = Array.from({ length: 2_000 }, () => {
    const web = random() < 0.3;
    return { web, payments: random() < (web ? 0.8 : 0.15) };
  });
  for (let number = 0; number < 12_000; number += 1) {
    const user = Math.floor(random() * users.length);
    const { web, payments } = users[user]!;
    const at = Math.floor(random() * 1_200_000);
    add(at, "web", web, `u${user}`, random() < (payments ? 0.08 : 0.01));
    add(at + 2, "payments", payments, `u${user}`, random() < (payments ? 0.08 : 0.01));
  }
  const hour = 3_600_000;
  for (let user = 0; user < 1_000; user += 1) {
    const isCanary = random() < 0.4;
    const came = random() * hour;
    for (let number = 0; number < 8; number += 1) {
      const isYoung = number < 4;
      add(Math.floor(isYoung ? came + random() * 0.7 * hour : came + (1.2 + random()) * hour), "shop", isCanary, `s${user}`, random() < (isYoung && isCanary ? 0.2 : 0.02));
    }
  }
  return list.toSorted((a, b) => a[0] - b[0]).map(([, line]) => line);
}

test("rollouts beside each other have a table that says whose the harm is, and what passes has one by age", async ({ page }) => {
  const said = complaints(page);
  const program = await run("window: 60s\nrollouts:\n- {name: web, services: [web]}\n- {name: payments, services: [payments]}\n- {name: shop, services: [shop]}\n");
  await send(program, made());
  type Report = { comparisons: { service: string; overlaps: { says: string | null; explains_it: boolean }[]; by_age: { says: { course: string }[] } | null }[] };
  const of = await until("both are known", async () => {
    const list = (await ask<Report>(program, "/v1/report"))?.comparisons ?? [];
    const web = list.find((one) => one.service === "web");
    const shop = list.find((one) => one.service === "shop");
    return web?.overlaps[0]?.says && shop?.by_age?.says.length ? { web, shop } : null;
  });
  expect([of.web.overlaps[0]!.says, of.shop.by_age!.says[0]!.course]).toEqual(["explained_by_it", "gone"]);
  await page.goto(`${program.address}/rollouts/web`);
  const part = page.locator("#beside");
  await expect(part.locator("summary")).toHaveText("Rollouts at the same time (1): payments explains it");
  await page.keyboard.press("r");
  await expect(page).toHaveURL(/beside=1/);
  await expect(page.getByRole("region", { name: "Beside canary of payments", exact: true }).locator("tbody tr")).toHaveCount(4);
  await expect(page.getByRole("region", { name: /whose it is/ }).getByRole("row", { name: /among users with the same arm of payments/ })).toContainText(/×\d/);
  await accessible(page);
  await page.setViewportSize({ width: 320, height: 800 });
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
  await accessible(page);
  await page.setViewportSize({ width: 1280, height: 900 });
  // The other one says that it explains this, and what it leads to is its own screen.
  await part.getByRole("link", { name: "payments" }).click();
  await expect(page).toHaveURL(/\/rollouts\/payments$/);
  await expect(page.locator("#beside summary")).toContainText("it explains what web shows");
  await page.goto(`${program.address}/rollouts/shop?ages=1`);
  await expect(page.locator("#ages summary")).toContainText("users with a failed request, novelty");
  const ages = page.getByRole("region", { name: "By the time since users were first seen" });
  await expect(ages.getByRole("row", { name: /^first hour/ })).toContainText("with errors");
  await expect(page.locator("#ages")).toContainText("among users seen for more than an hour nothing is left of it that chance does not explain");
  await page.emulateMedia({ colorScheme: "dark" });
  await accessible(page);
  await page.setViewportSize({ width: 320, height: 800 });
  await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
  // What it was counted of is one step away.
  await page.locator("#ages").getByRole("link", { name: "canary" }).click();
  await expect(page).toHaveURL(/\/search\?q=.*_arm:canary/);
  await expect(page.locator(".lines .line").first()).toContainText("shop");
  expect(said).toEqual([]);
  await stop(program);
});
