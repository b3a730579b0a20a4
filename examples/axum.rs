//! A server that is mounted in axum: its port, its layers and its shutdown are axum's, and a page
//! stands beside it, which may connect because it comes from the same host. Prints:
//!
//! ```text
//! A layer saw a request for /
//! The page: <script>new WebSocket(`ws://${location.host}/rt`, "wirestream.v1")</script>
//! A layer saw a request for /rt
//! Hello from the page's own origin
//! A layer saw a request for /rt
//! A page from elsewhere: HTTP 403 Forbidden: pages of this Origin may not connect to this server
//! The call that ran went on to its end, and the server is done
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Html;
use axum::routing::{any, get};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use wirestream_tokio::{
    ClientConfig, Dialer, Origins, Receiver, Server, Session, Stream, StreamExt, bind, channel,
    endpoint, upgrade,
};

const PAGE: &str =
    "<script>new WebSocket(`ws://${location.host}/rt`, \"wirestream.v1\")</script>\n";

#[endpoint]
trait Example {
    fn echo(&self, session: &Session, messages: Receiver<String>) -> impl Stream<Item = String>;
}

struct Service;

impl Example for Service {
    fn echo(&self, _: &Session, messages: Receiver<String>) -> impl Stream<Item = String> {
        messages.filter_map(async |message| message.ok())
    }
}

/// The two lines that mount it are those of the route.
fn app(server: Server) -> Router {
    let origins = Origins::default().same_host();
    let mount = async move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request| {
        upgrade(request, &server, &origins, Some(peer))
    };
    let tell = from_fn(async |request: Request, next: Next| {
        println!("A layer saw a request for {}", request.uri().path());
        next.run(request).await
    });
    Router::new().route("/", get(Html(PAGE))).route("/rt", any(mount)).layer(tell)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().endpoint(ExampleServer::new(Service)).build()?;
    let listener = bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = oneshot::channel::<()>();
    let app = app(server.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async { drop(stopped.await) });
    let serving = tokio::spawn(serving.into_future());

    println!("The page: {}", page(address).await?.trim_end());

    // What a browser does for that page, which names the page's origin.
    let url = format!("ws://{address}/rt");
    let from_the_page = Dialer::new(&url).header("origin", &format!("http://{address}"))?;
    let example = ExampleClient::new(from_the_page.client(ClientConfig::default())?);
    let (input, messages) = channel();
    let mut replies = example.echo(messages);
    input.send("Hello from the page's own origin".to_string()).await?;
    println!("{}", replies.next().await.ok_or("the stream ended early")??);

    let from_elsewhere = Dialer::new(&url).header("origin", "https://elsewhere.example")?;
    let refused = from_elsewhere.connect().await.err().ok_or("it should have been refused")?;
    println!("A page from elsewhere: {}", refused.detail);

    // First axum ends, then the connections that it has handed over.
    stop.send(()).map_err(|()| "axum has ended already")?;
    serving.await??;
    let shutdown = tokio::spawn(async move { server.shutdown(Duration::from_secs(30)).await });
    input.send("and on".to_string()).await?;
    input.finish();
    let rest: Vec<_> = replies.collect().await;
    shutdown.await?;
    assert_eq!(rest, [Ok("and on".to_string())]);
    println!("The call that ran went on to its end, and the server is done");
    Ok(())
}

/// A plain request for the page.
async fn page(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: page\r\nConnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer.split_once("\r\n\r\n").map_or_else(String::new, |(_, page)| page.into()))
}
