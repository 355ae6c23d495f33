// What somebody is about to press stays where it is, and what a key opens has the focus.

import { expect, test, type Page } from "@playwright/test";
import { lines, run, send, stop } from "./program";
import { accessible, complaints, demoAddress } from "./shared";

const top = async (page: Page, what: string): Promise<number> => (await page.locator(what).first().boundingBox())!.y;

test("lines that were found stay where they are when the chart over them comes", async ({ page }) => {
  // The chart is held back until the lines have been seen.
  let show = (): void => {};
  const held = new Promise<void>((done) => (show = done));
  await page.route("**/v1/aggregate?every=*", async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`${demoAddress()}/search?q=level:error`);
  await expect(page.locator(".lines .line").first()).toBeVisible();
  await expect(page.locator(".histogram svg")).toHaveCount(0);
  const before = await top(page, ".lines .line");
  show();
  await expect(page.locator(".histogram svg")).toBeVisible();
  expect(await top(page, ".lines .line")).toBe(before);
});

test("only fields that have values are listed, so none goes away again", async ({ page }) => {
  const asked: string[] = [];
  await page.exposeFunction("listed", (name: string) => asked.push(name));
  await page.addInitScript(() => {
    new MutationObserver(() => document.querySelectorAll("table.fields tbody th").forEach((of) => (window as unknown as { listed: (name: string) => void }).listed(of.textContent ?? ""))).observe(document, { childList: true, subtree: true });
  });
  await page.goto(`${demoAddress()}/search?q=${encodeURIComponent('"no price list" _kind:log')}&tab=fields`);
  await expect(page.getByRole("region", { name: "Fields" })).toContainText(/^\d+ fields looked at/);
  const left = await page.locator("table.fields tbody th").allInnerTexts();
  expect(left.length).toBeGreaterThan(3);
  expect([...new Set(asked)].filter((name) => !left.includes(name))).toEqual([]);
  // Who it was is a field too.
  await page.goto(`${demoAddress()}/search?q=${encodeURIComponent('"has no price list"')}&tab=fields`);
  await expect(page.getByRole("region", { name: "Fields" }).getByRole("row", { name: /^user_id/ })).toContainText("u-");
});

test("names of screens keep their places, whichever one is open", async ({ page }) => {
  const places = async (path: string): Promise<number[]> => {
    await page.goto(demoAddress() + path);
    await expect(page.locator(".screens [aria-current]")).toHaveCount(1);
    await expect(page.locator(".screens a")).toHaveCount(6);
    return page.locator(".screens a").evaluateAll((list) => list.map((of) => of.getBoundingClientRect().left));
  };
  const first = await places("/");
  for (const path of ["/search", "/compare", "/d", "/hooks", "/status"]) expect(await places(path), path).toEqual(first);
});

test("a line of a verdict has its room before it is there", async ({ page }) => {
  let show = (): void => {};
  const held = new Promise<void>((done) => (show = done));
  await page.route("**/v1/search/around?*", async (route) => {
    await held;
    await route.continue();
  });
  await page.goto(`${demoAddress()}/rollouts/checkout?lines=1`);
  const items = page.locator("#lines .places").first().locator("> li");
  await expect(items.first().locator(".line-to-be")).toBeVisible();
  const last = items.last();
  const from = (): Promise<number> => last.evaluate((of) => of.getBoundingClientRect().top - document.querySelector("#lines")!.getBoundingClientRect().top);
  const before = await from();
  show();
  await expect(last.locator(".line")).toBeVisible();
  await expect(items.first().locator(".line")).toBeVisible();
  expect(Math.abs((await from()) - before)).toBeLessThan(2);
});

test("o, u and s open a part of the verdict and go to it; what is told of lines is how many are shown", async ({ page }) => {
  const said = complaints(page);
  await page.goto(`${demoAddress()}/rollouts/checkout`);
  await expect(page.locator(".guardrails")).toBeVisible();
  for (const [key, id] of [["o", "lines"], ["u", "affected"], ["s", "services"]] as const) {
    await page.keyboard.press(key);
    await expect(page.locator(`#${id}`)).toHaveAttribute("open");
    await expect(page.locator(`#${id} > summary`)).toBeFocused();
  }
  await page.locator("main").focus();
  await page.keyboard.press("o");
  await page.keyboard.press("Tab");
  await expect(page.locator("#lines :focus")).toHaveCount(1);
  await expect(page.getByRole("region", { name: "Services by arm" }).getByRole("row", { name: /checkout.*canary/ }).first()).toContainText("×");
  // Requests on which the verdict does not rest stand under their own heading, with their own count.
  const counts = async (of: string): Promise<[number, number]> => {
    const [, first, all] = /\(([\d,]+)(?: shown of ([\d,]+))?\)/.exec(await page.locator(of).innerText())!;
    return [Number(first!.replace(",", "")), Number((all ?? first)!.replace(",", ""))];
  };
  const shown = async (): Promise<number> => (await counts("#lines > summary"))[0] + (await counts("#lines h3:has-text('does not rest')"))[0];
  expect((await counts("#lines > summary"))[0]).toBeLessThan((await counts("#lines > summary"))[1]);
  await expect.poll(() => page.locator("#lines .places > li").count()).toBe(await shown());
  const more = page.locator("#lines").getByRole("button", { name: /^\d+ more$/ });
  const before = await shown();
  await more.click();
  expect(await shown()).toBeGreaterThan(before);
  await expect.poll(() => page.locator("#lines .places > li").count()).toBe(await shown());
  expect(said).toEqual([]);
});

test("in a narrow window the frame is small, what scrolls says so, and the help is reached to its end", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: demoAddress() });
  const said = complaints(page);
  await page.setViewportSize({ width: 390, height: 844 });
  await page.goto(`${demoAddress()}/status`);
  await expect(page.getByRole("heading", { name: "Status" })).toBeVisible();
  expect((await page.locator(".top").boundingBox())!.height).toBeLessThan(80);
  const screens = page.locator(".top .screens");
  const hidden = (): Promise<number> => screens.evaluate((of) => of.scrollWidth - of.clientWidth);
  expect(await hidden()).toBe(0);
  await page.setViewportSize({ width: 320, height: 800 });
  expect((await page.locator(".top").boundingBox())!.height).toBeLessThan(80);
  expect(await hidden()).toBe(0);
  await page.setViewportSize({ width: 390, height: 844 });
  const wide = page.getByRole("region", { name: "Tags by service" });
  await expect(wide).toHaveAttribute("data-more");
  // Numbers grow while one scrolls, and the table with them.
  await expect(async () => {
    await wide.evaluate((of) => of.scrollTo(of.scrollWidth, 0));
    await expect(wide).not.toHaveAttribute("data-more", { timeout: 1_000 });
  }).toPass({ timeout: 20_000 });
  await page.goto(`${demoAddress()}/rollouts/checkout`);
  await expect(page.locator(".guardrails")).toBeVisible();
  // Copying stands apart from the tabs, and changes no place when it has been done.
  await expect(page.locator(".tabs button")).toHaveCount(0);
  const before = await top(page, ".tabs");
  await page.locator(".of").getByRole("button", { name: "Copy as command" }).click();
  await expect(page.locator(".of [role=status]").filter({ hasText: "copied" })).toHaveCount(1);
  expect(await top(page, ".tabs")).toBe(before);
  await page.keyboard.press("?");
  const keys = page.getByRole("region", { name: "Keys" });
  await expect(keys).toHaveAttribute("data-below");
  await keys.evaluate((of) => of.scrollTo(0, of.scrollHeight));
  await expect(keys).not.toHaveAttribute("data-below");
  await accessible(page);
  expect(said).toEqual([]);
});

test("in the smallest window lines are whole, screens that do not fit are announced, and a key says what it did", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: demoAddress() });
  const said = complaints(page);
  await page.setViewportSize({ width: 320, height: 700 });
  await page.goto(`${demoAddress()}/rollouts/checkout?lines=1`);
  await expect(page.locator("#lines .places .line-head .message").first()).toContainText("no price list for voucher");
  // The id of the voucher is the evidence: nothing of a line is cut off.
  const cut = (): Promise<string[]> => page.locator("#lines .places .line-head").evaluateAll((all) => all.filter((of) => of.scrollHeight > of.clientHeight + 1 || of.scrollWidth > of.clientWidth + 1).map((of) => of.textContent ?? ""));
  expect(await cut()).toEqual([]);
  await page.keyboard.press("c");
  const told = page.locator(".told[role=status]");
  await expect(told).toHaveText("link copied");
  await expect(told).toBeInViewport();
  expect(await page.evaluate(() => navigator.clipboard.readText())).toContain("/rollouts/checkout?lines=1");
  await expect(told).toHaveCount(0);
  await page.setViewportSize({ width: 260, height: 700 });
  const screens = page.locator(".top .screens");
  await expect(screens).toHaveAttribute("data-more");
  expect(await screens.evaluate((of) => getComputedStyle(of, "::after").content)).toContain("\u2192");
  await screens.evaluate((of) => of.scrollTo(of.scrollWidth, 0));
  await expect(screens).not.toHaveAttribute("data-more");
  expect(said).toEqual([]);
});

test("in the demo it is told that the log has a clock of its own, and the button says which colours are seen", async ({ page }) => {
  await page.emulateMedia({ colorScheme: "light" });
  for (const path of ["/", "/rollouts/checkout", "/hooks"]) {
    await page.goto(demoAddress() + path);
    await expect(page.getByRole("note")).toContainText(/^Log time runs ahead of the clock, now by /);
    // It comes while one reads, and nothing moves for it.
    const [bottom, top] = await page.evaluate(() => [document.querySelector(".top")!.getBoundingClientRect().bottom, document.querySelector("main")!.getBoundingClientRect().top]);
    expect(top! - bottom!).toBeLessThan(5);
    await expect(page.getByRole("note")).toHaveCSS("position", "fixed");
  }
  const colours = page.getByRole("button", { name: /colours/i });
  await expect(colours).toHaveAccessibleName(/auto colours, now light/);
  const ground = (): Promise<string> => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const before = await ground();
  await colours.click();
  await expect(colours).toHaveAccessibleName(/dark/);
  expect(await ground()).not.toBe(before);
});

test("what lies at the window's edge hides neither the end of a page nor what has the focus", async ({ page }) => {
  const ofBar = (of: string): Promise<number> => page.evaluate((name) => document.querySelector(name)!.getBoundingClientRect().bottom - document.querySelector(".clocks")!.getBoundingClientRect().top, of);
  for (const [width, position] of [[1280, "fixed"], [800, "fixed"], [320, "static"]] as const) {
    await page.setViewportSize({ width, height: 800 });
    for (const path of ["/status", "/hooks", "/rollouts/checkout"]) {
      await page.goto(demoAddress() + path);
      await expect(page.getByRole("note")).toHaveCSS("position", position);
      await expect(page.locator("main table").first()).toBeVisible();
      await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
      expect(await ofBar(".foot"), `${path} at ${width}`).toBeLessThanOrEqual(0);
      if (path !== "/rollouts/checkout") continue;
      await page.evaluate(() => scrollTo(0, 0));
      // From one to the next until the page has no more; what is as high as the window has no place beside it.
      let seen = 0;
      for (; seen < 300; seen += 1) {
        await page.keyboard.press("Tab");
        const at = await page.evaluate(() => {
          const focused = document.activeElement!;
          const [of, bar] = [focused.getBoundingClientRect(), document.querySelector(".clocks")!.getBoundingClientRect()];
          const isUnder = of.height < innerHeight / 2 && of.bottom > bar.top + 0.5 && of.top < bar.bottom;
          return { isEnd: focused === document.body, isUnder, words: `${focused.tagName} ${focused.textContent}`.slice(0, 80) };
        });
        if (at.isEnd) break;
        expect(at.isUnder, `${path} at ${width}: ${at.words}`).toBe(false);
      }
      expect(seen).toBeGreaterThan(10);
    }
  }
  // A box as high as the window ends above it.
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.goto(`${demoAddress()}/search?q=level:error`);
  await page.locator("button.line-head").first().click();
  await expect(page.locator(".drawer .line").first()).toBeVisible();
  await page.mouse.wheel(0, 2_000);
  await expect(async () => expect(await page.evaluate(() => scrollY)).toBeGreaterThan(300)).toPass();
  expect(await ofBar(".drawer")).toBeLessThanOrEqual(0);
});

test("columns of the list keep their places, and a row that became worse has its mark at once", async ({ page }) => {
  const program = await run("rollouts:\n- {name: shop, services: [shop]}\n");
  await page.goto(program.address);
  const row = page.getByRole("row", { name: /shop/ });
  await expect(row).toContainText("Waiting");
  const places = (): Promise<number[]> => page.locator("thead th").evaluateAll((list) => list.map((of) => Math.round(of.getBoundingClientRect().left)));
  const before = await places();
  const mark = row.locator("td").first();
  await expect(mark).toHaveCSS("box-shadow", "none");
  await send(program, lines({ errors: [0.01, 0.4] }));
  await expect(row).toContainText("Worse");
  await expect(mark).toHaveCSS("box-shadow", /inset/);
  expect(await places()).toEqual(before);
  await stop(program);
});
