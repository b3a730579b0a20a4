use tungstenite::protocol::WebSocketConfig;
use wirestream::wire::{FULL_PACKET, MAX_PACKET};

#[cfg(test)]
mod tests;

/// Allocated with each connection and zeroed before each read: small, for many idle connections.
/// Busy ones have [`ReadAhead`](crate::ReadAhead).
pub(crate) const READ_BUFFER: usize = 2 * 1024;
/// Four full packets are written at once, which wakes the peer a quarter as often; fewer wait for
/// the flush.
const WRITE_BUFFER: usize = 4 * FULL_PACKET;
/// Room beside one largest packet for its header and for answers to pings.
const CONTROL_ROOM: usize = 4 * 1024;

/// How tungstenite is set up on both sides. Every size is bounded, and a message holds one packet
/// at most (R-PACKET-2).
pub fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER + MAX_PACKET + CONTROL_ROOM)
        .max_message_size(Some(MAX_PACKET))
        .max_frame_size(Some(MAX_PACKET))
        .accept_unmasked_frames(false)
}
