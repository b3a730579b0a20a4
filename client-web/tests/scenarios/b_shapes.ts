import { channel } from "../../src/index.js";
import { Named, Some, type Value } from "../../src/value.js";
import { same } from "../assert.js";
import { EVERYTHING, Shapes } from "./contract.js";
import { collect, scenario, soon } from "./env.js";

export const shapes = [
  scenario("b1 a stream comes in order, then ends", async (env) => {
    const client = env.connect();
    for (const n of [0, 1, 2, 1000, 10_000]) {
      const counted = client.call(Shapes, "count", [BigInt(n)]);
      same(await collect(counted), { items: Array.from({ length: n }, (_, i) => BigInt(i)) });
      same(await counted.next(), { done: true }, "what has ended stays so");
    }
    same((await env.network.connections())[1], 1);
  }),

  scenario("b2 plain arguments arrive", async (env) => {
    const least = -(2n ** 63n);
    same(await env.connect().call(Shapes, "add", [least, 1n]), least + 1n);
  }),

  scenario("b3 every type comes back as it was", async (env) => {
    const client = env.connect();
    same(await client.call(Shapes, "mirror", [EVERYTHING]), EVERYTHING);
    const { float } = await client.call(Shapes, "mirror", [{ ...EVERYTHING, float: Number.NaN }]);
    same(float, Number.NaN);
  }),

  scenario("b3 large and empty bytes come back", async (env) => {
    const large = Uint8Array.from({ length: 1 << 20 }, (_, i) => i % 251);
    const limits = { message: 1 << 21, connectionWindow: 1 << 22 };
    const messages = [new Uint8Array(), large, Uint8Array.of(1), large];
    const client = env.connect({ limits });
    const echoed = await collect(client.call(Shapes, "blobs", [], { streams: { messages } }));
    same(echoed, { items: messages });
  }),

  scenario("b4 mixed values keep their order and type", async (env) => {
    const messages: Value[] = [
      "Hello",
      42,
      -1n,
      2n ** 128n - 1n,
      0.5,
      null,
      true,
      Uint8Array.of(1, 2),
      [1, "a", [null]],
      new Map<Value, Value>([
        ["k", 1],
        [2, true],
      ]),
      new Named("Player", { name: "Ann", level: 3 }),
      new Named("Role", undefined, "Guest"),
      new Named("Level", [7]),
      new Some(null),
    ];
    const reply = env.connect().call(Shapes, "mixed", [], { streams: { messages } });
    const narrow = messages.map((value) => (value === -1n ? -1 : value));
    same(await collect(reply), { items: narrow });
  }),

  scenario("b5 one value from a stream, which is stopped at once", async (env) => {
    const numbers = channel<bigint>();
    const first = env.connect().call(Shapes, "first", [], { streams: { numbers } });
    await numbers.write(7n);
    same(await first, 7n);
    await soon("the stop", numbers.stopped);
  }),

  scenario("b6 a method without a value completes when its input ends", async (env) => {
    const numbers = [1n, 2n];
    same(await env.connect().call(Shapes, "finish", [], { streams: { numbers } }), undefined);
  }),

  scenario("b7 an optional value that is none", async (env) => {
    same(await env.connect().call(Shapes, "none"), undefined);
  }),

  scenario("b8 b9 b10 two inputs, one after the other at its end", async (env) => {
    const streams = { numbers: channel<bigint>(), texts: channel<string>() };
    const both = env.connect().call(Shapes, "both", [], { streams });
    await streams.numbers.write(1n);
    same(await both.next(), { done: false, value: "1" });
    streams.numbers.finish();
    await streams.texts.write("a");
    same(await both.next(), { done: false, value: "a" });
    await streams.texts.write("b");
    same(await both.next(), { done: false, value: "b" });
    streams.texts.finish();
    same(await both.next(), { done: true });
  }),

  scenario("b11 sixteen inputs", async (env) => {
    const streams = Object.fromEntries([..."abcdefghijklmnop"].map((name, i) => [name, [i, i]]));
    const { items, error } = await collect(env.connect().call(Shapes, "sixteen", [], { streams }));
    same(error, undefined);
    const expected = Array.from({ length: 32 }, (_, i) => [i >> 1, i >> 1]);
    same(
      items.sort(([a], [b]) => a - b),
      expected,
    );
  }),

  scenario("b12 a method without streams", async (env) => {
    same(await env.connect().call(Shapes, "add", [40n, 2n]), 42n);
  }),

  scenario("b13 plain arguments together with streams", async (env) => {
    const client = env.connect();
    const streams = { numbers: [1n, -2n] };
    same(await collect(client.call(Shapes, "times", [3n], { streams })), { items: [3n, -6n] });
  }),

  scenario("b13 streams that may be left out", async (env) => {
    const client = env.connect();
    const left = [1];
    same(await client.call(Shapes, "optional", [7], { streams: { left } }), [7, false, false]);
    const also = [2];
    same(await client.call(Shapes, "optional", [8], { streams: { left, also } }), [8, false, true]);
  }),
];
