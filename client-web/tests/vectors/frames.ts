import badFrames from "../../../spec/vectors/bad-frames.json" with { type: "json" };
import frames from "../../../spec/vectors/frames.json" with { type: "json" };
import { Violation, Writer } from "../../src/core/bytes.js";
import {
  ACCEPT,
  BEGIN,
  CLOSE,
  CREDIT,
  decode,
  ERROR,
  encode,
  type Frame,
  GO_AWAY,
  HELLO,
  MESSAGE,
  MORE,
  OPEN,
  PING,
  PONG,
  REJECT,
  STOP,
  TOKEN,
} from "../../src/core/frames.js";
import { type Case, check, hex, hexOf, same } from "../assert.js";

const KINDS: Record<string, number> = {
  Hello: HELLO,
  HelloOther: HELLO,
  Open: OPEN,
  Accept: ACCEPT,
  Reject: REJECT,
  Message: MESSAGE,
  Begin: BEGIN,
  More: MORE,
  Close: CLOSE,
  Error: ERROR,
  Stop: STOP,
  Credit: CREDIT,
  Ping: PING,
  Pong: PONG,
  GoAway: GO_AWAY,
  Token: TOKEN,
  Unknown: 0,
};

/** Fields that are bytes, in the vectors' digits. */
const BYTES = ["fingerprint", "token", "arguments", "payload"];

/** A frame of the vectors as one of the client's. */
function frameOf(fields: Record<string, unknown>): Frame {
  const frame: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (name === "kind") frame.kind = KINDS[value as string];
    else if (value === null) frame[name] = undefined;
    else if (BYTES.includes(name))
      frame[name === "arguments" ? "payload" : name] = hex(value as string);
    else if (name === "limits") frame.limits = limitsOf(value as Record<string, number>);
    else if (name === "metadata") {
      const entries = value as { key: string; value: string }[];
      frame.metadata = entries.map((entry) => [entry.key, hex(entry.value)]);
    } else frame[name] = value;
  }
  check(frame.kind !== undefined, `no kind ${fields.kind}`);
  return frame as Frame;
}

function limitsOf(limits: Record<string, number>): Record<string, number> {
  const { half_window: halfWindow, connection_window: connectionWindow, ...rest } = limits;
  return {
    ...rest,
    halfWindow: halfWindow as number,
    connectionWindow: connectionWindow as number,
  };
}

/** Its fields in an order of their own: which one they are in says nothing. */
function sorted(frame: Frame): unknown {
  const sort = (value: unknown): unknown =>
    typeof value === "object" && value !== null && value.constructor === Object
      ? Object.fromEntries(
          Object.entries(value)
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, item]) => [key, sort(item)]),
        )
      : value;
  return sort(frame);
}

export const frameCases: Case[] = frames.map((vector) => ({
  name: `frames: ${vector.name}`,
  run() {
    const [packet, expected] = [hex(vector.hex), frameOf(vector.frame)];
    same([...decode(packet)].map(sorted), [sorted(expected)], "decoded");
    const encoded = new Writer();
    encode(encoded, expected);
    same(hexOf(encoded.take()) === hexOf(packet), vector.encodes, "encodes");
  },
}));

export const badFrameCases: Case[] = badFrames.map((vector) => ({
  name: `bad frames: ${vector.name}`,
  run() {
    try {
      for (const _ of decode(hex(vector.hex)));
    } catch (error) {
      check(error instanceof Violation, `no violation: ${error}`);
      return same(error.rule, vector.rule);
    }
    throw new Error("it decodes");
  },
}));
