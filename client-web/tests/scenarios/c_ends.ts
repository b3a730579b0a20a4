import { channel } from "../../src/index.js";
import { check, same } from "../assert.js";
import { Ends, Shapes } from "./contract.js";
import { collect, type Env, failure, recording, scenario, sleep, soon, until } from "./env.js";

/** Waits until no handler is left. */
async function untilOver(env: Env): Promise<void> {
  await until("the end of the handlers", async () => (await env.counts())[1] === 0);
}

export const ends = [
  scenario("c1 a method that ignores its input stops it", async (env) => {
    const input = channel<bigint>();
    same(await env.connect().call(Ends, "ignore", [], { streams: { input } }), 7);
    await soon("the stop", input.stopped);
    same((await failure(input.write(1n))).kind, "stopped");
  }),

  scenario("c1 an iterable that is not wanted any more is let go", async (env) => {
    let isLetGo = false;
    async function* input() {
      try {
        for (let n = 0n; ; n++) {
          yield n;
          await sleep(1);
        }
      } finally {
        isLetGo = true;
      }
    }
    same(await env.connect().call(Ends, "ignore", [], { streams: { input: input() } }), 7);
    await until("the end of the iterable", () => isLetGo);
  }),

  scenario("c2 to break off an endless stream drops its handler", async (env) => {
    const client = env.connect();
    let count = 0n;
    for await (const number of client.call(Ends, "endless")) {
      same(number, count++);
      if (count === 1000n) break;
    }
    await untilOver(env);
    same(await client.call(Shapes, "add", [1n, 2n]), 3n);
  }),

  scenario("c3 to break off a stream that waits drops its handler", async (env) => {
    const slow = env.connect().call(Ends, "slow");
    same(await slow.next(), { done: false, value: 0n });
    const waiting = slow.next();
    await slow.return();
    same(await waiting, { done: true });
    await untilOver(env);
  }),

  scenario(
    "c4 a call that is given up before it was accepted leaves the connection idle",
    async (env) => {
      const client = env.connect({ limits: { linger: 50 } });
      await client.call(Ends, "never").return();
      same(client.status.state, "connecting");
      // Nobody is wanted any more, or the socket that there is goes idle.
      await until("the end of the connection", async () => {
        const [now] = await env.network.connections();
        return now === 0 && client.status.state === "disconnected";
      });
      await untilOver(env);
    },
  ),

  scenario("c5 an input that is finished leaves the reply", async (env) => {
    const input = channel<bigint>();
    const told = env.connect().call(Ends, "told", [], { streams: { input } });
    await input.write(1n);
    input.finish();
    same(await collect(told), { items: ["1", "end"] });
  }),

  scenario("c6 an input that is cancelled does not look finished", async (env) => {
    const input = channel<bigint>();
    const told = env.connect().call(Ends, "told", [], { streams: { input } });
    await input.write(1n);
    input.cancel();
    same(await collect(told), { items: ["1", "cancelled", "end"] });
  }),

  scenario("c7 a stream that is read only after its end has everything", async (env) => {
    const client = env.connect();
    const counted = client.call(Shapes, "count", [50n]);
    // An answer that was asked for later shows that the first has come.
    await client.call(Shapes, "add", [1n, 2n]);
    await sleep(20);
    same((await collect(counted)).items.length, 50);
  }),

  scenario("c8 an input that is never read ends with its call", async (env) => {
    const input = channel<bigint>();
    const deaf = env.connect().call(Ends, "deaf", [], { streams: { input } });
    let written = 0;
    const flood = (async () => {
      for (let n = 0n; ; n++) {
        await input.write(n);
        written++;
      }
    })();
    await until("the writer to wait", async () => {
      const before = written;
      await sleep(50);
      return before > 0 && written === before;
    });
    await deaf.return();
    same((await failure(flood)).kind, "stopped");
    await untilOver(env);
  }),

  scenario("c9 second ends are harmless", async (env) => {
    const client = env.connect();
    const messages = channel<string>();
    const echo = client.call(Shapes, "echo", [], { streams: { messages } });
    await messages.write("a");
    messages.finish();
    messages.finish();
    messages.fail("too late");
    same((await failure(messages.write("b"))).kind, "stopped");
    same(await collect(echo), { items: ["a"] });
    await echo.return();
    await echo.return();
    same(await client.call(Shapes, "add", [1n, 2n]), 3n);
  }),

  scenario("c10 ten calls of a thousand messages each", async (env) => {
    const client = env.connect();
    const calls = Array.from({ length: 10 }, () => {
      const messages = Array.from({ length: 1000 }, (_, i) => BigInt(i));
      return collect(client.call(Shapes, "numbers", [], { streams: { messages } }));
    });
    for (const { items, error } of await Promise.all(calls)) {
      same([items.length, items.at(-1), error], [1000, 999n, undefined]);
    }
  }),

  scenario("c11 ten readers that pause and go on", async (env) => {
    const client = env.connect();
    const read = async () => {
      let count = 0;
      for await (const line of client.call(Ends, "lines", [300n])) {
        same(line.length, 1000);
        if (++count % 100 === 0) await sleep(20);
      }
      return count;
    };
    same(await Promise.all(Array.from({ length: 10 }, read)), Array(10).fill(300));
  }),

  scenario("c12 calls that are read one after another, all opened at once", async (env) => {
    const client = env.connect();
    const calls = Array.from({ length: 20 }, () => client.call(Ends, "lines", [100n]));
    for (const call of calls) same((await collect(call)).items.length, 100);
  }),

  scenario("c13 the last messages before the end are not lost", async (env) => {
    const client = env.connect();
    for (let round = 0; round < 50; round++) {
      const messages = Array.from({ length: round }, (_, i) => `${i}`);
      same(await collect(client.call(Shapes, "echo", [], { streams: { messages } })), {
        items: messages,
      });
    }
  }),

  scenario("c14 a value and its end come together, once", async (env) => {
    const client = env.connect();
    const sums = Array.from({ length: 50 }, (_, i) => client.call(Shapes, "add", [BigInt(i), 1n]));
    same(
      await Promise.all(sums),
      Array.from({ length: 50 }, (_, i) => BigInt(i + 1)),
    );
  }),

  scenario("k3 an unread stream stays bounded, and holds up no other", async (env) => {
    const { WebSocket, received } = recording(env.WebSocket);
    const client = env.connect({ WebSocket });
    const unread = client.call(Ends, "lines", [100_000n]);
    await unread.next();
    const held = () =>
      received.reduce((sum, frame) => sum + ("payload" in frame ? frame.payload.length : 0), 0);
    await until("the stream to stand still", async () => {
      const before = held();
      await client.call(Shapes, "add", [1n, 2n]);
      await sleep(100);
      return held() - before < 200;
    });
    check(held() < 262_144 + 2_000, `${held()} bytes came unread`);
    same((await collect(client.call(Ends, "lines", [1000n]))).items.length, 1000);
    await unread.return();
  }),
];
