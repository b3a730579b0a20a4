//! What a hostile peer may try, and what it costs: memory is counted.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use peak_alloc::PeakAlloc;
use serde::ser::SerializeTuple;
use serde::{Deserialize, Serialize, Serializer};
use wirestream::{Endpoint, Limits, NoError, Receiver, Server, Session, StreamError, channel};
use wirestream_tests::{Net, Rig, soon};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Bytes as they are: what a peer sends that does not keep to the contract.
struct Raw(Vec<u8>);

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = serializer.serialize_tuple(self.0.len())?;
        self.0.iter().try_for_each(|byte| bytes.serialize_element(byte))?;
        bytes.end()
    }
}

#[derive(Deserialize)]
struct Node {
    #[allow(dead_code, reason = "it is only decoded")]
    next: Option<Box<Node>>,
}

#[derive(Deserialize)]
struct Nest(#[allow(dead_code, reason = "it is only decoded")] Vec<Nest>);

#[derive(Deserialize)]
#[allow(clippy::large_enum_variant, reason = "that is the point")]
enum Lopsided {
    Small,
    #[allow(dead_code, reason = "it is only decoded")]
    Large([[u64; 8]; 8]),
}

/// Takes one message, and says whether it decoded.
async fn takes<T>(_: Session, (): (), (mut messages,): (Receiver<T>,)) -> Result<bool, NoError>
where
    Receiver<T>: futures_util::Stream<Item = Result<T, StreamError<NoError>>>,
{
    let first = messages.next().await.expect("a message or an error");
    assert!(matches!(first, Ok(_) | Err(StreamError::Decode(_))));
    Ok(first.is_ok())
}

async fn add(_: Session, (a, b): (u8, u8), (): ()) -> Result<u8, NoError> {
    Ok(a + b)
}

/// 2^30, as a varint.
const BILLION: [u8; 5] = [0x80, 0x80, 0x80, 0x80, 0x04];

/// R-DATA-4, on every transport: the types that break plain postcard.
#[test]
fn a_payload_that_would_grow_without_bound_ends_its_half_alone() {
    let small = std::iter::repeat_n(0, 1024 * 1024 - 3);
    let lopsided = [0xfd, 0xff, 0x3f].into_iter().chain(small).collect();
    let payloads = [
        ("node", vec![1; 51_000]),
        ("nest", vec![1; 51_000]),
        ("lopsided", lopsided),
        ("list", BILLION.into()),
        ("set", BILLION.into()),
        ("text", BILLION.into()),
    ];
    let limits = Limits { message: 2 * 1024 * 1024, ..Limits::default() };
    let tokio = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    tokio.expect("a runtime").block_on(async {
        for net in [Net::Memory, Net::Tokio, Net::Smol] {
            let endpoint = Endpoint::new("Hostile")
                .unary("node", takes::<Node>)
                .unary("nest", takes::<Nest>)
                .unary("lopsided", takes::<Vec<Lopsided>>)
                .unary("list", takes::<Vec<()>>)
                .unary("set", takes::<BTreeSet<()>>)
                .unary("text", takes::<String>)
                .unary("add", add);
            let server = Server::builder().limits(limits.clone()).endpoint(endpoint);
            let rig = Rig::start(net, server.build().expect("a server")).await;
            let client = rig.client_with(limits.clone());
            assert_eq!(
                client.call("Hostile.add").arguments(&(1_u8, 2_u8)).unary::<u8>().await,
                Ok(3)
            );
            for (method, payload) in &payloads {
                HEAP.reset_peak_usage();
                let before = HEAP.current_usage();
                let (sender, parameter) = channel();
                let call = client.call(format!("Hostile.{method}")).parameter(parameter);
                let took = call.unary::<bool>();
                sender.send(Raw(payload.clone())).await.expect("it is taken");
                let begun = Instant::now();
                assert_eq!(soon("an answer", took).await, Ok(false), "{net:?} {method}");
                assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
                // The payload on both sides, twice where it grows, and what it was decoded to.
                let most = 64 * 1024 * 1024 + 12 * payload.len();
                let cost = HEAP.peak_usage() - before;
                assert!(cost < most, "{net:?} {method} took {cost} bytes");
            }
            assert_eq!(
                client.call("Hostile.add").arguments(&(2_u8, 2_u8)).unary::<u8>().await,
                Ok(4)
            );
        }
    });
}
