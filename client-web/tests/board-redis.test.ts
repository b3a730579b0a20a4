import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, connect as dial } from "node:net";
import { afterAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { bytes, type Client, connect, endpoint, struct, u8, u32, variants } from "../src/index.js";
import { cargo, Program, portOf } from "./network.js";

// One board for all servers that have the same Redis.

const path = cargo("-p", "wirestream-examples", "--example", "board");

const Drawing = endpoint("Drawing", {
  watch: {
    yields: variants({ Board: bytes, Pixel: struct({ x: u8, y: u8, colour: u8 }), People: u32 }),
  },
  paint: { args: [u8, u8, u8] },
});

const ending: (() => unknown)[] = [];

afterAll(async () => {
  for (const end of ending.reverse()) await end();
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = portOf(server);
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function redis(port: number): Promise<ChildProcess> {
  const args = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  const server = spawn("redis-server", args, { stdio: "ignore" });
  ending.push(() => server.kill("SIGKILL"));
  const isUp = () =>
    new Promise<boolean>((resolve) => {
      const socket = dial(port, "127.0.0.1", () => resolve(true)).on("error", () => resolve(false));
      socket.on("connect", () => socket.destroy());
    });
  await expect.poll(isUp, { timeout: 30_000 }).toBe(true);
  return server;
}

/** A server of the board, and somebody who watches there. */
class Seat {
  readonly board = new Uint8Array(64 * 64);
  people = 0;
  readonly #client: Client;

  private constructor(url: string) {
    this.#client = connect(url, { WebSocket, token: "anyone" });
    ending.push(() => this.#client.disconnect());
    void this.#watch().catch(() => {});
  }

  static async take(...args: string[]): Promise<Seat> {
    const program = await Program.start(path, "--listen", "127.0.0.1:0", ...args);
    ending.push(() => program.kill());
    return new Seat(`${program.line.replace(/^.*http/, "ws")}/live`);
  }

  async #watch(): Promise<void> {
    for await (const event of this.#client.call(Drawing, "watch")) {
      if (event.type === "Board") this.board.set(event.value);
      else if (event.type === "People") this.people = event.value;
      else this.board[64 * event.value.y + event.value.x] = event.value.colour;
    }
  }

  paint(x: number, y: number, colour: number): Promise<undefined> {
    return this.#client.call(Drawing, "paint", [x, y, colour]);
  }

  async shows(x: number, y: number, colour: number): Promise<void> {
    await expect.poll(() => this.board[64 * y + x], { timeout: 30_000 }).toBe(colour);
  }
}

test("servers with the same Redis have one board, also after Redis was away", async () => {
  const port = await freePort();
  const server = await redis(port);
  const shared = ["--redis", `redis://127.0.0.1:${port}`];
  const [ann, bob] = [await Seat.take(...shared), await Seat.take(...shared)];
  await expect.poll(() => [ann.people, bob.people], { timeout: 30_000 }).toEqual([2, 2]);
  await ann.paint(1, 2, 3);
  await bob.shows(1, 2, 3);
  await bob.paint(1, 2, 4);
  await ann.shows(1, 2, 4);
  // Who comes later has the whole board.
  const late = await Seat.take(...shared);
  await late.shows(1, 2, 4);
  // While Redis is away each server's people go on, and afterwards they have one board again.
  server.kill("SIGKILL");
  await once(server, "exit");
  await ann.paint(10, 10, 5);
  await ann.shows(10, 10, 5);
  await bob.paint(11, 11, 6);
  await redis(port);
  for (const seat of [ann, bob, late]) {
    await seat.shows(10, 10, 5);
    await seat.shows(11, 11, 6);
  }
}, 120_000);
