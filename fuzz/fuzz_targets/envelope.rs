//! `wirestream_fuzz::envelope` under libFuzzer.
#![cfg_attr(not(test), no_main)] // `cargo test` builds it with a main of its own, and has nothing to run

#[cfg(not(test))]
libfuzzer_sys::fuzz_target!(|data: &[u8]| wirestream_fuzz::envelope(data));
