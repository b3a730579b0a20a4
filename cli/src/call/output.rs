//! Lines to standard output, from a thread: a reader that is slow, or stopped, holds up neither the
//! connection nor Ctrl-C.
//!
//! What waits to be written is bounded in bytes, as messages may be large: about [`BATCH`] here, as
//! much on its way, as much in the thread, and a line more each.

use std::io::{self, ErrorKind, Write};

use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;

/// Lines are handed on when there is so much of them, in bytes, or no other is there yet.
const BATCH: usize = 64 * 1024;

/// Where lines go.
pub(super) struct Output {
    batch: String,
    /// There until the last was given.
    batches: Option<mpsc::Sender<String>>,
    written: oneshot::Receiver<io::Result<()>>,
}

impl Output {
    pub(super) fn start() -> Self {
        let (batches, waiting) = mpsc::channel(1);
        let (done, written) = oneshot::channel();
        std::thread::spawn(move || done.send(write_all(waiting)));
        Self { batch: String::new(), batches: Some(batches), written }
    }

    /// Takes a line, which is written at the latest with the next flush.
    pub(super) async fn write(&mut self, line: &str) -> Result<(), Failure> {
        self.batch.push_str(line);
        self.batch.push('\n');
        if self.batch.len() < BATCH { Ok(()) } else { self.flush().await }
    }

    /// Resolves once the lines so far are on their way.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        let Some(batches) = &self.batches else { return Ok(()) };
        if self.batch.is_empty() {
            return Ok(());
        }
        let Ok(room) = batches.reserve().await else { return self.ended().await };
        room.send(std::mem::take(&mut self.batch));
        Ok(())
    }

    /// Resolves once all lines were written. Nothing more once it has.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        self.flush().await?;
        self.ended().await
    }

    async fn ended(&mut self) -> Result<(), Failure> {
        if self.batches.take().is_none() {
            return Ok(());
        }
        match (&mut self.written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::Unread),
            Ok(Err(error)) => Err(Failure::Local(format!("cannot write the output: {error}"))),
            Err(_) => Err(Failure::Local("cannot write the output".into())),
        }
    }
}

fn write_all(mut batches: mpsc::Receiver<String>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    while let Some(batch) = batches.blocking_recv() {
        out.write_all(batch.as_bytes())?;
        out.flush()?;
    }
    Ok(())
}
