use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, Value};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until};
use wirestream::{BoxFuture, BusError};

use crate::backoff::Backoff;
use crate::cluster::redirect;
use crate::connect::{Dialer, Link};
use crate::life::{Due, Life};
use crate::state::State;
use crate::{RedisError, RedisErrorKind};

/// How many messages go to Redis in one piece.
const MESSAGES: usize = 512;
/// How many bytes of them, if there is more than one.
const BYTES: usize = 64 * 1024;
/// How many pieces may be on their way. What waits meanwhile makes the next ones larger.
const PIECES: usize = 8;

/// A message that is to be published.
pub(crate) struct Publish {
    pub(crate) channel: Arc<str>,
    pub(crate) message: Bytes,
    pub(crate) deadline: Instant,
    /// Taken once it is answered.
    pub(crate) answer: Option<oneshot::Sender<Result<(), BusError>>>,
    /// What it takes of the queue, for as long as it is here.
    pub(crate) room: OwnedSemaphorePermit,
}

impl Publish {
    /// Answers the caller, who may not care.
    fn answer(&mut self, result: Result<(), BusError>) {
        if let Some(answer) = self.answer.take() {
            let _ = answer.send(result);
        }
    }

    /// The same when nothing is left to be done: there is room for another one before the caller learns
    /// of it.
    fn finish(self, result: Result<(), BusError>) {
        let Self { message, answer, room, .. } = self;
        drop((message, room));
        if let Some(answer) = answer {
            let _ = answer.send(result);
        }
    }
}

/// Publishes, on a connection of its own.
pub(crate) struct Publisher {
    home: Dialer,
    /// Home, or where the cluster has sent us.
    dialer: Dialer,
    queue: mpsc::UnboundedReceiver<Publish>,
    /// What was taken from the queue and not sent yet.
    waiting: VecDeque<Publish>,
    state: watch::Sender<State>,
}

impl Publisher {
    pub(crate) fn new(
        dialer: Dialer,
        queue: mpsc::UnboundedReceiver<Publish>,
        state: watch::Sender<State>,
    ) -> Self {
        Self { home: dialer.clone(), dialer, queue, waiting: VecDeque::new(), state }
    }

    /// Goes on for ever.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(&self.home.config);
        loop {
            let dialer = self.dialer.clone();
            let connected = self.meanwhile(dialer.connect()).await;
            match connected {
                Ok(link) => {
                    self.state.send_replace(State::Up);
                    let began = Instant::now();
                    self.serve(link).await;
                    self.state.send_replace(State::Connecting);
                    backoff.lasted(began.elapsed());
                }
                Err(error) => {
                    self.state.send_replace(State::Down(error));
                    self.dialer = self.home.clone();
                }
            }
            self.meanwhile(sleep(backoff.pause(fastrand::f64()))).await;
        }
    }

    /// Awaits something without a connection. What is to be published waits until its deadline; while
    /// the last attempt to connect has failed it is refused at once.
    async fn meanwhile<T>(&mut self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            if let State::Down(error) = &*self.state.borrow() {
                let error = BusError::from(error.clone());
                self.waiting.drain(..).for_each(|message| message.finish(Err(error.clone())));
            }
            let deadline = self.waiting.front().map(|message| message.deadline);
            select! {
                biased;
                output = &mut future => return output,
                Some(message) = self.queue.recv() => self.waiting.push_back(message),
                () = until(deadline) => self.expire(),
            }
        }
    }

    /// Publishes until the connection is over, or the cluster has sent us elsewhere.
    async fn serve(&mut self, mut link: Link) {
        let mut flight = Flight::default();
        let mut life = Life::new(&self.home.config, Instant::now());
        let mut taken = Vec::new();
        loop {
            self.send(&link.commands, &mut flight);
            let deadline = self.waiting.front().map(|message| message.deadline);
            let due = [Some(life.next()), deadline, flight.deadline()].into_iter().flatten().min();
            select! {
                () = link.lost() => break,
                Some(replies) = flight.replies.next() => {
                    life.hear(Instant::now());
                    let Ok(replies) = replies else { break };
                    flight.land(replies, &self.dialer);
                    if let Some((host, port)) = flight.goes_elsewhere() {
                        self.dialer = self.home.moved_to(host, *port);
                        break;
                    }
                }
                _ = self.queue.recv_many(&mut taken, MESSAGES) => self.waiting.extend(taken.drain(..)),
                () = until(due) => {
                    self.expire();
                    flight.expire(&self.timed_out());
                    match life.due(Instant::now()) {
                        Due::Nothing => {}
                        Due::Ping => flight.ping(link.commands.clone()),
                        Due::Death => break,
                    }
                }
            }
        }
        drop(link);
        let lost = self.dialer.address.error(RedisErrorKind::Lost);
        for message in flight.lose(&lost).into_iter().rev() {
            self.waiting.push_front(message);
        }
    }

    /// Sends what waits, as far as it may.
    fn send(&mut self, commands: &MultiplexedConnection, flight: &mut Flight) {
        let command = if self.home.config.sharded { "SPUBLISH" } else { "PUBLISH" };
        while flight.takes_more() && !self.waiting.is_empty() {
            let mut pipeline = Pipeline::new();
            let (mut count, mut bytes) = (0, 0);
            while count < MESSAGES
                && bytes < BYTES
                && let Some(message) = self.waiting.pop_front()
            {
                pipeline.cmd(command).arg(&*message.channel).arg(&*message.message);
                count += 1;
                bytes += message.message.len();
                flight.messages.push_back(message);
            }
            flight.pieces.push_back(count);
            flight.replies.push_back(exchange(commands.clone(), pipeline, count).boxed());
        }
    }

    /// Answers what has waited long enough.
    fn expire(&mut self) {
        let (now, error) = (Instant::now(), self.timed_out());
        while self.waiting.front().is_some_and(|message| message.deadline <= now)
            && let Some(message) = self.waiting.pop_front()
        {
            message.finish(Err(error.clone()));
        }
    }

    fn timed_out(&self) -> BusError {
        BusError::TimedOut(self.home.config.within)
    }
}

/// What was sent and is not confirmed.
#[derive(Default)]
struct Flight {
    messages: VecDeque<Publish>,
    /// How many of the messages, from the front, were answered before Redis did.
    expired: usize,
    /// How many messages each piece has: none if it is a ping.
    pieces: VecDeque<usize>,
    replies: FuturesOrdered<BoxFuture<RedisResult<Vec<Value>>>>,
    /// Where the cluster sends us, and what it has not taken for that.
    elsewhere: Option<(Box<str>, u16)>,
    moved: Vec<Publish>,
}

async fn exchange(
    mut commands: MultiplexedConnection,
    pipeline: Pipeline,
    count: usize,
) -> RedisResult<Vec<Value>> {
    commands.send_packed_commands(&pipeline, 0, count).await
}

impl Flight {
    fn ping(&mut self, commands: MultiplexedConnection) {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("PING");
        self.pieces.push_back(0);
        self.replies.push_back(exchange(commands, pipeline, 1).boxed());
    }

    fn takes_more(&self) -> bool {
        self.pieces.len() < PIECES && self.elsewhere.is_none()
    }

    /// Where the cluster sends us, once it has said so of everything that is on its way.
    fn goes_elsewhere(&self) -> Option<&(Box<str>, u16)> {
        self.elsewhere.as_ref().filter(|_| self.pieces.is_empty())
    }

    /// The replies to the oldest piece came in.
    fn land(&mut self, replies: Vec<Value>, dialer: &Dialer) {
        let count = self.pieces.pop_front().unwrap_or(0);
        self.expired = self.expired.saturating_sub(count);
        for (message, reply) in self.messages.drain(..count).zip(replies) {
            let Value::ServerError(error) = reply else {
                message.finish(Ok(()));
                continue;
            };
            if let Some(place) = redirect(&error, &dialer.address) {
                self.elsewhere = Some(place);
                self.moved.push(message);
                continue;
            }
            let kind = RedisErrorKind::answered(error.code(), error.details().unwrap_or_default());
            message.finish(Err(dialer.address.error(kind).into()));
        }
    }

    /// When the next message has waited long enough for its confirmation.
    fn deadline(&self) -> Option<Instant> {
        self.messages.get(self.expired).map(|message| message.deadline)
    }

    fn expire(&mut self, error: &BusError) {
        let now = Instant::now();
        while let Some(message) = self.messages.get_mut(self.expired)
            && message.deadline <= now
        {
            message.answer(Err(error.clone()));
            self.expired += 1;
        }
    }

    /// The connection is over. What is to be sent elsewhere.
    fn lose(mut self, error: &RedisError) -> Vec<Publish> {
        for message in self.messages {
            message.finish(Err(error.clone().into()));
        }
        self.moved.retain(|message| message.answer.is_some());
        self.moved
    }
}

/// Resolves at a time; never, if there is none.
pub(crate) async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
