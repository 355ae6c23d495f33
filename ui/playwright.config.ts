import { defineConfig } from "@playwright/test";

// The real program and Debian's Chromium; nothing is downloaded.
export default defineConfig({
  testDir: "e2e",
  outputDir: "e2e/results",
  globalSetup: "./e2e/setup.ts",
  // Two at a time, but for what measures: that is by itself, after the others.
  workers: 2,
  projects: [
    { name: "stories", testIgnore: "long.test.ts" },
    { name: "measured", testMatch: "long.test.ts", dependencies: ["stories"] },
  ],
  retries: 0,
  timeout: 120_000,
  expect: { timeout: 30_000 },
  reporter: [["list"]],
  use: {
    browserName: "chromium",
    viewport: { width: 1280, height: 900 },
    timezoneId: "UTC",
    locale: "en-GB",
    launchOptions: { executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] },
  },
});
