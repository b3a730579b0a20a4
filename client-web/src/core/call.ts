import type { Connection } from "./connection.js";
import { type FaultCode, LONGEST_ERROR, type Open, type RejectCode } from "./frames.js";
import { charge } from "./limits.js";

/** How a reply ended. */
export type End =
  | { end: "finished" | "cancelled" | "lost" }
  | { end: "fault"; code: FaultCode; payload: Uint8Array }
  | { end: "rejected"; code: RejectCode; detail: string };

/** What came of a message or of an end that was offered to a half. */
export type Sent = "ok" | "too-large" | "stopped" | "finished" | "over" | "lost";

/** One call: its reply, and its parameters. */
export class Call {
  /** `queued` until its `Open` is on the wire, `pending` until it is answered. */
  state: "queued" | "pending" | "active" | "over" = "queued";
  end: End | undefined;
  readonly parameters: Outbound[] = [];
  readonly reply = new Reply();
  /** What its end costs, until the application is done with it (R-ERROR-3). */
  endCost = 0;
  /** Its place in the queue for the connection's credit. */
  waits: { dead: boolean } | undefined;
  /** Called when there is something to take. */
  onreadable = (): void => {};

  constructor(
    readonly connection: Connection,
    /** Until it is sent. */
    public open: Open | undefined,
    readonly id: number,
    parameters: number,
    /** The length of its `Open`'s body. */
    readonly size: number,
  ) {
    for (let half = 1; half <= parameters; half++) this.parameters.push(new Outbound(this, half));
  }

  /** The next message, or the end behind all of them; nothing if nothing is there. */
  take(): Uint8Array | End | undefined {
    const message = this.reply.messages.shift();
    if (!message) return this.end;
    this.connection.giveBack(this, charge(message.length));
    return message;
  }

  /** Gives the call up, if it is not over, and is done with it. */
  release(): void {
    this.connection.release(this);
  }

  /** It is over: nothing more is sent. What came is still there to take. */
  finish(end: End): void {
    this.state = "over";
    this.end = end;
    this.open = undefined;
    this.reply.begun = undefined;
    for (const half of this.parameters) half.drop();
    this.onreadable();
  }
}

/** Half 0: what has come, and its books (R-CREDIT-8). */
export class Reply {
  readonly messages: Uint8Array[] = [];
  /** A message that is not whole yet. */
  begun: { bytes: Uint8Array; at: number; since: number } | undefined;
  window = 0;
  held = 0;
  owed = 0;

  /** What the server may believe to have, at most. */
  get available(): number {
    return this.window - this.held - this.owed;
  }
}

/** A message, or an end, on its way into a half. */
export interface Offer {
  payload: Uint8Array;
  /** If it is an end, which. */
  end?: "Close" | FaultCode | undefined;
  /** Told once: at once if nothing is in the way. */
  done: (sent: Sent) => void;
}

/** A parameter's sender. What is offered is accepted in order; what is accepted will be sent. */
export class Outbound {
  credit: number;
  /** What waits for the wire; the first may be there in part. */
  readonly queue: { payload: Uint8Array; at: number }[] = [];
  #state: "open" | "finishing" | "finished" | "stopped" = "open";
  /** What to say when the queue is empty. */
  end: { code: "Close" | FaultCode; payload: Uint8Array } | undefined;
  readonly #offers: Offer[] = [];
  /** The first of them is in the queue for the connection's credit. */
  #waits: { dead: boolean } | undefined;
  /** Called once the receiver wants no more, or the call is over. */
  onstop = (): void => {};

  constructor(
    readonly call: Call,
    readonly half: number,
  ) {
    this.credit = call.connection.peerLimits.halfWindow;
  }

  /** Whether the receiver may get more, and its credit matters. */
  get isLive(): boolean {
    return this.#state === "open" || this.#state === "finishing";
  }

  offer(offer: Offer): void {
    this.#offers.push(offer);
    this.advance();
  }

  /** Takes back what was offered and not accepted. */
  withdraw(): void {
    this.#offers.length = 0;
    this.#free();
  }

  #free(): void {
    if (this.#waits) this.#waits.dead = true;
    this.#waits = undefined;
  }

  /** Sees how far what is offered can go on. */
  advance(): void {
    for (let offer = this.#offers[0]; offer && !this.#waits; offer = this.#offers[0]) {
      const sent = this.#fate(offer);
      if (!sent) {
        if (!this.#waits) return;
      } else {
        this.#offers.shift();
        offer.done(sent);
      }
    }
  }

  /** What comes of an offer at once, if anything does. */
  #fate(offer: Offer): Sent | undefined {
    const { connection } = this.call;
    if (connection.closed) return "lost";
    if (this.call.state === "over") return "over";
    if (this.#state !== "open") return this.#state === "stopped" ? "stopped" : "finished";
    const { message } = connection.peerLimits;
    const size = offer.payload.length;
    if (offer.end) {
      if (size > LONGEST_ERROR) Object.assign(offer, { end: "Failed", payload: new Uint8Array() });
      if (offer.end !== "App") return this.#accept(offer);
    } else {
      if (size > message && connection.peer) return "too-large";
      if (size > message || this.credit <= 0) return;
    }
    let sent: Sent | undefined;
    let isLater = false;
    const waits = connection.acquire(charge(size), () => {
      this.#waits = undefined;
      sent = this.#accept(offer);
      if (!isLater) return;
      this.#offers.shift();
      offer.done(sent);
      this.advance();
    });
    isLater = true;
    if (!sent) this.#waits = waits;
    return sent;
  }

  #accept({ payload, end }: Offer): "ok" {
    if (end) {
      this.end = { code: end, payload };
      this.#state = "finishing";
    } else {
      this.credit -= charge(payload.length);
      this.queue.push({ payload, at: 0 });
      this.call.connection.queued += payload.length;
    }
    this.call.connection.ready(this);
    return "ok";
  }

  /** Its end is on the wire. */
  ended(): void {
    this.#state = "finished";
    this.end = undefined;
  }

  /** The receiver wants no more (R-HALF-3). */
  stop(): void {
    if (!this.isLive) return;
    this.#state = "stopped";
    this.drop();
  }

  /** Drops what is not sent. What the wire has seen nothing of has cost nothing. */
  drop(): void {
    const { connection } = this.call;
    let refund = this.end?.code === "App" ? charge(this.end.payload.length) : 0;
    for (const { payload, at } of this.queue.splice(0)) {
      connection.queued -= payload.length - at;
      if (!at) refund += charge(payload.length);
    }
    this.end = undefined;
    this.#free();
    this.advance();
    this.onstop();
    connection.refund(refund);
  }
}
