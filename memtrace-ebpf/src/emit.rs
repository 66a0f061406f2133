//! Reserve, fill, submit. The only place that counts a record which could not be sent.

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_boot_ns,
    maps::{RingBuf, ring_buf::RingBufEntry},
};
use memtrace_ebpf::wire::{Header, lost};

use crate::{config::WAKE_BYTES, maps::LOST};

pub(crate) const BPF_RB_NO_WAKEUP: u64 = 1;
const BPF_RB_FORCE_WAKEUP: u64 = 2;
const BPF_RB_PROD_POS: u64 = 3;
/// A few records: more than one producer may move the position between two looks at it.
const WINDOW: u64 = 512;

/// When the reader is to be woken.
#[derive(Clone, Copy)]
pub(crate) enum Wake {
    /// At once.
    Now,
    /// Whenever so much has been written; a timer of the reader's fetches the rest.
    WhenFull,
}

impl Wake {
    #[inline(always)]
    pub(crate) fn flags(self, ring: &RingBuf) -> u64 {
        match self {
            Self::Now => BPF_RB_FORCE_WAKEUP,
            // By the writer's position, not by what waits: a reader that has fallen behind is awake,
            // and to wake it for each record costs more than the record.
            Self::WhenFull if ring.query(BPF_RB_PROD_POS) & (WAKE_BYTES.load() - 1) < WINDOW => {
                BPF_RB_FORCE_WAKEUP
            }
            Self::WhenFull => BPF_RB_NO_WAKEUP,
        }
    }
}

/// Room for a record, its header filled; or nothing, and the loss is counted.
#[inline(always)]
pub(crate) fn reserve<T: 'static>(ring: &RingBuf, tag: u32, class: u32) -> Option<RingBufEntry<T>> {
    let entry = ring.reserve::<T>(0);
    match entry {
        Some(mut entry) => {
            let header = entry.as_mut_ptr().cast::<Header>();
            unsafe { *header = header_of::<T>(tag) };
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
    if let Some(count) = LOST.get_ptr_mut(class) {
        unsafe { *count += 1 };
    }
}

/// Counts one lost process.
#[inline(always)]
pub(crate) fn count_untraced() {
    count_lost(lost::TRACED);
}
