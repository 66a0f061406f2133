//! What programs print: each object that CPython's `print` hands on, at the moment of the call, and
//! what any program writes to its standard output and error. User space puts lines together.

use core::{
    ffi::c_void,
    ptr::{read_volatile, write_volatile},
};

use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_pid_tgid,
        generated::{bpf_get_attach_cookie, bpf_ktime_get_boot_ns, bpf_probe_read_user},
    },
    macros::{tracepoint, uprobe},
    programs::{ProbeContext, TracePointContext},
};
use memtrace_ebpf::wire::{
    PRINT_ROOM, Pages, Print, SHORT_PRINT_ROOM, layout::*, lost, print, tag,
};

use super::{
    marker::keep_to_own_stack,
    python::{Layout, field, user},
};
use crate::{
    config::*,
    emit::{Wake, add_one_shared, count_lost, reserve},
    maps::{MARK_RING, PYTHON_LAYOUTS, TGID_TO_PYTHON, TGID_TO_TRACED, Traced},
    read,
};

/// `Py_PRINT_RAW`: `str` of the object, not `repr`.
const RAW: u32 = 1;
/// From `ob_type` to `tp_name` in the head of a type (`PyTypeObject`, the same from 3.7 to 3.15).
const TYPE_NAME: u32 = 16;
/// Likewise to `tp_flags`.
const TYPE_FLAGS: u32 = 160;
/// `Py_TPFLAGS_UNICODE_SUBCLASS`: it is `str`, or derived from it.
const IS_STRING: u64 = 1 << 28;

/// `PyFile_WriteObject(PyObject *object, PyObject *file, int flags)`. `print` calls it for each
/// argument, and for each separator and the end.
#[uprobe]
fn printed(ctx: ProbeContext) -> u32 {
    keep_to_own_stack(&ctx);
    if ctx.arg::<u32>(2).unwrap_or(0) & RAW == 0 {
        return 0;
    }
    let id = bpf_get_current_pid_tgid();
    let tgid = (id >> 32) as u32;
    let Some(traced) = TGID_TO_TRACED.get_ptr_mut(tgid) else {
        return 0;
    };
    let Some(layout) = layout_of(&ctx, tgid) else {
        return 0;
    };
    let (object, file) = (ctx.arg(0).unwrap_or(0), ctx.arg(1).unwrap_or(0));
    if goes_elsewhere(file, layout) || comes_too_fast(traced) {
        return 0;
    }
    let mut piece = string(object, layout);
    piece.id = id;
    piece.stream = file;
    // Most separators are this one, and end no line.
    let is_space = piece.size == 1 && user::<u8>(piece.from) == Some(b' ');
    if piece.kind == print::TEXT && !is_space {
        read::own(&mut piece.pages);
    }
    send(traced, &piece);
    0
}

/// What the interpreter is like: the cookie says it of the file that the probe is on, the number of the
/// layout plus one; where there is none, user space may have found out about the process.
#[inline(always)]
fn layout_of(ctx: &ProbeContext, tgid: u32) -> Option<&'static Layout> {
    let cookie = if HAS_COOKIE.load() != 0 {
        unsafe { bpf_get_attach_cookie(ctx.as_ptr()) }
    } else {
        0
    };
    let number = match cookie {
        0 => unsafe { TGID_TO_PYTHON.get(tgid) }?.layout,
        cookie => cookie as u32 - 1,
    };
    PYTHON_LAYOUTS.get(number)
}

/// A piece but for its text.
struct Piece {
    id: u64,
    stream: u64,
    kind: u32,
    width: u32,
    from: u64,
    size: u64,
    pages: Pages,
}

/// A string's characters: behind its head, or, where it is of a class derived from `str`, elsewhere.
/// One that was made by old functions and never read has no width yet, and is none here.
#[inline(always)]
fn string(at: u64, layout: &Layout) -> Piece {
    let kind: u64 = user(field(at, layout[KIND])).unwrap_or(0);
    let flags: u64 = user(field(field(kind, layout[KIND]), TYPE_FLAGS)).unwrap_or(0);
    let length: u64 = user(field(at, layout[TEXT_LENGTH])).unwrap_or(0);
    let state: u32 = user(field(at, layout[TEXT_STATE])).unwrap_or(0);
    let width = state >> (layout[KIND_SHIFT] & 31) & 7;
    // `compact` stands right below `ascii`.
    let bits = state >> (layout[ASCII_SHIFT].wrapping_sub(1) & 31) & 3;
    let from = match bits {
        0b11 => field(at, layout[ASCII_HEADER]),
        0b01 => field(at, layout[TEXT_HEADER]),
        _ => user(field(at, layout[TEXT_HEADER])).unwrap_or(0),
    };
    let is_text = flags & IS_STRING != 0 && width != 0;
    Piece {
        id: 0,
        stream: 0,
        kind: if is_text { print::TEXT } else { print::NO_TEXT },
        width,
        from,
        size: if is_text {
            (length & 0xffff_ffff) * u64::from(width)
        } else {
            0
        },
        pages: Pages::default(),
    }
}

/// A file that is neither standard output nor error: a `TextIOWrapper` whose buffer's raw file has
/// another descriptor. What is no such thing may be anything that somebody put in the place of
/// `sys.stdout`. Each has these fields right behind its head (Modules/_io, 3.7 to 3.15).
#[inline(always)]
fn goes_elsewhere(file: u64, layout: &Layout) -> bool {
    const WRAPPER: [u64; 2] = [
        u64::from_ne_bytes(*b"_io.Text"),
        u64::from_ne_bytes(*b"IOWrappe"),
    ];
    const STRING: [u64; 2] = [
        u64::from_ne_bytes(*b"_io.Stri"),
        u64::from_ne_bytes(*b"ngIO\0\0\0\0"),
    ];
    /// `ok`, `detached` and `chunk_size`.
    const BUFFER: u32 = 16;
    let kind: u64 = user(field(file, layout[KIND])).unwrap_or(0);
    let name: u64 = user(field(field(kind, layout[KIND]), TYPE_NAME)).unwrap_or(0);
    let first: u64 = user(name).unwrap_or(0);
    let second: u64 = user(field(name, 8)).unwrap_or(0);
    let head = layout[KIND].wrapping_add(8);
    let buffer: u64 = user(field(field(file, head), BUFFER)).unwrap_or(0);
    let raw: u64 = user(field(buffer, head)).unwrap_or(0);
    let descriptor: i32 = user(field(raw, head)).unwrap_or(1);
    let is_wrapper = first == WRAPPER[0] && second == WRAPPER[1];
    let is_string = first == STRING[0] && second & 0xff_ffff_ffff == STRING[1] & 0xff_ffff_ffff;
    is_string || is_wrapper && descriptor != 1 && descriptor != 2
}

/// `write(int fd, const void *buf, size_t count)`
#[tracepoint]
fn wrote(ctx: TracePointContext) -> u32 {
    let Some((traced, mut piece)) = writer(&ctx) else {
        return 0;
    };
    if comes_too_fast(traced) {
        return 0;
    }
    piece.from = argument(&ctx, 1);
    piece.size = argument(&ctx, 2);
    read::own(&mut piece.pages);
    send(traced, &piece);
    0
}

/// `writev(int fd, const struct iovec *iov, int iovcnt)`: what some C libraries write with, a buffer
/// and what did not fit in it.
#[tracepoint]
fn wrote_several(ctx: TracePointContext) -> u32 {
    const MOST: u64 = 4;
    let Some((traced, mut piece)) = writer(&ctx) else {
        return 0;
    };
    let (vector, count) = (argument(&ctx, 1), argument(&ctx, 2));
    read::own(&mut piece.pages);
    for index in 0..MOST {
        if index >= count || comes_too_fast(traced) {
            return 0;
        }
        piece.from = user(vector.wrapping_add(16 * index)).unwrap_or(0);
        piece.size = user(vector.wrapping_add(16 * index + 8)).unwrap_or(0);
        send(traced, &piece);
    }
    0
}

/// A traced process that writes to its standard output or error.
#[inline(always)]
fn writer(ctx: &TracePointContext) -> Option<(*mut Traced, Piece)> {
    let descriptor = argument(ctx, 0);
    if descriptor != 1 && descriptor != 2 {
        return None;
    }
    let id = bpf_get_current_pid_tgid();
    let traced = TGID_TO_TRACED.get_ptr_mut((id >> 32) as u32)?;
    let piece = Piece {
        id,
        stream: descriptor,
        kind: print::WRITTEN,
        width: 1,
        from: 0,
        size: 0,
        pages: Pages::default(),
    };
    Some((traced, piece))
}

/// An argument of a system call: they stand behind the common fields and its number
/// (`struct syscall_trace_enter`, kernel/trace/trace.h).
#[inline(always)]
fn argument(ctx: &TracePointContext, index: u32) -> u64 {
    read::at(ctx.as_ptr() as u64, 16 + 8 * index)
}

/// Nanoseconds from one piece of a process to the next, in the long run: whoever prints more than
/// some thousand lines a second has no use for them as checkpoints.
const INTERVAL_NS: u64 = 100_000;
/// How far a process may be ahead of that: fifty thousand pieces.
const AHEAD_NS: u64 = 5_000_000_000;
/// After that nothing is sent until there is room for so much, five thousand pieces: one now and
/// then would be no line.
const PAUSE_NS: u64 = 500_000_000;

/// Holds a process that prints in a tight loop to a rate, so that it cannot drown the others, and
/// counts what is left out; apart from checkpoints, which its prints are not to cost it.
#[inline(always)]
fn comes_too_fast(traced: *mut Traced) -> bool {
    let now = unsafe { bpf_ktime_get_boot_ns() };
    let due = unsafe { read_volatile(&raw const (*traced).print_due) };
    let pause = unsafe { read_volatile(&raw const (*traced).print_pause) };
    let ahead = if pause == 0 {
        AHEAD_NS
    } else {
        AHEAD_NS - PAUSE_NS
    };
    if due > now + ahead {
        unsafe { write_volatile(&raw mut (*traced).print_pause, 1) };
        count_lost(lost::MARK_RATE);
        add_one_shared(unsafe { &mut (*traced).limited_marks });
        return true;
    }
    let from = if due > now { due } else { now };
    unsafe { write_volatile(&raw mut (*traced).print_pause, 0) };
    unsafe { write_volatile(&raw mut (*traced).print_due, from + INTERVAL_NS) };
    false
}

#[inline(always)]
fn send(traced: *mut Traced, piece: &Piece) {
    let is_sent = if piece.size < SHORT_PRINT_ROOM as u64 {
        put::<SHORT_PRINT_ROOM>(traced, piece)
    } else {
        put::<PRINT_ROOM>(traced, piece)
    };
    if !is_sent {
        add_one_shared(unsafe { &mut (*traced).lost_marks });
    }
}

/// Sends a piece, put together in the ring as a checkpoint is; false if there is no room.
#[inline(always)]
fn put<const ROOM: usize>(traced: *mut Traced, piece: &Piece) -> bool {
    let kind = if ROOM == PRINT_ROOM {
        tag::PRINT
    } else {
        tag::SHORT_PRINT
    };
    let Some(mut entry) = reserve::<Print<ROOM>>(&MARK_RING, kind, lost::MARK) else {
        return false;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    let missed = unsafe { (*traced).lost_marks + (*traced).limited_marks };
    record.tgid = (piece.id >> 32) as u32;
    record.tid = piece.id as u32;
    record.stream = piece.stream;
    record.kind = piece.kind;
    record.width = piece.width;
    record.size = piece.size;
    record.missed = missed;
    record.pages = piece.pages;
    let most = ROOM as u64 - 1;
    let size = if piece.size > most { most } else { piece.size };
    let size = core::hint::black_box(size) as u32 & most as u32;
    let failed = unsafe {
        bpf_probe_read_user(
            record.text.as_mut_ptr().cast::<c_void>(),
            size,
            piece.from as *const c_void,
        )
    };
    record.copied = if failed == 0 { size } else { u32::MAX };
    record.last = if ROOM == PRINT_ROOM { last(piece) } else { 0 };
    entry.submit(Wake::IfCaughtUp.flags());
    true
}

/// The last character; the higher bytes of a wide one stand behind.
#[inline(always)]
fn last(piece: &Piece) -> u32 {
    let width = u64::from(piece.width);
    let at = piece.from.wrapping_add(piece.size).wrapping_sub(width);
    match width {
        1 => user::<u8>(at).unwrap_or(0).into(),
        2 => user::<u16>(at).unwrap_or(0).into(),
        _ => user::<u32>(at).unwrap_or(0),
    }
}
