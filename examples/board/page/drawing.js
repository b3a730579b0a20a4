// What is on the board: what the server says, and over it what was drawn here and is on its way.

import { SIDE } from "/canvas.js";
import { bytes, connect, endpoint, struct, u8, u32, variants } from "/wirestream.min.js";

const PaintError = variants({ Outside: struct({ x: u8, y: u8 }), NoColour: u8 });

export const Drawing = endpoint("Drawing", {
  watch: {
    yields: variants({ Board: bytes, Pixel: struct({ x: u8, y: u8, colour: u8 }), People: u32 }),
  },
  paint: { args: [u8, u8, u8], error: PaintError },
});

/** How many pixels are sent at a time. */
const AT_ONCE = 24;
/** How long a refusal that is worth another try is waited out, in milliseconds. */
const PATIENCE = 2000;

export class Drawn {
  /** What the server has. */
  #sure = new Uint8Array(SIDE * SIDE);
  /** What was drawn here and the server has not shown yet, and how far it is: `due`, `sent` or `done`. */
  #mine = new Map();
  /** The pixels that are being sent: of one that is drawn over, the later colour waits. */
  #sending = new Set();
  #isWatching = false;
  #client;
  #tell;

  /** `tell` has `changed()`, `people(count)`, `trouble(words)` and `failed(error)`. */
  constructor(token, tell) {
    this.#tell = tell;
    this.#client = connect("/live", {
      token,
      retry: { attempts: Number.POSITIVE_INFINITY, base: 500 },
      limits: { ping: 5000, dead: 5000 },
    });
    this.watch();
  }

  get client() {
    return this.#client;
  }

  /** Whether the server has shown all that was drawn here. */
  get isSaved() {
    return this.#mine.size === 0;
  }

  colourAt(x, y) {
    return this.#mine.get(keyOf(x, y))?.colour ?? this.#sure[y * SIDE + x];
  }

  /** Watches the board, again whenever it has to, until that is no use. */
  async watch() {
    for (;;) {
      try {
        for await (const event of this.#client.call(Drawing, "watch")) this.#apply(event);
      } catch (error) {
        if (!error.isRetryable) return this.#tell.failed(error);
        // A lost connection waits by itself.
        if (error.kind === "rejected")
          await new Promise((go) => setTimeout(go, Math.random() * PATIENCE));
      } finally {
        this.#isWatching = false;
      }
    }
  }

  #apply({ type, value }) {
    if (type === "People") return this.#tell.people(value);
    if (type === "Board") {
      this.#sure = value;
      this.#isWatching = true;
      // What arrived is in there. What was on its way when the connection was lost is sent again.
      for (const [key, { step }] of this.#mine) if (step === "done") this.#mine.delete(key);
      this.#send();
    } else {
      const { x, y, colour } = value;
      this.#sure[y * SIDE + x] = colour;
      const mine = this.#mine.get(keyOf(x, y));
      if (mine && (mine.step === "done" || mine.colour === colour)) this.#mine.delete(keyOf(x, y));
    }
    this.#tell.changed();
  }

  /** Shows a pixel at once, and sends it. */
  paint(x, y, colour) {
    if (this.colourAt(x, y) === colour) return;
    this.#mine.set(keyOf(x, y), { x, y, colour, step: "due" });
    this.#tell.changed();
    this.#send();
  }

  #send() {
    if (!this.#isWatching) return;
    for (const pixel of this.#mine.values()) {
      if (this.#sending.size >= AT_ONCE) return;
      const isFree = !this.#sending.has(keyOf(pixel.x, pixel.y));
      if (pixel.step === "due" && isFree) void this.#sendOne(pixel);
    }
  }

  async #sendOne(pixel) {
    const { x, y, colour } = pixel;
    const forget = () => this.#mine.get(keyOf(x, y)) === pixel && this.#mine.delete(keyOf(x, y));
    pixel.step = "sent";
    this.#sending.add(keyOf(x, y));
    try {
      await this.#client.call(Drawing, "paint", [x, y, colour]);
      pixel.step = "done";
      if (this.#sure[y * SIDE + x] === colour) forget();
    } catch (error) {
      if (error.isRetryable) pixel.step = "due";
      else {
        forget();
        this.#tell.trouble(wordsOf(error));
      }
    } finally {
      this.#sending.delete(keyOf(x, y));
      this.#tell.changed();
      this.#send();
    }
  }
}

/** One of its own for each pixel, also of those that there are not. */
function keyOf(x, y) {
  return 256 * y + x;
}

/** An error in words. */
export function wordsOf(error) {
  if (error.kind === "app") {
    const { type, value } = error.value;
    if (type === "Outside") return `There is no pixel at ${value.x}, ${value.y}.`;
    return `There is no colour ${value}.`;
  }
  if (error.kind === "rejected" && error.code === "Unauthenticated") {
    return "The server does not know the token of this page's address.";
  }
  const { message } = error;
  return `${message.charAt(0).toUpperCase()}${message.slice(1)}.`;
}
