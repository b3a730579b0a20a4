import type { StreamError } from "./errors.js";
import type { AnySchema, Infer, Schema, Tuple } from "./schema.js";
import type { Sender } from "./sender.js";

/** A parameter stream of a method: its items, and the typed error that it may end with. */
export interface StreamSpec<T = unknown, E = unknown> {
  item: Schema<T>;
  error?: Schema<E> | undefined;
  /** `Option<Receiver<T>>` in Rust: it may be left out. */
  optional?: boolean | undefined;
}

/** A parameter stream with a typed error, or one that may be left out. A schema alone does for others. */
export function stream<T, E = never, const O extends boolean = false>(
  item: Schema<T>,
  { error, optional }: { error?: Schema<E>; optional?: O } = {},
): StreamSpec<T, E> & { optional: O } {
  return { item, error, optional: (optional ?? false) as O };
}

// biome-ignore lint/suspicious/noExplicitAny: a stream of whatever type
type AnyStream = AnySchema | StreamSpec<any, any>;

/** What a method takes and gives, as the Rust trait says. */
export interface Method {
  /** The plain arguments, in order. */
  args?: readonly AnySchema[];
  /** The parameter streams, in order. */
  streams?: Record<string, AnyStream>;
  /** The items of the stream that it returns. */
  yields?: AnySchema;
  /** The one value that it returns. */
  returns?: AnySchema;
  /** The error that it may fail with. */
  error?: AnySchema;
  /**
   * The contract that this was written for, in 16 hexadecimal digits as the Rust side prints them: the
   * call is then refused when the method has changed since. Left out, nothing is compared.
   */
  fingerprint?: string;
}

/** Methods under one name. */
export interface Endpoint<M extends Record<string, Method> = Record<string, Method>> {
  readonly name: string;
  readonly methods: M;
}

/**
 * An endpoint of the server.
 *
 * ```js
 * const Example = endpoint("Example", {
 *   count: { args: [u64], yields: u64 },
 *   sum: { streams: { numbers: i64 }, returns: i64, error: string },
 * });
 * ```
 */
export function endpoint<const M extends Record<string, Method>>(
  name: string,
  methods: M,
): Endpoint<M> {
  return { name, methods };
}

/** Where the items of a parameter stream come from. */
export type Source<T> = AsyncIterable<T> | Iterable<T> | Sender<T>;

type Item<S> = S extends StreamSpec<infer T, unknown> ? T : Infer<S>;
type IsOptional<S> = S extends { optional: true } ? true : false;

/** What is given for the streams of a method. */
export type Streams<S> = {
  [K in keyof S as IsOptional<S[K]> extends true ? never : K]: Source<Item<S[K]>>;
} & {
  [K in keyof S as IsOptional<S[K]> extends true ? K : never]?: Source<Item<S[K]>> | undefined;
};

/** What a call may be given besides its arguments. */
export interface CallOptions {
  /** Gives the call up. It then fails with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** A token for this call alone; an empty one: it goes without. */
  token?: string | Uint8Array | undefined;
  /** Notes for the server, as headers are. */
  metadata?: Record<string, string | Uint8Array> | undefined;
}

/** The arguments of a method. */
export type ArgsOf<M extends Method> = M["args"] extends readonly AnySchema[]
  ? Tuple<M["args"]>
  : [];

type OptionsOf<M extends Method> =
  M["streams"] extends Record<string, AnyStream>
    ? CallOptions & { streams: Streams<M["streams"]> }
    : CallOptions;

/** What follows the method's name in a call. What may be empty may be left out. */
export type Rest<M extends Method> =
  M["streams"] extends Record<string, AnyStream>
    ? [args: ArgsOf<M>, options: OptionsOf<M>]
    : ArgsOf<M> extends []
      ? [args?: [], options?: OptionsOf<M>]
      : [args: ArgsOf<M>, options?: OptionsOf<M>];

/**
 * A stream from the server. It is read with `for await`, and given up by `break`, `return()` or the
 * call's `signal`. It goes no further ahead of who reads it than the limits say, and stays open until
 * it is read to its end or given up.
 */
export interface Reply<T> extends AsyncIterableIterator<T, undefined, void> {
  next(): Promise<IteratorResult<T, undefined>>;
  /** Gives the call up. */
  return(): Promise<IteratorResult<T, undefined>>;
  [Symbol.asyncIterator](): Reply<T>;
}

/** What a call gives: a stream, or a promise of one value. */
export type ResultOf<M extends Method> = M["yields"] extends AnySchema
  ? Reply<Infer<M["yields"]>>
  : Promise<M["returns"] extends AnySchema ? Infer<M["returns"]> : undefined>;

/** The error that a method fails with, for `catch (error)`. */
export type ErrorOf<M extends Method> = StreamError<
  M["error"] extends AnySchema ? Infer<M["error"]> : never
>;

/** A stream's spec, from a schema alone too. */
export function specOf(stream: AnyStream): StreamSpec {
  return "item" in stream ? stream : { item: stream };
}
