// Every screen in both schemes: nothing that axe finds, nothing that the browser complains of, nothing wider than the window; and a
// picture for people.

import { expect, test } from "@playwright/test";
import { accessible, complaints, demoAddress } from "./shared";

const SCREENS: [string, string, string][] = [
  ["rollouts", "/", "Rollouts"],
  ["verdict-worse", "/rollouts/checkout", "worse than"],
  ["verdict-changed", "/rollouts/ranking", "behaves differently"],
  ["verdict-invalid", "/rollouts/search", "cannot be compared"],
  ["verdict-login", "/rollouts/login", "guardrail"],
  ["templates", "/rollouts/checkout/templates", "price list"],
  ["explain", "/rollouts/checkout/explain", "Segments in order"],
  ["who", "/rollouts/checkout/who", "Assignment"],
  ["timeline", "/rollouts/checkout/timeline", "rolled back"],
  ["hooks", "/hooks", "Deliveries"],
  ["status", "/status", "Calibration"],
];

for (const scheme of ["light", "dark"] as const) {
  for (const [name, path, words] of SCREENS) {
    test(`${name}, ${scheme}`, async ({ page }) => {
      const said = complaints(page);
      await page.emulateMedia({ colorScheme: scheme });
      await page.goto(demoAddress() + path);
      await expect(page.locator("main")).toContainText(words);
      if (name.startsWith("verdict")) await expect(page.locator(".plot canvas")).toBeVisible();
      const row = page.locator("button.template").first();
      if (await row.isVisible()) await row.click();
      await accessible(page);
      await page.screenshot({ path: `e2e/shots/${name}-${scheme}.png`, fullPage: true });
      // 320 px, which is also what 1280 px at four times the size leave.
      await page.setViewportSize({ width: 320, height: 800 });
      await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(320);
      await accessible(page);
      if (scheme === "light") await page.screenshot({ path: `e2e/shots/${name}-320.png`, fullPage: true });
      expect(said).toEqual([]);
    });
  }
}

test("at twice the size nothing is lost", async ({ page }) => {
  await page.setViewportSize({ width: 640, height: 450 });
  for (const [name, path, words] of SCREENS) {
    await page.goto(demoAddress() + path);
    await expect(page.locator("main")).toContainText(words);
    await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth), name).toBeLessThanOrEqual(640);
  }
});
