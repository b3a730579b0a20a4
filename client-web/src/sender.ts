import type { Source, StreamSpec } from "./contract.js";
import type { Offer, Outbound } from "./core/call.js";
import type { FaultCode } from "./core/frames.js";
import { misfit, StreamError } from "./errors.js";
import { encode } from "./schema.js";

interface Step {
  value?: unknown;
  end?: "Close" | FaultCode;
}

/**
 * The writing end of a parameter stream, from [`channel`]. What is written goes out in order, and
 * each `write` resolves once there was room for it.
 */
export class Sender<T> {
  /** Resolves once the receiver wants no more, or the call is over. */
  readonly stopped: Promise<void>;
  #stop!: () => void;
  /** What was written before there was a call. */
  readonly #early: (() => void)[] = [];
  #spec: StreamSpec | undefined;
  /** How the call failed, once it is over. */
  #failure!: () => unknown;
  #half: Outbound | undefined;
  #isFinished = false;
  #error: unknown;

  constructor() {
    this.stopped = new Promise((resolve) => {
      this.#stop = resolve;
    });
  }

  /**
   * Sends a message, behind those before it. Await it: that is how a receiver that is slow slows
   * its sender down. Fails with a `StreamError`, of which `encode` and `too-large` leave the stream as
   * it was.
   */
  write(value: T): Promise<void> {
    if (this.#isFinished)
      return Promise.reject(new StreamError("stopped", "the stream is finished"));
    return this.#send({ value });
  }

  /** Ends the stream in order, behind what was written. */
  finish(): void {
    this.#finish({ end: "Close" });
  }

  /** Ends the stream with an error of its type, behind what was written. */
  fail(error: unknown): void {
    this.#finish({ end: "App", value: error });
  }

  /** Ends the stream as one that is cut off. */
  cancel(): void {
    this.#finish({ end: "Cancelled" });
  }

  /** Ends the stream as one that failed, without detail. */
  abort(): void {
    this.#finish({ end: "Failed" });
  }

  #finish(step: Step): void {
    if (this.#isFinished) return;
    this.#isFinished = true;
    this.#send(step).catch(() => {});
  }

  #send(step: Step): Promise<void> {
    return new Promise((resolve, reject) => {
      const send = () => this.#offer(step, resolve, reject);
      if (this.#half || this.#error) send();
      else this.#early.push(send);
    });
  }

  #offer({ value, end }: Step, resolve: () => void, reject: (error: unknown) => void): void {
    if (this.#error) return reject(this.#error);
    const { item, error } = this.#spec as StreamSpec;
    const offer: Offer = {
      payload: new Uint8Array(),
      end,
      done: (sent) => {
        if (sent === "ok") {
          if (end) this.#stop();
          resolve();
        } else if (sent === "too-large") {
          const message = `a message of ${offer.payload.length} bytes, where the receiver takes less`;
          reject(new StreamError(sent, message));
        } else {
          this.#stopped(sent === "over" || sent === "lost");
          reject(this.#error);
        }
      },
    };
    try {
      if (!end) offer.payload = encode(item, value);
      // An error that has no type here is told without detail.
      else if (end === "App" && error) offer.payload = encode(error, value);
      else if (end === "App") offer.end = "Failed";
    } catch (error) {
      if (!end) return reject(misfit("encode", "a message", error));
      offer.end = "Failed";
    }
    this.#half?.offer(offer);
  }

  /** A call takes it. */
  attach(spec: StreamSpec, failure: () => unknown): void {
    if (this.#spec) throw new TypeError("a stream that has gone with another call");
    this.#spec = spec;
    this.#failure = failure;
  }

  /** The call was opened. */
  bind(half: Outbound): void {
    this.#half = half;
    half.onstop = () => this.#stopped(half.call.state === "over");
    this.#flush();
  }

  #flush(): void {
    for (const send of this.#early.splice(0)) send();
  }

  #stopped(isOver: boolean): void {
    this.close(isOver ? this.#failure() : new StreamError("stopped", STOPPED));
  }

  /** Nothing more will be sent. */
  close(error: unknown): void {
    this.#error ??= error;
    this.#stop();
    this.#flush();
  }
}

const STOPPED = "the receiver wants no more of this stream";

/**
 * A stream that is written message by message. It is given to a call as one of its streams, and may be
 * written before.
 */
export function channel<T>(): Sender<T> {
  return new Sender();
}

/** Sends what a source has, and lets it go when the receiver wants no more. */
export async function drain<T>(
  source: Exclude<Source<T>, Sender<T>>,
  sender: Sender<T>,
  onmisfit: (error: unknown) => void,
): Promise<void> {
  let isStopped = false;
  let isDone: boolean | undefined = false;
  try {
    const iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
    sender.stopped
      .then(() => {
        isStopped = true;
        return isDone ? undefined : iterator.return?.();
      })
      .catch(() => {});
    for (;;) {
      const next = await iterator.next();
      isDone = next.done;
      if (isStopped) return;
      if (next.done) return sender.finish();
      await sender.write(next.value);
    }
  } catch (error) {
    if (isStopped) return;
    if (error instanceof StreamError && error.kind === "encode") onmisfit(error);
    if (error instanceof StreamError && error.kind === "app") sender.fail(error.value);
    else sender.abort();
  }
}
