// The canvas: what is where on it, and what fingers and mice mean.

export const SIDE = 64;

// The "Sweetie 16" palette, with its paper first: that is what an empty board is.
export const PALETTE = [
  ["#f4f4f4", "Paper"],
  ["#1a1c2c", "Ink"],
  ["#5d275d", "Plum"],
  ["#b13e53", "Red"],
  ["#ef7d57", "Orange"],
  ["#ffcd75", "Sand"],
  ["#a7f070", "Lime"],
  ["#38b764", "Green"],
  ["#257179", "Teal"],
  ["#29366f", "Navy"],
  ["#3b5dc9", "Blue"],
  ["#41a6f6", "Sky"],
  ["#73eff7", "Ice"],
  ["#94b0c2", "Mist"],
  ["#566c86", "Slate"],
  ["#333c57", "Night"],
];

const MARGIN = 14;
const LARGEST = 64;

/**
 * Shows `colourAt(x, y)` on a canvas, zoomed and moved by whoever looks, and tells `paint(x, y)` what
 * they draw.
 */
export class View {
  #canvas;
  #context;
  #colourAt;
  #paint;
  #onplace;
  /** The board as an image, one pixel each. */
  #image = new OffscreenCanvas(SIDE, SIDE);
  #pixels = new ImageData(SIDE, SIDE);
  #scale = 0; // of the canvas's pixels to one of the board's; 0: the whole board fits
  #middle = { x: SIDE / 2, y: SIDE / 2 };
  #pointers = new Map();
  #last;
  #hover;
  #isDue = false;

  constructor(canvas, colourAt, paint, onplace) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    this.#colourAt = colourAt;
    this.#paint = paint;
    this.#onplace = onplace;
    new ResizeObserver(() => this.draw()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.#down(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    for (const end of ["pointerup", "pointercancel"]) {
      canvas.addEventListener(end, (event) => this.#up(event));
    }
    canvas.addEventListener("pointerleave", () => this.#hovers(undefined));
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  get #fitting() {
    const { clientWidth, clientHeight } = this.#canvas;
    return Math.max((Math.min(clientWidth, clientHeight) - 2 * MARGIN) / SIDE, 1);
  }

  get scale() {
    return this.#scale || this.#fitting;
  }

  /** Where the board's upper left corner is. */
  get #corner() {
    const { clientWidth, clientHeight } = this.#canvas;
    return {
      x: Math.round(clientWidth / 2 - this.#middle.x * this.scale),
      y: Math.round(clientHeight / 2 - this.#middle.y * this.scale),
    };
  }

  /** The middle of a pixel, in the page. */
  where(x, y) {
    const { left, top } = this.#canvas.getBoundingClientRect();
    const corner = this.#corner;
    return {
      x: left + corner.x + (x + 0.5) * this.scale,
      y: top + corner.y + (y + 0.5) * this.scale,
    };
  }

  /** What is at a point of the canvas, in the board's measure. */
  #at({ x, y }) {
    const corner = this.#corner;
    return { x: (x - corner.x) / this.scale, y: (y - corner.y) / this.scale };
  }

  zoom(factor, around) {
    const { clientWidth, clientHeight } = this.#canvas;
    const point = around ?? { x: clientWidth / 2, y: clientHeight / 2 };
    const kept = this.#at(point);
    const scale = Math.min(Math.max(this.scale * factor, this.#fitting), LARGEST);
    if (scale <= this.#fitting) return this.fit();
    this.#scale = scale;
    // What was under the point stays there.
    this.#moveTo(
      kept.x - (point.x - clientWidth / 2) / scale,
      kept.y - (point.y - clientHeight / 2) / scale,
    );
  }

  fit() {
    this.#scale = 0;
    this.#moveTo(SIDE / 2, SIDE / 2);
  }

  /** Moves, but not so far that nothing is left to see. */
  #moveTo(x, y) {
    const within = (value) => Math.min(Math.max(value, 0), SIDE);
    this.#middle = this.#scale ? { x: within(x), y: within(y) } : { x: SIDE / 2, y: SIDE / 2 };
    this.draw();
  }

  draw() {
    if (this.#isDue) return;
    this.#isDue = true;
    requestAnimationFrame(() => {
      this.#isDue = false;
      this.#draw();
    });
  }

  #draw() {
    const { clientWidth, clientHeight } = this.#canvas;
    const ratio = devicePixelRatio;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.#canvas.width !== width || this.#canvas.height !== height) {
      Object.assign(this.#canvas, { width, height });
    }
    for (let y = 0; y < SIDE; y++) {
      for (let x = 0; x < SIDE; x++) {
        const [colour] = PALETTE[this.#colourAt(x, y)] ?? PALETTE[0];
        const rgb = Number.parseInt(colour.slice(1), 16);
        this.#pixels.data.set([rgb >> 16, (rgb >> 8) & 255, rgb & 255, 255], 4 * (y * SIDE + x));
      }
    }
    this.#image.getContext("2d").putImageData(this.#pixels, 0, 0);
    const context = this.#context;
    const corner = this.#corner;
    const size = SIDE * this.scale;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, clientWidth, clientHeight);
    context.shadowColor = "#000a";
    context.shadowBlur = 26;
    context.fillStyle = PALETTE[0][0];
    context.fillRect(corner.x, corner.y, size, size);
    context.shadowBlur = 0;
    context.imageSmoothingEnabled = false;
    context.drawImage(this.#image, corner.x, corner.y, size, size);
    if (this.scale >= 10) this.#drawGrid(corner, size);
    if (this.#hover) {
      const { x, y } = this.#hover;
      context.lineWidth = 2;
      context.strokeStyle = "#14151c";
      context.strokeRect(
        corner.x + x * this.scale,
        corner.y + y * this.scale,
        this.scale,
        this.scale,
      );
      context.lineWidth = 1;
      context.strokeStyle = "#fff";
      context.strokeRect(
        corner.x + x * this.scale,
        corner.y + y * this.scale,
        this.scale,
        this.scale,
      );
    }
  }

  #drawGrid(corner, size) {
    const context = this.#context;
    context.lineWidth = 1;
    context.strokeStyle = this.scale >= 18 ? "#1a1c2c26" : "#1a1c2c12";
    context.beginPath();
    for (let line = 1; line < SIDE; line++) {
      const at = line * this.scale;
      context.moveTo(corner.x + at, corner.y);
      context.lineTo(corner.x + at, corner.y + size);
      context.moveTo(corner.x, corner.y + at);
      context.lineTo(corner.x + size, corner.y + at);
    }
    context.stroke();
  }

  #down(event) {
    this.#canvas.setPointerCapture(event.pointerId);
    this.#pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    const draws = event.button === 0 && this.#pointers.size === 1;
    this.#last = draws ? this.#pixel(event) : undefined;
    this.#canvas.classList.toggle("moves", !draws);
    // A finger may be the first of two: it draws once it moves, or is lifted.
    if (draws && event.pointerType !== "touch") this.#paintAt(this.#last);
  }

  #pixel(event) {
    const { x, y } = this.#at({ x: event.offsetX, y: event.offsetY });
    return { x: Math.floor(x), y: Math.floor(y) };
  }

  #move(event) {
    const before = this.#pointers.get(event.pointerId);
    const now = { x: event.offsetX, y: event.offsetY };
    if (event.pointerType !== "touch") this.#hovers(this.#pixel(event));
    if (!before) return;
    if (this.#last) {
      const pixel = this.#pixel(event);
      for (const point of line(this.#last, pixel)) this.#paintAt(point);
      this.#last = pixel;
    } else {
      this.#pan(event.pointerId, before, now);
    }
    this.#pointers.set(event.pointerId, now);
  }

  /** One pointer moves the board; of two, the distance zooms too. */
  #pan(id, before, now) {
    const other = [...this.#pointers].find(([key]) => key !== id)?.[1];
    const share = other ? 2 : 1;
    const { x, y } = this.#middle;
    if (other) {
      const distance = (point) => Math.hypot(point.x - other.x, point.y - other.y);
      const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
      this.zoom(distance(now) / Math.max(distance(before), 1), middle);
    }
    const moved = other ? this.#middle : { x, y };
    this.#moveTo(
      moved.x - (now.x - before.x) / this.scale / share,
      moved.y - (now.y - before.y) / this.scale / share,
    );
  }

  #up(event) {
    const isTap = event.type === "pointerup" && event.pointerType === "touch";
    if (isTap && this.#last && this.#pointers.size === 1) this.#paintAt(this.#last);
    this.#pointers.delete(event.pointerId);
    this.#last = undefined;
    this.#canvas.classList.remove("moves");
  }

  #wheel(event) {
    event.preventDefault();
    this.zoom(2 ** (-event.deltaY / 240), { x: event.offsetX, y: event.offsetY });
  }

  #hovers(pixel) {
    const isOn = pixel && isOnBoard(pixel);
    this.#hover = isOn ? pixel : undefined;
    this.#onplace(this.#hover);
    this.draw();
  }

  #paintAt(pixel) {
    if (isOnBoard(pixel)) this.#paint(pixel.x, pixel.y);
  }
}

function isOnBoard({ x, y }) {
  return x >= 0 && y >= 0 && x < SIDE && y < SIDE;
}

/** The pixels from one to another, both included. */
function line(from, to) {
  const steps = Math.max(Math.abs(to.x - from.x), Math.abs(to.y - from.y), 1);
  return Array.from({ length: steps + 1 }, (_, step) => ({
    x: Math.round(from.x + ((to.x - from.x) * step) / steps),
    y: Math.round(from.y + ((to.y - from.y) * step) / steps),
  }));
}
