use super::*;

/// A stream on which so much has come, and how often it was read.
struct Arrived {
    bytes: Vec<u8>,
    read: usize,
    reads: usize,
}

impl Arrived {
    fn new(size: usize) -> Self {
        let bytes = (0..size).map(|n| (n % 251) as u8).collect();
        Self { bytes, read: 0, reads: 0 }
    }

    fn poll_read(&mut self, bytes: &mut [u8]) -> Poll<io::Result<usize>> {
        self.reads += 1;
        let rest = &self.bytes[self.read..];
        if rest.is_empty() {
            return Poll::Pending;
        }
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        self.read += count;
        Poll::Ready(Ok(count))
    }
}

/// All that has come, read as tungstenite does, piece by piece.
fn read_all(ahead: &mut ReadAhead, arrived: &mut Arrived) -> Vec<u8> {
    let mut all = Vec::new();
    let mut piece = [0; READ_BUFFER];
    while let Poll::Ready(count) = ahead.poll_read(&mut piece, |into| arrived.poll_read(into)) {
        all.extend_from_slice(&piece[..count.expect("nothing fails")]);
    }
    all
}

#[test]
fn what_comes_in_is_given_out_as_it_came() {
    for size in [0, 1, READ_BUFFER - 1, READ_BUFFER, READ_BUFFER + 1, AHEAD, 10 * FAR_AHEAD + 7] {
        let (mut ahead, mut arrived) = (ReadAhead::default(), Arrived::new(size));
        assert!(read_all(&mut ahead, &mut arrived) == arrived.bytes, "{size} bytes");
        assert_eq!(ahead.buffer.capacity(), 0, "{size} bytes leave a buffer behind");
    }
}

#[test]
fn where_much_comes_in_it_takes_few_reads() {
    let size = READ_BUFFER + AHEAD + 10 * FAR_AHEAD;
    let (mut ahead, mut arrived) = (ReadAhead::default(), Arrived::new(size));
    read_all(&mut ahead, &mut arrived);
    let why =
        "one without the buffer, one with it, ten with a larger one, and one that finds nothing";
    assert_eq!(arrived.reads, 13, "{why}");
}

#[test]
fn where_little_comes_in_there_is_no_buffer() {
    let mut ahead = ReadAhead::default();
    for _ in 0..100 {
        let mut arrived = Arrived::new(READ_BUFFER - 1);
        read_all(&mut ahead, &mut arrived);
        assert_eq!((arrived.reads, ahead.buffer.capacity()), (2, 0));
    }
}

#[test]
fn a_failure_is_passed_on_behind_what_was_read() {
    let (mut ahead, mut arrived) = (ReadAhead::default(), Arrived::new(READ_BUFFER + AHEAD));
    let mut piece = [0; READ_BUFFER];
    for _ in 0..1 + AHEAD / READ_BUFFER {
        let read = ahead.poll_read(&mut piece, |into| arrived.poll_read(into));
        assert!(matches!(read, Poll::Ready(Ok(READ_BUFFER))), "{read:?}");
    }
    let reset = || Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
    let failed = ahead.poll_read(&mut piece, |_| reset());
    assert!(matches!(failed, Poll::Ready(Err(_))), "{failed:?}");
    let ended = ahead.poll_read(&mut piece, |_| Poll::Ready(Ok(0)));
    assert!(matches!(ended, Poll::Ready(Ok(0))), "{ended:?}");
}
