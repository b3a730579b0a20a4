import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";

const here = fileURLToPath(new URL("..", import.meta.url));
let folder: string;
/** Where the package is unpacked, beside a program that uses it. */
let unpacked: string;

function run(program: string, args: string[], cwd = folder): string {
  return execFileSync(program, args, { cwd, stdio: ["ignore", "pipe", "inherit"] }).toString();
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "wirestream-package-"));
  run("npm", ["pack", "--silent", "--pack-destination", folder], here);
  const [archive] = readdirSync(folder);
  run("tar", ["xzf", archive as string]);
  unpacked = join(folder, "node_modules/wirestream");
  cpSync(join(folder, "package"), unpacked, { recursive: true });
});

afterAll(() => rmSync(folder, { recursive: true }));

test("the package holds what a user needs, and nothing else", () => {
  const files = readdirSync(unpacked, { recursive: true }).map(String);
  for (const file of ["package.json", "README.md", "LICENSE-MIT", "LICENSE-APACHE"]) {
    expect(files).toContain(file);
  }
  for (const file of ["index.js", "index.d.ts", "value.js", "value.d.ts", "wirestream.min.js"]) {
    expect(files).toContain(join("dist", file));
  }
  expect(files.filter((file) => /test|\.ts$/.test(file) && !file.endsWith(".d.ts"))).toEqual([]);
  const { dependencies } = JSON.parse(readFileSync(join(unpacked, "package.json"), "utf8"));
  expect(dependencies).toBeUndefined();
});

test("a program of somebody else's imports it, and its types check", () => {
  const program = `
    import { connect, endpoint, StreamError, type Status, u64 } from "wirestream";
    import { Named, value, type Value } from "wirestream/value";

    const Example = endpoint("Example", {
      count: { args: [u64], yields: u64 },
      tell: { streams: { all: value }, returns: value },
    });
    const client = connect("ws://127.0.0.1:1", { WebSocket: class {} });
    const state: Status["state"] = client.status.state;
    async function use(): Promise<bigint> {
      const told: Value = await client.call(Example, "tell", [], { streams: { all: [1, new Named("A")] } });
      let sum = 0n;
      for await (const n of client.call(Example, "count", [3n])) sum += n;
      // @ts-expect-error a number is no u64
      client.call(Example, "count", [3]);
      // @ts-expect-error there is no such method
      client.call(Example, "missing");
      // @ts-expect-error a stream is missing
      client.call(Example, "tell", []);
      return told instanceof Named ? sum : 0n;
    }
    console.log(state, typeof use, new StreamError("failed", "x").isRetryable);
  `;
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "program.ts"), program);
  const options = ["--strict", "--target", "es2022", "--module", "nodenext", "--lib", "es2024,dom"];
  const tsc = join(here, "node_modules/.bin/tsc");
  run(tsc, [...options, "--types", "", "program.ts"]);
  expect(run("node", ["program.js"])).toBe("disconnected function false\n");
});

test("the minified module works on its own, and has at most 12 KB compressed", async () => {
  const minified = (name: string) => readFileSync(join(unpacked, "dist", name));
  const [main, value] = [minified("wirestream.min.js"), minified("value.min.js")];
  const size = gzipSync(main, { level: 9 }).length;
  console.log(
    `wirestream.min.js: ${main.length} bytes, ${size} with gzip, ` +
      `${brotliCompressSync(main).length} with brotli; ` +
      `value.min.js: ${gzipSync(value, { level: 9 }).length} more with gzip`,
  );
  expect(size).toBeLessThanOrEqual(12 * 1024);
  const program = `
    import { decode, encode } from "wirestream/wirestream.min.js";
    import { value } from "wirestream/value.min.js";
    console.log(decode(value, encode(value, [1, "a"])));
  `;
  writeFileSync(join(folder, "minified.js"), program);
  expect(run("node", ["minified.js"])).toBe("[ 1, 'a' ]\n");
});
