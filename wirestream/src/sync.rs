//! What threads meet at on a connection. In tests, each place where one may come before another is
//! known, and those that are told to take turns there.

#[cfg(test)]
mod interleaved;
#[cfg(test)]
mod tests;

#[cfg(not(test))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize};
#[cfg(not(test))]
pub(crate) use std::sync::{Mutex, MutexGuard};

#[cfg(test)]
pub(crate) use interleaved::{AtomicBool, AtomicUsize, Mutex, MutexGuard};
