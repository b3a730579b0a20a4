//! Lines to standard output, from a thread: a reader that is slow, or stopped, holds up neither the
//! connection nor Ctrl-C.

use std::io::{self, BufWriter, ErrorKind, Write};

use tokio::sync::{mpsc, oneshot};

use crate::failure::Failure;

/// Lines that wait to be written; the reply waits behind them.
const LINES: usize = 64;

/// Where lines go.
pub(super) struct Output {
    /// There until the last was given.
    lines: Option<mpsc::Sender<String>>,
    written: oneshot::Receiver<io::Result<()>>,
}

impl Output {
    pub(super) fn start() -> Self {
        let (lines, waiting) = mpsc::channel(LINES);
        let (done, written) = oneshot::channel();
        std::thread::spawn(move || done.send(write_all(waiting)));
        Self { lines: Some(lines), written }
    }

    pub(super) async fn write(&mut self, line: String) -> Result<(), Failure> {
        let Some(lines) = &self.lines else { return Ok(()) };
        match lines.send(line).await {
            Ok(()) => Ok(()),
            Err(_) => self.finish().await,
        }
    }

    /// Resolves once all lines were written. Nothing more once it has.
    pub(super) async fn finish(&mut self) -> Result<(), Failure> {
        match self.lines.take() {
            Some(lines) => drop(lines),
            None => return Ok(()),
        }
        ended(&mut self.written).await
    }
}

async fn ended(written: &mut oneshot::Receiver<io::Result<()>>) -> Result<(), Failure> {
    match written.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) if error.kind() == ErrorKind::BrokenPipe => Err(Failure::Unread),
        Ok(Err(error)) => Err(Failure::Local(format!("cannot write the output: {error}"))),
        Err(_) => Err(Failure::Local("cannot write the output".into())),
    }
}

/// Writes line after line, and flushes whenever no other waits.
fn write_all(mut lines: mpsc::Receiver<String>) -> io::Result<()> {
    let mut out = BufWriter::new(io::stdout().lock());
    while let Some(line) = lines.blocking_recv() {
        writeln!(out, "{line}")?;
        while let Ok(line) = lines.try_recv() {
            writeln!(out, "{line}")?;
        }
        out.flush()?;
    }
    Ok(())
}
