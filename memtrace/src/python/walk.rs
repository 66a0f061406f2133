//! From an interpreter's runtime to the frames of its threads.
//!
//! Whatever is read may be half-built, freed or forged. A walk that finds something that cannot be
//! ends there, keeps what it has, and says so; every loop has a bound.

use std::cell::Cell;

use super::{
    layout::{Current, Instruction, Layout},
    lines::Line,
};

/// Frames of one thread that are read.
pub const MOST_FRAMES: usize = 1000;
/// Threads of all interpreters that are read.
const MOST_THREADS: usize = 10_000;
/// Interpreters that are read.
const MOST_INTERPRETERS: usize = 256;
/// Frames of all threads together that are read.
const MOST_IN_ALL: usize = 100_000;
/// Bytes of a string that are read.
const MOST_TEXT: u64 = 1024;
/// Bytes of a line table that are read: those of a generated module of 3,000 lines are 81 KB.
const MOST_TABLE: u64 = 1 << 20;

/// Another process' memory.
pub trait Memory {
    /// Fills the buffer from an address; false if not all of it can be read.
    fn read(&self, at: u64, into: &mut [u8]) -> bool;
}

/// Where an interpreter is, and what it is like.
#[derive(Debug, Clone, Copy)]
pub struct Runtime {
    /// Address of `_PyRuntime`.
    pub address: u64,
    /// Address of `PyCode_Type`: what a code object says it is.
    pub code_type: u64,
    /// Where its fields are.
    pub layout: Layout,
}

/// One Python frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// `co_filename`; absent if it cannot be read, and with `…` behind it if it was cut.
    pub file: Option<String>,
    /// `co_qualname`, before 3.11 `co_name`; likewise.
    pub function: Option<String>,
    /// Where in the file.
    pub line: Line,
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At the outermost frame.
    Whole,
    /// There are more than [`MOST_FRAMES`].
    Cut,
    /// At something that cannot be: the chain changed under the walk, or is broken.
    Torn,
}

/// One thread that runs Python.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thread {
    /// What `pthread_self` returns in it.
    pub id: u64,
    /// Its number as its pid namespace has it, from 3.11 on.
    pub native_id: Option<u64>,
    /// The innermost first.
    pub frames: Vec<Frame>,
    /// Whether these are all.
    pub end: End,
}

/// The structs are not where they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("its threads and frames are not where those of this version are")]
pub struct Strange;

/// The threads of all interpreters, the newest first.
pub fn threads(memory: &impl Memory, runtime: Runtime) -> Result<Vec<Thread>, Strange> {
    let left = Cell::new(MOST_IN_ALL);
    let walk = Walk {
        memory,
        runtime,
        left,
    };
    let layout = runtime.layout;
    let mut threads = Vec::new();
    let mut interpreter = walk
        .pointer(runtime.address.saturating_add(layout.interpreters))
        .ok_or(Strange)?;
    for _ in 0..MOST_INTERPRETERS {
        if interpreter == 0 {
            break;
        }
        let mut thread = walk.pointer(interpreter + layout.threads).ok_or(Strange)?;
        while thread != 0 && threads.len() < MOST_THREADS {
            // The first one proves that these are the structs; a later one may have just gone.
            match (walk.thread(interpreter, thread), threads.is_empty()) {
                (Some(found), _) => threads.push(found),
                (None, true) => return Err(Strange),
                (None, false) => break,
            }
            thread = walk.pointer(thread + layout.thread_next).unwrap_or(0);
        }
        interpreter = walk
            .pointer(interpreter + layout.interpreter_next)
            .unwrap_or(0);
    }
    let has_frames = |thread: &Thread| !thread.frames.is_empty();
    // All idle is rare, and all torn at their first frame is a layout that is wrong.
    let torn = |thread: &Thread| thread.end == End::Torn;
    if threads.iter().any(has_frames) || !threads.iter().any(torn) {
        Ok(threads)
    } else {
        Err(Strange)
    }
}

struct Walk<'m, M> {
    memory: &'m M,
    runtime: Runtime,
    /// Frames that may still be read.
    left: Cell<usize>,
}

impl<M: Memory> Walk<'_, M> {
    fn bytes<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        self.memory.read(at, &mut bytes).then_some(bytes)
    }

    fn word(&self, at: u64) -> Option<u64> {
        self.bytes(at).map(u64::from_le_bytes)
    }

    /// A pointer of user space: with any offset of a layout it is still an address.
    fn pointer(&self, at: u64) -> Option<u64> {
        self.word(at).filter(|pointer| *pointer < 1 << 63)
    }

    fn int(&self, at: u64) -> Option<i32> {
        self.bytes(at).map(i32::from_le_bytes)
    }

    fn thread(&self, interpreter: u64, at: u64) -> Option<Thread> {
        let layout = &self.runtime.layout;
        if self.word(at + layout.thread_interpreter)? != interpreter {
            return None;
        }
        let id = self.word(at + layout.thread_id)?;
        let native_id = layout
            .native_thread_id
            .and_then(|offset| self.word(at + offset));
        let (frames, end) = self.frames(at);
        Some(Thread {
            id,
            native_id,
            frames,
            end,
        })
    }

    fn frames(&self, thread: u64) -> (Vec<Frame>, End) {
        let mut frames = Vec::new();
        let Some(mut at) = self.innermost(thread) else {
            return (frames, End::Torn);
        };
        // As many again that are not Python's.
        for _ in 0..2 * MOST_FRAMES {
            if at == 0 {
                return (frames, End::Whole);
            }
            let left = self.left.get().checked_sub(1);
            let (Some(left), ..MOST_FRAMES) = (left, frames.len()) else {
                return (frames, End::Cut);
            };
            self.left.set(left);
            let Some(next) = self.frame(at, &mut frames) else {
                return (frames, End::Torn);
            };
            at = next;
        }
        (frames, End::Cut)
    }

    fn innermost(&self, thread: u64) -> Option<u64> {
        match self.runtime.layout.current {
            Current::Direct(offset) => self.pointer(thread + offset),
            Current::Through(offset, inner) => match self.pointer(thread + offset)? {
                0 => Some(0),
                through => self.pointer(through + inner),
            },
        }
    }

    /// Adds a frame, unless it is none of Python's; gives the one that called it.
    fn frame(&self, at: u64, frames: &mut Vec<Frame>) -> Option<u64> {
        let layout = &self.runtime.layout;
        let back = self.pointer(at + layout.frame_back)?;
        let owner = match layout.frame_owner {
            Some(offset) => self.bytes::<1>(at + offset)?[0],
            None => 0,
        };
        // The lowest bits are tags, from 3.14 on.
        let code = self.pointer(at + layout.frame_code)? & !7;
        if owner >= Layout::NOT_PYTHON || !self.is_code(code) {
            // A shim has something else for its code; before 3.12 there are none.
            return layout.frame_owner.map(|_| back);
        }
        frames.push(Frame {
            file: self.text(code + layout.file),
            function: self.text(code + layout.name),
            line: self.line(at, code).unwrap_or(Line::Unknown),
        });
        Some(back)
    }

    fn is_code(&self, object: u64) -> bool {
        self.word(object + self.runtime.layout.kind) == Some(self.runtime.code_type)
    }

    fn line(&self, frame: u64, code: u64) -> Option<Line> {
        let layout = &self.runtime.layout;
        let at = frame + layout.frame_instruction;
        let offset = match layout.instruction {
            Instruction::Index(unit) => i64::from(self.int(at)?) * unit.cast_signed(),
            Instruction::Pointer {
                code: begin,
                copies,
            } => {
                let begin = match copies {
                    None => code + begin,
                    Some((index, array)) => self.copy(frame + index, code + array)?,
                };
                self.word(at)?.wrapping_sub(begin).cast_signed()
            }
        };
        let first = self.int(code + layout.first_line)?;
        let table = self.pointer(code + layout.lines)?;
        let length = self.word(table + layout.bytes_length)?;
        let mut bytes = vec![0; usize::try_from(length.min(MOST_TABLE)).ok()?];
        self.memory
            .read(table + layout.bytes, &mut bytes)
            .then(|| layout.table.line(&bytes, first, offset))
    }

    /// Where the bytecode begins that this thread runs: one of an array behind its length.
    fn copy(&self, index: u64, array: u64) -> Option<u64> {
        let index = u64::try_from(self.int(index)?).ok()?;
        let array = self.pointer(array)?;
        let copies = self.word(array)?;
        (index < copies).then(|| self.word(array + 8 + 8 * index))?
    }

    /// The string that a field points to.
    fn text(&self, field: u64) -> Option<String> {
        let layout = &self.runtime.layout;
        let at = self.pointer(field)?;
        let length = self.word(at + layout.text_length)?;
        let state = self.bytes(at + layout.text_state).map(u32::from_le_bytes)?;
        let kind = layout.text_bits.kind(state)?;
        let header = if kind.ascii {
            layout.ascii_header
        } else {
            layout.text_header
        };
        let whole = length.checked_mul(kind.width.into())?;
        let mut bytes = vec![0; usize::try_from(whole.min(MOST_TEXT)).ok()?];
        if !self.memory.read(at + header, &mut bytes) {
            return None;
        }
        let mut text = kind.decode(&bytes);
        if whole > MOST_TEXT {
            text.push('…');
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeMap};

    use proptest::prelude::*;

    use super::{End, Memory, Runtime, Strange, threads};
    use crate::python::{
        layout::{Layout, Version},
        lines::Line,
    };

    /// Words at addresses; everything else cannot be read.
    #[derive(Default)]
    struct Words(RefCell<BTreeMap<u64, u64>>);

    impl Words {
        fn put(&self, at: u64, word: u64) {
            self.0.borrow_mut().insert(at, word);
        }
    }

    impl Memory for Words {
        fn read(&self, at: u64, into: &mut [u8]) -> bool {
            let words = self.0.borrow();
            let byte = |at: u64| {
                let word = words.get(&(at & !7))?;
                Some(word.to_le_bytes()[usize::try_from(at & 7).ok()?])
            };
            (at..)
                .zip(into)
                .all(|(at, into)| byte(at).map(|byte| *into = byte).is_some())
        }
    }

    const CODE_TYPE: u64 = 0xc0de_0000;
    const FIRST: u64 = 0x10_0000;

    fn three_nine() -> Runtime {
        let version = Version { major: 3, minor: 9 };
        Runtime {
            address: 0x1000,
            code_type: CODE_TYPE,
            layout: Layout::of(version).unwrap(),
        }
    }

    /// One interpreter, one thread with so many frames of one code object.
    fn memory(frames: u64) -> Words {
        let words = Words::default();
        words.put(0x1000 + 32, 0x2000);
        words.put(0x2000, 0);
        words.put(0x2000 + 8, 0x3000);
        for (offset, word) in [(8, 0), (16, 0x2000), (24, FIRST), (176, 7)] {
            words.put(0x3000 + offset, word);
        }
        for number in 0..frames {
            let at = FIRST + number * 0x100;
            let back = if number + 1 == frames { 0 } else { at + 0x100 };
            for (offset, word) in [(24, back), (32, 0x5000), (104, 2)] {
                words.put(at + offset, word);
            }
        }
        // The code object: its type, first line, file, name, table.
        for (offset, word) in [
            (8, CODE_TYPE),
            (40, 30),
            (104, 0x6000),
            (112, 0x6000),
            (120, 0x7000),
        ] {
            words.put(0x5000 + offset, word);
        }
        // `ab.py` in ASCII.
        for (offset, word) in [
            (16, 5),
            (32, 1 << 2 | 1 << 6),
            (48, u64::from_le_bytes(*b"ab.py\0\0\0")),
        ] {
            words.put(0x6000 + offset, word);
        }
        // From byte 2 on one line further.
        for (offset, word) in [(16, 2), (32, 0x0102)] {
            words.put(0x7000 + offset, word);
        }
        words
    }

    #[test]
    fn a_stack_is_read_from_its_innermost_frame() {
        let found = threads(&memory(3), three_nine()).unwrap();
        let [thread] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(
            (thread.id, thread.frames.len(), thread.end),
            (7, 3, End::Whole)
        );
        assert_eq!(thread.frames[0].file.as_deref(), Some("ab.py"));
        assert_eq!(thread.frames[0].line, Line::At(31));
    }

    #[test]
    fn a_chain_without_end_is_cut_and_a_broken_one_told() {
        let found = threads(&memory(5000), three_nine()).unwrap();
        assert_eq!((found[0].frames.len(), found[0].end), (1000, End::Cut));
        let words = memory(3);
        words.put(FIRST + 0x100 + 24, 0xdead_0000);
        let found = threads(&words, three_nine()).unwrap();
        assert_eq!((found[0].frames.len(), found[0].end), (2, End::Torn));
        // A loop.
        words.put(FIRST + 0x100 + 24, FIRST);
        assert_eq!(threads(&words, three_nine()).unwrap()[0].end, End::Cut);
    }

    #[test]
    fn structs_of_another_build_give_no_stack() {
        let words = memory(3);
        words.put(0x3000 + 16, 0x2008);
        assert_eq!(threads(&words, three_nine()), Err(Strange));
        let words = memory(3);
        words.put(0x5000 + 8, 1);
        assert_eq!(threads(&words, three_nine()), Err(Strange));
    }

    proptest! {
        #[test]
        fn no_memory_is_too_strange(damage in proptest::collection::vec((0..80_usize, any::<u64>()), 1..4)) {
            let words = memory(4);
            let places: Vec<u64> = words.0.borrow().keys().copied().collect();
            for (place, word) in damage {
                words.put(places[place % places.len()], word);
            }
            if let Ok(found) = threads(&words, three_nine()) {
                for thread in found {
                    for frame in thread.frames {
                        prop_assert!(frame.file.is_none_or(|file| file.chars().count() <= 1025));
                    }
                }
            }
        }
    }
}
