//! A server with a method that echoes.

use wirestream_tokio::{Endpoint, NoError, Receiver, Server, Session, StreamError, Value, bind};

use crate::failure::{Failure, plain};
use crate::{interrupted, print};

/// Serves `Bench.echo` at `address`, until Ctrl-C.
pub(super) async fn serve(address: &str) -> Result<(), Failure> {
    let local = |error: &dyn std::fmt::Display| Failure::Local(error.to_string());
    let endpoint = Endpoint::new("Bench").stream("echo", echo);
    let server = Server::builder().endpoint(endpoint).build().map_err(|error| local(&error))?;
    let listener = bind(address.to_string()).await.map_err(|error| local(&error))?;
    let address = listener.local_addr().map_err(|error| local(&error))?;
    print(format!("Bench.echo is served at ws://{}\n", plain(&address.to_string())).as_bytes())?;
    let stop = async {
        interrupted().await;
    };
    wirestream_tokio::serve(listener, server, stop).await.map_err(|error| local(&error))
}

/// Sends back whatever it receives.
fn echo(
    _: Session,
    (): (),
    (messages,): (Receiver<Value>,),
) -> impl futures_util::Stream<Item = Result<Value, NoError>> {
    use futures_util::StreamExt;
    // An input that does not end in order ends the reply all the same: the caller is gone.
    messages.filter_map(async |message: Result<Value, StreamError>| message.ok().map(Ok))
}
