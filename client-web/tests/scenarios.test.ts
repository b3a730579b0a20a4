import { afterAll, beforeAll, beforeEach, describe, test } from "vitest";
import { WebSocket } from "ws";
import { cargo, Rig } from "./network.js";
import { scenarios } from "./scenarios/all.js";
import { Env } from "./scenarios/env.js";

const path = cargo("-p", "wirestream-tests", "--bin", "scenario-server");

describe.each(["tokio", "smol"] as const)("on %s", (runtime) => {
  let rig: Rig;

  beforeAll(async () => {
    rig = await Rig.start(path, runtime);
  });
  beforeEach(() => rig.reset());
  afterAll(() => rig.end());

  test.each(scenarios)("$name", async ({ run }) => {
    const env = new Env(rig.url, rig, WebSocket as never);
    try {
      await run(env);
    } finally {
      env.end();
    }
  });
});
