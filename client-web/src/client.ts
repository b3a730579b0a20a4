import type {
  ArgsOf,
  CallOptions,
  Endpoint,
  Method,
  Reply,
  Rest,
  ResultOf,
  Source,
} from "./contract.js";
import type { Connection } from "./core/connection.js";
import { announced, DEFAULTS, type Limits, wrongLimit } from "./core/limits.js";
import { lost, misfit, rejected, StreamError } from "./errors.js";
import { Exchange, tokenOf } from "./exchange.js";
import { Line, type WebSocketConstructor } from "./line.js";
import { decode } from "./schema.js";

type Token = string | Uint8Array;

/**
 * Where tokens come from: asked for each connection, and again, with `refused` true, when the server
 * has refused the last one; each call that was refused is then made again once. Nothing: go without,
 * or give up.
 */
export type TokenProvider = (refused: boolean) => Token | undefined | Promise<Token | undefined>;

/**
 * When to try again to connect, after an attempt that failed and is worth another. Each pause is
 * chosen evenly between nothing and a bound, which doubles from `base` up to `longest`: so clients that
 * lost the same server do not come back all at once.
 */
export interface RetryPolicy {
  /** How many attempts follow the first, before the calls that wait fail. 0 by default; may be `Infinity`. */
  attempts: number;
  /** The bound of the first pause, in milliseconds. 100 by default. */
  base: number;
  /** The highest bound, in milliseconds. 10,000 by default. */
  longest: number;
}

export interface ClientOptions {
  /** Says who the caller is. It goes with the connection, never in its URL. */
  token?: Token | TokenProvider | undefined;
  limits?: Partial<Limits> | undefined;
  retry?: Partial<RetryPolicy> | undefined;
  /** The class of the sockets, where there is none of that name: `ws`, on Node 20. */
  WebSocket?: unknown;
}

/** What a client's connection is doing. */
export type Status =
  /** There is none, and none is being made; why the last one ended, if that was no good end. */
  | { state: "disconnected"; error?: StreamError }
  | { state: "connecting" }
  | { state: "connected" }
  /** An attempt failed, and the next one is so many milliseconds away. */
  | { state: "waiting"; delay: number; error: StreamError };

/** A connection that stood for so long, in milliseconds, was a good one. */
const GOOD = 10_000;

/**
 * A client of a server. Does nothing until the first call.
 *
 * @param url `ws://` or `wss://`; in a browser also `http://`, `https://`, or relative to the page
 * @throws TypeError for a URL, limits or a token that cannot be
 */
export function connect(url: string | URL, options: ClientOptions = {}): Client {
  return new Client(url, options);
}

/**
 * Calls methods on a server, over one WebSocket that makes and closes itself.
 *
 * The first call connects; all calls share the connection, and those made while it is being made share
 * the attempt. Once no call has been open for a while, it is closed. When it is lost, the calls on it fail
 * with a `StreamError` of kind `lost`, and the next call connects anew. Nothing is ever sent twice.
 */
export class Client {
  readonly #url: string;
  readonly #limits: Limits;
  readonly #retry: RetryPolicy;
  readonly #WebSocket: WebSocketConstructor;
  readonly #provider: TokenProvider | undefined;
  #token: Uint8Array | undefined;
  /** Counts tokens, so that a refusal of an older one is known for one. */
  #generation = 0;
  #refreshing: Promise<boolean> | undefined;
  #status: Status = { state: "disconnected" };
  readonly #listeners = new Set<(status: Status) => void>();

  /** The connection, or the attempt to make one. */
  #line: Line | undefined;
  /** Connections that take no more calls, and still have some. */
  readonly #retired = new Set<Line>();
  /** Calls that wait for a connection. */
  readonly #waiting = new Set<Exchange>();
  /** The attempt that is going on, if one is. */
  #attempt: AbortController | undefined;
  /** How many connections in a row were no good, and when the next may be tried. */
  #failures = 0;
  #notBefore = 0;
  #connectedAt: number | undefined;

  constructor(url: string | URL, options: ClientOptions) {
    this.#url = addressOf(url);
    this.#limits = { ...DEFAULTS, ...options.limits };
    const wrong = wrongLimit(announced(this.#limits));
    if (wrong) throw new RangeError(`the limit ${wrong} is out of its bounds`);
    this.#retry = { attempts: 0, base: 100, longest: 10_000, ...options.retry };
    const WebSocket = options.WebSocket ?? (globalThis as { WebSocket?: unknown }).WebSocket;
    if (!WebSocket) throw new TypeError("there is no WebSocket here: give one, that of `ws` say");
    this.#WebSocket = WebSocket as WebSocketConstructor;
    const { token } = options;
    if (typeof token === "function") this.#provider = token;
    else if (token !== undefined) this.#token = tokenOf(token);
  }

  /** What the connection is doing. */
  get status(): Status {
    return this.#status;
  }

  /** Tells every change of the status from now on, until the function that is returned is called. */
  onStatus(listener: (status: Status) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Calls a method. The call begins at once, and nothing waits for the server: a method that returns a
   * stream gives a {@link Reply}, one that returns a value a promise.
   *
   * @throws TypeError or StreamError for arguments that do not fit the method
   */
  call<M extends Record<string, Method>, K extends keyof M & string>(
    endpoint: Endpoint<M>,
    method: K,
    ...[args, options]: Rest<M[K]>
  ): ResultOf<M[K]> {
    const spec = endpoint.methods[method];
    if (!spec) throw new TypeError(`${endpoint.name} has no method ${method}`);
    const make = () =>
      this.#begin(`${endpoint.name}.${method}`, spec, (args ?? []) as ArgsOf<M[K]>, options ?? {});
    return (spec.yields ? replyOf(spec, make()) : resultOf(spec, make)) as ResultOf<M[K]>;
  }

  #begin(
    name: string,
    method: Method,
    args: readonly unknown[],
    options: CallOptions & { streams?: Record<string, Source<unknown>> },
  ): Exchange {
    const refresh = this.#provider && ((exchange: Exchange) => void this.#refresh(exchange));
    const exchange = new Exchange(refresh, name, method, args, options);
    this.#start(exchange);
    return exchange;
  }

  /** Ends every call and closes the connection. A later call connects anew. */
  disconnect(): void {
    const error = lost({ reason: "local" });
    const [line, waiting] = [this.#line, this.#takeWaiting()];
    this.#line = undefined;
    this.#attempt?.abort();
    this.#attempt = undefined;
    for (const line of this.#retired) line.close();
    line?.close();
    for (const exchange of waiting) exchange.fail(error);
    this.#change({ state: "disconnected" });
  }

  /**
   * Replaces the token, on this connection and those to come; nothing signs out. What runs goes on, and
   * calls from now on are made with it.
   */
  setToken(token: Token | undefined): void {
    this.#token = token === undefined ? undefined : tokenOf(token);
    this.#generation++;
    this.#line?.connection?.setToken(this.#token ?? new Uint8Array());
  }

  #change(status: Status): void {
    const before = this.#status;
    if (before.state === status.state && status.state !== "waiting") return;
    this.#status = status;
    for (const listener of [...this.#listeners]) listener(status);
  }

  #start(exchange: Exchange): void {
    const { connection } = this.#line ?? {};
    if (connection?.isOpen) return exchange.open(connection, this.#generation);
    this.#waiting.add(exchange);
    if (this.#attempt) return;
    this.#retire();
    const attempt = new AbortController();
    this.#attempt = attempt;
    void this.#connect(attempt.signal);
  }

  /** A connection that takes no more calls gives its place to the next. */
  #retire(): void {
    const line = this.#line;
    this.#line = undefined;
    if (line && !line.error) this.#retired.add(line);
  }

  #takeWaiting(): Exchange[] {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    return waiting;
  }

  /** Makes a connection, again if the policy says so. */
  async #connect(signal: AbortSignal): Promise<void> {
    let error: StreamError = lost({ reason: "eof" });
    if (this.#status.state === "disconnected") error = this.#status.error ?? error;
    for (let tries = 0; ; tries++) {
      const delay = this.#notBefore - performance.now();
      if (delay > 0) {
        this.#change({ state: "waiting", delay, error });
        await pause(delay, signal);
      }
      // Whoever waited may have given up in the meantime.
      if (signal.aborted) return;
      if ([...this.#waiting].every(({ isOver }) => isOver)) return this.#give(error);
      this.#change({ state: "connecting" });
      const token = await this.#provide();
      if (signal.aborted) return;
      const failure = token.error ?? (await this.#dial(signal));
      if (signal.aborted || !failure) return;
      error = failure;
      this.#failed();
      if (!error.isRetryable || tries >= this.#retry.attempts) return this.#give(error);
    }
  }

  /** No connection: the calls that wait fail. */
  #give(error: StreamError): void {
    const waiting = this.#takeWaiting();
    this.#attempt = undefined;
    this.#line = undefined;
    this.#change({ state: "disconnected", error });
    for (const exchange of waiting) exchange.fail(error);
  }

  #failed(): void {
    this.#failures++;
    const { base, longest } = this.#retry;
    const bound = Math.min(base * 2 ** Math.min(this.#failures - 1, 31), longest);
    this.#notBefore = performance.now() + Math.random() * bound;
  }

  /** Asks the provider for the token of the next connection. */
  async #provide(): Promise<{ error?: StreamError }> {
    if (!this.#provider) return {};
    try {
      const token = await this.#provider(false);
      this.#token = token === undefined ? undefined : tokenOf(token);
      this.#generation++;
      return {};
    } catch (cause) {
      return { error: new StreamError("lost", "there is no token", { reason: "token", cause }) };
    }
  }

  /** One attempt. Resolves once there is a socket, or none. */
  #dial(signal: AbortSignal): Promise<StreamError | undefined> {
    return new Promise((resolve) => {
      const line: Line = new Line(this.#WebSocket, this.#url, this.#limits, this.#token, {
        onopen: (connection) => {
          this.#connectedAt = undefined;
          this.#attempt = undefined;
          resolve(undefined);
          this.#opened(connection);
        },
        onchange: () => {
          if (!line.connection) resolve(line.error);
          else this.#changed(line);
        },
      });
      this.#line = line;
      signal.addEventListener("abort", () => resolve(undefined), { once: true });
    });
  }

  #opened(connection: Connection): void {
    for (const exchange of this.#takeWaiting()) {
      if (!exchange.isOver) exchange.open(connection, this.#generation);
    }
  }

  /** The server has said who it is, goes away, or is gone. */
  #changed(line: Line): void {
    const closed = line.connection?.closed;
    if (closed) this.#retired.delete(line);
    if (line !== this.#line) return;
    if (!closed) {
      this.#connectedAt ??= performance.now();
      return this.#change({ state: "connected" });
    }
    this.#line = undefined;
    const isGood = ["idle", "local", "drained"].includes(closed.reason);
    if (isGood || performance.now() - (this.#connectedAt ?? Number.POSITIVE_INFINITY) > GOOD) {
      this.#failures = 0;
    }
    if (!isGood) this.#failed();
    const { error } = line;
    this.#change(isGood || !error ? { state: "disconnected" } : { state: "disconnected", error });
  }

  /** Makes a call again that was refused for its token, with a newer one if there is one. */
  async #refresh(exchange: Exchange): Promise<void> {
    const refused = rejected("Unauthenticated", "the token was refused");
    if (exchange.generation === this.#generation) {
      this.#refreshing ??= this.#renew().finally(() => {
        this.#refreshing = undefined;
      });
      if (!(await this.#refreshing)) return exchange.fail(refused);
    }
    if (!exchange.isOver) this.#start(exchange);
  }

  /** Gets a new token, for all who want one now. */
  async #renew(): Promise<boolean> {
    try {
      const token = await this.#provider?.(true);
      if (token === undefined) return false;
      this.setToken(token);
      return true;
    } catch {
      return false;
    }
  }
}

/** Waits, until it is over, given up, or the machine is online again. */
function pause(delay: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      globalThis.removeEventListener?.("online", done);
      resolve();
    };
    const timer = setTimeout(done, delay);
    signal.addEventListener("abort", done);
    globalThis.addEventListener?.("online", done);
  });
}

function addressOf(url: string | URL): string {
  const address = new URL(url, (globalThis as { location?: Location }).location?.href);
  address.protocol = address.protocol.replace("http", "ws");
  address.hash = "";
  if (!/^wss?:$/.test(address.protocol))
    throw new TypeError(`${address.protocol} is no WebSocket's`);
  return address.href;
}

function replyOf(method: Method, exchange: Exchange): Reply<unknown> {
  return {
    async next() {
      const message = await exchange.next();
      if (!message) return { done: true, value: undefined };
      try {
        return { done: false, value: decode(method.yields as never, message) };
      } catch (error) {
        exchange.cancel();
        throw misfit("decode", "a message", error);
      }
    },
    async return() {
      exchange.cancel();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

/** R-CALL-8: one message at most, and the end. */
async function resultOf(method: Method, make: () => Exchange): Promise<unknown> {
  const exchange = make();
  const messages: Uint8Array[] = [];
  for (let message = await exchange.next(); message; message = await exchange.next()) {
    messages.push(message);
    if (messages.length > 1) {
      exchange.cancel();
      throw misfit("decode", "the value", "there is more than one");
    }
  }
  if (!method.returns) return undefined;
  try {
    return decode(method.returns, messages[0] ?? new Uint8Array());
  } catch (error) {
    throw misfit("decode", "the value", error);
  }
}
