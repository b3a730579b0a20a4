//! A device without an operating system that answers one packet with another.
#![no_std]

extern crate alloc;

use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::panic::PanicInfo;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

use wirestream_protocol::{Config, Connection, Role, Time};

const ARENA: usize = 1 << 20;

/// Hands out memory and never takes it back.
struct Arena {
    memory: UnsafeCell<[u8; ARENA]>,
    used: AtomicUsize,
}

// SAFETY: no two callers get the same part of the memory, as `used` only grows, atomically.
unsafe impl Sync for Arena {}

// SAFETY: what is handed out is aligned, within the memory, and nobody else's.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.memory.get().cast::<u8>();
        let most = layout.size() + layout.align();
        let offset = self.used.fetch_add(most, Ordering::Relaxed);
        if offset > ARENA || ARENA - offset < most {
            return ptr::null_mut();
        }
        let from = start.wrapping_add(offset);
        from.wrapping_add(from.align_offset(layout.align()))
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static MEMORY: Arena =
    Arena { memory: UnsafeCell::new([0; ARENA]), used: AtomicUsize::new(0) };

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}

/// Takes one packet and writes the next one to send; returns its length.
///
/// # Safety
/// `packet` points to `len` readable bytes, `out` to `room` writable ones.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn wirestream_answer(
    packet: *const u8,
    len: usize,
    out: *mut u8,
    room: usize,
) -> usize {
    // SAFETY: the caller's promise.
    let (packet, out) = unsafe {
        (core::slice::from_raw_parts(packet, len), core::slice::from_raw_parts_mut(out, room))
    };
    let Ok(mut connection) = Connection::new(Role::Server, Config::default(), Time::ZERO) else {
        return 0;
    };
    connection.handle_message(Vec::from(packet).into(), Time::ZERO);
    let answer = connection.poll_transmit(Time::ZERO).unwrap_or_default();
    let Some(out) = out.get_mut(..answer.len()) else { return 0 };
    out.copy_from_slice(&answer);
    answer.len()
}
