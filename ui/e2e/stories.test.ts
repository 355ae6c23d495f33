// The stories that the UI is for (docs/ui.md), in a real browser against the real program.

import { createServer, request, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { expect, test } from "@playwright/test";
import { ask, demo, lines, run, send, stop, TOKEN, until } from "./program";
import { complaints, demoAddress, SEVEN } from "./shared";

const ROLLOUT = "rollouts:\n- {name: shop, services: [shop]}\n";

test("a newcomer sees a rollout go bad and be rolled back within a minute of the demo", async ({ page }) => {
  const program = await demo("--story", "few-users");
  const began = Date.now();
  const said = complaints(page);
  await page.goto(program.address);
  await expect(page.getByRole("row", { name: /checkout/ })).toContainText("rolled back", { timeout: 60_000 });
  // Only for a while: the demo's log goes twelve times as fast as the clock.
  await page.getByRole("button", { name: /^Just failed/ }).click();
  await expect(page.locator("a.row")).toHaveText(["checkout"]);
  console.log(`rolled back on the screen ${((Date.now() - began) / 1000).toFixed(0)} s after the demo's address was printed`);
  expect(said).toEqual([]);
  await stop(program);
});

test("from the list to the lines in three keys", SEVEN, async ({ page }) => {
  const said = complaints(page);
  // What was just rolled back stands above what is merely invalid.
  await page.goto(demoAddress());
  await expect(page.locator("tbody tr").first()).toContainText("checkout");
  await expect(page.locator("tbody tr").first()).toContainText("Worse");
  await expect(page.locator("tbody tr").nth(1)).toContainText("Invalid");
  await page.locator("main").focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("region", { name: "Verdict" })).toContainText("2.5.0 is worse than 2.4.0");
  await page.keyboard.press("o");
  await expect(page.locator("#lines li").first()).toBeVisible();
  await expect(page.locator("#lines li").first()).toContainText("no price list for voucher");
  await expect(page).toHaveURL(/lines=1/);
  await page.reload();
  await expect(page.locator("#lines li").first()).toContainText("no price list for voucher");
  expect(said).toEqual([]);
});

test("a copied link shows the same numbers in a new profile", async ({ page, browser }) => {
  const program = await run(ROLLOUT);
  await send(program, lines({ errors: [0.01, 0.25] }));
  await until("it has failed", async () => (await ask<{ verdict: string }>(program, "/v1/rollouts/shop"))?.verdict === "fail");
  await page.goto(`${program.address}/rollouts/shop?sel=latency_p90&swap=1`);
  const row = page.getByRole("row", { name: /latency p90/ });
  await expect(row).toHaveClass("selected");
  const other = await (await browser.newContext()).newPage();
  await other.goto(page.url());
  await expect(other.getByRole("row", { name: /latency p90/ })).toHaveClass("selected");
  // No line comes any more, so the numbers stand.
  await expect(other.getByRole("row", { name: /latency p90/ })).toHaveText((await row.textContent()) ?? "");
  await stop(program);
});

test("swapping the arms turns every sign", SEVEN, async ({ page }) => {
  const program = await run(ROLLOUT);
  await send(program, lines({ errors: [0.01, 0.25] }));
  await until("it has failed", async () => (await ask<{ verdict: string }>(program, "/v1/rollouts/shop"))?.verdict === "fail");
  await page.goto(`${program.address}/rollouts/shop`);
  const cell = page.getByRole("row", { name: /errors per request/ }).locator(".difference");
  await expect(cell).toContainText("pp");
  const before = await cell.innerText();
  await page.keyboard.press("b");
  await expect(page).toHaveURL(/swap=1/);
  await expect(cell).not.toHaveText(before);
  const numbers = (text: string): number[] => [...text.replaceAll("\u2212", "-").matchAll(/[-+]?\d+\.\d+/g)].map((of) => Number(of[0]));
  const [estimate, low, high] = numbers(before);
  expect(numbers(await cell.innerText())).toEqual([-estimate!, -high!, -low!]);
  await page.goBack();
  await expect(cell).toHaveText(before);
  await stop(program);
});

test("what is seen can be had as a command", async ({ page, context }) => {
  await context.grantPermissions(["clipboard-read", "clipboard-write"], { origin: demoAddress() });
  for (const [path, words, command] of [
    ["/rollouts/checkout/timeline", "rolled back", "/v1/rollouts/checkout/timeline'    # serin verdict checkout"],
    ["/search?q=_failed:true&from=now-15m", "newest first", "/v1/search?q=_failed%3Atrue&since=now-15m'"],
    ["/d/rollout-health", "Guardrails", "/v1/dashboards/rollout-health'"],
  ] as const) {
    await page.goto(demoAddress() + path);
    await expect(page.locator("main")).toContainText(words);
    await page.keyboard.press("y");
    // The demo's log runs ahead of the clock: what is counted from now is counted from its end, and told as times.
    const copied = async (): Promise<string> => (await page.evaluate(() => navigator.clipboard.readText())).replace(/since=\d[^&']*&until=\d[^']*/, "since=now-15m");
    await expect.poll(copied).toBe(`curl -s '${demoAddress()}${command}`);
    const url = command.slice(0, command.indexOf("'"));
    expect((await fetch(demoAddress() + url)).status).toBe(200);
  }
});

test("a tour with the keyboard alone", SEVEN, async ({ page }) => {
  const said = complaints(page);
  await page.goto(demoAddress());
  await expect(page.getByRole("row", { name: /checkout/ })).toBeVisible();
  await page.keyboard.press("j");
  await expect(page.locator("a.row").first()).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.locator(".tabs")).toBeVisible();
  for (const [key, path] of [["2", "templates"], ["3", "explain"], ["4", "who"], ["5", "timeline"]] as const) {
    await page.keyboard.press(key);
    await expect(page).toHaveURL(new RegExp(`/${path}$`));
  }
  await page.keyboard.press("1");
  await expect(page.locator(".guardrails")).toBeVisible();
  await page.keyboard.press("j");
  await expect(page).toHaveURL(/sel=/);
  await page.keyboard.press("m");
  await expect(page).toHaveURL(/adj=mix/);
  await page.keyboard.press("m");
  for (const [key, heading] of [["c", "Compare"], ["d", "Dashboards"], ["h", "Hooks"]] as const) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await expect(page.getByRole("heading", { name: heading, exact: true })).toBeVisible();
  }
  await page.keyboard.press("?");
  await expect(page.getByRole("dialog", { name: "Keyboard" })).toContainText("rollouts");
  await page.keyboard.press("Escape");
  await page.keyboard.press("Control+k");
  await expect(page.getByRole("combobox", { name: "Command" })).toBeFocused();
  await page.keyboard.type("status");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Status" })).toBeVisible();
  // Single keys can be turned off.
  await page.keyboard.press("?");
  await page.getByRole("checkbox").uncheck();
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("r");
  await expect(page.getByRole("heading", { name: "Status" })).toBeVisible();
  expect(said).toEqual([]);
});

test("an empty installation says what it looks for, and takes the first lines without a reload", SEVEN, async ({ page }) => {
  const said = complaints(page);
  const program = await run();
  // Nor is anything asked for that a program without lines refuses: a console is empty on the first visit of each screen.
  const refused: string[] = [];
  page.on("response", (response) => {
    if (response.status() >= 400) refused.push(`${response.status()} ${response.url()}`);
  });
  for (const path of ["/search", "/compare", "/d", "/d/service-overview", "/d/ingest-health", "/hooks", "/status", "/"]) {
    await page.goto(program.address + path);
    await expect(page.locator("main h1, main h2").first()).toBeVisible();
    await page.waitForLoadState("load");
  }
  await expect(page.getByRole("heading", { name: "No rollouts seen" })).toBeVisible();
  expect(refused).toEqual([]);
  await expect(page.locator(".empty")).toContainText(`curl --data-binary @app.log ${program.address}/ingest`);
  await page.getByText("Field names that are looked for").click();
  await expect(page.locator(".empty")).toContainText("service.version");
  await send(program, lines({ errors: [0.01, 0.01] }));
  await expect(page.getByRole("row", { name: /shop/ })).toBeVisible();
  expect(said).toEqual([]);
  await stop(program);
});

test("old lines are called stale, and a program that has gone is told of", SEVEN, async ({ page }) => {
  const program = await run(ROLLOUT);
  await send(program, lines({ errors: [0.01, 0.25] }));
  await until("it has failed", async () => (await ask<{ verdict: string }>(program, "/v1/rollouts/shop"))?.verdict === "fail");
  await page.goto(`${program.address}/rollouts/shop`);
  await expect(page.locator(".stale")).toContainText("Stale");
  await expect(page.getByRole("region", { name: "Verdict" })).toContainText("2.0.0 is worse than 1.0.0");
  await stop(program);
  await expect(page.getByRole("button", { name: /not connected/ })).toBeVisible();
  // It is said though nobody asks for anything, and what is asked for says it in words.
  await expect(page.getByRole("alert")).toHaveText("The program does not answer. What is shown is of before; it is asked again.");
  await page.getByRole("link", { name: "Hooks", exact: true }).click();
  await expect(page.locator("main")).toContainText("the program does not answer");
});

test("a person logs in, holds with a reason, and stands in the timeline", async ({ page }) => {
  const said = complaints(page);
  const program = await run(ROLLOUT);
  await send(program, lines({ errors: [0.01, 0.01] }));
  await until("it runs", async () => (await ask<{ phase: string }>(program, "/v1/rollouts/shop"))?.phase === "running");
  await page.goto(`${program.address}/rollouts/shop`);
  await expect(page.getByRole("region", { name: "Actions" })).toContainText("Read only");
  await page.getByRole("button", { name: "Log in", exact: true }).click();
  await page.getByLabel("Token").fill("wrong");
  await page.getByRole("dialog").getByRole("button", { name: "Log in" }).click();
  await expect(page.getByRole("alert").filter({ hasText: "not known" })).toBeVisible();
  await page.getByLabel("Token").fill(TOKEN);
  await page.getByRole("dialog").getByRole("button", { name: "Log in" }).click();
  await page.getByRole("button", { name: "Hold" }).click();
  const dialog = page.getByRole("dialog");
  await expect(dialog).toContainText("Nothing of shop is promoted until somebody resumes it");
  await dialog.getByRole("button", { name: "Hold" }).click();
  await expect(dialog.getByRole("alert")).toContainText("A reason is needed");
  await dialog.getByLabel("Reason").fill("the shop opens at <b>nine</b>");
  await dialog.getByRole("button", { name: "Hold" }).click();
  await expect(dialog).toBeHidden();
  await expect(page.locator(".facts")).toContainText("held");
  await page.keyboard.press("5");
  await expect(page.locator(".timeline")).toContainText("operator held it");
  await expect(page.locator(".timeline")).toContainText("the shop opens at <b>nine</b>");
  // No script can read the cookie.
  expect(await page.evaluate(() => document.cookie)).toBe("");
  expect(said.filter((words) => !words.includes("401"))).toEqual([]);
  await stop(program);
});

test("hostile lines are text and nothing else", async ({ page }) => {
  const said = complaints(page);
  const program = await run(ROLLOUT);
  const hostile = lines({ errors: [0.01, 0.25], hostile: true });
  hostile.push(JSON.stringify({ timestamp: "2026-06-01T09:19:59Z", service: "shop", version: "2.0.0", level: "error", user_id: "u0", message: "<script>window.__hit=1</script>".repeat(30_000) }));
  await send(program, hostile);
  await until("it has failed", async () => (await ask<{ verdict: string }>(program, "/v1/rollouts/shop"))?.verdict === "fail");
  for (const path of ["/", "/rollouts/shop", "/rollouts/shop/templates", "/rollouts/shop/explain", "/rollouts/shop/who", "/rollouts/shop/timeline", "/status"]) {
    await page.goto(program.address + path);
    await expect(page.locator("main")).toContainText(/shop|Status/);
    await page.evaluate(() => document.querySelectorAll("details").forEach((of) => (of.open = true)));
    const row = page.locator("button.template").first();
    if (await row.isVisible()) await row.click();
    await page.waitForLoadState("networkidle").catch(() => {});
    expect(await page.evaluate(() => (window as unknown as { __hit?: number }).__hit), path).toBeUndefined();
    expect(await page.locator("main img, main script").count(), path).toBe(0);
  }
  await page.goto(`${program.address}/rollouts/shop/templates`);
  await expect(page.locator("main")).toContainText("<script>");
  expect(said).toEqual([]);
  await stop(program);
});

test("rows do not move under the pointer", async ({ page }) => {
  const program = await run("rollouts:\n- {name: a, services: [a]}\n- {name: b, services: [b]}\n");
  const of = (service: string, errors: [number, number]): string[] => lines({ errors, service, minutes: 6 });
  const both = [...of("a", [0.01, 0.01]), ...of("b", [0.01, 0.01])].toSorted((x, y) => (x.slice(14, 38) < y.slice(14, 38) ? -1 : 1));
  await send(program, both);
  await page.goto(program.address);
  await expect(page.locator("a.row")).toHaveText(["a", "b"]);
  await expect(page.locator("tbody tr").nth(1)).toContainText("Unclear");
  await page.locator("tbody tr").nth(0).hover();
  const later = Date.parse("2026-06-01T09:06:00Z");
  const more = [...lines({ errors: [0.01, 0.01], service: "a", minutes: 14, from: later }), ...lines({ errors: [0.01, 0.4], service: "b", minutes: 14, from: later })];
  await send(program, more.toSorted((x, y) => (x.slice(14, 38) < y.slice(14, 38) ? -1 : 1)));
  // What was just rolled back belongs above what runs.
  await expect(page.locator("tbody tr").nth(1)).toContainText("rolled back");
  await expect(page.locator("a.row")).toHaveText(["a", "b"]);
  await expect(page.locator(".pill")).toContainText("of order");
  await page.keyboard.press(".");
  await expect(page.locator("a.row")).toHaveText(["b", "a"]);
  await stop(program);
});

test("log lines that differ keep their places under the pointer, and say how often each arm has them", async ({ page }) => {
  const said = complaints(page);
  const program = await run(ROLLOUT);
  const later = Date.parse("2026-06-01T09:14:00Z");
  await send(program, lines({ errors: [0.01, 0.25], minutes: 14 }));
  await until("it has failed", async () => (await ask<{ verdict: string }>(program, "/v1/rollouts/shop"))?.verdict === "fail");
  // The same report with a line more, told in the other order: what a report of a moment later may be.
  let isLater = false;
  await page.route("**/v1/report", async (route) => {
    const answer = await route.fetch();
    if (answer.status() !== 200) return route.fulfill({ response: answer });
    const report = (await answer.json()) as { comparisons: { templates: { listed: { id: string; text: string }[] } }[] };
    const listed = report.comparisons[0]!.templates.listed;
    const one = { ...listed[0]!, id: "00000000000000aa", text: "a second one" };
    report.comparisons[0]!.templates.listed = isLater ? [one, ...listed] : [...listed, one];
    return route.fulfill({ json: report });
  });
  await page.goto(`${program.address}/rollouts/shop/templates`);
  const rows = page.locator("button.template");
  await expect(rows.first()).toContainText("cannot price voucher");
  await expect(rows.last()).toContainText("a second one");
  await expect(page.locator("svg.trend").first()).toBeVisible();
  await expect(page.locator("td.ratio").first()).toContainText("at most");
  await page.getByLabel("Rates").selectOption("unit");
  await expect(page).toHaveURL(/per=unit/);
  await expect(page.locator("td.candidate").first()).toContainText("%");
  await rows.first().hover();
  isLater = true;
  await send(program, lines({ errors: [0.01, 0.25], minutes: 3, from: later }));
  await expect(page.locator(".pill")).toContainText("of order");
  await expect(rows.first()).toContainText("cannot price voucher");
  await page.keyboard.press(".");
  await expect(rows.first()).toContainText("a second one");
  // What is open is in the address.
  await rows.last().click();
  await expect(page).toHaveURL(/sel=[0-9a-f]{16}/);
  await page.reload();
  await expect(page.locator(".detail .line").first()).toContainText("cannot price voucher");
  expect(said).toEqual([]);
  await stop(program);
});

test("every screen has its link and its JSON, which the program answers", async ({ page }) => {
  for (const path of ["/", "/rollouts/checkout", "/rollouts/checkout/timeline", "/search?q=_failed:true&from=now-1h", "/compare?a=_arm:2.4.0&b=_arm:2.5.0", "/templates/0000000000000000", "/d", "/d/rollout-health", "/hooks", "/status"]) {
    await page.goto(demoAddress() + path);
    const foot = page.locator(".foot");
    await expect(foot.getByRole("button", { name: "Copy link" })).toBeVisible();
    for (const link of await foot.getByRole("link", { name: /^JSON/ }).all()) {
      const answer = await page.request.get((await link.getAttribute("href"))!.replace(/^/, demoAddress()));
      expect(answer.status(), path).toBe(200);
      expect(answer.headers()["content-type"], path).toContain("json");
    }
  }
});

test("one environment of several is looked at, and the status says what each service's requests name", async ({ page }) => {
  const said = complaints(page);
  const program = await run();
  const of = (environment: string): string[] => lines({ errors: [0.01, 0.01], minutes: 6, service: `shop-${environment}` }).map((line) => JSON.stringify({ ...(JSON.parse(line) as object), environment }));
  const both = [...of("prod"), ...of("test").map((line, at) => (at % 2 === 0 ? line : line.replace(/"user_id":"[^"]*",/, "")))];
  await send(program, both.toSorted((x, y) => (x.slice(14, 38) < y.slice(14, 38) ? -1 : 1)));
  await page.goto(program.address);
  await expect(page.locator("a.row")).toHaveCount(2);
  await page.getByLabel("environment").selectOption("test");
  await expect(page).toHaveURL(/env=test/);
  await expect(page.locator("a.row")).toHaveText(["shop-test"]);
  await until("lines are indexed", async () => ((await ask<{ index?: { lines: number } }>(program, "/v1/status"))?.index?.lines ?? 0) >= 4_800);
  await page.goto(`${program.address}/status`);
  const row = page.getByRole("region", { name: "Tags by service" }).getByRole("row", { name: /shop-test/ });
  await expect(row).toContainText("lacking");
  await expect(page.getByRole("region", { name: "Tags by service" }).getByRole("row", { name: /shop-prod/ })).toContainText("named");
  await row.getByRole("link").last().click();
  await expect(page).toHaveURL(/NOT\+_exists_:_unit/);
  await expect(page.locator(".lines .line").first()).toContainText("shop-test");
  expect(said).toEqual([]);
  await stop(program);
});

test("a tab that nobody sees rests, and asks once when it is looked at again", async ({ page }) => {
  const program = await run(ROLLOUT);
  await page.goto(program.address);
  const live = page.getByTitle("Live updates");
  await expect(live).toHaveText(/live/);
  const hide = (isHidden: boolean): Promise<void> =>
    page.evaluate((to) => {
      Object.defineProperty(document, "hidden", { value: to, configurable: true });
      document.dispatchEvent(new Event("visibilitychange"));
    }, isHidden);
  await hide(true);
  await expect(live).toHaveText(/paused/);
  // What was asked before is answered.
  await page.waitForLoadState("networkidle");
  const asked: string[] = [];
  page.on("request", (request) => asked.push(new URL(request.url()).pathname));
  await send(program, lines({ errors: [0.01, 0.01] }));
  await until("it runs", async () => (await ask<{ phase: string }>(program, "/v1/rollouts/shop"))?.phase === "running");
  expect(asked).toEqual([]);
  await hide(false);
  await expect(page.getByRole("row", { name: /shop/ })).toContainText("running");
  await expect(live).toHaveText(/live/);
  await stop(program);
});

test("who wants no motion has none", async ({ page }) => {
  const moving = (): Promise<number> => page.evaluate(() => document.getAnimations().filter((of) => of.playState === "running").length);
  await page.emulateMedia({ reducedMotion: "no-preference" });
  await page.goto(demoAddress());
  await expect(page.getByTitle("Live updates")).toHaveText(/live/);
  await expect.poll(moving).toBeGreaterThan(0);
  await page.emulateMedia({ reducedMotion: "reduce" });
  await expect.poll(moving).toBe(0);
});

test("what changes while the connection is broken is shown when it is back, without a reload", async ({ page }) => {
  const program = await run(ROLLOUT);
  // A way to the program that can be cut.
  const sockets = new Set<Socket>();
  const resumed: string[] = [];
  let isCut = false;
  const way: Server = createServer((asked, answer) => {
    if (isCut) {
      asked.socket.destroy();
      return;
    }
    if (asked.url === "/v1/events") resumed.push(String(asked.headers["last-event-id"] ?? ""));
    // The program answers to its own name alone.
    const { origin: _, ...headers } = asked.headers;
    const onward = request(program.address + asked.url, { method: asked.method, headers: { ...headers, host: new URL(program.address).host } }, (of) => {
      answer.writeHead(of.statusCode ?? 502, of.headers);
      of.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    answer.on("close", () => onward.destroy());
    asked.pipe(onward);
  });
  way.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((done) => way.listen(0, "127.0.0.1", done));
  await send(program, lines({ errors: [0.01, 0.01], minutes: 6 }));
  await until("it runs", async () => (await ask<{ phase: string }>(program, "/v1/rollouts/shop"))?.phase === "running");
  await page.goto(`http://127.0.0.1:${(way.address() as AddressInfo).port}/`);
  await expect(page.getByRole("row", { name: /shop/ })).toContainText("Unclear");
  await expect(page.getByTitle("Live updates")).toHaveText(/live/);
  // Something comes first, so that there is an id after which it goes on.
  await send(program, lines({ errors: [0.01, 0.01], minutes: 2, from: Date.parse("2026-06-01T09:06:00Z") }));
  await expect(page.getByRole("row", { name: /shop/ })).toContainText("5 min 30 s of data");
  isCut = true;
  sockets.forEach((socket) => socket.destroy());
  await expect(page.getByTitle("Live updates")).toHaveText(/not connected/);
  await send(program, lines({ errors: [0.01, 0.4], minutes: 12, from: Date.parse("2026-06-01T09:08:00Z") }));
  await until("it has failed", async () => (await ask<{ verdict: string }>(program, "/v1/rollouts/shop"))?.verdict === "fail");
  await expect(page.getByRole("row", { name: /shop/ })).toContainText("Unclear");
  isCut = false;
  await expect(page.getByRole("row", { name: /shop/ })).toContainText("Worse");
  await expect(page.getByTitle("Live updates")).toHaveText(/live/);
  expect(resumed.at(-1)).toMatch(/./);
  way.close();
  sockets.forEach((socket) => socket.destroy());
  await stop(program);
});
