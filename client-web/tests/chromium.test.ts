import type { Server } from "node:http";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { minified } from "../minified.mjs";
import { launch, servePage } from "./browser/chromium.js";
import { cargo, portOf, Rig } from "./network.js";
import { scenarios } from "./scenarios/all.js";
import type { Network } from "./scenarios/env.js";

// What tests/vectors.test.ts and tests/scenarios.test.ts run in Node, in a browser.

const path = cargo("-p", "wirestream-tests", "--bin", "scenario-server");

let browser: Browser;
let server: Server;
let page: Page;
let rig: Rig;

beforeAll(async () => {
  const entry = fileURLToPath(new URL("browser/page.ts", import.meta.url));
  const bundle = await build({
    ...minified,
    entryPoints: [entry],
    write: false,
    keepNames: true,
  });
  server = await servePage(bundle.outputFiles[0]?.text ?? "");
  browser = await launch();
  page = await browser.newPage();
  await page.exposeFunction("network", (verb: keyof Network, ...args: unknown[]) =>
    (rig[verb] as (...args: unknown[]) => unknown)(...args),
  );
  await page.goto(`http://127.0.0.1:${portOf(server)}/`);
});

afterAll(async () => {
  await browser?.close();
  server?.close();
});

declare function runVectors(): Promise<[number, string[]]>;
declare function runScenario(name: string, url: string): Promise<void>;

test("every vector", async () => {
  expect(await page.evaluate(() => runVectors())).toEqual([309, []]);
});

describe.each(["tokio", "smol"] as const)("on %s", (runtime) => {
  beforeAll(async () => {
    rig = await Rig.start(path, runtime);
  });
  beforeEach(() => rig.reset());
  afterAll(() => rig.end());

  test.each(scenarios)("$name", ({ name }) =>
    page.evaluate(([name, url]) => runScenario(name, url), [name, rig.url] as const),
  );
});
