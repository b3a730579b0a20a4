//! tokio, as the shared tests see it.

use std::future::Future;
use std::os::unix::net::UnixStream as Unix;
use std::sync::LazyLock;

pub(crate) use tokio::net::TcpStream;
use tokio::net::UnixStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;
pub(crate) use wirestream_tokio::*;

use crate::shared::PATIENCE;

/// tokio's budget of 128 operations, each at most twice the read buffer.
pub(crate) const READ_PER_POLL: usize = 128 * 4 * 1024;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

pub(crate) fn run(future: impl Future<Output = ()> + Send + 'static) {
    RUNTIME.spawn(future);
}

pub(crate) fn soon<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(async { timeout(PATIENCE, future).await.expect("it takes too long") })
}

pub(crate) fn adopt(stream: Unix) -> UnixStream {
    let _context = RUNTIME.enter();
    stream.set_nonblocking(true).unwrap();
    UnixStream::from_std(stream).unwrap()
}
