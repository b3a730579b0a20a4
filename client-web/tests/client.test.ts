import { describe, expect, test, vi } from "vitest";
import { Connection } from "../src/core/connection.js";
import { DEFAULTS } from "../src/core/limits.js";
import type { Schema } from "../src/index.js";
import {
  array,
  choice,
  connect,
  decode,
  encode,
  endpoint,
  lazy,
  list,
  map,
  string,
  u8,
  unit,
} from "../src/index.js";
import { hex, hexOf } from "./assert.js";

const HELLO = "011601008080108080018080048080108080800164100000";

/** A socket that never opens. */
class Nothing {
  bufferedAmount = 0;
  close() {}
}

test("what a client cannot be is said at once", () => {
  const socket = { WebSocket: Nothing };
  expect(() => connect("not a URL", socket)).toThrow(TypeError);
  expect(() => connect("ftp://127.0.0.1", socket)).toThrow("ftp: is no WebSocket's");
  expect(() => connect("ws://127.0.0.1", { ...socket, limits: { message: 1 } })).toThrow("message");
  expect(() => connect("ws://127.0.0.1", { ...socket, token: "x".repeat(4097) })).toThrow("4096");
  vi.stubGlobal("WebSocket", undefined);
  expect(() => connect("ws://127.0.0.1")).toThrow("there is no WebSocket here");
  vi.unstubAllGlobals();
});

test("what a call cannot be is said at once", async () => {
  const client = connect("ws://127.0.0.1", { WebSocket: Nothing });
  const E = endpoint("E", {
    take: { args: [u8], streams: { a: u8 }, yields: u8 },
    get: { returns: u8 },
  });
  expect(() => client.call(E, "take", [300], { streams: { a: [] } })).toThrow("0 to 255");
  expect(() => client.call(E, "take", [] as never, { streams: { a: [] } })).toThrow("1 are due");
  expect(() => client.call(E, "take", [1], { streams: {} } as never)).toThrow(
    "stream a is missing",
  );
  expect(() => client.call(E, "none" as "get")).toThrow("no method none");
  const signal = AbortSignal.abort(new RangeError("before"));
  await expect(client.call(E, "get", [], { signal })).rejects.toThrow("before");
  client.disconnect();
});

describe("schemas", () => {
  test("an enum without content is a string", () => {
    const Colour = choice("Red", "Green");
    expect(hexOf(encode(Colour, "Green"))).toBe("01");
    expect(decode(Colour, hex("00"))).toBe("Red");
    expect(() => decode(Colour, hex("02"))).toThrow();
    expect(() => encode(Colour, "Blue" as never)).toThrow("Red, Green");
  });

  test("a type may hold itself", () => {
    type Tree = Tree[];
    const Tree: Schema<Tree> = list(lazy(() => Tree));
    expect(decode(Tree, encode(Tree, [[], [[]]]))).toEqual([[], [[]]]);
    expect(() => decode(Tree, hex("01*128 00"))).not.toThrow();
    expect(() => decode(Tree, hex("01*129 00"))).toThrow("too deep");
    expect(() => decode(Tree, hex("01*200000 00"))).toThrow("too deep");
  });

  test("a length that is only claimed costs nothing", () => {
    expect(() => decode(list(unit), hex("80 80 80 80 01"))).toThrow("more items");
    expect(() => decode(list(list(unit)), hex("02 ff 7f ff 7f"))).toThrow("more items");
    expect(() => decode(list(string), hex("ff ff ff ff 0f"))).toThrow("more items");
    expect(() => decode(string, hex("ff ff ff ff 0f 61"))).toThrow("too early");
    expect(() => decode(map(u8, u8), hex("05 01 02"))).toThrow();
    expect(decode(array(u8, 2), hex("01 02"))).toEqual([1, 2]);
  });

  test("half a character is not sent", () => {
    expect(() => encode(string, "a\ud800")).toThrow("half a character");
  });
});

describe("a connection", () => {
  const start = () => {
    let now = 0;
    const connection = new Connection(DEFAULTS, undefined, () => now);
    connection.receive(hex(HELLO));
    const open = () =>
      connection.open({ method: "E.m", parameters: 0, metadata: [], payload: hex("") });
    const at = (time: number) => {
      now = time;
      connection.handleTimeout();
      return hexOf(connection.transmit() ?? hex(""));
    };
    return { connection, open, at };
  };

  test("asks for a sign of life after silence, and ends behind more of it", () => {
    const { connection, open, at } = start();
    open();
    at(0);
    expect(at(14_999)).toBe("");
    expect(at(15_000)).toBe("0c00");
    expect(connection.deadline()).toBe(35_000);
    expect(at(34_999)).toBe("");
    at(35_000);
    expect(connection.closed?.reason).toBe("timeout");
  });

  test("asks again when it was asleep itself", () => {
    const { connection, open, at } = start();
    open();
    at(0);
    at(15_000);
    expect(at(3_600_000)).toBe("0c00");
    expect(connection.closed).toBeUndefined();
    at(3_620_000);
    expect(connection.closed?.reason).toBe("timeout");
  });

  test("lets the window of a reply grow with its use (R-CREDIT-9)", () => {
    const { connection, open, at } = start();
    const call = open();
    at(0);
    connection.receive(hex("030101"));
    const grants = Array.from({ length: 4 }, () => {
      connection.receive(hex("0582200100 07*4096"));
      return at(0);
    });
    // It doubles whenever half of it is used, unread as it is.
    expect(grants).toEqual(["", "0b050100808001", "", "0b050100808002"]);
    expect(call.reply.window).toBe(65_536);
    expect(call.reply.held).toBe(16_384);
  });

  test("takes back the credit of what is given up before it was sent", () => {
    const connection = new Connection(DEFAULTS, undefined, () => 0);
    const open = () =>
      connection.open({ method: "E.m", parameters: 3, metadata: [], payload: hex("") });
    const [given, kept] = [open(), open()];
    const sent: string[] = [];
    const offer = (call: typeof given, half: number) =>
      call.parameters[half]?.offer({
        payload: new Uint8Array(4096),
        done: (result) => sent.push(result),
      });
    // The floors: 16,384 bytes for all, of which each request takes 64.
    for (const half of [0, 1, 2]) offer(given, half);
    offer(kept, 0);
    expect(sent).toEqual(["ok", "ok", "ok"]);
    given.release();
    expect(sent).toEqual(["ok", "ok", "ok", "ok"]);
    offer(kept, 1);
    offer(kept, 2);
    expect(sent).toHaveLength(6);
  });

  test("does not lock up when a large request waits for Hello behind messages", () => {
    const connection = new Connection(DEFAULTS, undefined, () => 0);
    const open = (size: number) =>
      connection.open({
        method: "E.m",
        parameters: 1,
        metadata: [],
        payload: new Uint8Array(size),
      });
    const large = open(60_000);
    const small = open(10);
    connection.transmit();
    connection.receive(hex(HELLO));
    while (connection.transmit());
    expect([large.state, small.state]).toEqual(["pending", "pending"]);
  });
});
