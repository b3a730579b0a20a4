import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  type AddressInfo,
  createServer,
  connect as dial,
  type Server,
  type Socket,
} from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Network } from "./scenarios/env.js";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Builds a program of the workspace, and says where it is. */
export function cargo(...what: string[]): string {
  const args = [
    "build",
    "--quiet",
    "--locked",
    "--message-format=json-render-diagnostics",
    ...what,
  ];
  const stdio: ["ignore", "pipe", "inherit"] = ["ignore", "pipe", "inherit"];
  const output = execFileSync("cargo", args, { cwd: root, stdio, maxBuffer: 2 ** 28 });
  for (const line of output.toString().split("\n").reverse()) {
    const { executable } = line ? JSON.parse(line) : {};
    if (executable) return executable;
  }
  throw new Error(`cargo build ${what.join(" ")} made no program`);
}

export type RuntimeName = "tokio" | "smol";

/** A server process, which tells its address in the first line that it prints. */
export class Program {
  private constructor(
    readonly child: ChildProcess,
    readonly line: string,
  ) {}

  static async start(path: string, ...args: string[]): Promise<Program> {
    const child = spawn(path, args, { stdio: ["pipe", "pipe", "pipe"] });
    let errors = "";
    child.stderr?.on("data", (data) => {
      errors += data;
    });
    const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
    const ended = once(child, "exit").then(() => {
      throw new Error(`${path} ended early: ${errors}`);
    });
    const [line] = await Promise.race([once(lines, "line"), ended]);
    ended.catch(() => {});
    return new Program(child, line);
  }

  /** Ends it in order. */
  async stop(): Promise<void> {
    const ended = once(this.child, "exit");
    this.child.stdin?.end();
    if (this.child.exitCode === null) await ended;
  }

  async kill(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = once(this.child, "exit");
    this.child.kill("SIGKILL");
    await ended;
  }
}

/** A server, and a proxy before it that the test has in its hands. */
export class Rig implements Network {
  #program: Program;
  readonly #proxy: Server;
  readonly #mute = createServer();
  readonly #sockets = new Set<Socket>();
  #ever = 0;
  #isStalled = false;

  private constructor(
    private readonly path: string,
    private readonly runtime: RuntimeName,
    program: Program,
  ) {
    this.#program = program;
    this.#proxy = createServer((near) => this.#forward(near));
  }

  static async start(path: string, runtime: RuntimeName): Promise<Rig> {
    const rig = new Rig(path, runtime, await Program.start(path, runtime));
    rig.#proxy.listen(0, "127.0.0.1");
    await once(rig.#proxy, "listening");
    return rig;
  }

  get url(): string {
    return `ws://127.0.0.1:${portOf(this.#proxy)}`;
  }

  #forward(near: Socket): void {
    this.#ever++;
    const [host, port] = this.#program.line.split(":") as [string, string];
    const far = dial(Number(port), host);
    this.#sockets.add(near);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on("data", (data) => {
        if (!this.#isStalled) to.write(data);
      });
      from.on("error", () => {});
      from.on("close", () => {
        if (from === near) this.#sockets.delete(near);
        if (!this.#isStalled) to.destroy();
      });
    }
  }

  /** As if nothing had happened. */
  reset(): void {
    this.#isStalled = false;
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
    this.#ever = 0;
  }

  async cut(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
  }

  async stall(): Promise<void> {
    this.#isStalled = true;
  }

  async connections(): Promise<[number, number]> {
    return [this.#sockets.size, this.#ever];
  }

  async restart(inOrder: boolean): Promise<void> {
    await (inOrder ? this.#program.stop() : this.#program.kill());
    this.#program = await Program.start(this.path, this.runtime);
  }

  async shutdown(): Promise<void> {
    await this.#program.stop();
    this.#program = await Program.start(this.path, this.runtime);
  }

  async mute(): Promise<string> {
    if (!this.#mute.listening) {
      this.#mute.listen(0, "127.0.0.1");
      await once(this.#mute, "listening");
    }
    return `ws://127.0.0.1:${portOf(this.#mute)}`;
  }

  async nobody(): Promise<string> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const port = portOf(server);
    await new Promise((resolve) => server.close(resolve));
    return `ws://127.0.0.1:${port}`;
  }

  async end(): Promise<void> {
    this.reset();
    this.#proxy.close();
    this.#mute.close();
    await this.#program.kill();
  }
}

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
