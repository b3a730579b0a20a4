import { GO_AWAY, HELLO, OPEN, PING, TOKEN } from "../../src/core/frames.js";
import { channel, type Status, StreamError } from "../../src/index.js";
import { check, same } from "../assert.js";
import { Ends, Shapes, Vault } from "./contract.js";
import { collect, type Env, failure, recording, scenario, sleep, soon, until } from "./env.js";

const add = [2n, 3n] as const;

/** A stream that is open on both sides, with its input. */
async function openStream(env: Env, client = env.connect()) {
  const messages = channel<string>();
  const echo = client.call(Shapes, "echo", [], { streams: { messages } });
  await messages.write("first");
  same(await echo.next(), { done: false, value: "first" });
  return { client, messages, echo };
}

async function lostBy(stream: AsyncIterable<unknown>): Promise<string | undefined> {
  const { error } = await collect(stream);
  return error?.kind === "lost" ? error.reason : `${error}`;
}

export const socket = [
  scenario("e1 first calls share one attempt", async (env) => {
    const client = env.connect();
    same(client.status.state, "disconnected");
    same((await env.network.connections())[1], 0);
    const calls = Array.from({ length: 5 }, () => client.call(Shapes, "add", [...add]));
    same(await Promise.all(calls), Array(5).fill(5n));
    same((await env.network.connections())[1], 1);
  }),

  scenario("e2 without a server each call fails", async (env) => {
    const nobody = await env.network.nobody();
    const client = env.connect({}, nobody);
    const input = channel<bigint>();
    const calls = [
      client.call(Shapes, "add", [...add]),
      client.call(Ends, "ignore", [], { streams: { input } }),
    ];
    for (const error of await Promise.all(calls.map(failure))) {
      same([error.kind, error.reason, error.isRetryable], ["lost", "unreachable", true]);
      same(error.message, `no connection to ${nobody}/`);
    }
    same((await failure(input.write(1n))).kind, "lost");
    same(client.status.state, "disconnected");
  }),

  scenario("e3 a server that never answers is given up", async (env) => {
    const limits = { handshake: 200 };
    const client = env.connect({ limits }, await env.network.mute());
    const { reason, message } = await failure(client.call(Shapes, "add", [...add]));
    same(reason, "no-answer");
    check(message.includes("does not answer"), message);
  }),

  scenario("e4 the connection is closed after the linger", async (env) => {
    const { WebSocket, sent } = recording(env.WebSocket);
    const client = env.connect({ WebSocket, limits: { linger: 50 } });
    same(await client.call(Shapes, "add", [...add]), 5n);
    await until("the end", async () => (await env.network.connections())[0] === 0);
    const last = sent.at(-1);
    check(last?.kind === GO_AWAY && last.code === "Done", "no farewell");
    same(client.status, { state: "disconnected" });
  }),

  scenario("e5 a call within the linger keeps the connection", async (env) => {
    const client = env.connect({ limits: { linger: 1500 } });
    // Longer than the linger in all, and far shorter each time.
    for (let round = 0; round < 4; round++) {
      same(await client.call(Shapes, "add", [...add]), 5n);
      await sleep(500);
    }
    same((await env.network.connections())[1], 1);
  }),

  scenario("e6 calls in the moment of the close are unharmed", async (env) => {
    const client = env.connect({ limits: { linger: 0 } });
    for (let round = 0; round < 30; round++) {
      same(await client.call(Shapes, "add", [...add]), 5n);
      await sleep(round % 3);
    }
  }),

  scenario("e7 e8 a cut ends every stream as lost, and the next call reconnects", async (env) => {
    const { client, messages, echo } = await openStream(env);
    const endless = client.call(Ends, "endless");
    await env.network.cut();
    same(await lostBy(echo), "eof");
    same(await lostBy(endless), "eof");
    same((await failure(messages.write("more"))).kind, "lost");
    same(await client.call(Shapes, "add", [...add]), 5n);
    await until("the end of the handlers", async () => (await env.counts())[1] === 0);
  }),

  scenario("e9 a server that was restarted is found again", async (env) => {
    const { client, echo } = await openStream(env, env.connect({ retry: { attempts: 50 } }));
    await env.network.restart(false);
    same(await lostBy(echo), "eof");
    same(await client.call(Shapes, "add", [...add]), 5n);
  }),

  scenario("e10 to disconnect ends the calls, and a later one works", async (env) => {
    const { client, messages, echo } = await openStream(env);
    client.disconnect();
    same(await lostBy(echo), "local");
    same((await failure(messages.write("more"))).kind, "lost");
    same(client.status, { state: "disconnected" });
    same(await client.call(Shapes, "add", [...add]), 5n);
    // One that is only being made goes too.
    const other = env.connect();
    const call = failure(other.call(Shapes, "add", [...add]));
    other.disconnect();
    same((await call).reason, "local");
    same(await other.call(Shapes, "add", [...add]), 5n);
  }),

  scenario("e11 to disconnect stops an input at full speed", async (env) => {
    const client = env.connect();
    const input = channel<bigint>();
    const deaf = client.call(Ends, "deaf", [], { streams: { input } });
    const flood = (async () => {
      for (let n = 0n; ; n++) await input.write(n);
    })();
    const failed = failure(flood);
    await sleep(20);
    client.disconnect();
    same((await failed).kind, "lost");
    same(await lostBy(deaf), "local");
  }),

  scenario("e12 a status listener sees each change once", async (env) => {
    const client = env.connect({ limits: { linger: 50 } });
    const states: Status["state"][] = [];
    const unlisten = client.onStatus(({ state }) => states.push(state));
    await client.call(Shapes, "add", [...add]);
    await until("the linger's end", () => states.length === 3);
    same(states.splice(0), ["connecting", "connected", "disconnected"]);
    await openStream(env, client);
    await env.network.cut();
    await until("the loss", () => states.length === 3);
    same(states, ["connecting", "connected", "disconnected"]);
    const { status } = client;
    check(status.state === "disconnected" && status.error?.reason === "eof", "no reason");
    unlisten();
    await client.call(Shapes, "add", [...add]);
    same(states.length, 3);
  }),

  scenario("e13 attempts are repeated by the policy, with pauses", async (env) => {
    const retry = { attempts: 3, base: 20 };
    const client = env.connect({ retry }, await env.network.nobody());
    const statuses: Status[] = [];
    client.onStatus((status) => statuses.push(status));
    same((await failure(client.call(Shapes, "add", [...add]))).reason, "unreachable");
    const tries = statuses.filter(({ state }) => state === "connecting").length;
    check(tries >= 1, "no attempt");
    const delays = statuses.flatMap((status) => (status.state === "waiting" ? [status.delay] : []));
    check(delays.length <= 3, `${delays.length} pauses`);
    for (const [place, delay] of delays.entries()) {
      check(delay <= 20 * 2 ** place, `a pause of ${delay} ms`);
    }
    same(statuses.at(-1)?.state, "disconnected");
  }),

  scenario("e13 a call that is given up stops the attempts", async (env) => {
    const retry = { attempts: 1000, base: 30, longest: 30 };
    const client = env.connect({ retry }, await env.network.nobody());
    const patience = new AbortController();
    const { signal } = patience;
    const call = client.call(Shapes, "add", [...add], { signal });
    setTimeout(() => patience.abort(), 100);
    same(await call.catch((error) => error.name), "AbortError");
    await until("the attempts' end", () => client.status.state === "disconnected");
  }),

  scenario("e14 a black hole is noticed", async (env) => {
    const limits = { ping: 500, dead: 1000 };
    const { client, messages, echo } = await openStream(env, env.connect({ limits }));
    await env.network.stall();
    same(await lostBy(echo), "timeout");
    same((await failure(messages.write("more"))).kind, "lost");
    same(client.status.state, "disconnected");
  }),

  scenario("e15 a connection that lives is kept, by pings if need be", async (env) => {
    const { WebSocket, sent } = recording(env.WebSocket);
    const client = env.connect({ WebSocket, limits: { ping: 50, dead: 5000 } });
    const { messages, echo } = await openStream(env, client);
    await until("pings", () => sent.filter(({ kind }) => kind === PING).length >= 3);
    await messages.write("still here");
    same(await echo.next(), { done: false, value: "still here" });
  }),

  scenario("e16 a token is never in the URL", async (env) => {
    const { WebSocket, sent, urls } = recording(env.WebSocket);
    const client = env.connect({ WebSocket, token: "ann" });
    same(await client.call(Vault, "mine"), "ann");
    check(!urls.join().includes("ann"), `${urls}`);
    const [hello] = sent;
    check(hello?.kind === HELLO && hello.limits && hello.token, "no token in Hello");
    client.setToken("root");
    same(await client.call(Vault, "rule"), "root");
    client.setToken(undefined);
    same(await client.call(Vault, "who"), undefined);
    same(sent.filter(({ kind }) => kind === TOKEN).length, 2);
    same((await env.network.connections())[1], 1);
  }),

  scenario("e17 e19 at a shutdown calls finish, and new ones go elsewhere", async (env) => {
    const { client, messages, echo } = await openStream(env);
    const endless = client.call(Ends, "slow");
    await endless.next();
    const shutdown = env.network.shutdown();
    await until("the farewell", async () => {
      const call = await client.call(Shapes, "add", [...add]).catch((error) => error);
      return call instanceof StreamError;
    });
    await messages.write("still here");
    same(await echo.next(), { done: false, value: "still here" });
    messages.finish();
    same(await echo.next(), { done: true });
    // It is ended at the deadline.
    same(await lostBy(endless), "drain-expired");
    await soon("the server's end", shutdown);
  }),

  scenario("g4 g5 a refused token is refreshed once, for all calls together", async (env) => {
    const { WebSocket, sent } = recording(env.WebSocket);
    let refreshes = 0;
    const token = async (refused: boolean) => {
      if (!refused) return "nobody";
      refreshes++;
      await sleep(20);
      return "ann";
    };
    const client = env.connect({ WebSocket, token });
    const calls = Array.from({ length: 5 }, () => client.call(Vault, "mine"));
    same(await Promise.all(calls), Array(5).fill("ann"));
    same(refreshes, 1);
    same(sent.filter(({ kind }) => kind === OPEN).length, 10);
    // A second refusal is told.
    const { code } = await failure(env.connect({ token: () => "nobody" }).call(Vault, "mine"));
    same(code, "Unauthenticated");
  }),
];
