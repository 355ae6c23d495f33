// Long tables and long results: scrolled through without a task of the browser that takes more than 50 ms.

import { expect, test, type Page } from "@playwright/test";
import { ask, lines, run, send, stop, until } from "./program";
import { demoAddress } from "./shared";
import { tasksOf, type Tasks } from "./tasks";

const told = (of: Tasks): string => `${of.count} tasks, the longest ${of.longest.toFixed(1)} ms of the processor, ${of.longestByClock.toFixed(1)} ms by the clock`;

/** Scrolls by the wheel's step, a frame after the other, until `isDone`. */
async function scroll(page: Page, by: number, most: number): Promise<number> {
  return page.evaluate(
    async ([by, most]) => {
      let frames = 0;
      while (frames < most! && scrollY + innerHeight < document.documentElement.scrollHeight - 1) {
        scrollBy(0, by!);
        frames += 1;
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
      return frames;
    },
    [by, most],
  );
}

test("10,000 rollouts are scrolled through", async ({ page, browser }) => {
  const rollouts = Array.from({ length: 10_000 }, (_, at) => ({
    id: `shop-${at}`, declared: at % 3 > 0, environment: "prod", services: [`shop-${at}`], control: "1.0.0", candidate: `2.0.${at}`,
    verdict: ["inconclusive", "fail", "pass", "invalid"][at % 4], automatic: false, withheld: null, reason: at % 4 === 1 ? `shop-${at}: worse by error units (e 10^7)` : "",
    phase: at % 3 > 0 ? "running" : null, step: 0, steps: 3, attempt: 1, began: "2026-06-01T09:00:00Z", over: at % 5 === 0, owners: [],
  }));
  await page.route("**/v1/rollouts", (route) => route.fulfill({ json: { rollouts } }));
  await page.goto(demoAddress());
  await expect(page.locator("a.row").first()).toBeVisible();
  // What is not in sight is not there.
  expect(await page.locator("tbody tr").count()).toBeLessThan(120);
  let frames = 0;
  const tasks = await tasksOf(browser, page, async () => {
    frames = await scroll(page, 900, 400);
  });
  console.log(`10,000 rows: ${frames} frames, ${told(tasks)}`);
  expect(tasks.count).toBeGreaterThan(frames);
  expect(tasks.long).toEqual([]);
  expect(frames).toBeGreaterThan(100);
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await expect(page.locator("a.row").last()).toHaveAttribute("data-at", "9999");
  await page.locator("a.row").last().focus();
  await page.keyboard.press("k");
  await expect(page.locator("a.row:focus")).toHaveAttribute("data-at", "9998");
});

test("a result of 100,000 lines is scrolled through", async ({ page, browser }) => {
  const program = await run();
  const few = lines({ errors: [0.01, 0.02], minutes: 250 });
  expect(few).toHaveLength(100_000);
  await send(program, few);
  await until("all lines are found", async () => ((await ask<{ index?: { lines: number } }>(program, "/v1/status"))?.index?.lines ?? 0) >= 100_000);
  await page.goto(`${program.address}/search?q=*`);
  await expect(page.locator(".lines .line").first()).toBeVisible();
  await expect(page.locator(".histogram svg")).toBeVisible();
  const rows = (): Promise<number> => page.locator(".lines").evaluate((of) => Math.round(of.getBoundingClientRect().height / 30));
  let frames = 0;
  const tasks = await tasksOf(browser, page, () =>
    expect
      .poll(async () => (frames += await scroll(page, 4_000, 60)) && rows(), { timeout: 90_000, intervals: [50] })
      .toBeGreaterThanOrEqual(99_990),
  );
  console.log(`100,000 lines: ${frames} frames, ${told(tasks)}`);
  expect(tasks.count).toBeGreaterThan(frames);
  expect(tasks.long).toEqual([]);
  expect(await page.locator(".lines .line").count()).toBeLessThan(150);
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  const last = page.locator("button.line-head").last();
  await expect(last).toHaveAttribute("data-at", "99999");
  await last.click();
  await expect(page.locator(".drawer")).toContainText("served cart");
  await stop(program);
});

test("a verdict is painted soon after its data", async ({ page }) => {
  await page.addInitScript(() => {
    const look = (): void => {
      if (!document.querySelector(".verdict .headline")) return;
      seen.disconnect();
      // The frame after it is there shows it.
      requestAnimationFrame(() => setTimeout(() => ((window as unknown as { __painted: number }).__painted = performance.now())));
    };
    const seen = new MutationObserver(look);
    seen.observe(document, { childList: true, subtree: true });
  });
  await page.goto(`${demoAddress()}/rollouts/checkout`);
  await expect.poll(() => page.evaluate(() => (window as unknown as { __painted?: number }).__painted ?? 0)).toBeGreaterThan(0);
  const took = await page.evaluate(() => {
    const of = performance.getEntriesByType("resource") as PerformanceResourceTiming[];
    const painted = (window as unknown as { __painted: number }).__painted;
    // The report may be asked for again meanwhile; the first is what the paint waited for.
    const ends = ["/v1/report", "/v1/rollouts/checkout"].map((path) => Math.min(...of.filter((one) => new URL(one.name).pathname === path).map((one) => one.responseEnd)));
    return { afterData: painted - Math.max(...ends), afterStart: painted };
  });
  console.log(`verdict painted ${took.afterData.toFixed(0)} ms after its data, ${took.afterStart.toFixed(0)} ms after the page was asked for`);
  expect(took.afterData).toBeLessThan(300);
});
