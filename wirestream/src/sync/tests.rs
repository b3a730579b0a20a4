use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::{FutureExt, StreamExt};
use tracing::Span;
use wirestream_protocol::{Config, Connection, Inbound, Limits, Outbound, Request, Role, Time};

use super::interleaved::run;
use crate::driver::Driver;
use crate::error::NoError;
use crate::link::Link;
use crate::memory::MemoryTransport;
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::transport::{BoxFuture, Timer};

struct StoppedClock;

impl Timer for StoppedClock {
    fn now(&self) -> Time {
        Time::ZERO
    }

    fn poll_until(&mut self, _: &mut Context<'_>, deadline: Time) -> Poll<()> {
        if deadline > Time::ZERO { Poll::Pending } else { Poll::Ready(()) }
    }
}

/// Both ends of a connection with a call, and its halves: the parameter's and the reply's.
struct Call {
    client: Arc<Link>,
    server: Arc<Link>,
    input: (Outbound, Inbound),
    reply: (Outbound, Inbound),
}

impl Call {
    fn new(limits: &Limits) -> Self {
        let end = |role| {
            let config = Config { limits: limits.clone(), token: None };
            let connection = Connection::new(role, config, Time::ZERO).expect("limits that agree");
            Link::new(connection, Span::none())
        };
        let (client, server) = (end(Role::Client), end(Role::Server));
        let exchange = || {
            for (from, to) in [(&client, &server), (&server, &client), (&client, &server)] {
                while let Some(packet) = from.with(|core| core.connection.poll_transmit(Time::ZERO))
                {
                    to.with(|core| core.connection.handle_message(packet, Time::ZERO));
                }
            }
        };
        let request = Request { method: "E.echo".into(), parameters: 1, ..Request::default() };
        let here = client.with(|core| core.connection.open(&request)).expect("a call");
        exchange();
        let there = server.lock().incoming.pop_front().expect("a call");
        let accepted = server.with(|core| {
            let mut call = core.connection.call(there)?;
            call.take_request();
            call.accept().ok()?;
            call.outbound(0).zip(call.inbound(1))
        });
        exchange();
        let opened = client.with(|core| {
            let call = core.connection.call(here)?;
            call.outbound(1).zip(call.inbound(0))
        });
        let ((out, end), (reply, input)) = opened.zip(accepted).expect("a call");
        Self { client, server, input: (out, input), reply: (reply, end) }
    }

    /// Messages that go to and fro, in everybody's own task: those of both ends of the connection,
    /// who sends, who answers, and who hears. If it is by turns, each message is sent once the one
    /// before was answered. At last the connection is closed.
    fn tasks(self, sizes: &'static [usize], is_by_turns: bool) -> Vec<BoxFuture<()>> {
        let Self { client, server, input, reply } = self;
        let (here, there) = MemoryTransport::pair();
        let driver = |link: &Arc<Link>, transport| {
            Driver::new(Arc::clone(link), Box::new(transport), Box::new(StoppedClock), None)
        };
        let (one, other) = (driver(&client, here), driver(&server, there));
        let out = Sender::<Vec<u8>, NoError>::open(Arc::clone(&client), input.0);
        let mut questions = Receiver::<Vec<u8>>::parameter(Arc::clone(&server), input.1);
        let back = Sender::<Vec<u8>, NoError>::open(server, reply.0);
        let mut answers = Receiver::<Vec<u8>>::parameter(Arc::clone(&client), reply.1);
        let (heard, mut hears) = futures_channel::mpsc::unbounded();
        let sending = async move {
            for &size in sizes {
                out.send(vec![7; size]).await.expect("somebody listens");
                if is_by_turns {
                    hears.next().await.expect("an answer");
                }
            }
            out.finish();
        };
        let answering = async move {
            while let Some(question) = questions.next().await {
                back.send(question.expect("a question")).await.expect("somebody listens");
            }
            back.finish();
        };
        let hearing = async move {
            let mut found = Vec::new();
            while let Some(answer) = answers.next().await {
                found.push(answer.expect("an answer").len());
                let _ = heard.unbounded_send(()); // perhaps nobody waits for it
            }
            assert_eq!(found, sizes);
            client.with(|core| core.connection.close());
        };
        vec![
            Box::pin(one.map(drop)),
            Box::pin(other.map(drop)),
            Box::pin(sending),
            Box::pin(answering),
            Box::pin(hearing),
        ]
    }
}

const SEEDS: u64 = 150;

/// Each waits for room often, and for messages.
#[test]
fn nobody_sleeps_on_where_windows_are_small() {
    let limits = Limits { message: 4_096, chunk: 4_096, half_window: 4_096, ..Limits::default() };
    for seed in 0..SEEDS {
        run(seed, Call::new(&limits).tasks(&[10, 3_000, 3_000, 0, 3_000, 10], false));
    }
}

/// Who sends writes to the transport, beside the connection's own task.
#[test]
fn nobody_sleeps_on_where_packets_are_filled() {
    for seed in 0..SEEDS {
        run(seed, Call::new(&Limits::default()).tasks(&[9_000, 9_000, 20, 30_000, 9_000], false));
    }
}

/// Nothing else comes that would wake the connection's own task.
#[test]
fn nobody_sleeps_on_where_each_message_waits_for_the_answer_before() {
    for seed in 0..SEEDS {
        run(seed, Call::new(&Limits::default()).tasks(&[10; 12], true));
    }
}
