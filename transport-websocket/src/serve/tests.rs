use std::io::{Error, ErrorKind};
use std::time::Duration;

use super::{Next, Patience};

#[test]
fn failures_of_the_process_are_waited_out_longer_each_time() {
    let mut patience = Patience::default();
    for millis in [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
        // EMFILE
        let next = patience.after(&Error::from_raw_os_error(24));
        assert_eq!(next, Next::In(Duration::from_millis(millis)));
    }
    assert_eq!(
        Patience::default().after(&ErrorKind::OutOfMemory.into()),
        Next::In(Patience::SHORTEST)
    );
}

#[test]
fn the_failure_of_one_client_holds_up_nobody() {
    let mut patience = Patience::default();
    for kind in [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset, ErrorKind::Interrupted] {
        assert_eq!(patience.after(&kind.into()), Next::Now);
    }
    assert_eq!(patience.after(&ErrorKind::Other.into()), Next::In(Patience::SHORTEST));
}

#[test]
fn a_listener_that_is_none_is_given_up() {
    assert_eq!(Patience::default().after(&ErrorKind::InvalidInput.into()), Next::Never);
}
