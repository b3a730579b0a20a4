import { broken, Violation, Writer } from "./bytes.js";
import { Call, type End, type Outbound } from "./call.js";
import {
  ACCEPT,
  type AwayCode,
  BEGIN,
  bodyLength,
  CLOSE,
  CREDIT,
  cut,
  decode,
  ERROR,
  encode,
  type Frame,
  GO_AWAY,
  HELLO,
  MESSAGE,
  MORE,
  OPEN,
  type Open,
  PING,
  PONG,
  REJECT,
  STOP,
  TOKEN,
} from "./frames.js";
import {
  type Announced,
  announced,
  charge,
  FLOORS,
  FULL_PACKET,
  LARGEST_PACKET,
  LARGEST_WINDOW,
  type Limits,
  OUTBOUND,
  TURN,
  wrongLimit,
} from "./limits.js";

/** Why a connection is over. */
export interface Closed {
  reason:
    | "local"
    | "peer"
    | "idle"
    | "drained"
    | "drain-expired"
    | "violation"
    | "accused"
    | "version"
    | "version-refused"
    | "handshake-timeout"
    | "message-timeout"
    | "timeout"
    | "peer-timeout"
    | "stalled"
    | "eof";
  /** Which rule the server broke. */
  rule?: string | undefined;
  /** What was said about it, for developers. */
  detail?: string | undefined;
}

interface Waiter {
  charge: number;
  dead: boolean;
  go: () => void;
}

type Request = Omit<Open, "kind" | "call">;

/** What a final `GoAway` ends the connection as (R-AWAY-2). */
const FAREWELLS: Record<AwayCode, Closed["reason"] | undefined> = {
  Shutdown: undefined,
  Done: "peer",
  Violation: "accused",
  Version: "version-refused",
  Timeout: "peer-timeout",
  Expired: "drain-expired",
};

const DONE: Frame = { kind: GO_AWAY, code: "Done", detail: "" };
const NOTHING = new Uint8Array();

/**
 * The client's end of a connection, without a socket and without a clock of its own: packets go in
 * and come out, and what it owes is made into frames only when a packet is asked for.
 */
export class Connection {
  closed: Closed | undefined;
  /** The server's limits, once it has said them. */
  peer: Announced | undefined;
  /** The server takes no new calls (R-AWAY-1). */
  draining = false;
  /** The bytes of messages that wait for the wire. */
  queued = 0;
  /** Called when the server's `Hello` has come, and when the connection is over. */
  onchange = (): void => {};
  /** Called when there may be something to transmit. */
  onwork = (): void => {};

  readonly #limits: Limits;
  readonly #announced: Announced;
  readonly #clock: () => number;
  /** Those that are not released. */
  readonly #calls = new Map<number, Call>();
  #lastId = 0;

  /** What may be sent, in all. */
  #credit = FLOORS.connectionWindow;
  readonly #waiters: Waiter[] = [];
  /** What came is held by its call, or owed to the server; with what half windows add up to. */
  #held = 0;
  #owed = 0;
  #windows = 0;

  // What is owed to the wire, in the order in which it goes out.
  #hello: Frame | undefined;
  #farewell: Frame | undefined;
  #pong = false;
  #ping = false;
  readonly #grants = new Set<Call>();
  readonly #stops: number[] = [];
  readonly #opens: (Call | Extract<Frame, { kind: typeof TOKEN }>)[] = [];
  readonly #ready = new Set<Outbound>();

  readonly #begun: number;
  #heard: number;
  #pinged: number | undefined;
  #idle: number;

  constructor(limits: Limits, token: Uint8Array | undefined, clock: () => number) {
    this.#limits = limits;
    this.#announced = announced(limits);
    this.#hello = { kind: HELLO, major: 1, minor: 0, limits: this.#announced, token };
    this.#clock = clock;
    this.#begun = this.#heard = this.#idle = clock();
  }

  /** What the server takes, as far as it is known (R-HELLO-6). */
  get peerLimits(): Announced {
    return this.peer ?? FLOORS;
  }

  // The application's side.

  /** Whether calls may be opened here: not once the server goes away. */
  get isOpen(): boolean {
    return !this.closed && !this.draining && this.#lastId < 2 ** 32 - 1;
  }

  open(request: Request): Call {
    const id = ++this.#lastId;
    const open: Open = { kind: OPEN, call: id, ...request };
    const call = new Call(this, open, id, request.parameters, bodyLength(open));
    this.#calls.set(id, call);
    if (this.#refuse(call)) return call;
    call.waits = this.acquire(charge(call.size), () => {
      this.#opens.push(call);
      this.onwork();
    });
    return call;
  }

  /** A request that is larger than the server takes is not sent: the server would not answer. */
  #refuse(call: Call): boolean {
    const most = this.peer?.request;
    if (!call.open || most === undefined || call.size <= most) return false;
    const detail = `a request of ${call.size} bytes, where the server takes at most ${most}`;
    this.#over(call, { end: "rejected", code: "InvalidArguments", detail });
    return true;
  }

  /** Replaces the connection's token (R-TOKEN-1). */
  setToken(token: Uint8Array): void {
    const { length } = this.#opens;
    if (this.#hello && !length) {
      this.#hello = { ...this.#hello, token } as Frame;
    } else {
      const last = this.#opens[length - 1];
      if (last && !(last instanceof Call)) last.token = token;
      else this.#opens.push({ kind: TOKEN, token });
    }
    this.onwork();
  }

  release(call: Call): void {
    if (!this.#calls.delete(call.id)) return;
    if (call.state === "pending" || call.state === "active") this.#stops.push(call.id);
    if (call.state !== "over") this.#over(call, { end: "cancelled" });
    for (const message of call.reply.messages.splice(0))
      this.giveBack(call, charge(message.length));
    this.#held -= call.endCost;
    this.#owe(call.endCost);
    this.#grants.delete(call);
    this.#idle = this.#clock();
    this.#settle();
    this.onwork();
  }

  /** Ends the connection in order; every call is lost. */
  close(): void {
    this.#end({ reason: "local" }, DONE);
  }

  // Credit that the server gives.

  /** Takes credit of the connection, now or in its turn (R-CREDIT-7). */
  acquire(charge: number, go: () => void): Waiter {
    const waiter = { charge, dead: false, go };
    this.#waiters.push(waiter);
    this.#serve();
    return waiter;
  }

  /** What was taken for what never reached the wire. */
  refund(charge: number): void {
    this.#credit = Math.min(this.#credit + charge, this.peerLimits.connectionWindow);
    this.#serve();
  }

  #serve(): void {
    for (let first = this.#waiters[0]; first; first = this.#waiters[0]) {
      if (!first.dead) {
        if (this.#credit < first.charge || this.queued >= OUTBOUND) return;
        this.#credit -= first.charge;
      }
      this.#waiters.shift();
      if (!first.dead) first.go();
    }
  }

  /** A half has something to send. */
  ready(half: Outbound): void {
    this.#ready.add(half);
    this.onwork();
  }

  // Credit that the server is given.

  /** The application has taken what came for a call, or it is dropped (R-CREDIT-5). */
  giveBack(call: Call, charge: number): void {
    this.#held -= charge;
    this.#owe(charge);
    const { reply } = call;
    reply.held -= charge;
    reply.owed += charge;
    if (call.state === "active" && 2 * reply.owed >= reply.window) {
      this.#grants.add(call);
      this.onwork();
    }
  }

  #owe(charge: number): void {
    this.#owed += charge;
    if (this.#isDue) this.onwork();
  }

  /** R-CREDIT-6 */
  get #isDue(): boolean {
    const { connectionWindow, message, request } = this.#announced;
    const crowded = this.#held + this.#owed > connectionWindow - Math.max(message, request);
    return this.#owed > 0 && (2 * this.#owed >= connectionWindow || crowded);
  }

  /** R-CREDIT-9: a window that is half used doubles, as far as there is room. */
  #grow(call: Call): void {
    const { reply } = call;
    if (2 * reply.available > reply.window) return;
    const taken = Math.max(this.#windows, this.#held);
    const free = Math.floor((this.#announced.connectionWindow * 0.75 - taken) / 2);
    const growth = Math.min(reply.window, this.#limits.halfWindow - reply.window, free);
    if (growth <= 0) return;
    reply.window += growth;
    reply.owed += growth;
    this.#windows += growth;
    this.#grants.add(call);
    this.onwork();
  }

  // The socket's side.

  /** A binary message came, or a text. What is wrong with it ends the connection (R-AWAY-5). */
  receive(packet: Uint8Array | undefined): void {
    if (this.closed) return;
    try {
      if (!packet) return broken("R-PACKET-4");
      if (!packet.length) broken("R-PACKET-3");
      this.#heard = this.#clock();
      this.#pinged = undefined;
      if (packet.length > LARGEST_PACKET) broken("R-PACKET-2", packet.length);
      for (const frame of decode(packet)) {
        this.#receive(frame, packet.length);
        if (this.closed) return;
      }
    } catch (violation) {
      if (!(violation instanceof Violation)) throw violation;
      const { rule, message: detail } = violation;
      this.#end({ reason: "violation", rule, detail }, away("Violation", detail));
    }
    this.onwork();
  }

  /** The transport is gone. */
  eof(reason: "eof" | "stalled" = "eof", detail?: string): void {
    this.#end({ reason, detail });
  }

  #receive(frame: Frame, packet: number): void {
    if (!this.peer && frame.kind !== HELLO && frame.kind !== GO_AWAY) {
      broken("R-HELLO-1");
    }
    switch (frame.kind) {
      case HELLO:
        return this.#onHello(frame);
      case OPEN:
        return broken("R-OPEN-2");
      case TOKEN:
        return broken("R-TOKEN-2");
      case PING:
        this.#pong = true;
        return;
      case GO_AWAY:
        return this.#onAway(frame);
      case ACCEPT:
      case REJECT:
        return this.#onAnswer(frame);
      case CREDIT:
        if (!frame.call && !frame.half) {
          this.#credit = granted(this.#credit, frame.amount, this.peerLimits.connectionWindow);
          return this.#serve();
        }
        return this.#onCredit(frame.call, frame.half, frame.amount);
      case STOP:
        return this.#parameter(this.#active(frame.call), frame.half)?.stop();
      case MESSAGE:
      case BEGIN:
      case MORE:
        return this.#onMessage(frame, packet);
      case CLOSE:
      case ERROR:
        return this.#onEnd(frame);
    }
  }

  #onHello(frame: Extract<Frame, { kind: typeof HELLO }>): void {
    if (this.peer) broken("R-HELLO-2");
    const { limits } = frame;
    if (!limits) {
      const detail = `the server speaks version ${frame.major}, this client version 1`;
      return this.#end({ reason: "version", detail }, away("Version", "supported: 1"));
    }
    const wrong = wrongLimit(limits);
    if (wrong) broken("R-HELLO-5", wrong);
    this.peer = limits;
    this.#credit += limits.connectionWindow - FLOORS.connectionWindow;
    for (const call of this.#calls.values()) {
      for (const half of call.parameters) half.credit += limits.halfWindow - FLOORS.halfWindow;
      this.#refuse(call);
    }
    this.#serve();
    for (const call of this.#calls.values()) for (const half of call.parameters) half.advance();
    this.onchange();
  }

  #onAway({ code, detail }: Extract<Frame, { kind: typeof GO_AWAY }>): void {
    const reason = FAREWELLS[code];
    if (reason) return this.#end({ reason, detail });
    this.draining = true;
    this.#settle();
    this.onchange();
  }

  /** A call that is not over; none if what names it is late. */
  #call(id: number): Call | undefined {
    const call = this.#calls.get(id);
    if (!id || id > this.#lastId || call?.state === "queued") broken("R-CALL-1", id);
    return call?.state === "over" ? undefined : call;
  }

  #active(id: number): Call | undefined {
    const call = this.#call(id);
    if (call?.state === "pending") broken("R-CALL-3", id);
    return call;
  }

  #parameter(call: Call | undefined, half: number): Outbound | undefined {
    const parameter = call?.parameters[half - 1];
    if (call && !parameter) broken("R-HALF-1", half);
    return parameter;
  }

  #onAnswer(frame: Extract<Frame, { kind: typeof ACCEPT | typeof REJECT }>): void {
    const call = this.#call(frame.call);
    if (!call) return;
    if (call.state === "active") broken("R-CALL-3", call.id);
    if (frame.kind === REJECT) {
      const { code, detail } = frame;
      return this.#over(call, { end: "rejected", code, detail });
    }
    call.state = "active";
    call.reply.window = this.#announced.halfWindow;
    this.#windows += call.reply.window;
  }

  #onCredit(id: number, half: number, amount: number): void {
    const parameter = this.#parameter(this.#active(id), half);
    if (!parameter?.isLive) return;
    parameter.credit = granted(parameter.credit, amount, LARGEST_WINDOW);
    parameter.advance();
  }

  /** What something costs, if the server's credit covers it (R-CREDIT-3). */
  #charge(length: number): number {
    const cost = charge(length);
    if (cost > this.#announced.connectionWindow - this.#held - this.#owed)
      broken("R-CREDIT-3", cost);
    return cost;
  }

  #onMessage(
    frame: Extract<Frame, { kind: typeof MESSAGE | typeof BEGIN | typeof MORE }>,
    packet: number,
  ): void {
    const { kind, payload } = frame;
    const { chunk, message } = this.#announced;
    const total = kind === BEGIN ? frame.total : payload.length;
    if (payload.length > (kind === MESSAGE ? Math.min(chunk, message) : chunk)) {
      broken("R-MSG-1", payload.length);
    }
    if (total > message) broken("R-MSG-2", total);
    if (kind === BEGIN && (!payload.length || payload.length >= total)) {
      broken("R-MSG-3", total);
    }
    const call = this.#active(frame.call);
    if (kind === MORE) return call && this.#onMore(call, frame.half, payload);
    const cost = this.#charge(total);
    if (!call) return this.#owe(cost);
    const reply = replyOf(call, frame.half);
    if (reply.begun) broken("R-MSG-3", call.id);
    if (reply.available <= 0) broken("R-CREDIT-2", call.id);
    this.#held += cost;
    reply.held += cost;
    if (kind === BEGIN) {
      const bytes = new Uint8Array(total);
      bytes.set(payload);
      reply.begun = { bytes, at: payload.length, since: this.#clock() };
    } else {
      // A small part of a packet must not keep all of it.
      reply.messages.push(2 * payload.length < packet ? payload.slice() : payload);
      call.onreadable();
    }
    this.#grow(call);
  }

  #onMore(call: Call, half: number, payload: Uint8Array): void {
    const reply = replyOf(call, half);
    const { begun } = reply;
    const left = begun ? begun.bytes.length - begun.at : 0;
    if (!begun || !payload.length || payload.length > left) {
      broken("R-MSG-3", payload.length);
    }
    begun.bytes.set(payload, begun.at);
    begun.at += payload.length;
    if (payload.length < left) return;
    reply.begun = undefined;
    reply.messages.push(begun.bytes);
    call.onreadable();
  }

  #onEnd(frame: Extract<Frame, { kind: typeof CLOSE | typeof ERROR }>): void {
    const call = this.#active(frame.call);
    const payload = frame.kind === ERROR ? frame.payload : NOTHING;
    const isApp = frame.kind === ERROR && frame.code === "App";
    const cost = isApp ? this.#charge(payload.length) : 0;
    if (call && replyOf(call, frame.half).begun) {
      broken("R-MSG-3", call.id);
    }
    if (!call) return this.#owe(cost);
    this.#held += cost;
    call.endCost = cost;
    const end: End =
      frame.kind === ERROR
        ? { end: "fault", code: frame.code, payload: payload.slice() }
        : { end: "finished" };
    this.#over(call, end);
  }

  #over(call: Call, end: End): void {
    this.#windows -= call.reply.window;
    if (call.waits) call.waits.dead = true;
    const place = this.#opens.indexOf(call);
    if (place >= 0) {
      this.#opens.splice(place, 1);
      this.refund(charge(call.size));
    }
    // The rest of a message that is there in part will not come.
    const { begun } = call.reply;
    if (begun) this.giveBack(call, charge(begun.bytes.length));
    call.finish(end);
    this.#serve();
  }

  #end(closed: Closed, farewell?: Frame): void {
    if (this.closed) return;
    this.closed = closed;
    this.#farewell = farewell;
    if (!farewell) this.#hello = undefined;
    this.#waiters.length = 0;
    for (const call of this.#calls.values()) {
      if (call.state !== "over") call.finish({ end: "lost" });
    }
    this.onchange();
    this.onwork();
  }

  /** A draining connection ends with its last call (R-AWAY-1). */
  #settle(): void {
    if (this.draining && !this.#calls.size) this.#end({ reason: "drained" }, DONE);
  }

  // What goes out.

  /** The next packet, if there is something to say. */
  transmit(): Uint8Array<ArrayBuffer> | undefined {
    const packet = new Writer();
    const put = (frame: Frame | undefined) => frame && encode(packet, frame);
    put(this.#hello);
    this.#hello = undefined;
    if (this.closed) {
      put(this.#farewell);
      this.#farewell = undefined;
      return packet.at ? packet.take() : undefined;
    }
    if (this.#pong) put({ kind: PONG });
    if (this.#ping) put({ kind: PING });
    this.#pong = this.#ping = false;
    if (this.#isDue) {
      put({ kind: CREDIT, call: 0, half: 0, amount: this.#owed });
      this.#owed = 0;
    }
    for (const call of this.#grants) {
      if (call.state === "active")
        put({ kind: CREDIT, call: call.id, half: 0, amount: call.reply.owed });
      call.reply.owed = 0;
    }
    this.#grants.clear();
    for (const call of this.#stops.splice(0)) put({ kind: STOP, call, half: 0 });
    this.#putOpens(packet);
    this.#putHalves(packet);
    this.#serve();
    return packet.at ? packet.take() : undefined;
  }

  #putOpens(packet: Writer): void {
    while (packet.at < FULL_PACKET) {
      const next = this.#opens[0];
      if (!next) return;
      if (next instanceof Call) {
        const open = next.open as Open;
        if (next.size > this.peerLimits.request) return; // R-HELLO-6
        encode(packet, open);
        next.open = undefined;
        next.state = "pending";
        for (const half of next.parameters) this.#ready.add(half);
      } else {
        encode(packet, next);
      }
      this.#opens.shift();
    }
  }

  /** Halves take turns (R-MSG-6). */
  #putHalves(packet: Writer): void {
    // A half that is put back stands at the end of the set, and is come to again.
    for (const half of this.#ready) {
      if (packet.at >= FULL_PACKET) return;
      this.#ready.delete(half);
      // One whose call is not open yet comes back with its `Open`.
      if (half.call.state !== "queued" && this.#putTurn(packet, half)) this.#ready.add(half);
    }
  }

  /** Whether there is more to send. */
  #putTurn(packet: Writer, parameter: Outbound): boolean {
    const { chunk } = this.peerLimits;
    const name = { call: parameter.call.id, half: parameter.half };
    const { queue } = parameter;
    for (let used = 0; used < TURN; ) {
      const first = queue[0];
      if (!first) {
        const { end } = parameter;
        if (!end) return false;
        const kind = end.code === "Close" ? CLOSE : ERROR;
        encode(packet, { kind, ...name, ...end } as Frame);
        parameter.ended();
        return false;
      }
      const total = first.payload.length;
      const payload = first.payload.subarray(first.at, first.at + chunk);
      const kind = total <= chunk ? MESSAGE : first.at ? MORE : BEGIN;
      encode(packet, { kind, ...name, total, payload } as Frame);
      first.at += payload.length;
      this.queued -= payload.length;
      used += charge(payload.length);
      if (first.at === total) queue.shift();
    }
    return true;
  }

  // Time.

  /** When what is due, and what is done then. */
  get #deadlines(): [at: number, due: (now: number) => void][] {
    const { handshake, ping, dead, linger, assembly } = this.#limits;
    const deadlines: [number, (now: number) => void][] = [];
    if (this.closed) return deadlines;
    const tooLong = (reason: "handshake-timeout" | "message-timeout" | "timeout") => () =>
      this.#end({ reason }, away("Timeout", "silent for too long"));
    if (!this.peer) deadlines.push([this.#begun + handshake, tooLong("handshake-timeout")]);
    for (const { reply } of this.#calls.values()) {
      // R-MSG-7
      if (reply.begun) deadlines.push([reply.begun.since + assembly, tooLong("message-timeout")]);
    }
    if (!this.#calls.size) {
      deadlines.push([this.#idle + linger, () => this.#end({ reason: "idle" }, DONE)]);
    }
    const ask = (now: number) => {
      this.#ping = true;
      this.#pinged = now;
    };
    const pinged = this.#pinged;
    if (pinged === undefined) deadlines.push([this.#heard + ping, ask]);
    // Who comes so late has been asleep, as tabs are, and has not listened: it asks again.
    else
      deadlines.push([
        pinged + dead,
        (now) => (now < pinged + 2 * dead ? tooLong("timeout")() : ask(now)),
      ]);
    return deadlines;
  }

  /** When to call `handleTimeout`. */
  deadline(): number {
    return Math.min(...this.#deadlines.map(([at]) => at));
  }

  /** Sees to the deadlines that have passed. Needless calls are harmless. */
  handleTimeout(): void {
    const now = this.#clock();
    for (const [at, due] of this.#deadlines) if (now >= at) due(now);
    this.onwork();
  }
}

function away(code: "Violation" | "Version" | "Timeout", detail: string): Frame {
  return { kind: GO_AWAY, code, detail: cut(detail) };
}

/** R-CREDIT-4 */
function granted(credit: number, amount: number, most: number): number {
  if (!amount || credit + amount > most) broken("R-CREDIT-4", amount);
  return credit + amount;
}

function replyOf(call: Call, half: number): Call["reply"] {
  if (half) broken("R-HALF-1", half);
  return call.reply;
}
