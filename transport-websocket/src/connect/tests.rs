use std::cell::RefCell;
use std::future::ready;
use std::io::{Error, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use futures_util::FutureExt;

use super::{Stage, connect_to_one_of};

const LEFT: Duration = Duration::from_secs(12);

fn addresses(ports: impl IntoIterator<Item = u16>) -> Vec<SocketAddr> {
    ports.into_iter().map(|port| SocketAddr::from(([192, 0, 2, 1], port))).collect()
}

/// A port that was tried, and its seconds.
type Tried = (u16, u64);

/// The result where each address answers as `answer` says, and what was tried; `None` if it waits
/// for the end of the attempt.
fn check(
    found: Vec<SocketAddr>,
    answer: impl Fn(u16) -> Option<std::io::Result<u16>>,
) -> (Option<Result<u16, String>>, Vec<Tried>) {
    let tried = RefCell::new(Vec::new());
    let mut stage = Stage::Lookup;
    let connect = |address: SocketAddr, share: Duration| {
        tried.borrow_mut().push((address.port(), share.as_secs()));
        ready(answer(address.port()))
    };
    let result = connect_to_one_of(found, || LEFT, &mut stage, connect).now_or_never();
    (result, tried.into_inner())
}

#[test]
fn a_silent_address_has_a_share_of_the_time_alone() {
    let answer = |port| (port == 3).then_some(Ok(port));
    let (result, tried) = check(addresses(1..=4), answer);
    assert_eq!(result, Some(Ok(3)));
    assert_eq!(tried, [(1, 3), (2, 4), (3, 6)]);
}

#[test]
fn each_failure_is_told_with_its_address() {
    let answer = |port| (port == 2).then(|| Err(Error::from(ErrorKind::ConnectionRefused)));
    let (result, _) = check(addresses([1, 2]), answer);
    let words = "192.0.2.1:1: no answer; 192.0.2.1:2: connection refused";
    assert_eq!(result, Some(Err(words.into())));
}

#[test]
fn the_last_address_that_stays_silent_leaves_the_word_to_the_deadline() {
    let (result, tried) = check(addresses([1, 2]), |_| None);
    assert_eq!(result, None);
    assert_eq!(tried.len(), 2);
}

#[test]
fn a_name_with_very_many_addresses_is_tried_at_eight() {
    let refused = |_| Some(Err(ErrorKind::ConnectionRefused.into()));
    let (result, tried) = check(addresses(1..=100), refused);
    assert!(matches!(result, Some(Err(_))));
    assert_eq!(tried.len(), 8);
}

#[test]
fn a_name_without_an_address_is_told() {
    let (result, _) = check(Vec::new(), |port| Some(Ok(port)));
    assert_eq!(result, Some(Err("the name has no address".into())));
}
