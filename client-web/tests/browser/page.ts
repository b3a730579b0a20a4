import { scenarios } from "../scenarios/all.js";
import { Env, type Network } from "../scenarios/env.js";
import { vectorCases } from "../vectors/all.js";

// What the test's process does for the page: see `browser.test.ts`.
declare function network(verb: string, ...args: unknown[]): Promise<never>;

const remote = new Proxy({} as Network, {
  get:
    (_, verb) =>
    (...args: unknown[]) =>
      network(String(verb), ...args),
});

/** Runs every vector, and tells what failed. */
async function runVectors(): Promise<[count: number, failures: string[]]> {
  const failures: string[] = [];
  for (const { name, run } of vectorCases) {
    try {
      await run();
    } catch (error) {
      failures.push(`${name}: ${error}`);
    }
  }
  return [vectorCases.length, failures];
}

async function runScenario(name: string, url: string): Promise<void> {
  const scenario = scenarios.find((scenario) => scenario.name === name);
  if (!scenario) throw new Error(`no scenario ${name}`);
  const env = new Env(url, remote, WebSocket as never);
  try {
    await scenario.run(env);
  } finally {
    env.end();
  }
}

Object.assign(globalThis, { runVectors, runScenario });
