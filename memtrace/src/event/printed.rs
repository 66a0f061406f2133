//! What programs print and write, in pieces.

use crate::{
    entry::Memory,
    units::{Tgid, Tid},
};

/// A piece of what a process prints or writes: an argument of `print`, a separator, an end, or what
/// one write brings.
#[derive(Debug, Clone, PartialEq)]
pub struct Print {
    /// The process.
    pub pid: Tgid,
    /// The thread.
    pub tid: Tid,
    /// Where it goes.
    pub stream: Stream,
    /// Its text; absent if it is an object that is no string, or cannot be read. What is written may
    /// be no UTF-8, and end in the middle of a character.
    pub text: Option<Vec<u8>>,
    /// What of it is not in `text`.
    pub rest: Rest,
    /// Checkpoints and pieces of the process that were not sent until then.
    pub missed: u64,
    /// Exact memory at that instant; zero of a piece that ends no line.
    pub memory: Memory,
}

impl Print {
    /// There is, or may be, the end of a line in it.
    pub fn may_end_a_line(&self) -> bool {
        let has_end = |text: &Vec<u8>| text.iter().any(|byte| Self::ENDS.contains(byte));
        self.rest != Rest::None || self.text.as_ref().is_some_and(has_end)
    }

    /// What a line ends with; progress is shown with the second.
    pub const ENDS: [u8; 2] = *b"\n\r";
}

/// Where a piece goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// A Python file object, by its address.
    File(u64),
    /// Standard output or error, by `write(2)`.
    Descriptor(u64),
}

/// What a piece has behind the text that was read of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    None,
    /// More.
    More,
    /// More, at the end of which a line ends.
    Lines,
}
