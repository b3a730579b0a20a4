//! Wirestream.
