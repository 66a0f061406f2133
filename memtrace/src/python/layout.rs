//! Where the fields are that a walk reads, by version.

use super::{lines::Table, text::StateBits};

/// A minor version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// 3.
    pub major: u8,
    /// Of 3.11.7, the 11.
    pub minor: u8,
}

/// How a frame says which instruction it is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instruction {
    /// `f_lasti`, an `int`: bytes from the beginning of the code, times this.
    Index(u64),
    /// `prev_instr` or `instr_ptr`: a pointer into the code, which begins so far into its object.
    Pointer {
        /// `co_code_adaptive`.
        code: u64,
        /// Of a free-threaded build from 3.14 on: where a frame has the index of its thread's own
        /// copy (`tlbc_index`), and a code object their array (`co_tlbc`).
        copies: Option<(u64, u64)>,
    },
}

/// How a thread leads to its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Current {
    /// It points to it.
    Direct(u64),
    /// It points to a `_PyCFrame` (3.11, 3.12), which does.
    Through(u64, u64),
}

/// Offsets in bytes, each from the beginning of its struct.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Whose it is.
    pub version: Version,
    /// Built without a global lock.
    pub free_threaded: bool,
    /// `_PyRuntime.interpreters.head`
    pub interpreters: u64,
    /// `PyInterpreterState.next`
    pub interpreter_next: u64,
    /// `PyInterpreterState.threads.head`
    pub threads: u64,
    /// `PyThreadState.next`
    pub thread_next: u64,
    /// `PyThreadState.interp`
    pub thread_interpreter: u64,
    /// `PyThreadState.thread_id`: what `pthread_self` returns.
    pub thread_id: u64,
    /// `PyThreadState.native_thread_id`: the kernel's number, as the thread's pid namespace has it.
    pub native_thread_id: Option<u64>,
    /// From a thread to its innermost frame.
    pub current: Current,
    /// To the frame that called this one.
    pub frame_back: u64,
    /// To the code that it runs.
    pub frame_code: u64,
    /// The byte that says who owns it; from [`Layout::NOT_PYTHON`] on it is no Python frame.
    pub frame_owner: Option<u64>,
    /// The instruction.
    pub frame_instruction: u64,
    /// What that is.
    pub instruction: Instruction,
    /// `co_firstlineno`
    pub first_line: u64,
    /// `co_filename`
    pub file: u64,
    /// `co_qualname`, or `co_name` before 3.11.
    pub name: u64,
    /// `co_linetable`, or `co_lnotab` before 3.10.
    pub lines: u64,
    /// Which of them.
    pub table: Table,
    /// `ob_type` of any object.
    pub kind: u64,
    /// Of a string: its length.
    pub text_length: u64,
    /// Of a string: its state.
    pub text_state: u64,
    /// What the state's bits are.
    pub text_bits: StateBits,
    /// `sizeof(PyASCIIObject)`, behind which ASCII lies.
    pub ascii_header: u64,
    /// `sizeof(PyCompactUnicodeObject)`, behind which other text lies.
    pub text_header: u64,
    /// Of bytes: their number.
    pub bytes_length: u64,
    /// Of bytes: themselves.
    pub bytes: u64,
}

/// Why there is no layout.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unknown {
    /// Its structs are not known.
    #[error("CPython {}.{} is not known; 3.7 to 3.15 are", .0.major, .0.minor)]
    Version(Version),
    /// It says what cannot be.
    #[error("CPython {}.{} publishes a layout that cannot be", .0.major, .0.minor)]
    Published(Version),
}

impl Version {
    /// Of `PY_VERSION_HEX`.
    pub const fn of_hex(hex: u32) -> Self {
        let [major, minor, ..] = hex.to_be_bytes();
        Self { major, minor }
    }

    /// The interpreter publishes its layout itself.
    pub fn publishes(self) -> bool {
        self >= Self {
            major: 3,
            minor: 13,
        }
    }
}

/// The layout of 3.9; the others say how they differ.
const THREE_NINE: Layout = Layout {
    version: Version { major: 3, minor: 9 },
    free_threaded: false,
    interpreters: 32,
    interpreter_next: 0,
    threads: 8,
    thread_next: 8,
    thread_interpreter: 16,
    thread_id: 176,
    native_thread_id: None,
    current: Current::Direct(24),
    frame_back: 24,
    frame_code: 32,
    frame_owner: None,
    frame_instruction: 104,
    instruction: Instruction::Index(1),
    first_line: 40,
    file: 104,
    name: 112,
    lines: 120,
    table: Table::Steps,
    kind: 8,
    text_length: 16,
    text_state: 32,
    text_bits: StateBits { kind: 2, ascii: 6 },
    ascii_header: 48,
    text_header: 72,
    bytes_length: 16,
    bytes: 32,
};

impl Layout {
    /// `FRAME_OWNED_BY_CSTACK` and what came behind it (`Include/internal/pycore_frame.h`, 3.12; later
    /// `FRAME_OWNED_BY_INTERPRETER`).
    pub const NOT_PYTHON: u8 = 3;
    /// Words of the published table that are read.
    pub const PUBLISHED_WORDS: usize = 96;
    /// What the published table begins with (`_Py_Debug_Cookie`).
    pub const COOKIE: u64 = u64::from_le_bytes(*b"xdebugpy");

    /// The layout of a version that does not publish it. Seen in the debug information of 3.7.16,
    /// 3.8.18, 3.9.18, 3.10.13, 3.11.7 and 3.12.1, on x86-64.
    pub fn of(version: Version) -> Result<Self, Unknown> {
        let layout = match (version.major, version.minor) {
            (3, 7) => Self {
                interpreters: 24,
                first_line: 36,
                file: 96,
                name: 104,
                lines: 112,
                ..THREE_NINE
            },
            (3, 8 | 9) => THREE_NINE,
            (3, 10) => Self {
                frame_instruction: 96,
                instruction: Instruction::Index(2),
                table: Table::Ranges,
                ..THREE_NINE
            },
            (3, 11) => Self {
                interpreters: 40,
                threads: 16,
                thread_id: 152,
                native_thread_id: Some(160),
                current: Current::Through(56, 8),
                frame_back: 48,
                frame_code: 32,
                frame_owner: Some(69),
                frame_instruction: 56,
                instruction: Instruction::Pointer {
                    code: 184,
                    copies: None,
                },
                first_line: 72,
                file: 112,
                name: 128,
                lines: 136,
                table: Table::Locations,
                ..THREE_NINE
            },
            (3, 12) => Self {
                interpreters: 40,
                threads: 72,
                thread_id: 136,
                native_thread_id: Some(144),
                current: Current::Through(56, 0),
                frame_back: 8,
                frame_code: 0,
                frame_owner: Some(70),
                frame_instruction: 56,
                instruction: Instruction::Pointer {
                    code: 192,
                    copies: None,
                },
                first_line: 68,
                file: 112,
                name: 128,
                lines: 136,
                table: Table::Locations,
                ascii_header: 40,
                text_header: 56,
                ..THREE_NINE
            },
            _ => return Err(Unknown::Version(version)),
        };
        Ok(Self { version, ..layout })
    }

    /// The layout that an interpreter publishes at the beginning of its `_PyRuntime`. The order of
    /// the words changes with each minor version.
    pub fn published(words: &[u64; Self::PUBLISHED_WORDS]) -> Result<Self, Unknown> {
        let version = Version::of_hex(u32::try_from(words[1]).unwrap_or(u32::MAX));
        let places = match (version.major, version.minor) {
            (3, 13) => &PLACES_13,
            (3, 14) => &PLACES_14,
            (3, 15) => &PLACES_15,
            _ => return Err(Unknown::Version(version)),
        };
        // No struct of it has a megabyte: whatever is larger is no offset.
        if words[0] != Self::COOKIE || words[2] > 1 {
            return Err(Unknown::Published(version));
        }
        let word = |place: usize| {
            let value = words[place];
            (value < 1 << 20)
                .then_some(value)
                .ok_or(Unknown::Published(version))
        };
        let free_threaded = words[2] == 1;
        let ascii_header = word(places.ascii_header)?;
        let copies = match places.copies {
            Some((index, array)) if free_threaded => Some((word(index)?, word(array)?)),
            _ => None,
        };
        Ok(Self {
            version,
            free_threaded,
            interpreters: word(5)?,
            interpreter_next: word(8)?,
            threads: word(9)?,
            thread_next: word(places.thread_next)?,
            thread_interpreter: 16,
            thread_id: word(places.thread_id)?,
            native_thread_id: Some(word(places.thread_id + 1)?),
            current: Current::Direct(word(places.current_frame)?),
            frame_back: word(places.frame_previous)?,
            frame_code: word(places.frame_previous + 1)?,
            frame_owner: Some(word(places.frame_previous + 4)?),
            frame_instruction: word(places.frame_previous + 2)?,
            instruction: Instruction::Pointer {
                code: word(places.code_file + 8)?,
                copies,
            },
            first_line: word(places.code_file + 4)?,
            file: word(places.code_file)?,
            name: word(places.code_file + 2)?,
            lines: word(places.code_file + 3)?,
            table: Table::Locations,
            kind: word(places.object_type)?,
            text_length: word(places.ascii_header - 1)?,
            text_state: word(places.ascii_header - 2)?,
            text_bits: if free_threaded && version.minor > 13 {
                StateBits { kind: 8, ascii: 12 }
            } else {
                THREE_NINE.text_bits
            },
            ascii_header,
            text_header: ascii_header + 16,
            bytes_length: word(places.bytes_size)?,
            bytes: word(places.bytes_size + 1)?,
        })
    }
}

/// Which word of the published table says what.
struct Places {
    thread_next: usize,
    current_frame: usize,
    thread_id: usize,
    frame_previous: usize,
    copies: Option<(usize, usize)>,
    code_file: usize,
    object_type: usize,
    bytes_size: usize,
    ascii_header: usize,
}

const PLACES_13: Places = Places {
    thread_next: 21,
    current_frame: 23,
    thread_id: 24,
    frame_previous: 29,
    copies: None,
    code_file: 35,
    object_type: 45,
    bytes_size: 65,
    ascii_header: 70,
};

const PLACES_14: Places = Places {
    thread_next: 24,
    current_frame: 26,
    thread_id: 27,
    frame_previous: 32,
    copies: Some((38, 49)),
    code_file: 40,
    object_type: 51,
    bytes_size: 75,
    ascii_header: 80,
};

const PLACES_15: Places = Places {
    thread_next: 24,
    current_frame: 26,
    thread_id: 30,
    frame_previous: 40,
    copies: Some((46, 57)),
    code_file: 48,
    object_type: 59,
    bytes_size: 87,
    ascii_header: 92,
};

#[cfg(test)]
mod tests {
    use super::{Layout, Unknown, Version};

    #[test]
    fn a_version_is_read_from_its_number() {
        assert_eq!(
            Version::of_hex(0x030b_07f0),
            Version {
                major: 3,
                minor: 11
            }
        );
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_version() {
        for (major, minor) in [(2, 7), (3, 6), (3, 16)] {
            let version = Version { major, minor };
            assert_eq!(Layout::of(version), Err(Unknown::Version(version)));
        }
        let mut words = [8; Layout::PUBLISHED_WORDS];
        words[..3].copy_from_slice(&[Layout::COOKIE, 0x030d_00f0, 0]);
        assert!(Layout::published(&words).is_ok());
        words[23] = u64::MAX;
        assert!(matches!(
            Layout::published(&words),
            Err(Unknown::Published(_))
        ));
        words[23] = 72;
        words[0] = 0;
        assert!(matches!(
            Layout::published(&words),
            Err(Unknown::Published(_))
        ));
    }
}
