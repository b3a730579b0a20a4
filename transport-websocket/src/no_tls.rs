//! What stands for TLS in a build without the feature `tls`.

use std::io;

/// What a server does for `wss://`. There is none without the feature `tls`.
#[derive(Clone, Debug)]
pub enum ServerTls {}

pub(crate) fn failure(_: &io::Error) -> Option<String> {
    None
}
