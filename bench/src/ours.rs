//! Wirestream through its public API on both sides: real streams, typed messages, credit.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use tokio::sync::oneshot;
use wirestream_tokio::{
    Client, ClientConfig, Endpoint, Limits, NoError, Receiver, Server, Session, channel,
};

use crate::work::{ECHO_SIZE, Meter, OUTSTANDING, Rate, Work, block_on, pin};

fn limits() -> Limits {
    Limits { calls: 2_000, ..Limits::default() }
}

fn server() -> Server {
    let bench = Endpoint::new("Bench")
        .stream("push", |_: Session, (size,): (u32,), (): ()| {
            let message = Bytes::from(vec![7; size as usize]);
            stream::repeat_with(move || Ok::<_, NoError>(message.clone()))
        })
        .stream("echo", |_: Session, (): (), (messages,): (Receiver<Bytes>,)| {
            messages.filter_map(async |message| message.ok().map(Ok::<_, NoError>))
        })
        .unary("once", async |_: Session, (message,): (Bytes,), (): ()| Ok::<_, NoError>(message));
    Server::builder().endpoint(bench).limits(limits()).build().expect("a server")
}

pub(crate) fn measure(work: Work) -> Rate {
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = std::thread::spawn(move || {
        pin(1);
        block_on(async move {
            let listener = wirestream_tokio::bind("127.0.0.1:0").await.expect("a port");
            tell.send(listener.local_addr().expect("an address")).expect("the client waits");
            let serve = wirestream_tokio::serve(listener, server(), std::future::pending());
            // Spawned: a runtime polls its root future seldom.
            let serve = tokio::spawn(async move { drop(serve.await) });
            let _ = stopped.await;
            serve.abort();
        });
    });
    let address = told.recv().expect("the server's address");
    pin(0);
    let rate = block_on(async move {
        let config = ClientConfig { limits: limits(), ..ClientConfig::default() };
        let dialer = wirestream_tokio::Dialer::new(&format!("ws://{address}"));
        let client = dialer.client(config).expect("valid limits");
        let meter = Meter::default();
        match work {
            Work::Push(size) => {
                let size = u32::try_from(size).expect("a small size");
                let call = client.call("Bench.push").arguments(&(size,));
                let mut messages = call.stream::<Bytes>();
                let meter = meter.clone();
                tokio::task::spawn_local(async move {
                    while let Some(message) = messages.next().await {
                        message.expect("a message");
                        meter.hit();
                    }
                });
            }
            Work::PingPong => echo(&client, 32, 1, &meter),
            Work::Echo(streams) => {
                for _ in 0..streams {
                    echo(&client, ECHO_SIZE, OUTSTANDING, &meter);
                }
            }
            Work::Calls(calls) => {
                for _ in 0..calls {
                    let (client, meter) = (client.clone(), meter.clone());
                    tokio::task::spawn_local(async move {
                        let message = Bytes::from(vec![7; ECHO_SIZE]);
                        loop {
                            let call = client.call("Bench.once").arguments(&(&message,));
                            call.unary::<Bytes>().await.expect("a reply");
                            meter.hit();
                        }
                    });
                }
            }
        }
        meter.rate().await
    });
    drop(stop);
    serving.join().expect("the server does not panic");
    rate
}

fn echo(client: &Client, size: usize, outstanding: usize, meter: &Meter) {
    let (input, messages) = channel::<Bytes>();
    let mut replies = client.call("Bench.echo").parameter(messages).stream::<Bytes>();
    let meter = meter.clone();
    tokio::task::spawn_local(async move {
        let message = Bytes::from(vec![7; size]);
        for _ in 0..outstanding {
            input.send(message.clone()).await.expect("the server");
        }
        while let Some(reply) = replies.next().await {
            meter.hit();
            input.send(reply.expect("a reply")).await.expect("the server");
        }
    });
}
