use wirestream::wire::MAX_PACKET;

use super::config;

/// R-PACKET-2
#[test]
fn every_buffer_and_message_is_bounded() {
    let config = config();
    assert_eq!(config.max_message_size, Some(MAX_PACKET));
    assert_eq!(config.max_frame_size, Some(MAX_PACKET));
    assert_eq!(config.read_buffer_size, 2 * 1024);
    assert!(config.max_write_buffer_size <= 2 * MAX_PACKET);
    assert!(!config.accept_unmasked_frames);
}

#[test]
fn a_full_write_buffer_has_room_for_a_largest_packet() {
    const HEADER: usize = 14;
    let config = config();
    assert!(config.max_write_buffer_size >= config.write_buffer_size + MAX_PACKET + HEADER);
}
