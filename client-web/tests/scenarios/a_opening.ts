import { ACCEPT, MESSAGE, OPEN } from "../../src/core/frames.js";
import { channel } from "../../src/index.js";
import { check, same } from "../assert.js";
import { Ends, Mistaken, Nowhere, Shapes, Vault } from "./contract.js";
import { collect, failure, recording, refusal, scenario, soon } from "./env.js";

const add = [2n, 3n] as const;

export const opening = [
  scenario("a1 an unknown endpoint is not found", async (env) => {
    same(await refusal(env.connect().call(Nowhere, "add")), "NotFound");
  }),

  scenario("a2 an unknown method is not found", async (env) => {
    const client = env.connect();
    same(await refusal(client.call(Shapes, "missing")), "NotFound");
    same(await client.call(Shapes, "add", [...add]), 5n);
  }),

  scenario("a3 the acceptance comes before any message", async (env) => {
    const { WebSocket, received } = recording(env.WebSocket);
    await collect(env.connect({ WebSocket }).call(Shapes, "count", [3n]));
    const kinds = received.filter((frame) => "call" in frame && frame.call).map(({ kind }) => kind);
    check(kinds.indexOf(ACCEPT) >= 0, "there is no acceptance");
    check(kinds.indexOf(ACCEPT) < kinds.indexOf(MESSAGE), `the order is ${kinds}`);
  }),

  scenario("a4 arguments that do not fit are refused, and siblings live on", async (env) => {
    const client = env.connect();
    const sibling = client.call(Ends, "slow");
    await sibling.next();
    same(await refusal(client.call(Mistaken, "add", [7])), "InvalidArguments");
    same(await client.call(Shapes, "add", [...add]), 5n);
    await sibling.return();
  }),

  scenario("a5 too few or too many streams are refused", async (env) => {
    const client = env.connect();
    same(await refusal(client.call(Mistaken, "sum")), "InvalidArguments");
    const streams = { messages: channel<string>(), more: channel<string>() };
    const { error } = await collect(client.call(Mistaken, "echo", [], { streams }));
    same(error?.code, "InvalidArguments");
    await soon("the stop of an input", streams.more.stopped);
  }),

  scenario("a6 without a token, a protected method is refused", async (env) => {
    same(await refusal(env.connect().call(Vault, "mine")), "Unauthenticated");
  }),

  scenario("a7 a token that is not known is refused", async (env) => {
    same(await refusal(env.connect({ token: "nobody" }).call(Vault, "mine")), "Unauthenticated");
  }),

  scenario("a8 without the scope, a caller is refused", async (env) => {
    same(await refusal(env.connect({ token: "ann" }).call(Vault, "rule")), "Forbidden");
  }),

  scenario("a9 with the scope, a caller is let in", async (env) => {
    same(await env.connect({ token: "root" }).call(Vault, "rule"), "root");
  }),

  scenario("a10 an authenticator that fails refuses that call alone", async (env) => {
    const client = env.connect();
    for (const token of ["fail", "panic"]) {
      const call = client.call(Vault, "mine", [], { token });
      const { kind } = await failure(call);
      same(kind, "rejected");
    }
    same(await client.call(Vault, "mine", [], { token: "ann" }), "ann");
  }),

  scenario("a11 an authenticator that is slow delays nobody else", async (env) => {
    const client = env.connect();
    const patience = new AbortController();
    const { signal } = patience;
    const slow = client.call(Vault, "mine", [], { token: "slow", signal });
    same(await client.call(Shapes, "add", [...add]), 5n);
    patience.abort(new RangeError("enough"));
    same(await slow.catch((error) => error.message), "enough");
  }),

  scenario(
    "a12 a call beyond the limit is refused as busy, which is worth another try",
    async (env) => {
      const client = env.connect();
      const open = Array.from({ length: 100 }, () => client.call(Ends, "never"));
      const error = await failure(client.call(Shapes, "add", [...add]));
      same([error.code, error.isRetryable], ["Busy", true]);
      await open[0]?.return();
      // The slot is free once the handler is gone.
      for (;;) {
        const again = await client.call(Shapes, "add", [...add]).catch((error) => error.code);
        if (again === 5n) break;
        same(again, "Busy");
      }
    },
  ),

  scenario("a13 call ids rise", async (env) => {
    const { WebSocket, sent } = recording(env.WebSocket);
    const client = env.connect({ WebSocket });
    await Promise.all([1, 2, 3].map(() => client.call(Shapes, "add", [...add])));
    const ids = sent.flatMap((frame) => (frame.kind === OPEN ? [frame.call] : []));
    same(ids, [1, 2, 3]);
  }),

  scenario("a14 what is sent before the acceptance comes in order", async (env) => {
    const messages = Array.from({ length: 20 }, (_, place) => `message ${place}`);
    const echoed = await collect(env.connect().call(Shapes, "echo", [], { streams: { messages } }));
    same(echoed, { items: messages });
  }),

  scenario("a15 a refusal while messages are on their way harms nobody", async (env) => {
    const client = env.connect();
    const more = ["a", "b", "c"];
    const call = client.call(Mistaken, "echo", [], { streams: { messages: more, more } });
    same((await collect(call)).error?.code, "InvalidArguments");
    same(await client.call(Shapes, "add", [...add]), 5n);
    same((await env.network.connections())[1], 1);
  }),
];
