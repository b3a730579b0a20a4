//! smol, as the shared tests see it.

use std::future::Future;
use std::os::unix::net::UnixStream as Unix;

pub(crate) use smol::net::TcpStream;
use smol::net::unix::UnixStream;
use smol::{Async, Timer};
pub(crate) use wirestream_smol::*;

use crate::shared::PATIENCE;

/// Sixteen reads, each at most twice the read buffer.
pub(crate) const READ_PER_POLL: usize = 16 * 4 * 1024;

pub(crate) fn run(future: impl Future<Output = ()> + Send + 'static) {
    smol::spawn(future).detach();
}

pub(crate) fn soon<T>(future: impl Future<Output = T>) -> T {
    let late = async {
        Timer::after(PATIENCE).await;
        panic!("it takes too long")
    };
    smol::block_on(smol::future::or(future, late))
}

pub(crate) fn adopt(stream: Unix) -> UnixStream {
    Async::new(stream).unwrap().into()
}
