//! Records of stacks and of the code objects in them, and what user space tells of CPython's structs.

use super::{Header, Pages};

/// Why a [`Stack`] was taken.
pub mod why {
    /// RSS has moved by `--stack-step` since the last one; this thread was running.
    pub const GROWTH: u32 = 0;
    /// The OOM killer chose this thread's process while the thread was asking for memory.
    pub const MARK: u32 = 1;
    /// SIGKILL was delivered to this thread.
    pub const KILL: u32 = 2;
    /// How many there are.
    pub const COUNT: u32 = 3;
}

/// What is known of a [`Stack`]'s Python frames, as bits.
pub mod python {
    /// The process is known to run Python.
    pub const KNOWN: u32 = 1;
    /// This thread has a Python thread state.
    pub const THREAD: u32 = 2;
    /// There were more frames than are walked.
    pub const CUT: u32 = 4;
    /// The walk ended at something that is no frame or cannot be read.
    pub const TORN: u32 = 8;
}

/// Words of a layout: where CPython has what a walk reads, as offsets in bytes unless
/// said otherwise. What a version does not have is [`layout::NONE`].
pub mod layout {
    /// There is no such field.
    pub const NONE: u32 = u32::MAX;
    /// `PyInterpreterState.next`
    pub const INTERPRETER_NEXT: usize = 0;
    /// `PyInterpreterState.threads.head`
    pub const THREADS: usize = 1;
    /// `PyThreadState.next`
    pub const THREAD_NEXT: usize = 2;
    /// `PyThreadState.thread_id`
    pub const THREAD_ID: usize = 3;
    /// `PyThreadState.current_frame`, or what leads to it.
    pub const CURRENT: usize = 4;
    /// From there to the frame, if it is not the frame itself.
    pub const THROUGH: usize = 5;
    /// A frame's caller.
    pub const FRAME_BACK: usize = 6;
    /// A frame's code.
    pub const FRAME_CODE: usize = 7;
    /// The byte that says who owns a frame.
    pub const FRAME_OWNER: usize = 8;
    /// A frame's instruction.
    pub const FRAME_INSTRUCTION: usize = 9;
    /// Bytes of a unit of the instruction's index; 0: it is a pointer.
    pub const INDEX_UNIT: usize = 10;
    /// Where the instructions begin in a code object.
    pub const CODE_BEGIN: usize = 11;
    /// Of a free-threaded build: a frame's index of its thread's copy of the instructions.
    pub const COPY_INDEX: usize = 12;
    /// Likewise: a code object's array of copies.
    pub const COPIES: usize = 13;
    /// `co_firstlineno`
    pub const FIRST_LINE: usize = 14;
    /// `co_filename`
    pub const FILE: usize = 15;
    /// `co_qualname` or `co_name`
    pub const NAME: usize = 16;
    /// `co_linetable` or `co_lnotab`
    pub const LINES: usize = 17;
    /// `ob_type`
    pub const KIND: usize = 18;
    /// A string's length.
    pub const TEXT_LENGTH: usize = 19;
    /// A string's state.
    pub const TEXT_STATE: usize = 20;
    /// Bit in it where the width begins.
    pub const KIND_SHIFT: usize = 21;
    /// Bit in it that says ASCII.
    pub const ASCII_SHIFT: usize = 22;
    /// Where ASCII lies.
    pub const ASCII_HEADER: usize = 23;
    /// Where other text lies.
    pub const TEXT_HEADER: usize = 24;
    /// The number of a bytes object's bytes.
    pub const BYTES_LENGTH: usize = 25;
    /// A bytes object's bytes.
    pub const BYTES: usize = 26;
    /// Bytes of a frame that are read: to the end of the last of these fields.
    pub const FRAME_SIZE: usize = 27;
    /// Likewise of a code object.
    pub const CODE_SIZE: usize = 28;
    /// How many words there are.
    pub const WORDS: usize = 32;
    /// Most bytes of a frame.
    pub const MOST_FRAME: usize = 128;
    /// Most bytes of a code object.
    pub const MOST_CODE: usize = 256;
}

/// Innermost frames of a [`Stack`].
pub const INNERMOST: usize = 48;
/// Outermost frames of a [`Stack`]; a power of two.
pub const OUTERMOST: usize = 16;
/// Most native frames of a [`Stack`].
pub const NATIVES: usize = 32;

/// One Python frame of a [`Stack`].
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Frame {
    /// Address of its code object, of which a [`Code`] has told.
    pub code: u64,
    /// Bytes from the beginning of the code's instructions to the one that it is at; negative before
    /// the first.
    pub offset: i64,
}

/// The stack of a thread of a traced process.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Stack {
    /// Start of the record.
    pub header: Header,
    /// `start_boottime` of the process' leader.
    pub start: u64,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// One of [`why`].
    pub why: u32,
    /// Bits of [`python`].
    pub python: u32,
    /// Python frames in all. The first [`INNERMOST`] are at the beginning of `frames`; of the others
    /// number `n` is at `INNERMOST + n % OUTERMOST` unless a later one took its place.
    pub depth: u32,
    /// Bytes of `natives` in use; negative: an error.
    pub natives_len: i32,
    /// The thread's command name.
    pub comm: [u8; 16],
    /// Memory at that instant; of [`why::GROWTH`] only.
    pub pages: Pages,
    /// Python frames, the innermost first.
    pub frames: [Frame; INNERMOST + OUTERMOST],
    /// Return addresses by frame pointers, the innermost first.
    pub natives: [u64; NATIVES],
}

/// Room for a file's name in a [`Code`]; a power of two, as the next two.
pub const FILE_ROOM: usize = 512;
/// Room for a function's name.
pub const NAME_ROOM: usize = 256;
/// Room for a line table, or a part of one.
pub const LINES_ROOM: usize = 4096;

/// A text of CPython's, as it lies in memory.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Text {
    /// Bytes that it has; [`u64::MAX`] if it could not be read.
    pub size: u64,
    /// Its state.
    pub state: u32,
    /// Bytes of it that were copied.
    pub copied: u32,
}

/// A code object, told before the first [`Stack`] of its process that it is in.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Code<
    const FILE: usize = FILE_ROOM,
    const NAME: usize = NAME_ROOM,
    const LINES: usize = LINES_ROOM,
> {
    /// Start of the record.
    pub header: Header,
    /// `start_boottime` of the process' leader.
    pub start: u64,
    /// Its address.
    pub code: u64,
    /// Process.
    pub tgid: u32,
    /// `co_firstlineno`
    pub first_line: i32,
    /// Its line table: bytes that it has, and that were copied.
    pub lines: Text,
    /// Its file.
    pub file: Text,
    /// Its function.
    pub name: Text,
    /// Bytes of the line table.
    pub lines_bytes: [u8; LINES],
    /// Bytes of the file's name.
    pub file_bytes: [u8; FILE],
    /// Bytes of the function's name.
    pub name_bytes: [u8; NAME],
}

/// The rooms of a [`ShortCode`].
pub const SHORT_FILE_ROOM: usize = 128;
/// For a function's name.
pub const SHORT_NAME_ROOM: usize = 64;
/// For a line table.
pub const SHORT_LINES_ROOM: usize = 512;

/// A [`Code`] that is short, as most are.
pub type ShortCode = Code<SHORT_FILE_ROOM, SHORT_NAME_ROOM, SHORT_LINES_ROOM>;

/// More of a code object's line table.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Lines {
    /// Start of the record.
    pub header: Header,
    /// `start_boottime` of the process' leader.
    pub start: u64,
    /// Address of the code object.
    pub code: u64,
    /// Process.
    pub tgid: u32,
    /// Where in the table this begins.
    pub from: u32,
    /// Bytes of it.
    pub copied: u32,
    /// Always zero.
    pub zero: u32,
    /// Themselves.
    pub bytes: [u8; LINES_ROOM],
}

const _: () = {
    assert!(size_of::<Stack>() == 1384);
    assert!(size_of::<Code>() == 4952);
    assert!(size_of::<ShortCode>() == 792);
    assert!(size_of::<Lines>() == 4144);
};
