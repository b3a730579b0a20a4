//! What a bus carries between servers.

use wirestream::fuzz;

/// Opened or refused by its first bytes alone (R-BUS-1, R-BUS-2); what was opened is the same bytes once
/// it is sealed again.
pub fn envelope(data: &[u8]) {
    match fuzz::open_envelope(data) {
        Some((fingerprint, payload)) => {
            assert_eq!(data.first(), Some(&1));
            assert!(data.ends_with(payload));
            assert_eq!(fuzz::seal_envelope(fingerprint, payload), data);
        }
        None => assert!(data.len() < 9 || data[0] != 1, "an envelope was refused"),
    }
}
