import { channel, StreamError } from "../../src/index.js";
import { same } from "../assert.js";
import { Ends, Errors, EVERYTHING, Garbled, Shapes } from "./contract.js";
import { collect, type Env, failure, refusal, scenario } from "./env.js";

const said = (text: string) => ({ type: "Said" as const, value: text });

async function works(env: Env): Promise<void> {
  same(await env.connect().call(Shapes, "add", [1n, 2n]), 3n);
}

export const errors = [
  scenario("d1 a typed error of a value", async (env) => {
    const { kind, value } = await failure(env.connect().call(Errors, "typed"));
    same([kind, value], ["app", { type: "Number", value: { is: 2n ** 64n - 1n } }]);
  }),

  scenario("d2 an untyped error and a panic tell no detail", async (env) => {
    const client = env.connect();
    for (const call of [client.call(Errors, "untyped"), client.call(Errors, "panics", [1])]) {
      const { kind, message } = await failure(call);
      same([kind, message], ["failed", "the other side failed"]);
    }
    same(await client.call(Errors, "panics", [0]), 0);
  }),

  scenario("d3 d5 a typed error of a stream, behind its messages", async (env) => {
    const client = env.connect();
    for (const n of [0, 1, 100]) {
      const { items, error } = await collect(client.call(Errors, "after", [BigInt(n)]));
      same([items.length, error?.kind, error?.value], [n, "app", said("it broke")]);
    }
  }),

  scenario("d4 d6 a panic in a stream, behind its messages", async (env) => {
    const client = env.connect();
    for (const n of [0, 1, 100]) {
      const { items, error } = await collect(client.call(Errors, "falls", [BigInt(n)]));
      same([items.length, error?.kind], [n, "failed"]);
    }
  }),

  scenario("d7 a typed error into an input", async (env) => {
    const input = channel<bigint>();
    const told = env.connect().call(Ends, "told", [], { streams: { input } });
    await input.write(1n);
    input.fail(said("no more"));
    same(await collect(told), { items: ["1", 'app: Said("no more")', "end"] });
  }),

  scenario("d7 an iterable that throws a typed error", async (env) => {
    async function* input() {
      yield 1n;
      throw StreamError.app(said("thrown"));
    }
    const told = env.connect().call(Ends, "told", [], { streams: { input: input() } });
    same(await collect(told), { items: ["1", 'app: Said("thrown")', "end"] });
  }),

  scenario("d8 an untyped error into an input tells no detail", async (env) => {
    async function* input() {
      yield 1n;
      throw new Error("a secret");
    }
    const told = env.connect().call(Ends, "told", [], { streams: { input: input() } });
    same(await collect(told), { items: ["1", "failed", "end"] });
  }),

  scenario("d9 an error in each direction", async (env) => {
    const input = channel<string>();
    const answer = env.connect().call(Errors, "answer", [], { streams: { input } });
    await input.write("Hello");
    input.fail(said("the client"));
    const { items, error } = await collect(answer);
    same([items, error?.value], [["Hello"], said("heard the client")]);
  }),

  scenario("d10 an error ends its half alone", async (env) => {
    const streams = { numbers: channel<bigint>(), texts: channel<string>() };
    const both = env.connect().call(Shapes, "both", [], { streams });
    streams.numbers.abort();
    await streams.texts.write("still here");
    same(await both.next(), { done: false, value: "still here" });
    streams.texts.finish();
    same(await both.next(), { done: true });
  }),

  scenario("d11 a call that failed leaves its siblings", async (env) => {
    const client = env.connect();
    const messages = channel<string>();
    const echo = client.call(Shapes, "echo", [], { streams: { messages } });
    await failure(client.call(Errors, "panics", [1]));
    await messages.write("still here");
    same(await echo.next(), { done: false, value: "still here" });
    await echo.return();
  }),

  scenario("d12 a message that does not decode ends its stream alone", async (env) => {
    const client = env.connect();
    const { items, error } = await collect(client.call(Errors, "wrong"));
    same([items, error?.kind], [[], "decode"]);
    const input = [Uint8Array.of(255, 255, 255)];
    const told = client.call(Garbled, "told", [], { streams: { input } });
    same(await collect(told), { items: ["decode", "end"] });
    same((await env.network.connections())[1], 1);
  }),

  scenario("d12 what does not fit its schema is not sent", async (env) => {
    const client = env.connect();
    const messages = channel<unknown>();
    const echo = client.call(Shapes, "numbers", [], { streams: { messages: messages as never } });
    same((await failure(messages.write("no number"))).kind, "encode");
    await messages.write(7n);
    same(await echo.next(), { done: false, value: 7n });
    await echo.return();
    const error = await failure(client.call(Shapes, "add", [1n, "2" as never]));
    same(error.kind, "encode");
    const bad = client.call(Shapes, "numbers", [], { streams: { messages: ["x"] as never } });
    same((await collect(bad)).error?.kind, "encode");
  }),

  scenario("d13 an error that is too large is a failure, in either direction", async (env) => {
    const client = env.connect();
    same((await failure(client.call(Errors, "huge"))).kind, "failed");
    const input = channel<bigint>();
    const told = client.call(Ends, "told", [], { streams: { input } });
    input.fail(said("x".repeat(100_000)));
    same(await collect(told), { items: ["failed", "end"] });
    await works(env);
  }),

  scenario("d13 a message that is too large is refused, and its stream goes on", async (env) => {
    const client = env.connect();
    await client.call(Shapes, "add", [1n, 2n]);
    const messages = channel<Uint8Array>();
    const blobs = client.call(Shapes, "blobs", [], { streams: { messages } });
    same((await failure(messages.write(new Uint8Array((1 << 21) + 1)))).kind, "too-large");
    await messages.write(Uint8Array.of(1));
    same(await blobs.next(), { done: false, value: Uint8Array.of(1) });
    await blobs.return();
  }),

  scenario("d13 a request that is too large is refused here", async (env) => {
    const large = { ...EVERYTHING, bytes: new Uint8Array(70_000) };
    same(await refusal(env.connect().call(Shapes, "mirror", [large])), "InvalidArguments");
    await works(env);
  }),
];
