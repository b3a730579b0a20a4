/** What an endpoint takes as a receiver, and says so in `Hello`. Bytes, but for the last two. */
export interface Announced {
  /** The largest message. 262,144 by default. */
  message: number;
  /** The largest payload of one frame. 16,384 by default. */
  chunk: number;
  request: number;
  halfWindow: number;
  connectionWindow: number;
  calls: number;
  parameters: number;
}

/** What a client may be given to keep to. */
export interface Limits {
  /** The largest message that is taken, in bytes. 262,144 by default, 4,096 at least. */
  message: number;
  /** What may be unread on one stream, in bytes and one message. 262,144 by default. */
  halfWindow: number;
  /** What may be unread on all streams together, in bytes. 2,097,152 by default, `message` at least. */
  connectionWindow: number;
  /** How long a connection may take until the server has said who it is, in milliseconds. 5,000. */
  handshake: number;
  /** After so much silence the server is asked for a sign of life, in milliseconds. 15,000. */
  ping: number;
  /** And after so much more it is taken for dead, in milliseconds. 20,000. */
  dead: number;
  /** How long a message in chunks may take to become whole, in milliseconds. 300,000. */
  assembly: number;
  /** How long a connection without calls is kept, in milliseconds. 5,000. */
  linger: number;
}

export const DEFAULTS: Limits = {
  message: 262_144,
  halfWindow: 262_144,
  connectionWindow: 2_097_152,
  handshake: 5_000,
  ping: 15_000,
  dead: 20_000,
  assembly: 300_000,
  linger: 5_000,
};

/** What is announced as it is: the last three are nothing to a client. */
const FIXED = { chunk: 16_384, request: 65_536, calls: 100, parameters: 16 };

const GIB = 2 ** 30;

/** What every endpoint offers at least, and what one relies on before `Hello` (R-HELLO-6). */
export const FLOORS: Announced = {
  message: 4096,
  chunk: 4096,
  request: 4096,
  halfWindow: 4096,
  connectionWindow: 16_384,
  calls: 1,
  parameters: 1,
};

/** The limits in the order in which `Hello` has them, each with its ceiling. */
const CEILINGS: [keyof Announced, number][] = [
  ["message", GIB],
  ["chunk", 65_536],
  ["request", 65_536],
  ["halfWindow", GIB],
  ["connectionWindow", GIB],
  ["calls", 2 ** 20],
  ["parameters", 64],
];
export const ANNOUNCED = CEILINGS.map(([name]) => name);

export const LARGEST_WINDOW = GIB;
export const LARGEST_PACKET = 131_072;
/** A packet that is full (R-PACKET-5). */
export const FULL_PACKET = 16_384;
/** About how much a half sends at a turn (R-MSG-6). */
export const TURN = 4096;
/** What may wait for the socket before those who send wait too. */
export const OUTBOUND = 65_536;

/** The name of a limit that is out of its bounds (R-HELLO-5). */
export function wrongLimit(limits: Announced): string | undefined {
  const wrong = CEILINGS.find(
    ([name, ceiling]) => !(limits[name] >= FLOORS[name] && limits[name] <= ceiling),
  );
  if (wrong) return wrong[0];
  const { message, request, connectionWindow } = limits;
  return connectionWindow < Math.max(message, request) ? "connectionWindow" : undefined;
}

/** What a client announces. Windows start small, and grow (R-CREDIT-9). */
export function announced(limits: Limits): Announced {
  const { connectionWindow, halfWindow } = limits;
  const first = Math.min(Math.max(connectionWindow / 128, 16_384), connectionWindow / 4);
  return { ...FIXED, ...limits, halfWindow: Math.floor(Math.min(first, halfWindow)) };
}

/** What a message, request or error costs of the credit (R-CREDIT-1). */
export function charge(length: number): number {
  return Math.max(64, length);
}
