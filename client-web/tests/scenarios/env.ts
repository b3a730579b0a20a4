import { decode, type Frame } from "../../src/core/frames.js";
import { type Client, type ClientOptions, connect, StreamError } from "../../src/index.js";
import type { WebSocketLike } from "../../src/line.js";
import { type Case, check, show } from "../assert.js";
import { Shapes } from "./contract.js";

/** What a test can do to the network between it and its server. */
export interface Network {
  /** Cuts every connection, without a word. */
  cut(): Promise<void>;
  /** Lets nothing through any more, in either direction, and tells nobody. */
  stall(): Promise<void>;
  /** How many connections there are, and how many there have been. */
  connections(): Promise<[now: number, ever: number]>;
  /** Stops the server in order, or with violence, and starts another at its place. */
  restart(inOrder: boolean): Promise<void>;
  /** Stops the server in order: it takes no more calls, and gives those that run a second. */
  shutdown(): Promise<void>;
  /** The URL of somebody who accepts connections and says nothing. */
  mute(): Promise<string>;
  /** A URL where nobody is. */
  nobody(): Promise<string>;
}

type SocketClass = new (url: string, protocol: string) => WebSocketLike;

/** Where a scenario runs. */
export class Env {
  readonly #clients: Client[] = [];

  constructor(
    readonly url: string,
    readonly network: Network,
    readonly WebSocket: SocketClass,
  ) {}

  /** A client that keeps its connection between calls. */
  connect(options: ClientOptions = {}, url = this.url): Client {
    const limits = { linger: 60_000, ...options.limits };
    const client = connect(url, { WebSocket: this.WebSocket, ...options, limits });
    this.#clients.push(client);
    return client;
  }

  /** How many watched calls have begun, and how many handlers there are. */
  async counts(): Promise<[number, number]> {
    const [begun, running] = await this.connect().call(Shapes, "counts");
    return [Number(begun), Number(running)];
  }

  end(): void {
    for (const client of this.#clients) client.disconnect();
  }
}

export type Scenario = Case & { run: (env: Env) => Promise<void> };

/** A scenario, titled by its id and its behaviour. */
export function scenario(name: string, run: (env: Env) => Promise<void>): Scenario {
  return { name, run } as Scenario;
}

/** A class of sockets that keeps the frames that go through. */
export function recording(WebSocket: SocketClass): {
  WebSocket: SocketClass;
  sent: Frame[];
  received: Frame[];
  urls: string[];
} {
  const [sent, received, urls]: [Frame[], Frame[], string[]] = [[], [], []];
  class Recording extends (WebSocket as new (url: string, protocol: string) => WebSocket) {
    constructor(url: string, protocol: string) {
      super(url, protocol);
      urls.push(url);
      this.addEventListener("message", ({ data }) => {
        received.push(...decode(new Uint8Array(data)));
      });
    }

    override send(data: Uint8Array<ArrayBuffer>): void {
      sent.push(...decode(data));
      super.send(data);
    }
  }
  return { WebSocket: Recording as unknown as SocketClass, sent, received, urls };
}

const LONG = 30_000;

/** Waits for something, but not for ever. */
export function soon<T>(what: string, promise: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} did not happen within ${LONG} ms`)), LONG);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const wait = async () => {
    while (!(await holds())) await sleep(5);
  };
  await soon(what, wait());
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** The error that something fails with. */
export async function failure(promise: Promise<unknown>): Promise<StreamError> {
  let value: unknown;
  try {
    value = await soon("an error", promise);
  } catch (error) {
    check(error instanceof StreamError, `no StreamError: ${error}`);
    return error;
  }
  throw new Error(`it gave ${show(value)} instead of failing`);
}

/** Why a call is refused. */
export async function refusal(promise: Promise<unknown>): Promise<string | undefined> {
  const error = await failure(promise);
  return error.kind === "rejected" ? error.code : `${error}`;
}

/** All that a stream has, and how it failed, if it did. */
export async function collect<T>(
  stream: AsyncIterable<T>,
): Promise<{ items: T[]; error?: StreamError }> {
  const items: T[] = [];
  const read = async () => {
    for await (const item of stream) items.push(item);
  };
  try {
    await soon("the end of a stream", read());
  } catch (error) {
    check(error instanceof StreamError, `no StreamError: ${error}`);
    return { items, error };
  }
  return { items };
}
