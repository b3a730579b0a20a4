import { broken, decodeText, encodeText, Reader, times, Writer } from "./bytes.js";
import { ANNOUNCED, type Announced } from "./limits.js";

export const HELLO = 1;
export const OPEN = 2;
export const ACCEPT = 3;
export const REJECT = 4;
export const MESSAGE = 5;
export const BEGIN = 6;
export const MORE = 7;
export const CLOSE = 8;
export const ERROR = 9;
export const STOP = 10;
export const CREDIT = 11;
export const PING = 12;
export const PONG = 13;
export const GO_AWAY = 14;
export const TOKEN = 15;

/** Why a call was refused (R-REJECT-1); the place is the code. */
export const REJECTS = [
  "Failed",
  "NotFound",
  "InvalidArguments",
  "Unauthenticated",
  "Forbidden",
  "Busy",
  "Unavailable",
  "ContractMismatch",
] as const;
export type RejectCode = (typeof REJECTS)[number];

/** What ended a half (R-ERROR-1). */
export const FAULTS = ["Failed", "App", "Cancelled", "Revoked"] as const;
export type FaultCode = (typeof FAULTS)[number];

/** Why an endpoint goes away (R-AWAY-3). */
export const AWAYS = ["Shutdown", "Done", "Violation", "Version", "Timeout", "Expired"] as const;
export type AwayCode = (typeof AWAYS)[number];

interface OfHalf {
  call: number;
  half: number;
}

export interface Open {
  kind: typeof OPEN;
  call: number;
  parameters: number;
  method: string;
  fingerprint?: Uint8Array | undefined;
  token?: Uint8Array | undefined;
  metadata: (readonly [string, Uint8Array])[];
  payload: Uint8Array;
}

export type Frame =
  | {
      kind: typeof HELLO;
      major: 1;
      minor: number;
      limits: Announced;
      token?: Uint8Array | undefined;
    }
  | { kind: typeof HELLO; major: number; limits?: undefined }
  | Open
  | { kind: typeof ACCEPT; call: number }
  | { kind: typeof REJECT; call: number; code: RejectCode; detail: string }
  | ({ kind: typeof MESSAGE; payload: Uint8Array } & OfHalf)
  | ({ kind: typeof MORE; payload: Uint8Array } & OfHalf)
  | ({ kind: typeof BEGIN; total: number; payload: Uint8Array } & OfHalf)
  | ({ kind: typeof CLOSE } & OfHalf)
  | ({ kind: typeof STOP } & OfHalf)
  | ({ kind: typeof ERROR; code: FaultCode; payload: Uint8Array } & OfHalf)
  | ({ kind: typeof CREDIT; amount: number } & OfHalf)
  | { kind: typeof PING | typeof PONG }
  | { kind: typeof GO_AWAY; code: AwayCode; detail: string }
  | { kind: typeof TOKEN; token: Uint8Array }
  /** Of a later minor version (R-FRAME-4). */
  | { kind: 0; number: number };

export const LONGEST_TEXT = 255;
export const LONGEST_TOKEN = 4096;
export const MOST_METADATA = 64;
/** The largest payload of an error (R-ERROR-2). */
export const LONGEST_ERROR = 4096;

const scratch = new Writer();

function body(frame: Frame): Uint8Array {
  eachField(frame, (name, { put }) => put(scratch, (frame as Any)[name], frame.kind));
  return scratch.take();
}

/** Appends a frame. */
export function encode(packet: Writer, frame: Frame): void {
  packet.byte(frame.kind || (frame as { number: number }).number);
  packet.bytes(body(frame));
}

/** The length of a request's body, which is what it costs. */
export function bodyLength(open: Open): number {
  return body(open).length;
}

// biome-ignore lint/suspicious/noExplicitAny: a field of whatever type
interface Field<T = any> {
  put: (to: Writer, value: T, kind: number) => void;
  get: (from: Reader, kind: number) => T;
}

const number = (most?: number): Field<number> => ({
  put: (to, value) => to.number(value),
  get: (from) => from.number(most),
});

const text: Field<string> = {
  put: (to, value) => to.text(value),
  get(from) {
    const text = bytes(LONGEST_TEXT).get(from, 0);
    try {
      return decodeText(text);
    } catch {
      return from.fail("no UTF-8");
    }
  },
};

const bytes = (most: number): Field<Uint8Array> => ({
  put: (to, value) => to.bytes(value),
  get(from) {
    const length = from.number();
    return length > most ? from.fail(`${length} bytes`) : from.raw(length);
  },
});

function option<T>({ put, get }: Field<T>): Field<T | undefined> {
  return {
    put(to, value, kind) {
      to.byte(value === undefined ? 0 : 1);
      if (value !== undefined) put(to, value, kind);
    },
    get: (from, kind) => (from.flag() ? get(from, kind) : undefined),
  };
}

const U8 = number(0xff);
const U32 = number(0xffff_ffff);
const TOKEN_BYTES = bytes(LONGEST_TOKEN);

/** Codes that are not known have a meaning all the same (R-REJECT-1, R-ERROR-1, R-AWAY-3). */
const CODES: Record<number, readonly [names: readonly string[], unknown: string]> = {
  [REJECT]: [REJECTS, "Failed"],
  [ERROR]: [FAULTS, "Failed"],
  [GO_AWAY]: [AWAYS, "Done"],
};

const TYPES: Record<string, Field> = {
  major: number(),
  minor: number(),
  limits: {
    put(to, limits) {
      for (const name of ANNOUNCED) to.number(limits[name]);
    },
    get(from) {
      const limits: Record<string, number> = {};
      for (const name of ANNOUNCED) limits[name] = (name === "parameters" ? U8 : U32).get(from, 0);
      return limits;
    },
  },
  "token?": option(TOKEN_BYTES),
  token: TOKEN_BYTES,
  /** Extensions: none is known, and they are read over (R-HELLO-8). */
  none: {
    put: (to) => to.number(0),
    get(from) {
      for (let count = from.number(); count > 0; count--) {
        from.number();
        from.bytes();
      }
    },
  },
  call: U32,
  half: U8,
  parameters: U8,
  total: U32,
  amount: U32,
  method: text,
  detail: text,
  "fingerprint?": option({ put: (to, value) => to.raw(value), get: (from) => from.raw(8) }),
  metadata: {
    put(to, entries: Open["metadata"]) {
      to.number(entries.length);
      for (const [key, value] of entries) {
        to.text(key);
        to.bytes(value);
      }
    },
    get(from): Open["metadata"] {
      const count = from.number();
      if (count > MOST_METADATA) from.fail("too much metadata");
      return times(count, () => [text.get(from, 0), from.bytes()] as const);
    },
  },
  code: {
    put: (to, name, kind) => to.number(CODES[kind]?.[0].indexOf(name) as number),
    get(from, kind) {
      const [names, unknown] = CODES[kind] ?? [[], ""];
      return names[from.number()] ?? unknown;
    },
  },
  payload: { put: (to, value) => to.raw(value), get: (from) => from.raw(from.left) },
};

/** The fields of each kind. */
const FIELDS: Record<number, string> = {
  [HELLO]: "major minor limits token? none",
  [OPEN]: "call parameters method fingerprint? token? metadata payload",
  [ACCEPT]: "call",
  [REJECT]: "call code detail",
  [MESSAGE]: "call half payload",
  [BEGIN]: "call half total payload",
  [MORE]: "call half payload",
  [CLOSE]: "call half",
  [ERROR]: "call half code payload",
  [STOP]: "call half",
  [CREDIT]: "call half amount",
  [PING]: "",
  [PONG]: "",
  [GO_AWAY]: "code detail",
  [TOKEN]: "token",
};

// biome-ignore lint/suspicious/noExplicitAny: a frame by the names of its fields
type Any = any;

/** Goes through the fields of a kind. Of another version's Hello there is no more than that. */
function eachField(frame: Any, each: (name: string, type: Field) => void): void {
  for (const field of FIELDS[frame.kind]?.match(/\S+/g) ?? []) {
    each(field.replace("?", ""), TYPES[field] as Field);
    if (frame.major > 1 || frame.major === 0) return;
  }
}

/** The frames of a packet, until one is wrong, which is thrown as a `Violation`. */
export function* decode(packet: Uint8Array): Generator<Frame> {
  const outer = new Reader(packet, "R-FRAME-2");
  while (outer.left) {
    const kind = outer.byte();
    if (kind === 0 || kind > 0x7f) broken("R-FRAME-5", kind);
    yield decodeFields(kind, new Reader(outer.raw(outer.number()), "R-FRAME-3"));
  }
}

function decodeFields(kind: number, from: Reader): Frame {
  if (FIELDS[kind] === undefined) return { kind: 0, number: kind };
  const frame: Any = { kind };
  eachField(frame, (name, { get }) => {
    frame[name] = get(from, kind);
  });
  const most = frame.code === "App" ? LONGEST_ERROR : 0;
  if (kind === ERROR && frame.payload.length > most) from.fail("a payload too large");
  if (frame.major === 1 || kind !== HELLO) from.end();
  return frame;
}

/** A detail, cut at a character's boundary (R-TEXT-1). */
export function cut(detail: string): string {
  let text = detail;
  while (encodeText(text).length > LONGEST_TEXT) text = [...text].slice(0, -1).join("");
  return text;
}
