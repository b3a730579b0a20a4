//! Standard input to the parameter streams.

use std::io::BufRead;

use tokio::sync::mpsc;
use wirestream_tokio::{SendError, Sender};

use crate::failure::{Failure, unsent};
use crate::json::{self, Json, Mismatch};
use crate::raw::Raw;
use crate::schema::Schema;

/// Lines that were read and wait to be sent.
const LINES: usize = 64;

/// The parameter streams of a call.
#[derive(Default)]
pub(super) struct Input {
    streams: Vec<Stream>,
    /// Whether lines say which stream they are for: there were several.
    numbered: bool,
}

struct Stream {
    number: usize,
    of: Schema,
    sender: Sender<Raw>,
}

impl Input {
    pub(super) fn add(&mut self, number: usize, of: Schema, sender: Sender<Raw>) {
        self.numbered = !self.streams.is_empty();
        self.streams.push(Stream { number, of, sender });
    }

    /// Sends each line, until the input ends, or nobody wants more of it.
    pub(super) async fn send_all(mut self) -> Result<(), Failure> {
        if self.streams.is_empty() {
            return Ok(());
        }
        let mut lines = read_lines();
        for number in 1.. {
            let line = tokio::select! {
                line = lines.recv() => line,
                () = self.stopped() => return Ok(()),
            };
            let Some(line) = line else { break };
            let line =
                line.map_err(|error| Failure::Local(format!("cannot read the input: {error}")))?;
            self.send(&line).await.map_err(|failure| match failure {
                Failure::Usage(words) => {
                    Failure::Usage(format!("line {number} of the input: {words}"))
                }
                failure => failure,
            })?;
        }
        self.streams.into_iter().for_each(|stream| stream.sender.finish());
        Ok(())
    }

    /// Resolves when nobody wants any of the streams.
    async fn stopped(&self) {
        for stream in &self.streams {
            stream.sender.closed().await;
        }
    }

    async fn send(&mut self, line: &[u8]) -> Result<(), Failure> {
        let line = std::str::from_utf8(line).map_err(|_| usage("this is not UTF-8"))?.trim();
        if line.is_empty() {
            return Ok(());
        }
        let wrong = |error: Mismatch| Failure::Usage(error.to_string());
        let json = json::parse(line).map_err(wrong)?;
        let (place, message) = match self.numbered {
            false => (0, Some(json)),
            true => self.numbered(json)?,
        };
        // With one stream, that stream is there: it is taken away by its number alone.
        let Some(stream) = self.streams.get(place) else { return Ok(()) };
        let Some(message) = message else {
            self.streams.remove(place).sender.finish();
            return Ok(());
        };
        let mut bytes = Vec::new();
        stream.of.encode(message, &mut bytes).map_err(wrong)?;
        match stream.sender.send(Raw(bytes)).await {
            // The method wants no more of it; it may of the others.
            Err(SendError::Stopped) | Ok(()) => Ok(()),
            Err(error) => unsent(&error).map_or(Ok(()), Err),
        }
    }

    /// The place of the stream that a line is for, and its message unless it ends there.
    fn numbered<'a>(
        &self,
        json: &'a serde_json::value::RawValue,
    ) -> Result<(usize, Option<&'a serde_json::value::RawValue>), Failure> {
        let wrong =
            || usage("with several streams a line is [number, message], or [number] to end one");
        let Ok(Json::List(parts)) = json::look(json) else { return Err(wrong()) };
        let (number, message) = match parts[..] {
            [number] => (number, None),
            [number, message] => (number, Some(message)),
            _ => return Err(wrong()),
        };
        let place =
            self.streams.iter().position(|stream| stream.number.to_string() == number.get());
        let unknown = || usage(&format!("there is no stream {}, or it was ended", number.get()));
        Ok((place.ok_or_else(unknown)?, message))
    }
}

fn usage(words: &str) -> Failure {
    Failure::Usage(words.into())
}

/// The lines of standard input, read in a thread that nobody waits for.
fn read_lines() -> mpsc::Receiver<std::io::Result<Vec<u8>>> {
    let (sender, lines) = mpsc::channel(LINES);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().split(b'\n') {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}
