//! How the tool ends, other than well.

use std::io::Write;

use wirestream_tokio::{ConnectErrorKind, LostReason, RejectCode, SendError, StreamError};

use crate::json::is_command;
use crate::raw::Raw;

/// Words of the other side are cut after so many characters.
const MAX_WORDS: usize = 1_000;

/// Why the tool ends before it is done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was given cannot be used: an option, a type, a line of input.
    Usage(String),
    /// A file or a stream of this process failed.
    Local(String),
    /// The call ended otherwise than in order.
    Call(StreamError<Raw>),
    /// The call ended with an error of the method's own: as JSON.
    App(String),
    /// A message that came is not of the type that was named.
    Decode(String),
    /// The time was up.
    TimedOut(String),
    /// Ctrl-C.
    Interrupted,
    /// Nobody reads the output any more.
    Unread,
}

impl Failure {
    /// What the process ends with; `EXIT CODES` of the help.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Unread => 0,
            Self::Local(_) => 1,
            Self::Usage(_) => 2,
            Self::Call(error) => code_of(error),
            Self::App(_) => 5,
            Self::Decode(_) => 8,
            Self::TimedOut(_) => 124,
            Self::Interrupted => 130,
        }
    }

    /// Says it on standard error.
    pub(crate) fn tell(&self) {
        match self {
            Self::Unread | Self::Interrupted => {}
            Self::Usage(words)
            | Self::Local(words)
            | Self::Decode(words)
            | Self::TimedOut(words) => error(words),
            Self::App(json) => {
                error("the method ended with an error of its own:");
                say(json);
            }
            Self::Call(failure) => {
                error(&words_of(failure));
                if let Some(hint) = hint(failure) {
                    say(&format!("hint: {hint}"));
                }
            }
        }
    }
}

fn error(words: &str) {
    say(&format!("error: {}", plain(words)));
}

/// Says it, if anybody listens.
fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Words that a terminal shows and does nothing else with.
pub(crate) fn plain(words: &str) -> String {
    let mut shown = String::new();
    for letter in words.chars().take(MAX_WORDS) {
        match is_command(letter) {
            true => shown.extend(letter.escape_unicode()),
            false => shown.push(letter),
        }
    }
    if words.chars().nth(MAX_WORDS).is_some() {
        shown.push('…');
    }
    shown
}

fn code_of(error: &StreamError<Raw>) -> u8 {
    match error {
        StreamError::Lost(LostReason::Connect(error)) => match error.kind {
            ConnectErrorKind::Address => 2,
            _ => 3,
        },
        StreamError::Failed => 4,
        StreamError::App(_) => 5,
        StreamError::Lost(_) => 6,
        StreamError::Cancelled | StreamError::Revoked => 7,
        StreamError::Decode(_) => 8,
        StreamError::Rejected(rejection) => match rejection.code {
            RejectCode::NotFound => 10,
            RejectCode::InvalidArguments => 11,
            RejectCode::Unauthenticated => 12,
            RejectCode::Forbidden => 13,
            RejectCode::Busy => 14,
            RejectCode::Unavailable => 15,
            RejectCode::ContractMismatch => 16,
            _ => 17,
        },
        _ => 1,
    }
}

fn words_of(error: &StreamError<Raw>) -> String {
    match error {
        StreamError::App(_) => "the method ended with an error of its own".into(),
        StreamError::Failed => "the method failed; the server tells no detail".into(),
        StreamError::Cancelled => "the method gave up before it was done".into(),
        error => error.clone().map_app(|_| Words).to_string(),
    }
}

/// Stands where words were said already.
#[derive(Debug, thiserror::Error)]
#[error("")]
struct Words;

fn hint(error: &StreamError<Raw>) -> Option<&'static str> {
    let StreamError::Rejected(rejection) = error else { return None };
    match rejection.code {
        RejectCode::InvalidArguments => Some(
            "--args says the types of the arguments, --streams and --in the streams that the method takes",
        ),
        RejectCode::Unauthenticated => {
            Some("a token is given with WIRESTREAM_TOKEN or --token-file")
        }
        _ => None,
    }
}

/// A message that was not sent, unless the call's reply tells why.
pub(crate) fn unsent(error: &SendError) -> Option<Failure> {
    match error {
        SendError::Stopped | SendError::Lost(_) => None,
        error => Some(Failure::Usage(error.to_string())),
    }
}
