// Makes dist/: the modules with their declarations, and minified ones for pages without a bundler.
// `node build.mjs FOLDER` makes the minified ones alone, there.

import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { minified } from "./minified.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const [folder] = process.argv.slice(2);
const out = folder ?? join(here, "dist");

if (!folder) {
  rmSync(out, { recursive: true, force: true });
  const tsc = join(here, "node_modules/.bin/tsc");
  const { status } = spawnSync(tsc, ["-p", join(here, "tsconfig.build.json")], {
    stdio: "inherit",
  });
  if (status !== 0) process.exit(1);
}

await build({
  ...minified,
  entryPoints: [join(here, "src/index.ts")],
  outfile: join(out, "wirestream.min.js"),
});
await build({
  ...minified,
  entryPoints: [join(here, "src/value.ts")],
  outfile: join(out, "value.min.js"),
  plugins: [
    {
      // It uses what the other exports.
      name: "shared",
      setup: ({ onResolve }) =>
        onResolve({ filter: /schema\.js$/ }, () => ({
          path: "./wirestream.min.js",
          external: true,
        })),
    },
  ],
});
