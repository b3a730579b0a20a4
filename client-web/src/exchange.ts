import type { CallOptions, Method, Source, StreamSpec } from "./contract.js";
import { specOf } from "./contract.js";
import { encodeText, Writer } from "./core/bytes.js";
import type { Call, End } from "./core/call.js";
import type { Connection } from "./core/connection.js";
import { LONGEST_TEXT, LONGEST_TOKEN, MOST_METADATA } from "./core/frames.js";
import { fault, lost, misfit, rejected, StreamError } from "./errors.js";
import { decode } from "./schema.js";
import { drain, Sender } from "./sender.js";

interface Waiting {
  resolve: (item: Uint8Array | undefined) => void;
  reject: (error: unknown) => void;
}

/** One call as its caller sees it: made, perhaps made again with a new token, and read. */
export class Exchange {
  /** Which of the client's tokens it was made with. */
  generation = 0;
  #call: Call | undefined;
  readonly #request: Parameters<Connection["open"]>[0];
  readonly #senders: Sender<unknown>[] = [];
  readonly #waiting: Waiting[] = [];
  #isRepeatable: boolean;
  #failure: unknown;
  #isOver = false;
  readonly #unlisten: () => void;

  constructor(
    /** Makes a call again that was refused for its token, or fails it. */
    private readonly refresh: ((exchange: Exchange) => void) | undefined,
    name: string,
    private readonly method: Method,
    args: readonly unknown[],
    options: CallOptions & { streams?: Record<string, Source<unknown>> },
  ) {
    const { token, metadata, signal, streams = {} } = options;
    signal?.throwIfAborted();
    const specs = Object.entries(method.streams ?? {});
    const given = specs.flatMap(([name, stream], place) => {
      const [spec, source] = [specOf(stream), streams[name]];
      if (!source && !spec.optional) throw new TypeError(`the stream ${name} is missing`);
      return source ? [{ spec, source, place }] : [];
    });
    bounded(name, LONGEST_TEXT);
    this.#isRepeatable = refresh !== undefined && token === undefined && !given.length;
    this.#request = {
      method: name,
      parameters: given.length,
      fingerprint: method.fingerprint ? fingerprintOf(method.fingerprint) : undefined,
      token: token === undefined ? undefined : tokenOf(token),
      metadata: metadataOf(metadata ?? {}),
      payload: argumentsOf(method, args, specs, given),
    };
    for (const { spec, source } of given) this.#feed(spec, source);
    const onabort = () => this.cancel(signal?.reason);
    signal?.addEventListener("abort", onabort, { once: true });
    this.#unlisten = () => signal?.removeEventListener("abort", onabort);
  }

  #feed(spec: StreamSpec, source: Source<unknown>): void {
    const sender = source instanceof Sender ? source : new Sender<unknown>();
    sender.attach(spec, () => this.#sendFailure);
    this.#senders.push(sender);
    if (!(source instanceof Sender)) drain(source, sender, (error) => this.cancel(error));
  }

  /** Whether someone still waits for it. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Whether it was refused for its token, and is made again. */
  get #isRepeated(): boolean {
    const end = this.#call?.end;
    return this.#isRepeatable && end?.end === "rejected" && end.code === "Unauthenticated";
  }

  get #sendFailure(): unknown {
    if (this.#call?.end?.end === "lost") return this.#error(this.#call.end);
    return new StreamError("stopped", "the call is over");
  }

  /** Makes the call, on a connection that takes calls. */
  open(connection: Connection, generation: number): void {
    this.generation = generation;
    const call = connection.open(this.#request);
    this.#call = call;
    call.onreadable = () => this.#wake();
    this.#senders.forEach((sender, place) => {
      const parameter = call.parameters[place];
      if (parameter) sender.bind(parameter);
    });
    this.#wake();
  }

  /** The next message; nothing if the reply ended in order. */
  next(): Promise<Uint8Array | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#wake();
    });
  }

  #wake(): void {
    if (this.#isRepeated) {
      this.#isRepeatable = false;
      this.#call?.release();
      this.#call = undefined;
      return this.refresh?.(this);
    }
    while (this.#waiting[0]) {
      const item = this.#isOver ? undefined : this.#call?.take();
      if (!item && !this.#isOver) return;
      const { resolve, reject } = this.#waiting.shift() as Waiting;
      if (item instanceof Uint8Array) resolve(item);
      else {
        if (item && item.end !== "finished") this.#failure ??= this.#error(item);
        this.#end();
        const failure = this.#failure;
        // An error is told once; behind it there is nothing.
        this.#failure = undefined;
        if (failure === undefined) resolve(undefined);
        else reject(failure);
      }
    }
  }

  #error(end: End): unknown {
    if (end.end === "rejected") return rejected(end.code, end.detail);
    if (end.end === "lost") return lost(this.#call?.connection.closed ?? { reason: "eof" });
    const code = end.end === "fault" ? end.code : "Cancelled";
    if (end.end === "fault" && code === "App" && this.method.error) {
      try {
        return StreamError.app(decode(this.method.error, end.payload));
      } catch (error) {
        return misfit("decode", "the error", error);
      }
    }
    return fault(code);
  }

  /** It is over here, whatever the server still sends. */
  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#unlisten();
    this.#call?.release();
    for (const sender of this.#senders) sender.close(this.#sendFailure);
  }

  /** Gives the call up. With an error, that is what its reader gets. */
  cancel(error?: unknown): void {
    if (this.#isOver) return;
    this.#failure = error;
    this.#end();
    this.#wake();
  }

  /** It could not be made: there is no connection. */
  fail(error: StreamError): void {
    if (this.#isOver) return;
    for (const sender of this.#senders) sender.close(error);
    this.cancel(error);
  }
}

function argumentsOf(
  { args: schemas = [] }: Method,
  args: readonly unknown[],
  specs: readonly unknown[],
  given: readonly { place: number }[],
): Uint8Array {
  if (args.length !== schemas.length) {
    throw new TypeError(`${args.length} arguments, where ${schemas.length} are due`);
  }
  const payload = new Writer();
  try {
    schemas.forEach((schema, place) => {
      schema.write(payload, args[place]);
    });
  } catch (error) {
    throw misfit("encode", "an argument", error);
  }
  // R-OPEN-12: which of the optional streams are there.
  const isOptional = (stream: unknown) => specOf(stream as StreamSpec).optional;
  if (specs.some((entry) => isOptional((entry as [string, unknown])[1]))) {
    let present = 0;
    for (const { place } of given) {
      if (isOptional((specs[place] as [string, unknown])[1])) present += 2 ** place;
    }
    payload.number(present);
  }
  return payload.take();
}

function fingerprintOf(digits: string): Uint8Array {
  if (!/^[0-9a-f]{16}$/i.test(digits)) throw new TypeError(`no fingerprint: ${digits}`);
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}

function bounded(value: string | Uint8Array, most = Number.POSITIVE_INFINITY): Uint8Array {
  const bytes = typeof value === "string" ? encodeText(value) : value;
  if (bytes.length > most) throw new RangeError(`more than ${most} bytes`);
  return bytes;
}

/** A token as bytes. What it says is told to nobody. */
export function tokenOf(token: string | Uint8Array): Uint8Array {
  return bounded(token, LONGEST_TOKEN);
}

function metadataOf(metadata: Record<string, string | Uint8Array>): [string, Uint8Array][] {
  const entries = Object.entries(metadata);
  if (entries.length > MOST_METADATA) throw new RangeError("more than 64 entries of metadata");
  return entries.map(([key, value]) => {
    bounded(key, LONGEST_TEXT);
    return [key, bounded(value)];
  });
}
