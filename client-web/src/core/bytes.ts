/**
 * The peer broke a rule of the protocol; `rule` is its id in the specification. The detail is the
 * number or the name that was wrong.
 */
export class Violation extends Error {
  constructor(
    readonly rule: string,
    detail: string | number,
  ) {
    super(`${rule}: ${detail}`);
  }
}

export function broken(rule: string, detail: string | number = ""): never {
  throw new Violation(rule, detail);
}

const utf8 = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 of a text. A surrogate that stands alone has none, and is refused. */
export function encodeText(text: string): Uint8Array {
  if (!text.isWellFormed()) throw new RangeError("a text with half a character");
  return utf8.encode(text);
}

export function decodeText(bytes: Uint8Array): string {
  return strict.decode(bytes);
}

/** Bytes that grow at their end. */
export class Writer {
  #bytes = new Uint8Array(64);
  /** How many there are. */
  at = 0;

  #room(more: number): void {
    const needed = this.at + more;
    if (needed <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
    bytes.set(this.#bytes.subarray(0, this.at));
    this.#bytes = bytes;
  }

  byte(byte: number): void {
    this.#room(1);
    this.#bytes[this.at++] = byte;
  }

  raw(bytes: Uint8Array): void {
    this.#room(bytes.length);
    this.#bytes.set(bytes, this.at);
    this.at += bytes.length;
  }

  /** A varint, of a safe integer. */
  number(number: number): void {
    let rest = number;
    for (; rest > 127; rest = Math.floor(rest / 128)) this.byte((rest % 128) | 128);
    this.byte(rest);
  }

  /** A varint, of any size. */
  big(number: bigint): void {
    let rest = number;
    for (; rest > 127n; rest >>= 7n) this.byte(Number(rest & 127n) | 128);
    this.byte(Number(rest));
  }

  /** Bytes with their length before them. */
  bytes(bytes: Uint8Array): void {
    this.number(bytes.length);
    this.raw(bytes);
  }

  text(text: string): void {
    this.bytes(encodeText(text));
  }

  /** The next so many bytes, to be written as numbers of a fixed length. */
  view(length: number): DataView {
    this.#room(length);
    this.at += length;
    return new DataView(this.#bytes.buffer, this.at - length);
  }

  /** What was written, as bytes of their own. */
  take(): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes.slice(0, this.at);
    this.at = 0;
    return bytes;
  }
}

/**
 * Bytes that are read from their beginning. What is wrong with a frame's fields breaks a `rule`; what
 * is wrong with a payload is a `RangeError`, and no violation (R-DATA-2).
 */
export class Reader {
  #at = 0;
  /** How many more elements there may be than bytes, and how deep one is (R-DATA-4). */
  spare = 16_384;
  depth = 0;

  constructor(
    private readonly all: Uint8Array,
    private readonly rule?: string,
  ) {}

  get left(): number {
    return this.all.length - this.#at;
  }

  fail(detail: string, rule = this.rule): never {
    throw rule ? new Violation(rule, detail) : new RangeError(detail);
  }

  /** The next so many bytes, which are not copied. */
  raw(length: number): Uint8Array {
    if (length > this.left) this.fail("it ends too early");
    this.#at += length;
    return this.all.subarray(this.#at - length, this.#at);
  }

  byte(): number {
    if (!this.left) this.fail("it ends too early");
    return this.all[this.#at++] as number;
  }

  /** A byte that is 0 or 1. */
  flag(): boolean {
    const byte = this.byte();
    if (byte > 1) this.fail(`${byte} where 0 or 1 is due`);
    return byte === 1;
  }

  /**
   * A varint of at most so much. Those of frames are as short as they can be (R-VARINT-1, R-VARINT-2);
   * those of payloads need not be (R-DATA-3).
   */
  number(most = Number.MAX_SAFE_INTEGER): number {
    let number = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      number += (byte & 127) * scale;
      if (number > most || scale > most) this.fail("a number too large", this.rule && "R-VARINT-2");
      if (this.rule && !byte && scale > 1) this.fail("a number too long", "R-VARINT-1");
      if (byte < 128) return number;
    }
  }

  /** A varint of a payload, of at most so many bits. */
  big(bits: number): bigint {
    let number = 0n;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      number |= BigInt(byte & 127) << BigInt(shift);
      if (shift >= bits || number >> BigInt(bits)) this.fail("a number too large");
      if (byte < 128) return number;
    }
  }

  /** Bytes with their length before them. */
  bytes(): Uint8Array {
    return this.raw(this.number());
  }

  text(): string {
    return decodeText(this.bytes());
  }

  /** The next so many bytes, to be read as numbers of a fixed length. */
  view(length: number): DataView {
    const bytes = this.raw(length);
    return new DataView(bytes.buffer, bytes.byteOffset);
  }

  /** Nothing trails it. */
  end(): void {
    if (this.left) this.fail("something trails it");
  }
}

/** Room is made as items come, not for what is only claimed (R-VALUE-5). */
export function times<T>(count: number, each: () => T): T[] {
  const items: T[] = [];
  while (items.length < count) items.push(each());
  return items;
}
