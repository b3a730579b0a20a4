import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { createServer, connect as dial, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocketServer } from "ws";
import { launch } from "./browser/chromium.js";
import { cargo, Program, portOf } from "./network.js";

// The board, as people use it: in a browser, with the server's real program.

const path = cargo("-p", "wirestream-examples", "--example", "board");
const root = fileURLToPath(new URL("../..", import.meta.url));

let browser: Browser;
const programs: Program[] = [];

beforeAll(async () => {
  browser = await launch();
});

afterAll(async () => {
  await browser?.close();
  for (const program of programs) await program.kill();
});

async function serve(...args: string[]): Promise<{ program: Program; url: string }> {
  const program = await Program.start(path, ...args);
  programs.push(program);
  const [url] = /http:\S+/.exec(program.line) ?? [];
  if (!url) throw new Error(`no address in ${program.line}`);
  return { program, url };
}

/** A page, and whatever it says on its console. */
async function open(url: string): Promise<{ page: Page; said: string[] }> {
  const context = await browser.newContext({ viewport: { width: 900, height: 700 } });
  const page = await context.newPage();
  const said: string[] = [];
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(`${error}`));
  await page.goto(url);
  return { page, said };
}

/** What the browser itself says of a WebSocket that it cannot make is nobody's to prevent. */
const ofThePage = (said: string[]) => said.filter((line) => !/^WebSocket connection to/.test(line));

const words = (page: Page) => page.locator("#words").textContent();

async function until(page: Page, state: string): Promise<void> {
  const is = (state: string) => document.documentElement.dataset.state === state;
  await page.waitForFunction(is, state, { timeout: 30_000 });
}

declare const board: {
  colourAt(x: number, y: number): number;
  where(x: number, y: number): { x: number; y: number };
  paint(x: number, y: number, colour: number): void;
  isSaved(): boolean;
};

async function shows(page: Page, x: number, y: number, colour: number): Promise<void> {
  const is = ([x, y, colour]: number[]) => board.colourAt(x as number, y as number) === colour;
  await page.waitForFunction(is, [x, y, colour], { timeout: 30_000 });
}

async function click(page: Page, x: number, y: number): Promise<void> {
  const point = await page.evaluate(([x, y]) => board.where(x as number, y as number), [x, y]);
  await page.mouse.click(point.x, point.y);
}

/** A proxy that can stall. */
async function stallable(url: string): Promise<{ url: string; stall(): void; server: Server }> {
  const { hostname, port } = new URL(url);
  let isStalled = false;
  const server = createServer((near: Socket) => {
    const far = dial(Number(port), hostname);
    near.on("data", (data) => isStalled || far.write(data)).on("error", () => far.destroy());
    far.on("data", (data) => isStalled || near.write(data)).on("error", () => near.destroy());
    near.on("close", () => far.destroy());
    far.on("close", () => isStalled || near.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    server,
    stall() {
      isStalled = true;
    },
  };
}

test("two pages draw and see each other, and say nothing on the console", async () => {
  const { url } = await serve("--listen", "127.0.0.1:0");
  const [ann, bob] = [await open(url), await open(url)];
  await until(ann.page, "connected");
  await until(bob.page, "connected");
  expect(await words(ann.page)).toBe("Connected");
  await click(ann.page, 3, 4);
  await shows(bob.page, 3, 4, 1);
  await bob.page.getByRole("radio", { name: "Orange" }).click();
  await click(bob.page, 60, 61);
  await shows(ann.page, 60, 61, 4);
  // A line that is drawn fast has no holes.
  const [from, to] = await ann.page.evaluate(() => [board.where(10, 10), board.where(30, 20)]);
  await ann.page.mouse.move(from?.x ?? 0, from?.y ?? 0);
  await ann.page.mouse.down();
  await ann.page.mouse.move(to?.x ?? 0, to?.y ?? 0);
  await ann.page.mouse.up();
  await shows(bob.page, 20, 15, 1);
  await shows(bob.page, 30, 20, 1);
  await ann.page.getByText("2 here").waitFor();
  await bob.page.context().close();
  await ann.page.getByText("Only you").waitFor();
  // Who comes later sees the whole board.
  const late = await open(url);
  await shows(late.page, 60, 61, 4);
  expect([...ann.said, ...bob.said, ...late.said]).toEqual([]);
});

test("zoom and pan show another part, and one paints what one sees", async () => {
  const { url } = await serve("--listen", "127.0.0.1:0");
  const { page } = await open(url);
  await until(page, "connected");
  const before = await page.evaluate(() => board.where(32, 32));
  await page.mouse.move(before.x, before.y);
  await page.mouse.wheel(0, -480);
  const distance = () => page.evaluate(() => board.where(33, 32).x - board.where(32, 32).x);
  await expect.poll(distance).toBeGreaterThan(30);
  const after = await page.evaluate(() => board.where(32, 32));
  expect(Math.hypot(after.x - before.x, after.y - before.y)).toBeLessThan(40);
  await page.mouse.down({ button: "right" });
  await page.mouse.move(before.x + 100, before.y);
  await page.mouse.up({ button: "right" });
  await click(page, 31, 31);
  await shows(page, 31, 31, 1);
  await page.getByRole("button", { name: "The whole board" }).click();
  await expect.poll(distance).toBeLessThan(15);
});

test("a page whose server restarts tells, comes back, and shows the right board", async () => {
  const { program, url } = await serve("--listen", "127.0.0.1:0");
  const { page, said } = await open(url);
  await until(page, "connected");
  await click(page, 1, 1);
  await shows(page, 1, 1, 1);
  // Else it is on its way, and comes again.
  await page.waitForFunction(() => board.isSaved(), null, { timeout: 30_000 });
  await program.kill();
  await until(page, "waiting");
  expect(await words(page)).toMatch(/^Connection lost. Trying again in \d+ s$/);
  // What is drawn meanwhile shows at once, and is sent later.
  await click(page, 5, 5);
  await shows(page, 5, 5, 1);
  await serve("--listen", new URL(url).host);
  await until(page, "connected");
  // The new server's board is empty, but for what was on its way.
  await shows(page, 1, 1, 0);
  const other = await open(url);
  await shows(other.page, 5, 5, 1);
  expect(ofThePage(said)).toEqual([]);
});

test("a page behind a network that goes silent notices, while it is left idle", async () => {
  const { url } = await serve("--listen", "127.0.0.1:0");
  const proxy = await stallable(url);
  const { page, said } = await open(proxy.url);
  await until(page, "connected");
  proxy.stall();
  await page.waitForFunction(() => document.documentElement.dataset.state !== "connected", null, {
    timeout: 30_000,
  });
  expect(await page.locator("#status").getAttribute("title")).toMatch(
    /silent for too long|does not answer/,
  );
  expect(ofThePage(said)).toEqual([]);
  proxy.server.close();
});

test("a browser that is offline is told apart from a server that is away", async () => {
  const { program, url } = await serve("--listen", "127.0.0.1:0");
  const { page } = await open(url);
  await until(page, "connected");
  await page.context().setOffline(true);
  await program.kill();
  await until(page, "offline");
  expect(await words(page)).toBe("This device is offline");
  await serve("--listen", new URL(url).host);
  await page.context().setOffline(false);
  await until(page, "connected");
});

test("a token that the server refuses is told, and the right one lets in", async () => {
  const { url } = await serve("--listen", "127.0.0.1:0", "--token", "sesame");
  const { page } = await open(`${url}/#token=wrong`);
  await until(page, "failed");
  expect(await words(page)).toBe("The server does not know the token of this page's address.");
  await page.getByRole("button", { name: "Try again" }).waitFor();
  const other = await open(`${url}/#token=sesame`);
  await until(other.page, "connected");
});

test("a pixel out of range is refused in words", async () => {
  const { url } = await serve("--listen", "127.0.0.1:0");
  const { page, said } = await open(url);
  await until(page, "connected");
  await page.evaluate(() => board.paint(64, 7, 1));
  await page.getByText("There is no pixel at 64, 7.").waitFor();
  await page.evaluate(() => board.paint(7, 7, 16));
  await page.getByText("There is no colour 16.").waitFor();
  expect(said).toEqual([]);
});

test("a server that speaks another version is told, and not tried again", async () => {
  const { url } = await serve("--listen", "127.0.0.1:0");
  // The page is the real one, and its socket leads to somebody who speaks version 2.
  const http = createHttpServer(async ({ url: wanted }, response) => {
    const { headers, body } = await fetch(`${url}${wanted}`).then(async (got) => ({
      headers: got.headers,
      body: await got.text(),
    }));
    response.setHeader("content-type", headers.get("content-type") ?? "");
    response.end(body);
  });
  const sockets = new WebSocketServer({ server: http, handleProtocols: () => "wirestream.v1" });
  let connections = 0;
  sockets.on("connection", (socket) => {
    connections++;
    socket.send(Uint8Array.of(1, 1, 2));
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const { page, said } = await open(`http://127.0.0.1:${portOf(http)}`);
  await until(page, "failed");
  expect(await words(page)).toMatch(/^The server speaks another version/);
  expect([connections, said]).toEqual([1, []]);
  sockets.close();
  http.close();
});

test("the module that the board has compiled in is the one that is built", () => {
  const folder = join(tmpdir(), `wirestream-board-${process.pid}`);
  const build = fileURLToPath(new URL("../build.mjs", import.meta.url));
  expect(spawnSync("node", [build, folder]).status).toBe(0);
  const built = readFileSync(join(folder, "wirestream.min.js"), "utf8");
  const committed = readFileSync(join(root, "examples/board/page/wirestream.min.js"), "utf8");
  expect(committed === built, "run: node client-web/build.mjs examples/board/page").toBe(true);
});
