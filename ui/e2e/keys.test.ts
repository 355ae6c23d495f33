// Keys that other stories have no need of: each does what the help says of it.

import { expect, test, type Page } from "@playwright/test";
import { complaints, demoAddress } from "./shared";

const shown = async (page: Page, path: string, what: string): Promise<void> => {
  await page.goto(demoAddress() + path);
  await expect(page.locator(what).first()).toBeVisible();
};

test("d, [ and ]: the time, the one before and the one after", async ({ page }) => {
  const said = complaints(page);
  await shown(page, "/search?q=level:error", ".lines .line");
  await page.keyboard.press("d");
  const time = page.getByLabel("Time");
  await expect(time).toBeFocused();
  await page.keyboard.press("Escape");
  await time.selectOption("now-1h");
  await expect(page).toHaveURL(/from=now-1h/);
  await page.locator("main").focus();
  const at = (): [number, number] => {
    const asked = new URL(page.url()).searchParams;
    return [Date.parse(asked.get("from")!), Date.parse(asked.get("to")!)];
  };
  await page.keyboard.press("[");
  await expect(page).toHaveURL(/to=/);
  const [from, to] = at();
  expect(to - from).toBe(3_600_000);
  // The demo's log runs ahead of the clock: hours are counted from its end, which moves on meanwhile.
  const status = (await (await fetch(`${demoAddress()}/v1/status`)).json()) as { data_until: string };
  expect(Math.abs(Date.parse(status.data_until) - 3_600_000 - to)).toBeLessThan(1_200_000);
  await expect(time).toHaveValue("named");
  await page.keyboard.press("[");
  await expect.poll(() => at()[1]).toBe(from);
  await page.keyboard.press("]");
  await page.keyboard.press("]");
  await expect.poll(() => at()[0]).toBe(to);
  await page.goBack();
  await expect.poll(() => at()[0]).toBe(from);
  expect(said).toEqual([]);
});

test("i and e: only this one and none like it, for templates and for lines", async ({ page }) => {
  const said = complaints(page);
  await shown(page, "/rollouts/checkout/templates", "button.template");
  const rows = page.locator("button.template");
  const all = await rows.count();
  expect(all).toBeGreaterThan(1);
  await page.keyboard.press("j");
  await page.keyboard.press("i");
  await expect(page).toHaveURL(/only=/);
  await expect(rows).toHaveCount(1);
  await page.goBack();
  await expect(rows).toHaveCount(all);
  await page.keyboard.press("j");
  await page.keyboard.press("e");
  await expect(page).toHaveURL(/not=/);
  await expect(rows).toHaveCount(all - 1);
  await shown(page, "/search?q=level:error", "button.line-head");
  await page.locator("button.line-head").first().click();
  await expect(page.locator(".drawer")).toBeVisible();
  await page.keyboard.press("i");
  await expect(page.getByLabel("Query")).toHaveValue(/(?<!NOT )_template:/);
  expect(said).toEqual([]);
});

test("/ goes to where a screen is filtered, and Escape up one level", async ({ page }) => {
  for (const [path, what, field] of [
    ["/", "a.row", /filter/i],
    ["/search?q=level:error", ".lines .line", /query/i],
    ["/compare", "form", /^A/],
    ["/rollouts/checkout/templates", "button.template", /find/i],
  ] as const) {
    await shown(page, path, what);
    await page.keyboard.press("/");
    await expect(page.locator(":focus")).toHaveAttribute("type", /search|text/);
    const name = await page.locator(":focus").evaluate((of) => of.getAttribute("aria-label") ?? of.closest("label")?.textContent ?? "");
    expect(name.trim(), path).toMatch(field);
  }
  // A name that was typed is gone to.
  await shown(page, "/", "a.row");
  await page.keyboard.press("/");
  await page.keyboard.type("checkout");
  await expect(page.locator("a.row")).toHaveCount(1);
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name: "Verdict" })).toContainText("2.5.0 is worse than 2.4.0");
  await shown(page, "/rollouts/checkout/explain", ".segments");
  await page.keyboard.press("Escape");
  await expect(page).toHaveURL(`${demoAddress()}/`);
  // Out of a query first: keys are keys of the screen again.
  await shown(page, "/search?q=level:error", ".lines .line");
  await page.keyboard.press("/");
  await page.keyboard.press("Escape");
  await expect(page.locator("input:focus")).toHaveCount(0);
  await expect(page).toHaveURL(/q=level/);
});

test("k, o, x, X and . do what the help says", async ({ page }) => {
  const said = complaints(page);
  await shown(page, "/rollouts/checkout/templates", "button.template");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await expect(page.locator("button.template").first()).toBeFocused();
  await page.keyboard.press("x");
  await expect(page).toHaveURL(/mark=/);
  await page.keyboard.press("X");
  await expect(page).not.toHaveURL(/mark=/);
  await page.keyboard.press("Enter");
  await expect(page.locator(".detail")).toBeVisible();
  await shown(page, "/", "a.row");
  const live = page.getByTitle("Live updates");
  await expect(live).toHaveAttribute("aria-pressed", "true");
  await page.keyboard.press(".");
  await expect(live).toHaveAttribute("aria-pressed", "false");
  await page.keyboard.press(".");
  await expect(live).toHaveAttribute("aria-pressed", "true");
  for (const [key, heading] of [["s", "Search"], ["u", "Status"], ["r", "Rollouts"]] as const) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await expect(page.getByRole("heading", { name: heading, exact: true })).toHaveCount(1);
  }
  // The help names every key of the screen.
  await page.keyboard.press("?");
  const help = page.getByRole("dialog", { name: "Keyboard" });
  for (const words of ["this help", "filter", "next row", "copy the link", "copy as a command", "hooks"]) await expect(help).toContainText(words);
  expect(said).toEqual([]);
});
