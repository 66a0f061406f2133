//! Uprobes on marker functions: a checkpoint, with the exact RSS of that very instant.

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{
            bpf_get_attach_cookie, bpf_ktime_get_boot_ns, bpf_probe_read_user,
            bpf_probe_read_user_str,
        },
    },
    macros::uprobe,
    programs::ProbeContext,
};
use memtrace_ebpf::wire::{Loaded, Mark, Pages, SHORT_ROOM, TEXT_ROOM, lost, mark, tag};

use crate::{
    config::*,
    emit::{Wake, add_one_shared, count_lost, reserve},
    maps::{LIFE_RING, MARK_RING, NOWHERE, TGID_TO_TRACED, Traced},
    read,
};

/// `memtrace_checkpoint(const char *name, const char *details)`.
#[uprobe]
fn checkpoint(ctx: ProbeContext) -> u32 {
    let (name, details) = (ctx.arg(0).unwrap_or(0), ctx.arg(1).unwrap_or(0));
    send(&ctx, mark::CHECKPOINT, Some((name, details)))
}

/// `PyOS_mystricmp(magic, name, details)` as the drop-in calls it. Anybody else's call, whose
/// first argument is not the magic, is left alone.
#[uprobe]
fn python(ctx: ProbeContext) -> u32 {
    const MEMTRACE: u64 = u64::from_ne_bytes(*b"memtrace");
    const MARK: u64 = u64::from_ne_bytes(*b"\x01mark\0\0\0");
    const INIT: u64 = u64::from_ne_bytes(*b"\x01init\0\0\0");
    let mut magic = [0_u64; 2];
    unsafe {
        bpf_probe_read_user(
            magic.as_mut_ptr().cast(),
            16,
            ctx.arg::<u64>(0).unwrap_or(0) as *const core::ffi::c_void,
        )
    };
    let kind = match magic {
        [MEMTRACE, MARK] => mark::PYTHON,
        [MEMTRACE, INIT] => mark::PYTHON_INIT,
        _ => return 0,
    };
    let (name, details) = (ctx.arg(1).unwrap_or(0), ctx.arg(2).unwrap_or(0));
    send(&ctx, kind, Some((name, details)))
}

/// Any function that the user named; the cookie says which.
#[uprobe]
fn function(ctx: ProbeContext) -> u32 {
    send(&ctx, mark::FUNCTION, None)
}

/// `_dl_debug_state()`: the dynamic loader (glibc's and musl's) calls it for debuggers whenever it
/// has mapped libraries. A library that has just come may hold markers.
#[uprobe]
fn loaded(ctx: ProbeContext) -> u32 {
    keep_to_own_stack(&ctx);
    let tgid = (bpf_get_current_pid_tgid() >> 32) as u32;
    if TGID_TO_TRACED.get_ptr(tgid).is_none() {
        return 0;
    }
    let Some(mut entry) = reserve::<Loaded>(&LIFE_RING, tag::LOADED, lost::LIFE) else {
        return 0;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.tgid = tgid;
    record.zero = 0;
    entry.submit(Wake::Now.flags());
    0
}

/// Has the program run on the task's own stack. From 6.13 programs of this type get one for each
/// cpu (`bpf_enable_priv_stack`, kernel/bpf/verifier.c), but a uprobe may be preempted by that of
/// another process, which then writes into it: garbage in records, and kernels that crash. Programs
/// with a tail call are exempt, and one that is never reached is enough; the verifier removes it.
#[inline(always)]
pub(crate) fn keep_to_own_stack(ctx: &ProbeContext) {
    if NEVER.load() != 0 {
        unsafe { NOWHERE.tail_call(ctx, 0) };
    }
}

#[inline(always)]
fn send(ctx: &ProbeContext, kind: u32, texts: Option<(u64, u64)>) -> u32 {
    keep_to_own_stack(ctx);
    let id = bpf_get_current_pid_tgid();
    let tgid = (id >> 32) as u32;
    diagnose!(ctx, "marker of kind {} in {}", kind, tgid);
    let Some(traced) = TGID_TO_TRACED.get_ptr_mut(tgid) else {
        return 0;
    };
    if comes_too_fast(traced) {
        count_lost(lost::MARK_RATE);
        add_one_shared(unsafe { &mut (*traced).limited_marks });
        return 0;
    }
    let cookie = if kind == mark::FUNCTION && HAS_COOKIE.load() != 0 {
        unsafe { bpf_get_attach_cookie(ctx.as_ptr()) }
    } else {
        0
    };
    let mut seen = Seen {
        id,
        cookie,
        kind,
        pages: Pages::default(),
    };
    read::own(&mut seen.pages);
    let mut sent = put::<SHORT_ROOM, { 2 * SHORT_ROOM }>(&seen, texts);
    if matches!(sent, Put::TooLong) {
        sent = put::<TEXT_ROOM, { 2 * TEXT_ROOM + 6 }>(&seen, texts);
    }
    if matches!(sent, Put::Lost) {
        add_one_shared(unsafe { &mut (*traced).lost_marks });
    }
    0
}

/// Nanoseconds from one checkpoint of a process to the next, in the long run: four such processes
/// are about what the collector keeps up with.
const INTERVAL_NS: u64 = 20_000;
/// How far a process may be ahead of that: two hundred thousand checkpoints.
const AHEAD_NS: u64 = 4_000_000_000;

/// A process that sets checkpoints in a tight loop is held to a rate, so that it cannot drown the
/// others'. Its threads do not lock each other out of the sum: what they let through twice is little.
#[inline(always)]
fn comes_too_fast(traced: *mut Traced) -> bool {
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let due = unsafe { read_volatile(&raw const (*traced).mark_due) };
    if due > now + AHEAD_NS {
        return true;
    }
    let from = if due > now { due } else { now };
    unsafe { write_volatile(&raw mut (*traced).mark_due, from + INTERVAL_NS) };
    false
}

/// A checkpoint but for its texts.
struct Seen {
    id: u64,
    cookie: u64,
    kind: u32,
    pages: Pages,
}

/// What became of a record.
enum Put {
    Sent,
    Lost,
    /// The texts need more room.
    TooLong,
}

/// Sends a record with room for two texts. It is put together in the ring: since 6.0 a uprobe may be
/// interrupted by that of another process on the same cpu, so that nothing of a cpu's own is safe.
#[inline(always)]
fn put<const ROOM: usize, const TEXT: usize>(seen: &Seen, texts: Option<(u64, u64)>) -> Put {
    let Some(mut entry) = reserve::<Mark<TEXT>>(&MARK_RING, tag::MARK, lost::MARK) else {
        return Put::Lost;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.tgid = (seen.id >> 32) as u32;
    record.tid = seen.id as u32;
    record.cookie = seen.cookie;
    record.kind = seen.kind;
    record.zero = 0;
    record.pages = seen.pages;
    record.name_len = 0;
    record.details_len = -1;
    let fits = texts.is_none_or(|(name, details)| copy::<ROOM, TEXT>(record, name, details));
    // The longest room is all that there is: what does not fit is cut.
    if fits || ROOM == TEXT_ROOM {
        entry.submit(Wake::IfCaughtUp.flags());
        Put::Sent
    } else {
        // Not silently: behind a record that the reader has not passed nobody wakes it.
        entry.discard(Wake::IfCaughtUp.flags());
        Put::TooLong
    }
}

/// Copies both texts, one behind the other; false if one takes all of its room.
#[inline(always)]
fn copy<const ROOM: usize, const TEXT: usize>(
    record: &mut Mark<TEXT>,
    name: u64,
    details: u64,
) -> bool {
    let text = record.text.as_mut_ptr();
    let name_size = user_text::<ROOM>(name, text);
    let name_len = if name_size > 0 {
        (name_size - 1).cast_unsigned() & 0x1ff
    } else {
        0
    };
    record.name_len = if name_size >= 0 { name_len as i32 } else { -1 };
    let mut fits = name_len < ROOM as u64 - 1;
    if details != 0 && name_len < ROOM as u64 {
        let details_size = user_text::<ROOM>(details, unsafe { text.add(name_len as usize) });
        if details_size > 0 {
            let details_len = (details_size - 1).cast_unsigned() & 0x1ff;
            record.details_len = details_len as i32;
            fits = fits && details_len < ROOM as u64 - 1;
        } else if details_size == 0 {
            record.details_len = 0;
        }
    }
    fits
}

/// Copies a NUL-ended string of the program; its size with NUL, or a negative error. Before 6.16 the
/// size of an empty one is 0 (`strncpy_from_user_nofault`). A page that is not resident cannot be
/// read: the probe must not fault.
#[inline(always)]
fn user_text<const ROOM: usize>(from: u64, room: *mut u8) -> i64 {
    unsafe { bpf_probe_read_user_str(room.cast(), ROOM as u32, from as *const core::ffi::c_void) }
}
