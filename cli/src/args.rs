//! What can be said on the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

/// Calls methods of Wirestream servers, and measures servers.
#[derive(Debug, Parser)]
#[command(
    name = "wirestream",
    version,
    max_term_width = 100,
    after_help = "See `wirestream call --help` for examples."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Calls a method: messages in and out are JSON, one a line
    #[command(after_help = CALL_HELP)]
    Call(Call),
    /// Measures a server with a method that echoes
    #[command(after_help = BENCH_HELP)]
    Bench(Bench),
    /// Prints a script that completes the command line, for your shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

const CALL_HELP: &str = "\
STREAMS
  Standard input is read only if the method takes a stream, which --streams, --in or --contract says.
  Each line is a message; the end of the input ends the stream. With more streams than one a line is
  [2, message], a message for stream 2, or [2], its end. Ctrl-C gives the call up.

TYPES
  Messages do not say their types. Where nothing else is said all are `Value`, the self-describing
  type. Others are named as a contract prints them:
    bool  i8 .. i128  u8 .. u128  f32  f64  char  text  bytes  value  ()
    option T   [T]   map K to V   (A, B)   struct { x: f64, y: f64 }   enum { Off, On(u8) }
  A name stands for a type that is told behind it: '[Point]; Point = struct { x: f64, y: f64 }'.

EXAMPLES
  wirestream call ws://127.0.0.1:8080 Chat.rooms
  wirestream call ws://127.0.0.1:8080 Math.add 1 2 --args '(i64, i64)' --out i64
  echo '\"hello\"' | wirestream call ws://127.0.0.1:8080 Example.shout --in text --out text
  WIRESTREAM_TOKEN=\"$(pass show api)\" wirestream call wss://example.com Jobs.watch | jq .state

EXIT CODES
   0 the reply ended in order      10 rejected: not found
   1 a file or stream here failed  11 rejected: invalid arguments
   2 wrong usage or input          12 rejected: unauthenticated
   3 no connection                 13 rejected: forbidden
   4 the method failed             14 rejected: busy
   5 an error of the method's own  15 rejected: unavailable
   6 the connection was lost       16 rejected: contract mismatch
   7 cancelled or revoked          17 rejected: another reason
   8 a message is of another type  124 timed out, 130 Ctrl-C";

const BENCH_HELP: &str = "\
The method takes one stream and sends back each message of it. It is measured in three ways: a call
for each message; a message at a time on a stream that is open; as many as the stream takes.

EXAMPLES
  wirestream bench --serve 127.0.0.1:7000     # a server to measure, until Ctrl-C
  wirestream bench ws://127.0.0.1:7000
  wirestream bench ws://127.0.0.1:8080 --method Example.echo --size 1024 --concurrency 8 --json";

/// How a server is reached, and as whom.
#[derive(Args, Debug)]
pub(crate) struct Connect {
    /// A token that says who calls. Other users of this machine see it in the list of processes:
    /// --token-file, or WIRESTREAM_TOKEN in the environment, keep it private
    #[arg(long, short, conflicts_with = "token_file")]
    pub(crate) token: Option<String>,
    /// A file that holds the token; white space around it does not count
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// A header of the WebSocket's handshake, such as 'Origin: https://example.com'
    #[arg(long, short = 'H', value_name = "NAME: VALUE", value_parser = header)]
    pub(crate) header: Vec<(String, String)>,
    /// A PEM file of certificates to trust in place of those that the system trusts
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,
    /// How long connecting may take
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) connect_timeout: Duration,
}

#[derive(Args, Debug)]
pub(crate) struct Call {
    /// Where the server is: ws://host:port/path or wss://
    pub(crate) url: String,
    /// The method: Endpoint.method
    pub(crate) method: String,
    /// Its plain arguments, each in JSON
    #[arg(value_name = "ARGUMENT", allow_negative_numbers = true)]
    pub(crate) arguments: Vec<String>,
    /// How many streams the method takes [default: as many as --in says, else none]
    #[arg(long, short, value_name = "N", value_parser = clap::value_parser!(u8).range(..=16))]
    pub(crate) streams: Option<u8>,
    /// The types of the arguments: '(i64, text)'
    #[arg(long, value_name = "TYPES")]
    pub(crate) args: Option<String>,
    /// The type of a stream's messages; once for each stream
    #[arg(long = "in", short, value_name = "TYPE")]
    pub(crate) input: Vec<String>,
    /// The type of the reply's messages
    #[arg(long, short, value_name = "TYPE")]
    pub(crate) out: Option<String>,
    /// The type of the method's own error
    #[arg(long, short, value_name = "TYPE")]
    pub(crate) error: Option<String>,
    /// All of these types at once, as `Contract` prints them. A server that has another contract
    /// refuses the call
    #[arg(long, value_name = "CONTRACT", conflicts_with_all = ["args", "input", "out", "error", "streams"])]
    pub(crate) contract: Option<String>,
    /// Leaves out this optional stream of the contract, counted from 1
    #[arg(long, value_name = "N", requires = "contract")]
    pub(crate) without: Vec<usize>,
    /// A note beside the arguments
    #[arg(long, short, value_name = "KEY=VALUE", value_parser = metadata)]
    pub(crate) metadata: Vec<(String, String)>,
    /// How long the call may take, from connecting to its end [default: as long as it takes]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    #[command(flatten)]
    pub(crate) connect: Connect,
}

#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// Where the server is: ws://host:port/path or wss://
    #[arg(required_unless_present = "serve")]
    pub(crate) url: Option<String>,
    /// Serves Bench.echo, to be measured from elsewhere
    #[arg(long, value_name = "ADDRESS", num_args = 0..=1, default_missing_value = "127.0.0.1:0", conflicts_with = "url")]
    pub(crate) serve: Option<String>,
    /// The method that echoes
    #[arg(long, default_value = "Bench.echo")]
    pub(crate) method: String,
    /// How many bytes a message holds
    #[arg(long, default_value_t = 64, conflicts_with = "message", value_parser = clap::value_parser!(u32).range(..=16_777_216))]
    pub(crate) size: u32,
    /// Another message, in JSON
    #[arg(long, value_name = "JSON")]
    pub(crate) message: Option<String>,
    /// The type of the message, if the method takes another than `Value`
    #[arg(long = "in", short, value_name = "TYPE", requires = "message")]
    pub(crate) input: Option<String>,
    /// How many calls run at a time, on one connection
    #[arg(long, short, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) concurrency: u16,
    /// How long each of the three measurements takes
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// Prints the figures as JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) connect: Connect,
}

/// A year: clocks can count that far.
const MAX_TIME: Duration = Duration::from_secs(365 * 24 * 60 * 60);

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted")?;
    let time = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    match time {
        Duration::ZERO => Err("more than nothing is wanted".into()),
        time if time > MAX_TIME => Err("at most a year is wanted".into()),
        time => Ok(time),
    }
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("a name, a colon and a value are wanted")?;
    Ok((name.trim().into(), value.trim().into()))
}

fn metadata(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a key, `=` and a value are wanted")?;
    Ok((key.into(), value.into()))
}
