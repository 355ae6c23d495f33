// Every screen in both schemes: nothing that axe finds, nothing that the browser complains of, nothing wider than the window; and a
// picture for people, who say in shots.md what they saw.

import { copyFileSync, existsSync, readFileSync } from "node:fs";
import { expect, test, type Page } from "@playwright/test";
import { accessible, complaints, demoAddress, SEVEN } from "./shared";

interface Screen {
  name: string;
  path: string | (() => Promise<string>);
  words: string;
  /** As long as one scrolls: the picture is that of a window. */
  isEndless?: boolean;
  /** What is done before it is looked at. */
  before?: (page: Page) => Promise<void>;
}

const chart = async (page: Page): Promise<void> => expect(page.locator(".plot canvas").first()).toBeVisible();
const openFirst = async (page: Page): Promise<void> => {
  await page.locator("button.template").first().click();
  await expect(page.locator(".detail .line").first()).toBeVisible();
};
const settled = async (page: Page): Promise<void> => {
  await expect(page.getByText("…", { exact: true })).toHaveCount(0);
  await expect(page.locator(".panel .note")).toHaveCount(0);
};

/** The address of the template that is new in the demo's bad canary. */
async function template(): Promise<string> {
  const answer = await fetch(`${demoAddress()}/v1/report`);
  const report = (await answer.json()) as { comparisons: { templates: { listed: { id: string; text: string }[] } }[] };
  const listed = report.comparisons.flatMap((of) => of.templates.listed);
  return `/templates/${listed.find((of) => of.text.includes("price list"))!.id}`;
}

const COMPARE = `/compare?${new URLSearchParams({ a: "_service:checkout _arm:2.4.0", b: "_service:checkout _arm:2.5.0" })}`;

const WHO = `/rollouts/checkout/who?${new URLSearchParams({
  used: "_service:checkout route:/api/checkout status:<400",
  steps: ["listed=route:/api/products", "cart=route:/api/cart method:POST", "ordered=route:/api/checkout status:<400"].map((of) => of.replace("=", "=_service:checkout ")).join("\n"),
})}`;

export const SCREENS: Screen[] = [
  { name: "rollouts", path: "/", words: "Rollouts", before: async (page) => expect(page.locator("svg.spark").first()).toBeVisible() },
  { name: "verdict-worse", path: "/rollouts/checkout", words: "worse than", before: chart },
  { name: "verdict-changed", path: "/rollouts/ranking", words: "behaves differently", before: chart },
  { name: "verdict-invalid", path: "/rollouts/search", words: "cannot be compared", before: chart },
  { name: "verdict-unclear", path: "/rollouts/login", words: "guardrail", before: chart },
  { name: "templates", path: "/rollouts/checkout/templates", words: "price list", before: openFirst },
  { name: "explain", path: "/rollouts/checkout/explain", words: "Segments in order" },
  { name: "who", path: "/rollouts/checkout/who", words: "Assignment" },
  {
    name: "who-feature",
    path: WHO,
    words: "Return: of those",
    before: async (page) => {
      await chart(page);
      await expect(page.locator(".funnel").first()).toBeVisible();
    },
  },
  { name: "timeline", path: "/rollouts/checkout/timeline", words: "rolled back" },
  {
    name: "search",
    path: "/search?q=level:error",
    words: "lines, newest first",
    isEndless: true,
    before: async (page) => {
      await expect(page.locator(".histogram svg")).toBeVisible();
      await page.locator("button.line-head").first().click();
      await expect(page.locator(".drawer .line").first()).toBeVisible();
    },
  },
  {
    name: "search-texts",
    path: "/search?q=_level:error&tab=templates",
    words: "by lines",
    before: async (page) => {
      await expect(page.getByRole("region", { name: "Lines by text" })).toContainText("price list");
      // How much of each value is of canaries is asked after all else.
      await expect(page.getByRole("button", { name: /eu-west-1.* of canaries/ })).toHaveCount(1);
    },
  },
  { name: "compare", path: COMPARE, words: "Values whose share" },
  { name: "template", path: template, words: "Latest lines", before: async (page) => expect(page.locator(".histogram svg")).toBeVisible() },
  { name: "dashboards", path: "/d", words: "Service overview" },
  { name: "board-service", path: "/d/service-overview", words: "Requests by arm", before: settled },
  { name: "board-rollouts", path: "/d/rollout-health", words: "Guardrails", before: settled },
  { name: "board-ingest", path: "/d/ingest-health", words: "How far behind", before: settled },
  { name: "hooks", path: "/hooks", words: "Deliveries" },
  { name: "status", path: "/status", words: "Calibration", before: async (page) => expect(page.getByText("it takes five seconds")).toHaveCount(0) },
];

/** A picture of a whole page: in a window as high as it is, for what stands at the window's edge would lie over its middle. */
async function whole(page: Page, path: string): Promise<void> {
  const size = page.viewportSize()!;
  // Numbers come while one looks, and a page may grow by a row.
  await expect(async () => {
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    await page.setViewportSize({ width: size.width, height });
    await page.screenshot({ path, fullPage: true });
    expect(await page.evaluate(() => document.documentElement.scrollHeight)).toBe(height);
  }).toPass();
  await page.setViewportSize(size);
}

/** Screens that the shorter run looks at, in the dark. */
const IN_THE_DARK = ["rollouts", "verdict-worse", "templates", "search"];

for (const scheme of ["light", "dark"] as const) {
  for (const { name, path, words, before, isEndless = false } of SCREENS) {
    test(`${name}, ${scheme}`, scheme === "dark" && IN_THE_DARK.includes(name) ? SEVEN : {}, async ({ page }) => {
      const said = complaints(page);
      const picture = async (path: string): Promise<void> => void (await (isEndless ? page.screenshot({ path }) : whole(page, path)));
      await page.emulateMedia({ colorScheme: scheme });
      await page.goto(demoAddress() + (typeof path === "string" ? path : await path()));
      await expect(page.locator("main")).toContainText(words);
      await before?.(page);
      await accessible(page);
      await picture(`e2e/shots/${name}-${scheme}.png`);
      // The README's picture is that of the test.
      if (name === "verdict-worse" && scheme === "light" && process.env.README_PICTURE) copyFileSync(`e2e/shots/${name}-${scheme}.png`, "../docs/verdict.png");
      // 320 px, which is also what 1280 px at four times the size leave; 640 px at twice the size.
      for (const width of scheme === "light" ? [640, 320] : []) {
        await page.setViewportSize({ width, height: 800 });
        await expect.poll(() => page.evaluate(() => document.documentElement.scrollWidth), String(width)).toBeLessThanOrEqual(width);
      }
      if (scheme === "light") {
        await accessible(page);
        await picture(`e2e/shots/${name}-320.png`);
      }
      expect(said).toEqual([]);
    });
  }
}

test("somebody has looked at each picture, and said what there was to see", () => {
  const list = readFileSync("e2e/shots.md", "utf8");
  for (const { name } of SCREENS) {
    for (const of of ["light", "dark", "320"]) {
      expect(list, `${name}-${of}`).toContain(`| ${name} | ${of} |`);
      expect(existsSync(`e2e/shots/${name}-${of}.png`), `${name}-${of}.png`).toBe(true);
    }
  }
});
