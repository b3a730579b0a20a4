//! Peers that say whatever they like.

use std::future::poll_fn;
use std::pin::pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::future::select;
use wirestream::wire::{FaultCode, Frame, Hello, Open};
use wirestream::{Limits, Transport};
use wirestream_protocol::Announced;
use wirestream_sim::{Line, Network, Site, World};

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
