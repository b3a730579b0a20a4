use super::{Config, Connection, Role};
use crate::{Event, OpenError, Request, Time};

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

/// A server with a call whose parameter and reply are open.
fn server_with_a_call() -> Connection {
    let mut server = Connection::new(Role::Server, Config::default(), Time::ZERO).unwrap();
    let mut client = Connection::new(Role::Client, Config::default(), Time::ZERO).unwrap();
    let request = Request { method: "Test.method".into(), parameters: 1, ..Request::default() };
    client.open(&request).unwrap();
    server.handle_message(client.poll_transmit(Time::ZERO).unwrap(), Time::ZERO);
    let Some(Event::Incoming(id)) = server.poll_event() else { panic!("no call came in") };
    server.call(id).unwrap().accept().unwrap();
    server
}

/// The rigs trust the audit: no figure of the books may be off by one without its notice.
#[test]
fn the_audit_notices_each_figure_that_is_off() {
    let check = |spoil: fn(&mut Connection), notice: &str| {
        let mut server = server_with_a_call();
        assert_eq!(server.audit(), Ok(()));
        spoil(&mut server);
        let found = server.audit().unwrap_err();
        assert!(found.contains(notice), "{found}");
    };
    check(|server| server.receive_credit.charge(1), "the connection holds other");
    check(
        |server| {
            let mut halves =
                server.calls.iter_mut().flat_map(super::super::call::CallRecord::incoming_mut);
            halves.next().unwrap().credit.charge(1);
        },
        "a half holds other",
    );
    check(|server| server.stats.calls_begun += 1, "other calls are counted");
    check(|server| server.windows += 1, "the windows of the halves");
    check(|server| server.buffered += 1, "the outgoing buffers");
    check(|server| server.without_credit += 1, "other messages wait");
}
