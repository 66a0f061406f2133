//! Code objects: user space is told of each before the first stack that it is in.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_probe_read_user;
use memtrace_ebpf::wire::{
    Code, FILE_ROOM, LINES_ROOM, Lines, NAME_ROOM, SHORT_FILE_ROOM, SHORT_LINES_ROOM,
    SHORT_NAME_ROOM, Text, layout::*, lost, tag,
};

use super::python::{Layout, field, half, user, walk_of, word};
use crate::{
    emit::{Wake, reserve},
    maps::{KNOWN_CODES, KnownCode, STACK_RING, Walk},
};

/// Parts of a line table behind the first: 132 KiB.
const MOST_PARTS: u32 = 33;
/// What has no size: it could not be read.
const UNREADABLE: u64 = u64::MAX;

/// User space has not been told of this code object. Mostly it is the one that was last found at this
/// place, for which no look into the table is needed.
#[inline(always)]
pub(crate) fn is_new(walk: &mut Walk, layout: &Layout, code: u64, place: u32) -> bool {
    let known = known(walk, layout, code);
    let Some(last) = walk.known.get_mut(place as usize) else {
        return false;
    };
    if last.is(&known) {
        return false;
    }
    if unsafe { KNOWN_CODES.get(known) }.is_none() {
        return true;
    }
    *last = known;
    false
}

#[inline(always)]
fn known(walk: &Walk, layout: &Layout, code: u64) -> KnownCode {
    KnownCode {
        code,
        file: word(&walk.code, layout[FILE]),
        name: word(&walk.code, layout[NAME]),
        lines: word(&walk.code, layout[LINES]),
        tgid: walk.stack.tgid,
        first_line: half(&walk.code, layout[FIRST_LINE]),
        epoch: walk.epoch,
        zero: 0,
    }
}

/// Tells user space of a code object whose head is in the walk.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn memtrace_code(slot: u32, code: u64) -> u32 {
    let Some((walk, layout)) = walk_of(slot) else {
        return 0;
    };
    let lines_at = word(&walk.code, layout[LINES]);
    let told = Told {
        code,
        lines_at: field(lines_at, layout[BYTES]),
        lines: Text {
            size: user(field(lines_at, layout[BYTES_LENGTH])).unwrap_or(UNREADABLE),
            state: 0,
            copied: 0,
        },
        file: text(word(&walk.code, layout[FILE]), layout),
        name: text(word(&walk.code, layout[NAME]), layout),
    };
    let is_short = told.lines.size < SHORT_LINES_ROOM as u64
        && told.file.1.size < SHORT_FILE_ROOM as u64
        && told.name.1.size < SHORT_NAME_ROOM as u64;
    let mut whole = if is_short {
        tell::<SHORT_FILE_ROOM, SHORT_NAME_ROOM, SHORT_LINES_ROOM>(walk, layout, &told)
    } else {
        tell::<FILE_ROOM, NAME_ROOM, LINES_ROOM>(walk, layout, &told)
    };
    if !is_short && whole {
        walk.lines_at = told.lines_at;
        walk.lines_size = told.lines.size;
        walk.lines_from = LINES_ROOM as u64 - 1;
        for _ in 0..MOST_PARTS {
            if memtrace_lines(slot, code) == 0 {
                break;
            }
        }
        whole = walk.lines_from >= told.lines.size;
    }
    if whole {
        let known = known(walk, layout, code);
        let _ = KNOWN_CODES.insert(known, 1, 0);
    }
    0
}

/// What a code object points to: addresses and sizes.
struct Told {
    code: u64,
    lines_at: u64,
    lines: Text,
    file: (u64, Text),
    name: (u64, Text),
}

/// True if all of it could be read, and was sent.
#[inline(always)]
fn tell<const FILE: usize, const NAME: usize, const LINES: usize>(
    walk: &Walk,
    layout: &Layout,
    told: &Told,
) -> bool {
    let kind = if LINES == LINES_ROOM {
        tag::CODE
    } else {
        tag::SHORT_CODE
    };
    let Some(mut entry) = reserve::<Code<FILE, NAME, LINES>>(&STACK_RING, kind, lost::STACK) else {
        return false;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.start = walk.stack.start;
    record.code = told.code;
    record.tgid = walk.stack.tgid;
    record.first_line = half(&walk.code, layout[FIRST_LINE]).cast_signed();
    record.lines = told.lines;
    record.file = told.file.1;
    record.name = told.name.1;
    let lines = part::<LINES>(told.lines_at, &mut record.lines_bytes, told.lines.size);
    let file = part::<FILE>(told.file.0, &mut record.file_bytes, told.file.1.size);
    let name = part::<NAME>(told.name.0, &mut record.name_bytes, told.name.1.size);
    record.lines.copied = lines;
    record.file.copied = file;
    record.name.copied = name;
    entry.submit(Wake::IfCaughtUp.flags());
    lines != u32::MAX && file != u32::MAX && name != u32::MAX
}

/// Tells the next part of a long line table. Not 0: there may be more.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn memtrace_lines(slot: u32, code: u64) -> u32 {
    let Some((walk, _)) = walk_of(slot) else {
        return 0;
    };
    let from = walk.lines_from;
    if from >= walk.lines_size {
        return 0;
    }
    let Some(mut entry) = reserve::<Lines>(&STACK_RING, tag::LINES, lost::STACK) else {
        return 0;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.start = walk.stack.start;
    record.code = code;
    record.tgid = walk.stack.tgid;
    record.from = from as u32;
    record.zero = 0;
    let at = walk.lines_at.wrapping_add(from);
    let copied = part::<LINES_ROOM>(at, &mut record.bytes, walk.lines_size - from);
    record.copied = copied;
    entry.submit(Wake::IfCaughtUp.flags());
    if copied == u32::MAX {
        return 0;
    }
    walk.lines_from = from + u64::from(copied);
    1
}

/// Copies what there is room for; how much, or [`u32::MAX`] if it cannot be read.
#[inline(always)]
fn part<const ROOM: usize>(at: u64, room: &mut [u8; ROOM], size: u64) -> u32 {
    if size == UNREADABLE {
        return u32::MAX;
    }
    let most = ROOM as u64 - 1;
    let size = if size > most { most } else { size };
    let size = core::hint::black_box(size) as u32 & most as u32;
    let failed = unsafe {
        bpf_probe_read_user(
            room.as_mut_ptr().cast::<c_void>(),
            size,
            at as *const c_void,
        )
    };
    if failed == 0 { size } else { u32::MAX }
}

/// A string: where its characters are, and how many bytes they take.
#[inline(always)]
fn text(at: u64, layout: &Layout) -> (u64, Text) {
    let mut text = Text {
        size: UNREADABLE,
        state: 0,
        copied: 0,
    };
    let length = user::<u64>(field(at, layout[TEXT_LENGTH]));
    let state = user::<u32>(field(at, layout[TEXT_STATE]));
    let (Some(length), Some(state)) = (length, state) else {
        return (0, text);
    };
    let is_ascii = state >> (layout[ASCII_SHIFT] & 31) & 1 == 1;
    let width = u64::from(state >> (layout[KIND_SHIFT] & 31) & 7);
    text.size = (length & 0xffff_ffff) * width;
    text.state = state;
    let header = if is_ascii {
        layout[ASCII_HEADER]
    } else {
        layout[TEXT_HEADER]
    };
    (field(at, header), text)
}
