use super::{Config, Connection, Role};
use crate::{OpenError, Request, Time};

/// R-OPEN-1: a number is used once, and behind the last one a client belongs on another connection.
#[test]
fn behind_the_last_call_id_a_client_belongs_on_a_new_connection() {
    let mut client = Connection::new(Role::Client, Config::default(), Time::ZERO).unwrap();
    client.last_call = u32::MAX - 1;
    assert!(!client.is_going_away());
    let last = client.open(&Request::default()).unwrap();
    assert!(client.is_going_away());
    assert_eq!(client.open(&Request::default()), Err(OpenError::Exhausted));
    // What is open goes on.
    assert!(!client.is_over(last));
    assert_eq!(client.closed(), None);
}
