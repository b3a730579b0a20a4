use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use redis::aio::MultiplexedConnection;
use redis::{Pipeline, PushInfo, PushKind, Value};
use tokio::select;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use wirestream::{BoxFuture, BusError, BusInbox};

use crate::backoff::Backoff;
use crate::book::{Book, Change};
use crate::cluster::redirect;
use crate::connect::{Dialer, Link};
use crate::life::{Due, Life};
use crate::names::Names;
use crate::publisher::until;
use crate::state::State;
use crate::{RedisConfig, RedisErrorKind};

/// How many subscriptions Redis is asked for in one piece.
const CHANGES: usize = 512;

/// What the bus, the subscriber and its connection share.
pub(crate) struct Listening {
    book: Mutex<Book>,
    /// The book says that something is to be done.
    changed: Notify,
    inbox: OnceLock<BusInbox>,
    names: Names,
    /// The largest message that is handed in.
    most: usize,
    heard: AtomicU64,
    passed_over: AtomicU64,
}

impl Listening {
    pub(crate) fn new(config: &RedisConfig) -> Self {
        Self {
            book: Mutex::default(),
            changed: Notify::new(),
            inbox: OnceLock::new(),
            names: Names::new(config),
            most: config.message,
            heard: AtomicU64::new(0),
            passed_over: AtomicU64::new(0),
        }
    }

    /// Begins to hand in what arrives.
    pub(crate) fn start(&self, inbox: BusInbox) {
        // A bus belongs to one server, which starts it once.
        let _ = self.inbox.set(inbox);
    }

    /// How many messages were passed over.
    pub(crate) fn passed_over(&self) -> u64 {
        self.passed_over.load(Ordering::Relaxed)
    }

    /// Changes what is wanted.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Book)) {
        change(&mut self.book());
        self.changed.notify_one();
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what Redis says without being asked, in its order. Called on the task that reads the
    /// socket, so nothing queues here: each subscriber has a bounded queue of its own.
    fn hear(&self, push: PushInfo) {
        self.heard.fetch_add(1, Ordering::Relaxed);
        let mut data = push.data.into_iter();
        let Some(Value::BulkString(name)) = data.next() else { return };
        let Some(channel) = self.names.channel(&name) else { return };
        match push.kind {
            PushKind::Message | PushKind::SMessage => self.deliver(channel, data.next()),
            PushKind::Subscribe | PushKind::SSubscribe => {
                let is_gap = self.book().joined(channel);
                self.changed.notify_one();
                // Only now, when nothing is missed any more, and ahead of whatever comes next.
                if is_gap && let Some(inbox) = self.inbox.get() {
                    inbox.gap(Some(channel));
                }
            }
            PushKind::Unsubscribe | PushKind::SUnsubscribe => {
                self.change(|book| book.left(channel));
            }
            _ => {}
        }
    }

    fn deliver(&self, channel: &str, message: Option<Value>) {
        let Some(inbox) = self.inbox.get() else { return };
        match message {
            Some(Value::BulkString(message)) if message.len() <= self.most => {
                inbox.deliver(channel, message.into());
            }
            _ => {
                self.passed_over.fetch_add(1, Ordering::Relaxed);
                inbox.gap(Some(channel));
            }
        }
    }
}

/// Subscribes, on a connection of its own, and keeps that up.
pub(crate) struct Subscriber {
    home: Dialer,
    /// Home, or where the cluster has sent us.
    dialer: Dialer,
    listening: Arc<Listening>,
    state: watch::Sender<State>,
}

/// What came of something that Redis was asked.
enum Answered {
    /// Without replies if none came in time, or the connection is over.
    Changes(Vec<Change>, Option<Vec<Value>>),
    Ping,
}

impl Subscriber {
    pub(crate) fn new(
        dialer: Dialer,
        listening: Arc<Listening>,
        state: watch::Sender<State>,
    ) -> Self {
        Self { home: dialer.clone(), dialer, listening, state }
    }

    /// Goes on for ever.
    pub(crate) async fn run(mut self) {
        let mut backoff = Backoff::new(&self.home.config);
        loop {
            let (dialer, listening) = (self.dialer.clone(), Arc::clone(&self.listening));
            let pushes = move |push| {
                listening.hear(push);
                Ok::<(), ()>(())
            };
            match self.meanwhile(dialer.connect_with(pushes)).await {
                Ok(link) => {
                    self.state.send_replace(State::Up);
                    let began = Instant::now();
                    self.serve(link).await;
                    self.listening.book().lost();
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

    /// Awaits something without a connection. Who waits for a subscription waits until the deadline;
    /// while the last attempt to connect has failed they are told so at once.
    async fn meanwhile<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            if let State::Down(error) = &*self.state.borrow() {
                self.listening.book().fail_all(&error.clone().into());
            }
            let deadline = self.listening.book().next_deadline();
            select! {
                biased;
                output = &mut future => return output,
                () = self.listening.changed.notified() => {}
                () = until(deadline) => self.expire(),
            }
        }
    }

    /// Subscribes to what is wanted until the connection is over.
    async fn serve(&mut self, mut link: Link) {
        let config = self.home.config.clone();
        let mut asked = FuturesUnordered::<BoxFuture<Answered>>::new();
        let mut is_changing = false;
        let mut heard = self.listening.heard.load(Ordering::Relaxed);
        let mut life = Life::new(&config, Instant::now());
        let mut retry = Instant::now() + config.retry_longest;
        loop {
            if self.listening.book().is_thrown_out() {
                return;
            }
            if !is_changing {
                let changes = self.listening.book().changes(CHANGES);
                if !changes.is_empty() {
                    is_changing = true;
                    asked.push(self.ask(changes, link.commands.clone()).boxed());
                }
            }
            let deadline = self.listening.book().next_deadline();
            let due = [Some(life.next()), Some(retry), deadline].into_iter().flatten().min();
            select! {
                () = link.lost() => return,
                () = self.listening.changed.notified() => {}
                Some(answered) = asked.next() => {
                    life.hear(Instant::now());
                    if let Answered::Changes(changes, replies) = answered {
                        is_changing = false;
                        let Some(replies) = replies else { return };
                        if self.have_moved(&changes, &replies) {
                            return;
                        }
                    }
                }
                () = until(due) => {
                    let now = Instant::now();
                    self.expire();
                    if retry <= now {
                        retry = now + config.retry_longest;
                        self.listening.book().retry();
                    }
                    let so_far = self.listening.heard.load(Ordering::Relaxed);
                    if std::mem::replace(&mut heard, so_far) != so_far {
                        life.hear(now);
                    }
                    match life.due(now) {
                        Due::Nothing => {}
                        Due::Ping => asked.push(ping(link.commands.clone()).boxed()),
                        Due::Death => return,
                    }
                }
            }
        }
    }

    /// Asks for changes, in one piece. What Redis confirms it says to the connection itself.
    ///
    /// Messages may go on to come down while nothing goes up any more: they are no answer.
    fn ask(
        &self,
        changes: Vec<Change>,
        mut commands: MultiplexedConnection,
    ) -> impl Future<Output = Answered> + Send + use<> {
        let (join, leave) = match self.home.config.sharded {
            true => ("SSUBSCRIBE", "SUNSUBSCRIBE"),
            false => ("SUBSCRIBE", "UNSUBSCRIBE"),
        };
        let mut pipeline = Pipeline::new();
        for change in &changes {
            let (command, channel) = match change {
                Change::Join(channel) => (join, channel),
                Change::Leave(channel) => (leave, channel),
            };
            pipeline.cmd(command).arg(&*self.listening.names.full(channel));
        }
        let patience = self.home.config.ping + self.home.config.dead_after;
        async move {
            let replies = commands.send_packed_commands(&pipeline, 0, changes.len());
            let replies = timeout(patience, replies).await;
            Answered::Changes(changes, replies.ok().and_then(Result::ok))
        }
    }

    /// Looks for what Redis has refused. Whether the cluster has sent us elsewhere.
    fn have_moved(&mut self, changes: &[Change], replies: &[Value]) -> bool {
        for (change, reply) in changes.iter().zip(replies) {
            let Value::ServerError(error) = reply else { continue };
            let address = &self.dialer.address;
            if let Some((host, port)) = redirect(error, address) {
                self.dialer = self.home.moved_to(&host, port);
                return true;
            }
            let kind = RedisErrorKind::answered(error.code(), error.details().unwrap_or_default());
            self.listening.book().refused(change, &address.error(kind).into());
        }
        false
    }

    fn expire(&self) {
        let error = BusError::TimedOut(self.home.config.within);
        self.listening.book().expire(Instant::now(), &error);
    }
}

async fn ping(mut commands: MultiplexedConnection) -> Answered {
    // Whether it was answered shows in that something came in.
    let _ = commands.send_packed_command(&redis::cmd("PING")).await;
    Answered::Ping
}
