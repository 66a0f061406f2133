//! Where memory grew, by the stacks that were taken while it did: by line, by function, since the
//! last checkpoint, and in the last minute. In bounded room: what finds none is charged to
//! [`Place::Others`], so that the sums stay whole.

mod callers;
mod table;

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

pub use callers::Caller;
use callers::Path;
use table::Table;

use super::book::{Book, Marks};
use crate::{
    entry::{Frame, Native, PythonState, Stack},
    units::{BootNanos, Delta, Tid},
};

/// What growth is charged to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// A line: the innermost Python frame. A function, where the frame has no line.
    Code(Frame),
    /// A thread of this name that runs no Python.
    NoPython(Arc<str>),
    /// A thread of this name whose innermost frame could not be read.
    Unread(Arc<str>),
    /// A function of a program without Python; where it has no name, the file that it is in.
    Native(Function),
    /// A thread of this name, of a process that is not known to run a CPython.
    NoInterpreter(Arc<str>),
    /// All that found no room.
    Others,
}

/// A native function.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Function {
    /// The file that its code is in.
    pub file: Arc<str>,
    /// Its name, if that is known.
    pub name: Option<Arc<str>>,
}

/// Growth of one place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Moved {
    /// All moves.
    pub net: Delta,
    /// The moves upwards alone.
    pub gained: Delta,
}

/// A place and its growth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grown {
    /// Where.
    pub place: Place,
    /// By how much.
    pub moved: Moved,
    /// Whom it grew for, where that does not follow from the place: a helper's callers, and the
    /// program's own lines that called a library. The first few.
    pub callers: Vec<Caller>,
}

/// The growth of one life.
#[derive(Debug)]
pub struct Growth {
    /// Of all stacks together.
    pub total: Moved,
    /// How many stacks there were.
    pub stacks: u64,
    /// How many of them miss frames, so that [`Self::functions`] misses callers.
    pub incomplete: u64,
    /// The thread of the last one.
    pub last: Option<Tid>,
    lines: Account,
    functions: Table<Place>,
    interval: Account,
    window: Window,
}

/// Growth by line, and by who called it.
#[derive(Debug)]
struct Account {
    lines: Table<Place>,
    paths: Table<Path>,
}

/// The last minute in slices of a second.
#[derive(Debug, Default)]
struct Window(VecDeque<Slice>);

#[derive(Debug)]
struct Slice {
    from: BootNanos,
    account: Account,
}

impl Place {
    /// Where a stack's growth belongs: never a place that is not known to be it.
    pub fn of(stack: &Stack) -> Self {
        let innermost = stack.frames.first();
        let named = innermost.filter(|frame| frame.file.is_some() || frame.function.is_some());
        if let Some(frame) = named {
            return Self::Code(frame.clone());
        }
        let comm = Arc::from(stack.comm.as_str());
        match stack.python {
            PythonState::OtherThread => Self::NoPython(comm),
            PythonState::Unknown => match Function::charged(&stack.natives) {
                Some(function) => Self::Native(function),
                None => Self::NoInterpreter(comm),
            },
            PythonState::Whole if innermost.is_none() => Self::NoPython(comm),
            PythonState::Whole | PythonState::Cut | PythonState::Torn => Self::Unread(comm),
        }
    }

    /// The native functions on a stack, likewise.
    fn natives(natives: &[Native]) -> Vec<Self> {
        let mut seen = HashSet::new();
        let named = natives
            .iter()
            .rev()
            .filter(|frame| frame.function.is_some());
        let functions = named.filter_map(Function::of);
        functions
            .filter(|function| seen.insert(function.clone()))
            .map(Self::Native)
            .collect()
    }

    /// The functions on a stack, the outermost first, each once however often it calls itself.
    fn functions(frames: &[Frame]) -> Vec<Self> {
        let mut seen = HashSet::new();
        let function = |frame: &Frame| {
            Self::Code(Frame {
                line: None,
                ..frame.clone()
            })
        };
        let named = frames.iter().rev().filter(|frame| frame.function.is_some());
        named
            .filter(|frame| seen.insert((&frame.file, &frame.function)))
            .map(function)
            .collect()
    }
}

impl Function {
    /// That of a frame.
    fn of(frame: &Native) -> Option<Self> {
        Some(Self {
            file: Arc::clone(frame.file.as_ref()?),
            name: frame.function.clone(),
        })
    }

    /// The innermost one of the program: `memset` is called by somebody.
    fn charged(natives: &[Native]) -> Option<Self> {
        let mut functions = natives.iter().filter_map(Self::of);
        functions.find(|function| !function.is_of_c_library())
    }

    fn is_of_c_library(&self) -> bool {
        const LIBRARIES: [&str; 6] = ["ld-", "libc-", "libc.", "libm.", "libstdc++.", "libpthread"];
        let name = self.file.rsplit('/').next().unwrap_or_default();
        LIBRARIES.iter().any(|library| name.starts_with(library))
    }
}

impl Moved {
    /// One move.
    fn by(delta: Delta) -> Self {
        Self {
            net: delta,
            gained: Delta(delta.0.max(0)),
        }
    }

    /// The moves downwards alone: not above zero.
    pub fn shrunk(self) -> Delta {
        Delta(self.net.0.saturating_sub(self.gained.0))
    }

    fn add(&mut self, other: Self) {
        self.net.0 = self.net.0.saturating_add(other.net.0);
        self.gained.0 = self.gained.0.saturating_add(other.gained.0);
    }
}

impl Default for Growth {
    fn default() -> Self {
        Self {
            total: Moved::default(),
            stacks: 0,
            incomplete: 0,
            last: None,
            lines: Account::new(Self::MOST),
            functions: Table::new(Self::MOST),
            interval: Account::new(Self::MOST),
            window: Window::default(),
        }
    }
}

impl Growth {
    /// Lines, functions, and ways to lines that are told apart.
    pub const MOST: usize = 4096;

    /// Lines, and functions, that a report lists.
    pub const LISTED: usize = 10;

    /// Lines that are told of a checkpoint, and of the last minute.
    pub const HEAVIEST: usize = 3;

    /// Charges what RSS moved by to the stack that it was found on.
    pub fn apply(&mut self, at: BootNanos, stack: &Stack) {
        let moved = Moved::by(stack.moved.unwrap_or_default());
        let place = Place::of(stack);
        self.total.add(moved);
        self.stacks += 1;
        self.last = Some(stack.tid);
        let is_torn = matches!(stack.python, PythonState::Cut | PythonState::Torn);
        self.incomplete += u64::from(is_torn || stack.omitted > 0);
        match &place {
            Place::Code(_) => {
                for function in Place::functions(&stack.frames) {
                    self.functions.add(function, moved);
                }
            }
            Place::Native(_) => {
                for function in Place::natives(&stack.natives) {
                    self.functions.add(function, moved);
                }
            }
            other => self.functions.add(other.clone(), moved),
        }
        let path = Path::of(place, &stack.frames);
        self.window.add(at, &path, moved);
        self.interval.add(&path, moved);
        self.lines.add(&path, moved);
    }

    /// Growth by line, the largest net growth first; the others last, if there are any.
    pub fn lines(&self) -> Vec<Grown> {
        self.lines.grown(Self::LISTED)
    }

    /// Growth by function, with what it calls, the largest net growth first. One move counts for
    /// each function on its stack, so these do not add up, and there are no others.
    pub fn functions(&self) -> Vec<Grown> {
        let grown = |(place, moved): (&Place, Moved)| Grown {
            place: place.clone(),
            moved,
            callers: Vec::new(),
        };
        self.functions.sorted().map(grown).collect()
    }

    /// A checkpoint: what grows from now on belongs to the next one. Gives the lines that grew most
    /// since the last one, if they are wanted.
    pub fn mark(&mut self, wanted: bool) -> Vec<Grown> {
        let lines = if wanted {
            self.interval.heaviest()
        } else {
            Vec::new()
        };
        self.interval.clear();
        lines
    }

    /// The lines that grew most in the last [`Book::WINDOW_SECONDS`].
    pub fn recent(&self, now: BootNanos) -> Vec<Grown> {
        let start = now.minus_seconds(Book::WINDOW_SECONDS);
        let mut sum = Account::new(Window::SLICES * Window::MOST);
        for slice in self.window.0.iter().filter(|slice| slice.from >= start) {
            sum.lines.merge(&slice.account.lines);
            sum.paths.merge(&slice.account.paths);
        }
        sum.heaviest()
    }
}

impl Account {
    fn new(most: usize) -> Self {
        Self {
            lines: Table::new(most),
            paths: Table::new(most),
        }
    }

    fn add(&mut self, path: &Path, moved: Moved) {
        self.lines.add(path.place.clone(), moved);
        self.paths.add(path.clone(), moved);
    }

    fn clear(&mut self) {
        self.lines.clear();
        self.paths.clear();
    }

    /// The largest net growth first; the others last, if there are any. The first `with_callers` tell
    /// theirs.
    fn grown(&self, with_callers: usize) -> Vec<Grown> {
        let callers = callers::by_place(self.paths.sorted());
        let grown = |(at, (place, moved)): (usize, (&Place, Moved))| Grown {
            place: place.clone(),
            moved,
            callers: match callers.get(place) {
                Some(paths) if at < with_callers => paths.callers(),
                _ => Vec::new(),
            },
        };
        let others = (self.lines.others != Moved::default()).then(|| Grown {
            place: Place::Others,
            moved: self.lines.others,
            callers: Vec::new(),
        });
        let lines = self.lines.sorted().enumerate().map(grown);
        lines.chain(others).collect()
    }

    /// The first few, as far as their growth shows.
    fn heaviest(&self) -> Vec<Grown> {
        let mut grown = self.grown(Growth::HEAVIEST);
        grown.retain(|grown| grown.place != Place::Others && Marks::shows(grown.moved.net));
        grown.truncate(Growth::HEAVIEST);
        grown
    }
}

impl Window {
    /// A slice takes what comes within so much of its first.
    const SLICE_NANOS: u64 = 1_000_000_000;

    /// Slices that can lie within the window.
    const SLICES: usize = 61;

    /// Lines of a slice, and ways to them, that are told apart.
    const MOST: usize = 64;

    fn add(&mut self, at: BootNanos, path: &Path, moved: Moved) {
        let goes_on = |slice: &Slice| at.0.saturating_sub(slice.from.0) < Self::SLICE_NANOS;
        if !self.0.back().is_some_and(goes_on) {
            self.0.push_back(Slice {
                from: at,
                account: Account::new(Self::MOST),
            });
        }
        let slice = self.0.back_mut().expect("there is a slice");
        slice.account.add(path, moved);
        let start = slice.from.minus_seconds(Book::WINDOW_SECONDS);
        while self.0.front().is_some_and(|slice| slice.from < start) {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
