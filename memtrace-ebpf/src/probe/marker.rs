//! Uprobes on marker functions: a checkpoint, with the exact RSS of that very instant.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_attach_cookie, bpf_probe_read_user, bpf_probe_read_user_str},
    },
    macros::uprobe,
    programs::ProbeContext,
};
use memtrace_ebpf::wire::{Header, Loaded, Mark, TEXT_ROOM, lost, mark, tag};

use crate::{
    config::*,
    emit::{Wake, count_lost, header_of, reserve},
    maps::{LIFE_RING, MARK_RING, MARK_SCRATCH, TGID_TO_TRACED},
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
fn loaded(_ctx: ProbeContext) -> u32 {
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
    entry.submit(Wake::Now.flags(&LIFE_RING));
    0
}

#[inline(always)]
fn send(ctx: &ProbeContext, kind: u32, texts: Option<(u64, u64)>) -> u32 {
    let id = bpf_get_current_pid_tgid();
    let tgid = (id >> 32) as u32;
    diagnose!(ctx, "marker of kind {} in {}", kind, tgid);
    let Some(traced) = TGID_TO_TRACED.get_ptr_mut(tgid) else {
        return 0;
    };
    let Some(scratch) = MARK_SCRATCH.get_ptr_mut(0) else {
        return 0;
    };
    let record = unsafe { &mut *scratch };
    record.header = header_of::<Mark>(tag::MARK);
    record.tgid = tgid;
    record.tid = id as u32;
    record.cookie = if kind == mark::FUNCTION && HAS_COOKIE.load() != 0 {
        unsafe { bpf_get_attach_cookie(ctx.as_ptr()) }
    } else {
        0
    };
    record.kind = kind;
    record.zero = 0;
    read::own(&mut record.pages);
    let used = match texts {
        Some((name, details)) => copy(record, name, details),
        None => {
            record.name_len = 0;
            record.details_len = -1;
            0
        }
    };
    let size = (size_of::<Mark>() - size_of::<[u8; 2 * TEXT_ROOM + 6]>()) as u64 + used;
    record.header = Header {
        size: size as u32,
        ..record.header
    };
    let flags = Wake::WhenFull.flags(&MARK_RING);
    if output(record, size, flags) != 0 {
        count_lost(lost::MARK);
        unsafe { (*traced).lost_marks += 1 };
    }
    0
}

/// Copies both texts, one behind the other; how many bytes they take.
#[inline(always)]
fn copy(record: &mut Mark, name: u64, details: u64) -> u64 {
    let text = record.text.as_mut_ptr();
    let name_size = user_text(name, text);
    let name_len = if name_size > 0 {
        (name_size - 1).cast_unsigned() & 0x1ff
    } else {
        0
    };
    record.name_len = if name_size >= 0 { name_len as i32 } else { -1 };
    record.details_len = -1;
    let mut used = name_len;
    if details != 0 && name_len < TEXT_ROOM as u64 {
        let details_size = user_text(details, unsafe { text.add(name_len as usize) });
        if details_size > 0 {
            let details_len = (details_size - 1).cast_unsigned() & 0x1ff;
            record.details_len = details_len as i32;
            used += details_len;
        } else if details_size == 0 {
            record.details_len = 0;
        }
    }
    used
}

/// Copies a NUL-ended string of the program; its size with NUL, or a negative error. Before 6.16 the
/// size of an empty one is 0 (`strncpy_from_user_nofault`). A page that is not resident cannot be
/// read: the probe must not fault.
#[inline(always)]
fn user_text(from: u64, room: *mut u8) -> i64 {
    unsafe {
        bpf_probe_read_user_str(
            room.cast(),
            TEXT_ROOM as u32,
            from as *const core::ffi::c_void,
        )
    }
}

#[inline(always)]
fn output(record: &mut Mark, size: u64, flags: u64) -> i64 {
    let size = if size > size_of::<Mark>() as u64 {
        size_of::<Mark>() as u64
    } else {
        size
    };
    unsafe {
        aya_ebpf::helpers::generated::bpf_ringbuf_output(
            core::ptr::addr_of!(MARK_RING).cast_mut().cast(),
            core::ptr::from_mut(record).cast(),
            size,
            flags,
        )
    }
}
