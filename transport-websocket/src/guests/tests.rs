use std::net::SocketAddr;

use super::Guests;
use crate::AcceptError;

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 1)
}

#[test]
fn each_address_has_as_many_places_as_the_bound_and_none_beyond() {
    let guests = Guests::new(2);
    let (here, elsewhere) = (at("192.0.2.1"), at("192.0.2.2"));
    let first = guests.admit(here).unwrap();
    let second = guests.admit(here).unwrap();
    let error = guests.admit(here).unwrap_err();
    assert_eq!(error, AcceptError::TooMany { address: here.ip() });
    let others = guests.admit(elsewhere).unwrap();
    drop(first);
    let third = guests.admit(here).unwrap();
    assert!(guests.admit(here).is_err());
    drop((second, third, others));
    assert!(guests.counts().is_empty(), "nothing is kept of who has gone");
}

#[test]
fn a_network_of_ipv6_is_one_address_and_ipv4_within_ipv6_is_itself() {
    let guests = Guests::new(1);
    for (first, second, is_same) in [
        ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true),
        ("2001:db8::1", "2001:db8:0:1::1", false),
        ("192.0.2.1", "::ffff:192.0.2.1", true),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", false),
    ] {
        let _place = guests.admit(at(first)).unwrap();
        assert_eq!(guests.admit(at(second)).is_err(), is_same, "{first} {second}");
    }
}

#[test]
fn there_is_at_least_one_place() {
    assert!(Guests::new(0).admit(at("192.0.2.1")).is_ok());
}
