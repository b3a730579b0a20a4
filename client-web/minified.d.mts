import type { BuildOptions } from "esbuild";

export declare const minified: BuildOptions;
