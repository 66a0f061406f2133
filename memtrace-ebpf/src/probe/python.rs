//! From a thread to its Python frames.
//!
//! What is done again and again is done by global functions, which the verifier checks once each and
//! not at every call: a thousand frames cost it little more than one. They give on what they know in
//! [`Walk`], for they may take numbers only.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use memtrace_ebpf::wire::{INNERMOST, OUTERMOST, layout::*, python};

use super::code::{is_new, memtrace_code};
use crate::{
    config::*,
    maps::{PYTHON_LAYOUTS, TGID_TO_PYTHON, WALKS, Walk},
    read::{self, Task},
};

/// Frames, or threads, that one call looks at.
const PART: u32 = 32;
/// Such calls for frames: twelve hundred frames, a few of which are not Python's.
const FRAME_PARTS: u32 = 38;
/// Such calls for threads: a thousand, and the ends of the lists of interpreters.
const THREAD_PARTS: u32 = 32;
/// `FRAME_OWNED_BY_CSTACK` and those behind it (`pycore_frame.h`, 3.12).
const NOT_PYTHON: u64 = 3;
/// Interpreters that are looked at.
const MOST_INTERPRETERS: u32 = 16;

pub(crate) type Layout = [u32; WORDS];

/// Fills in the Python frames of the thread that runs.
#[inline(always)]
pub(crate) fn walk(walk: &mut Walk, task: Task, slot: u32, tgid: u32) {
    let Some(found) = (unsafe { TGID_TO_PYTHON.get(tgid) }) else {
        return;
    };
    walk.stack.python = python::KNOWN;
    walk.storage = read::at(task.0, TASK_TLS.load());
    walk.code_type = found.code_type;
    walk.layout = found.layout;
    walk.epoch = found.epoch;
    walk.interpreters = 0;
    walk.thread = 0;
    walk.at = 0;
    walk.interpreter = match user::<u64>(found.interpreters) {
        Some(first) => first,
        None => {
            walk.stack.python |= python::TORN;
            return;
        }
    };
    for _ in 0..THREAD_PARTS {
        if memtrace_threads(slot) == 0 {
            break;
        }
    }
    for _ in 0..FRAME_PARTS {
        if memtrace_frames(slot) == 0 {
            return;
        }
    }
    walk.stack.python |= python::CUT;
}

/// Looks at some threads. Not 0: there are more.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn memtrace_threads(slot: u32) -> u32 {
    for _ in 0..PART {
        if memtrace_thread(slot) == 0 {
            return 0;
        }
    }
    1
}

/// Looks at some frames. Not 0: there are more.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn memtrace_frames(slot: u32) -> u32 {
    for _ in 0..PART {
        if memtrace_frame(slot) == 0 {
            return 0;
        }
    }
    1
}

/// Looks for the state of the thread that runs: the one whose `thread_id` is what `pthread_self`
/// returns here. Interpreters and threads come the newest first; of several that are this thread's, the
/// first that is in a frame. Not 0: there are more to be looked at.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn memtrace_thread(slot: u32) -> u32 {
    let Some((walk, layout)) = walk_of(slot) else {
        return 0;
    };
    if walk.thread == 0 {
        if walk.interpreters != 0 {
            walk.interpreter = user(field(walk.interpreter, layout[INTERPRETER_NEXT])).unwrap_or(0);
        }
        if walk.interpreter == 0 || walk.interpreters >= MOST_INTERPRETERS {
            return 0;
        }
        walk.interpreters += 1;
        walk.thread = user(field(walk.interpreter, layout[THREADS])).unwrap_or(0);
        return 1;
    }
    let id: u64 = user(field(walk.thread, layout[THREAD_ID])).unwrap_or(0);
    if walk.storage.wrapping_sub(id) <= u64::from(TLS_WINDOW.load()) && id != 0 {
        walk.stack.python |= python::THREAD;
        let mut at: u64 = user(field(walk.thread, layout[CURRENT])).unwrap_or(0);
        if layout[THROUGH] != NONE && at != 0 {
            at = user(field(at, layout[THROUGH])).unwrap_or(0);
        }
        if at != 0 {
            walk.at = at;
            return 0;
        }
    }
    walk.thread = user(field(walk.thread, layout[THREAD_NEXT])).unwrap_or(0);
    1
}

#[inline(always)]
pub(crate) fn walk_of(slot: u32) -> Option<(&'static mut Walk, &'static Layout)> {
    let walk = unsafe { &mut *WALKS.get_ptr_mut(slot)? };
    let layout = unsafe { &*PYTHON_LAYOUTS.get_ptr(walk.layout)? };
    Some((walk, layout))
}

/// Goes to the next frame. Not 0: there are more.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn memtrace_frame(slot: u32) -> u32 {
    let Some((walk, layout)) = walk_of(slot) else {
        return 0;
    };
    if walk.at == 0 {
        return 0;
    }
    if !frame(slot, walk, layout) {
        walk.stack.python |= python::TORN;
        return 0;
    }
    1
}

/// Takes one frame, unless it is none of Python's; false if it is no frame at all.
#[inline(always)]
fn frame(slot: u32, walk: &mut Walk, layout: &Layout) -> bool {
    let at = walk.at;
    if !copy(at, &mut walk.frame, layout[FRAME_SIZE]) {
        return false;
    }
    walk.at = word(&walk.frame, layout[FRAME_BACK]);
    // The lowest bits are tags, from 3.14 on.
    let code = word(&walk.frame, layout[FRAME_CODE]) & !7;
    let has_shims = layout[FRAME_OWNER] != NONE;
    if has_shims && byte(&walk.frame, layout[FRAME_OWNER]) >= NOT_PYTHON {
        return true;
    }
    let readable = copy(code, &mut walk.code, layout[CODE_SIZE]);
    if readable && word(&walk.code, layout[KIND]) != walk.code_type {
        // A shim has something else for its code; before 3.12 there are none.
        return has_shims;
    }
    let instruction = word(&walk.frame, layout[FRAME_INSTRUCTION]);
    let unit = layout[INDEX_UNIT];
    let offset = if unit != 0 {
        let shift = (layout[FRAME_INSTRUCTION] & 4) * 8;
        i64::from((instruction >> shift) as i32) * i64::from(unit)
    } else {
        let begin = if layout[COPIES] == NONE {
            field(code, layout[CODE_BEGIN])
        } else {
            own_copy(walk, layout)
        };
        instruction.wrapping_sub(begin).cast_signed()
    };
    let depth = walk.stack.depth;
    let place = if depth < INNERMOST as u32 {
        depth
    } else {
        INNERMOST as u32 + (depth & (OUTERMOST as u32 - 1))
    };
    if let Some(frame) = walk.stack.frames.get_mut(place as usize) {
        frame.code = code;
        frame.offset = offset;
    }
    walk.stack.depth = depth + 1;
    if readable && is_new(walk, layout, code, place) {
        memtrace_code(slot, code);
    }
    true
}

/// Where the instructions begin that this thread runs: one of an array behind its length.
#[inline(always)]
fn own_copy(walk: &Walk, layout: &Layout) -> u64 {
    let index = u64::from(half(&walk.frame, layout[COPY_INDEX]));
    let array = word(&walk.code, layout[COPIES]);
    let copies: u64 = user(array).unwrap_or(0);
    if index >= copies {
        return 0; // no instruction is so far from it
    }
    user(array.wrapping_add(8 + 8 * index)).unwrap_or(0)
}

#[inline(always)]
pub(crate) fn field(at: u64, offset: u32) -> u64 {
    at.wrapping_add(u64::from(offset))
}

/// Reads the program's memory; nothing if it is not resident.
#[inline(always)]
pub(crate) fn user<T: read::Plain>(at: u64) -> Option<T> {
    let mut value = core::mem::MaybeUninit::<T>::zeroed();
    let failed = unsafe {
        bpf_probe_read_user(
            value.as_mut_ptr().cast::<c_void>(),
            size_of::<T>() as u32,
            at as *const c_void,
        )
    };
    (failed == 0).then_some(unsafe { value.assume_init() })
}

/// Copies the head of a struct.
#[inline(always)]
fn copy<const N: usize>(at: u64, head: &mut [u64; N], size: u32) -> bool {
    let most = (8 * N) as u32;
    let size = if size > most { most } else { size };
    let failed = unsafe {
        bpf_probe_read_user(
            head.as_mut_ptr().cast::<c_void>(),
            size,
            at as *const c_void,
        )
    };
    failed == 0
}

/// The word of a head that holds what is at an offset. N is a power of two.
#[inline(always)]
pub(crate) fn word<const N: usize>(head: &[u64; N], offset: u32) -> u64 {
    head[(offset >> 3) as usize & (N - 1)]
}

#[inline(always)]
pub(crate) fn half<const N: usize>(head: &[u64; N], offset: u32) -> u32 {
    (word(head, offset) >> ((offset & 4) * 8)) as u32
}

#[inline(always)]
fn byte<const N: usize>(head: &[u64; N], offset: u32) -> u64 {
    word(head, offset) >> ((offset & 7) * 8) & 0xff
}
