//! Records of what programs print and write.

use super::{Header, Pages};

/// What a [`Print`] is a piece of.
pub mod print {
    /// A string that CPython's `print` was given.
    pub const TEXT: u32 = 0;
    /// An object that is no string.
    pub const NO_TEXT: u32 = 1;
    /// Bytes that `write(2)` or `writev(2)` was given.
    pub const WRITTEN: u32 = 2;
}

/// Room for the text of a [`Print`]: all but one byte of it may be used.
pub const PRINT_ROOM: usize = 1024;
/// The same of a [`ShortPrint`].
pub const SHORT_PRINT_ROOM: usize = 128;

/// A piece of a line: `print` hands on each argument, each separator and each end by itself.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Print<const TEXT: usize = PRINT_ROOM> {
    /// Start of the record.
    pub header: Header,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Address of the file object, or the number of the descriptor.
    pub stream: u64,
    /// One of [`print`].
    pub kind: u32,
    /// Bytes of a character: 1 (Latin-1), 2 or 4; of [`print::WRITTEN`] always 1.
    pub width: u32,
    /// Bytes that the piece has.
    pub size: u64,
    /// Bytes of it in `text`; [`u32::MAX`] if it cannot be read.
    pub copied: u32,
    /// The last character of a piece that was not copied as a whole.
    pub last: u32,
    /// Checkpoints and pieces of this process that were not sent until then.
    pub missed: u64,
    /// Memory at that instant; zeroes of a piece that ends no line.
    pub pages: Pages,
    /// Its beginning.
    pub text: [u8; TEXT],
}

/// A piece that is short, as most are.
pub type ShortPrint = Print<SHORT_PRINT_ROOM>;

const _: () = {
    assert!(size_of::<Print>() == 1128);
    assert!(size_of::<ShortPrint>() == 232);
};
