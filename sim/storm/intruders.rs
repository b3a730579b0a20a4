//! Peers that say whatever they like.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::{Either, select};
use wirestream::wire::{FaultCode, Frame, Hello, Open};
use wirestream::{Limits, Transport};
use wirestream_protocol::Announced;
use wirestream_sim::{Line, Network, Site, World};

use crate::books;
use crate::run::RATE;

fn hello() -> Frame<'static> {
    let limits = Limits::default();
    let limits = Announced {
        message: limits.message,
        chunk: limits.chunk,
        request: limits.request,
        half_window: limits.first_half_window(),
        connection_window: limits.connection_window,
        calls: limits.calls,
        parameters: limits.parameters,
    };
    Frame::Hello(Hello::V1 { minor: 0, limits, token: None })
}

fn frame(world: &World, filling: &'static [u8]) -> Frame<'static> {
    let call = world.chance(12) as u32;
    let half = world.chance(3) as u8;
    let size = world.chance(filling.len() as u64) as usize;
    match world.chance(12) {
        0..=2 => Frame::Open(Open {
            call,
            parameters: half,
            method: ["Storm.any", "Storm.none", ""][world.chance(3) as usize],
            fingerprint: None,
            token: None,
            metadata: Vec::new(),
            arguments: &filling[..size],
        }),
        3 | 4 => Frame::Message { call, half, payload: &filling[..size] },
        5 => Frame::Begin { call, half, total: 2_000, payload: &filling[..size] },
        6 => Frame::More { call, half, payload: &filling[..size] },
        7 => Frame::Close { call, half },
        8 => Frame::Error { call, half, code: FaultCode::Failed, payload: b"" },
        9 => Frame::Stop { call, half },
        10 => Frame::Credit { call, half, amount: world.chance(100) as u32 },
        _ => Frame::Ping,
    }
}

/// Connects to a server and breaks its rules, or does not listen, until it is thrown out or goes.
pub(crate) async fn intrude(world: World, site: Site, network: Network) {
    let Some(mut line) = site.connect(&network) else { return };
    static FILLING: [u8; 500] = [1; 500];
    let listens = world.chance(2) == 0;
    let mut packet = BytesMut::new();
    if world.chance(4) > 0 {
        hello().encode(&mut packet);
    }
    for _ in 0..world.chance(30) {
        for _ in 0..world.chance(5) {
            frame(&world, &FILLING).encode(&mut packet);
        }
        if world.chance(10) == 0 && !packet.is_empty() {
            let place = world.chance(packet.len() as u64) as usize;
            packet[place] ^= 1 << world.chance(8);
        }
        let mut packet = packet.split().freeze();
        let sending = poll_fn(|cx| line.poll_send(cx, &mut packet));
        let patience = world.sleep(Duration::from_secs(1));
        // Whether it is taken or not.
        {
            let (sending, patience) = (pin!(sending), pin!(patience));
            let _ = select(sending, patience).await;
        }
        world.sleep(Duration::from_millis(world.chance(50))).await;
        if listens && listen(&mut line).await.is_none() {
            return;
        }
    }
    world.sleep(Duration::from_millis(world.chance(60_000))).await;
}

/// What a flood is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flood {
    /// Calls that are opened and given up.
    Resets,
    /// Calls that are refused.
    Refusals,
    Pings,
    Grants,
    /// Messages of no bytes.
    Empty,
    /// Calls that nobody ends, as many as come.
    Opens,
}

fn open(call: u32, method: &'static str) -> Frame<'static> {
    Frame::Open(Open {
        call,
        parameters: 1,
        method,
        fingerprint: None,
        token: None,
        metadata: Vec::new(),
        arguments: &[1],
    })
}

impl Flood {
    const ALL: [Self; 6] =
        [Self::Resets, Self::Refusals, Self::Pings, Self::Grants, Self::Empty, Self::Opens];

    /// Whether each of its frames counts until the connection is ended for them.
    fn is_budgeted(self) -> bool {
        matches!(self, Self::Resets | Self::Refusals | Self::Pings)
    }

    /// Whether it is of a call that was opened before.
    fn is_of_one_call(self) -> bool {
        matches!(self, Self::Grants | Self::Empty)
    }

    /// The part of it that has this number, from 1 on.
    fn put(self, number: u32, packet: &mut BytesMut) {
        match self {
            Self::Resets => {
                open(number, "Storm.any").encode(packet);
                Frame::Stop { call: number, half: 0 }.encode(packet);
            }
            Self::Refusals => open(number, "Storm.none").encode(packet),
            Self::Opens => open(number, "Storm.any").encode(packet),
            Self::Pings => Frame::Ping.encode(packet),
            Self::Grants => Frame::Credit { call: 1, half: 0, amount: 1 }.encode(packet),
            Self::Empty => Frame::Message { call: 1, half: 1, payload: b"" }.encode(packet),
        }
    }
}

/// Connects to a server and says one thing as fast as it can, whether it listens or not. The server
/// holds no more than it may, and throws it out where that has a budget.
pub(crate) async fn flood(world: World, site: Site, network: Network) {
    let Some(mut line) = site.connect(&network) else { return };
    let flood = Flood::ALL[world.chance(Flood::ALL.len() as u64) as usize];
    let listens = world.chance(2) == 0;
    let mut packet = BytesMut::new();
    hello().encode(&mut packet);
    if flood.is_of_one_call() {
        open(1, "Storm.any").encode(&mut packet);
    }
    let (begun, mut numbers, mut taken) = (world.now(), 1.., 0);
    for _ in 0..world.chance(40) {
        let count = 1 + world.chance(200);
        numbers.by_ref().take(count as usize).for_each(|number| flood.put(number, &mut packet));
        let mut packet = packet.split().freeze();
        let sending = poll_fn(|cx| line.poll_send(cx, &mut packet));
        let patience = world.sleep(Duration::from_secs(1));
        match select(pin!(sending), pin!(patience)).await {
            Either::Left((Ok(()), _)) => taken += count,
            Either::Left((Err(_), _)) => return,
            Either::Right(_) => {}
        }
        books::look(&[], std::slice::from_ref(&site));
        if listens && listen(&mut line).await.is_none() {
            return;
        }
    }
    // Less than the silence after which it is given up anyway.
    for _ in 0..10 {
        world.sleep(Duration::from_secs(1)).await;
        books::look(&[], std::slice::from_ref(&site));
        if listen(&mut line).await.is_none() {
            return;
        }
    }
    let rate = u64::from(RATE);
    let budget = 10 * rate + rate * (world.now().since(begun).as_secs() + 1);
    assert!(!flood.is_budgeted() || taken <= budget, "{taken} of {flood:?}, and nothing is done");
}

/// What has come, without a wait; nothing, once that is over.
async fn listen(line: &mut Line) -> Option<Vec<Bytes>> {
    let mut came = Vec::new();
    poll_fn(|cx| {
        while let std::task::Poll::Ready(next) = line.poll_recv(cx) {
            match next {
                Some(Ok(packet)) => came.push(packet),
                Some(Err(_)) | None => return std::task::Poll::Ready(None),
            }
        }
        std::task::Poll::Ready(Some(std::mem::take(&mut came)))
    })
    .await
}
