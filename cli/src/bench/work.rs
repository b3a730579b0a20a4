//! The three works that are measured, each against a method that echoes.

use std::time::{Duration, Instant};

use futures_util::{StreamExt, future};
use hdrhistogram::Histogram;
use serde::Serialize;
use serde::de::DeserializeOwned;
use wirestream_tokio::{Client, Parameter, Receiver, Sender, StreamError, channel};

use crate::failure::{Failure, unsent};
use crate::raw::Raw;

/// How long an echo may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The part of the time that goes by before anything counts.
const WARM_UP: u32 = 10;

/// What was found.
pub(super) struct Measured {
    /// The size of a message, encoded.
    pub(super) bytes: usize,
    pub(super) calls: Latencies,
    pub(super) round_trips: Latencies,
    pub(super) streamed: Streamed,
}

/// How long each of many took, in nanoseconds, and all of them together.
pub(super) struct Latencies {
    pub(super) histogram: Histogram<u64>,
    pub(super) time: Duration,
}

/// How many messages came back, and in which time.
pub(super) struct Streamed {
    pub(super) messages: u64,
    pub(super) time: Duration,
}

/// What is done again and again.
pub(super) struct Work<'a, T> {
    pub(super) client: &'a Client,
    pub(super) method: &'a str,
    pub(super) message: T,
    pub(super) at_a_time: u16,
    pub(super) duration: Duration,
}

impl<T> Work<'_, T>
where
    T: Serialize + DeserializeOwned + Clone + PartialEq + Send + Sync + 'static,
{
    /// A call for each message: opened, echoed, ended.
    pub(super) async fn calls(&self) -> Result<Latencies, Failure> {
        self.latencies(async |times: &mut Times| {
            while let Some(began) = times.next() {
                let (input, messages) = channel::<T>();
                let mut reply = self.open(messages);
                self.send(&input).await?;
                input.finish();
                self.expect_echo(reply.next().await)?;
                match reply.next().await {
                    None => times.record(began),
                    Some(Ok(_)) => return Err(no_echo("more came back than was sent")),
                    Some(Err(error)) => return Err(Failure::Call(error)),
                }
            }
            Ok(())
        })
        .await
    }

    /// A message at a time, on a stream that is open.
    pub(super) async fn round_trips(&self) -> Result<Latencies, Failure> {
        self.latencies(async |times: &mut Times| {
            let (input, messages) = channel::<T>();
            let mut reply = self.open(messages);
            while let Some(began) = times.next() {
                self.send(&input).await?;
                self.expect_echo(reply.next().await)?;
                times.record(began);
            }
            Ok(())
        })
        .await
    }

    /// As many messages as the streams take, in one direction and back.
    pub(super) async fn streamed(&self) -> Result<Streamed, Failure> {
        let counting = (0..self.at_a_time).map(|_| self.stream_once());
        let counts = in_time(self.duration, future::try_join_all(counting)).await?;
        let messages = counts.iter().map(|streamed| streamed.messages).sum();
        let time = counts.iter().map(|streamed| streamed.time).max().unwrap_or_default();
        Ok(Streamed { messages, time })
    }

    async fn stream_once(&self) -> Result<Streamed, Failure> {
        let (input, messages) = channel::<T>();
        let mut reply = self.open(messages);
        let began = Instant::now();
        let counted_from = began + self.duration / WARM_UP;
        let sending = async {
            let mut sent = 0;
            while began.elapsed() < self.duration && input.send(self.message.clone()).await.is_ok()
            {
                sent += 1;
            }
            input.finish();
            Ok(sent)
        };
        let receiving = async {
            let (mut received, mut messages, mut last) = (0, 0, counted_from);
            while let Some(echo) = reply.next().await {
                self.expect_echo(Some(echo))?;
                received += 1;
                last = Instant::now();
                messages += u64::from(last > counted_from);
            }
            let time = last.saturating_duration_since(counted_from);
            Ok((received, Streamed { messages, time }))
        };
        let (sent, (received, streamed)): (u64, (u64, _)) =
            future::try_join(sending, receiving).await?;
        match received == sent {
            true => Ok(streamed),
            false => Err(no_echo(&format!("{sent} messages were sent, {received} came back"))),
        }
    }

    /// Sends the message once. Where the call is over, its reply says more.
    async fn send(&self, input: &Sender<T>) -> Result<(), Failure> {
        let sent = input.send(self.message.clone()).await;
        sent.or_else(|error| unsent(&error).map_or(Ok(()), Err))
    }

    fn open(&self, messages: Parameter<T>) -> Receiver<T, Raw> {
        self.client.call(self.method).parameter(messages).stream_with_error()
    }

    async fn latencies(
        &self,
        work: impl AsyncFn(&mut Times) -> Result<(), Failure>,
    ) -> Result<Latencies, Failure> {
        let workers = (0..self.at_a_time).map(|_| async {
            let mut times = Times::new(self.duration);
            work(&mut times).await?;
            Ok(times)
        });
        let all = in_time(self.duration, future::try_join_all(workers)).await?;
        let (mut histogram, mut time) = (empty(), Duration::ZERO);
        for times in &all {
            histogram.add(&times.histogram).expect("both have the same bounds");
            time = time.max(times.last.saturating_duration_since(times.counted_from));
        }
        Ok(Latencies { histogram, time })
    }

    fn expect_echo(&self, echo: Option<Result<T, StreamError<Raw>>>) -> Result<(), Failure> {
        match echo {
            Some(Ok(echo)) if echo == self.message => Ok(()),
            Some(Ok(_)) => Err(no_echo("something else came back than was sent")),
            Some(Err(error)) => Err(Failure::Call(error)),
            None => Err(no_echo("its reply ended before everything had come back")),
        }
    }
}

fn no_echo(why: &str) -> Failure {
    Failure::Decode(format!("the method does not echo: {why}"))
}

async fn in_time<T>(
    duration: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let late = || format!("an echo did not come back within {PATIENCE:?}");
    let done = tokio::time::timeout(duration + PATIENCE, work).await;
    done.map_err(|_| Failure::TimedOut(late()))?
}

/// What one worker measures.
struct Times {
    histogram: Histogram<u64>,
    counted_from: Instant,
    end: Instant,
    last: Instant,
}

impl Times {
    fn new(duration: Duration) -> Self {
        let began = Instant::now();
        let counted_from = began + duration / WARM_UP;
        Self { histogram: empty(), counted_from, end: began + duration, last: began }
    }

    /// When the next begins, if there is to be another: one counts at least.
    fn next(&self) -> Option<Instant> {
        Some(Instant::now()).filter(|now| *now < self.end || self.histogram.is_empty())
    }

    fn record(&mut self, began: Instant) {
        if began >= self.counted_from {
            self.last = Instant::now();
            let nanoseconds = self.last.duration_since(began).as_nanos();
            let nanoseconds = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
            self.histogram.saturating_record(nanoseconds);
        }
    }
}

/// From a nanosecond to a minute, three digits exact.
fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("the bounds agree")
}
