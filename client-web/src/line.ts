import { Connection } from "./core/connection.js";
import { type Limits, OUTBOUND } from "./core/limits.js";
import { lost, StreamError } from "./errors.js";

/** What a WebSocket has to have: those of browsers do, and `ws` for Node. */
export interface WebSocketLike {
  binaryType: string;
  readonly bufferedAmount: number;
  readonly protocol: string;
  // biome-ignore lint/suspicious/noExplicitAny: whatever events the implementation has
  onopen: ((event: any) => void) | null;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  onmessage: ((event: any) => void) | null;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  onclose: ((event: any) => void) | null;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  onerror: ((event: any) => void) | null;
  send(data: Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
  /** `ws` has it, and needs no answer from the other side. */
  terminate?(): void;
}

export type WebSocketConstructor = new (url: string, protocols: string) => WebSocketLike;

/** What a line tells its client. */
export interface Listener {
  /** There is a socket: calls may be opened. */
  onopen(connection: Connection): void;
  /** The connection has changed: the server has said who it is, goes away, or is gone. */
  onchange(): void;
}

const SUBPROTOCOL = "wirestream.v1";
/** How often one looks whether a full socket has room: it does not tell. */
const POLL = 5;

/** How late a timer may be set, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** One WebSocket, from the attempt to make it to its end, and the connection on it. */
export class Line {
  connection: Connection | undefined;
  /** Why there is none, or none any more. */
  error: StreamError | undefined;
  readonly #socket: WebSocketLike;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #timerAt = Number.POSITIVE_INFINITY;
  #isPumping = false;
  #detached = false;
  /** How much waited in the socket when it last took something, and when that was. */
  #waited = 0;
  #tookAt = 0;

  constructor(
    WebSocket: WebSocketConstructor,
    private readonly url: string,
    private readonly limits: Limits,
    private readonly token: Uint8Array | undefined,
    private readonly listener: Listener,
  ) {
    const socket = new WebSocket(url, SUBPROTOCOL);
    this.#socket = socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#onopen();
    socket.onmessage = ({ data }) =>
      this.connection?.receive(data instanceof ArrayBuffer ? new Uint8Array(data) : undefined);
    socket.onclose = () => this.#onclose();
    socket.onerror = () => {}; // the close follows, and knows as little
    this.#timer = setTimeout(
      () => this.#fail("no-answer", `${url} does not answer`),
      limits.handshake,
    );
  }

  #onopen(): void {
    clearTimeout(this.#timer);
    if (this.#socket.protocol !== SUBPROTOCOL) {
      return this.#fail("subprotocol", `${this.url} is no Wirestream server`);
    }
    const connection = new Connection(this.limits, this.token, now);
    this.connection = connection;
    connection.onwork = () => this.#work();
    connection.onchange = () => {
      if (connection.closed) this.error = lost(connection.closed);
      this.listener.onchange();
    };
    this.listener.onopen(connection);
    this.#work();
  }

  #onclose(): void {
    if (this.connection) this.connection.eof();
    else this.#fail("unreachable", `no connection to ${this.url}`);
    this.#detach();
  }

  /** There will be no connection. */
  #fail(reason: "unreachable" | "no-answer" | "subprotocol", message: string): void {
    if (this.error) return;
    this.error = new StreamError("lost", message, { reason });
    this.#detach();
    this.#socket.close();
    this.#socket.terminate?.();
    this.listener.onchange();
  }

  /** Ends it, with whatever is on it. */
  close(): void {
    if (this.connection) return this.connection.close();
    this.error ??= lost({ reason: "local" });
    this.#detach();
    this.#socket.close();
  }

  /** Nothing that the socket tells matters any more. */
  #detach(): void {
    clearTimeout(this.#timer);
    this.#detached = true;
    Object.assign(this.#socket, { onopen: null, onmessage: null, onclose: null });
  }

  /** Sends what there is to send, once whoever is at it has come to an end. */
  #work(): void {
    if (this.#isPumping || this.#detached) return;
    this.#isPumping = true;
    queueMicrotask(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    const { connection } = this;
    const socket = this.#socket;
    if (!connection || this.#detached) return;
    const waits = socket.bufferedAmount;
    if (waits < this.#waited || waits < OUTBOUND) this.#tookAt = now();
    this.#waited = waits;
    // What is final goes out behind whatever waits.
    let isFull = false;
    for (;;) {
      isFull = socket.bufferedAmount >= OUTBOUND && !connection.closed;
      const packet = isFull ? undefined : connection.transmit();
      if (!packet) break;
      socket.send(packet);
    }
    if (isFull && now() >= this.#tookAt + this.limits.dead) connection.eof("stalled");
    if (connection.closed) return this.#leave(connection.closed.reason);
    const deadline = isFull ? now() + POLL : connection.deadline();
    if (deadline < this.#timerAt) this.#arm(deadline);
  }

  #arm(deadline: number): void {
    clearTimeout(this.#timer);
    this.#timerAt = deadline;
    const wait = Math.min(Math.max(deadline - now(), 0), LONGEST_TIMER);
    this.#timer = setTimeout(() => {
      this.#timerAt = Number.POSITIVE_INFINITY;
      this.connection?.handleTimeout();
      this.#pump();
    }, Math.ceil(wait));
  }

  #leave(reason: string): void {
    this.#detach();
    this.#socket.close(1000);
    // There is nobody to answer the close.
    if (reason === "stalled" || reason === "timeout") this.#socket.terminate?.();
  }
}

function now(): number {
  return performance.now();
}
