//! Reserve, fill, submit. The only place that counts a record which could not be sent.

use core::intrinsics::{AtomicOrdering, atomic_xadd};

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_boot_ns,
    maps::{RingBuf, ring_buf::RingBufEntry},
};
use memtrace_ebpf::wire::{Header, lost};

use crate::maps::LOST;

const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;

/// When the reader is to be woken.
#[derive(Clone, Copy)]
pub(crate) enum Wake {
    /// At once.
    Now,
    /// If it had read all that was there before, as the kernel itself finds out
    /// (`bpf_ringbuf_commit`, kernel/bpf/ringbuf.c): one that has fallen behind is awake.
    IfCaughtUp,
    /// By another probe, behind this one: see `probe/spare.rs`.
    Later,
}

impl Wake {
    #[inline(always)]
    pub(crate) fn flags(self) -> u64 {
        match self {
            Self::Now => BPF_RB_FORCE_WAKEUP,
            Self::IfCaughtUp => 0,
            Self::Later => BPF_RB_NO_WAKEUP,
        }
    }
}

/// Room for a record, its header filled; or nothing, and the loss is counted.
///
/// The time is taken before the room: a probe may be preempted in between, and the reader relies on
/// this, that what lies behind a record was sent by those who do nothing older than it afterwards.
#[inline(always)]
pub(crate) fn reserve<T: 'static>(ring: &RingBuf, tag: u32, class: u32) -> Option<RingBufEntry<T>> {
    let header = header_of::<T>(tag);
    // The lock of a ring may be refused, after 250 ms, since 6.15 (`__bpf_ringbuf_reserve`,
    // kernel/bpf/ringbuf.c): where another virtual cpu holds it that does not run. A life is worth
    // a second try.
    let again = class == lost::LIFE || class == lost::KILL;
    let entry = match ring.reserve::<T>(0) {
        None if again => ring.reserve::<T>(0),
        entry => entry,
    };
    match entry {
        Some(mut entry) => {
            unsafe { *entry.as_mut_ptr().cast::<Header>() = header };
            Some(entry)
        }
        None => {
            count_lost(class);
            None
        }
    }
}

/// The header of a record that begins now.
#[inline(always)]
pub(crate) fn header_of<T>(tag: u32) -> Header {
    Header {
        tag,
        size: size_of::<T>() as u32,
        at: unsafe { bpf_ktime_get_boot_ns() },
    }
}

/// Counts one lost record of a class.
#[inline(always)]
pub(crate) fn count_lost(class: u32) {
    add_one(LOST.get_ptr_mut(class));
}

/// Counts up what several cpus count.
#[inline(always)]
pub(crate) fn add_one_shared(count: &mut u64) {
    // Without the old value this is one instruction, which kernels have had from the beginning.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(count, 1) };
}

/// Counts up on one's own cpu.
#[inline(always)]
pub(crate) fn add_one(count: Option<*mut u64>) {
    if let Some(count) = count {
        unsafe { *count += 1 };
    }
}

/// Counts one lost process.
#[inline(always)]
pub(crate) fn count_untraced() {
    count_lost(lost::TRACED);
}
