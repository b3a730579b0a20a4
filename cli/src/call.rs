//! `wirestream call`.

mod input;
mod output;
mod plan;

use std::pin::pin;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use wirestream_tokio::{Receiver, StreamError};

use crate::args::Call;
use crate::connect::{FAREWELL, client, leave};
use crate::failure::Failure;
use crate::interrupted;
use crate::json;
use crate::raw::Raw;
use crate::schema::Schema;
use input::Input;
use output::Output;
use plan::Plan;

/// Makes the call; returns once it is over.
pub(crate) async fn run(options: Call) -> Result<(), Failure> {
    let plan = Plan::new(&options)?;
    let client = client(&options.url, &options.connect, Duration::ZERO)?;
    let changes = client.status_changes();
    let mut call = client.call(options.method).arguments(&Raw(plan.arguments));
    if let Some(fingerprint) = plan.fingerprint {
        call = call.fingerprint(fingerprint);
    }
    for (key, value) in options.metadata {
        call = call.metadata(key, value);
    }
    let mut input = Input::default();
    for (number, of) in plan.streams {
        let (sender, parameter) = wirestream_tokio::channel();
        call = call.parameter(parameter);
        input.add(number, of, sender);
    }
    let reply = call.stream_with_error::<Raw, Raw>();
    let mut output = Output::start();
    let shown = show(reply, &plan.reply, &plan.error, &mut output);
    let done = tokio::select! {
        done = exchange(input, shown) => done,
        interrupted = interrupted() => Err(interrupted),
        late = too_late(options.timeout) => Err(late),
    };
    // The call is over, given up if need be. What came of it is shown.
    let _ = tokio::time::timeout(FAREWELL, output.finish()).await;
    leave(&client, changes).await;
    done
}

async fn too_late(within: Option<Duration>) -> Failure {
    match within {
        Some(within) => {
            tokio::time::sleep(within).await;
            Failure::TimedOut(format!("the call was not over within {within:?}"))
        }
        None => std::future::pending().await,
    }
}

/// Sends what comes in, until the reply was shown.
async fn exchange(
    input: Input,
    shown: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let mut shown = pin!(shown);
    tokio::select! {
        done = &mut shown => return done,
        sent = input.send_all() => sent?,
    }
    shown.await
}

/// Shows what comes back, until the reply ends.
async fn show(
    mut reply: Receiver<Raw, Raw>,
    of: &Schema,
    error: &Schema,
    output: &mut Output,
) -> Result<(), Failure> {
    let end = loop {
        let ready = reply.next().now_or_never();
        let item = match ready {
            Some(item) => item,
            None => {
                output.flush().await?;
                reply.next().await
            }
        };
        match item {
            None => break Ok(()),
            Some(Ok(Raw(message))) => match of.decode(&message) {
                Ok(line) => output.write(&line).await?,
                Err(error) => {
                    let words = format!(
                        "a message of the reply does not decode (--out says its type): {error}"
                    );
                    break Err(Failure::Decode(words));
                }
            },
            Some(Err(StreamError::App(Raw(bytes)))) => break Err(app(&bytes, error)),
            Some(Err(error)) => break Err(Failure::Call(error)),
        }
    };
    drop(reply);
    // What was sent before the error is shown before it.
    output.finish().await?;
    end
}

/// The method's own error as JSON; its bytes, if it is of another type.
fn app(bytes: &[u8], of: &Schema) -> Failure {
    Failure::App(of.decode(bytes).unwrap_or_else(|_| {
        let mut shown = "{\"$bytes\":".to_string();
        json::write_bytes(&mut shown, bytes);
        shown + "}"
    }))
}
