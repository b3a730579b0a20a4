//! An endpoint whose sessions hear each other: what the nodes of a cluster serve.

use futures_util::{FutureExt, Stream, StreamExt, stream};
use wirestream::{Endpoint, MessageError, NoError, Receiver, Session};

/// What is heard: a text, or what stands in its place.
pub fn shown(message: Result<String, MessageError>) -> String {
    match message {
        Ok(text) => text,
        Err(MessageError::Gap) => "!gap".into(),
        Err(MessageError::OtherType { .. }) => "!another type".into(),
        Err(error) => format!("!{error}"),
    }
}

/// Subscribes to a channel, says so, and tells what is heard.
fn hear(
    session: Session,
    (channel,): (String,),
    (): (),
) -> impl Stream<Item = Result<String, NoError>> {
    let heard = async move {
        match session.messages().subscribe::<String>(&channel).await {
            Ok(subscription) => {
                let begun = stream::iter(["subscribed".to_string()]);
                begun.chain(subscription.map(shown)).left_stream()
            }
            Err(error) => stream::iter([format!("!{error}")]).right_stream(),
        }
    };
    heard.flatten_stream().map(Ok)
}

async fn post(
    session: Session,
    (channel, text): (String, String),
    (): (),
) -> Result<Result<(), String>, NoError> {
    Ok(session.messages().post(&channel, &text).await.map_err(|error| error.to_string()))
}

/// Sends back what it receives, and knows nothing of messages.
fn echo(
    _: Session,
    (): (),
    (texts,): (Receiver<String>,),
) -> impl Stream<Item = Result<String, NoError>> {
    texts.filter_map(async |text| text.ok()).map(Ok)
}

/// `Lobby.hear(channel)`, `Lobby.post(channel, text)`, and `Lobby.echo` with one stream.
pub fn lobby() -> Endpoint {
    Endpoint::new("Lobby").stream("hear", hear).unary("post", post).stream("echo", echo)
}
