//! `wirestream bench`.

mod report;
mod serve;
mod work;

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wirestream_tokio::{Client, Limits, Value};

use crate::args::Bench;
use crate::connect::client;
use crate::failure::Failure;
use crate::raw::Raw;
use crate::schema::{Schema, parse_type};
use crate::{interrupted, json, print};
use report::Report;
use work::{Measured, Work};

/// Measures, or serves what others measure.
pub(crate) async fn run(options: Bench) -> Result<(), Failure> {
    if let Some(address) = &options.serve {
        return serve::serve(address).await;
    }
    let url = options.url.as_deref().unwrap_or_default();
    let client = client(url, &options.connect, Limits::default().linger)?;
    let measured = async {
        match message(&options)? {
            Message::Value(value) => measure_all(&client, &options, value).await,
            Message::Typed(bytes) => measure_all(&client, &options, Raw(bytes)).await,
        }
    };
    let measured = tokio::select! {
        measured = measured => measured?,
        interrupted = interrupted() => return Err(interrupted),
    };
    let report = Report::new(url, &options, &measured);
    print(if options.json { report.json() } else { report.to_string() }.as_bytes())
}

/// What is sent and comes back.
enum Message {
    Value(Value),
    /// Encoded, of another type.
    Typed(Vec<u8>),
}

fn message(options: &Bench) -> Result<Message, Failure> {
    let Some(text) = &options.message else {
        return Ok(Message::Value(Value::Bytes(vec![0x5a; options.size as usize])));
    };
    let wrong = |error: json::Mismatch| Failure::Usage(format!("--message: {error}"));
    let json = json::parse(text).map_err(wrong)?;
    let Some(of) = &options.input else {
        return json::value::read(json).map(Message::Value).map_err(wrong);
    };
    let of: Schema = parse_type(of).map_err(|error| Failure::Usage(format!("--in: {error}")))?;
    let mut bytes = Vec::new();
    of.encode(json, &mut bytes).map_err(wrong)?;
    Ok(Message::Typed(bytes))
}

/// All three works, one after the other, with a bar where somebody sees it.
async fn measure_all<T>(client: &Client, options: &Bench, message: T) -> Result<Measured, Failure>
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static,
{
    let bytes = postcard::to_extend(&message, Vec::new());
    let bytes = bytes.map_err(|error| Failure::Usage(format!("the message: {error}")))?.len();
    let bar = bar(options.duration * 3);
    let work = Work {
        client,
        method: &options.method,
        message,
        at_a_time: options.concurrency,
        duration: options.duration,
    };
    bar.set_message("a call for each message");
    let calls = work.calls().await?;
    bar.set_message("a message at a time");
    let round_trips = work.round_trips().await?;
    bar.set_message("as many as it takes");
    let streamed = work.streamed().await?;
    bar.finish_and_clear();
    Ok(Measured { bytes, calls, round_trips, streamed })
}

fn bar(duration: Duration) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let steps = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30} {msg}").expect("a template");
    bar.set_style(style);
    let moving = bar.clone();
    tokio::spawn(async move {
        while !moving.is_finished() {
            moving.set_position(u64::try_from(moving.elapsed().as_millis()).unwrap_or(steps));
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    bar
}
