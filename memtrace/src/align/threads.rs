//! What a story takes of stacks: growth goes to its [`Growth`], and those of
//! a kill are kept as they are, one per thread.

use super::{
    Killer, Story,
    growth::{Grown, Growth},
    row::{Line, Row},
};
use crate::{
    entry::{PythonState, Stack, StackWhy},
    units::{BootNanos, Tid},
};

/// One stack per thread, of so many threads at most.
#[derive(Debug, Default)]
pub struct Threads {
    stacks: Vec<Stack>,
    /// Threads that found no room.
    left_out: u64,
    /// The thread that the OOM killer answered.
    marked: Option<Tid>,
}

/// Why a thread goes before the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum First {
    /// The OOM killer answered its need of memory.
    Asked,
    /// Memory grew last under its hands.
    GrewLast,
    /// It runs Python, and no other such thread has a lower number.
    RunsPython,
    /// There is nothing to choose it by.
    Any,
}

impl Story {
    pub(super) fn stack(&mut self, at: BootNanos, stack: &Stack) {
        self.runs_python |= stack.python != PythonState::Unknown;
        self.has_places |=
            self.runs_python || stack.natives.iter().any(|frame| frame.function.is_some());
        match stack.why {
            StackWhy::Mark | StackWhy::Kill => {
                self.threads.get_or_insert_default().push(stack);
            }
            // Whom SIGKILL has reached runs no more code of its own: what moves now is its teardown.
            StackWhy::Growth if self.kill.is_some() => {}
            StackWhy::Growth => self.growth.get_or_insert_default().apply(at, stack),
        }
    }

    /// Its Python is not one whose stacks can be read.
    pub(super) fn without_python(&mut self, at: BootNanos, why: &str) -> Row {
        self.unknown_python = Some(why.into());
        self.row(at, Line::UnknownPython(why.to_owned()))
    }

    /// Stacks of a program that has neither Python nor names say nothing: what grew is the program.
    pub(super) fn of_places(&self, lines: Vec<Grown>) -> Vec<Grown> {
        if self.has_places { lines } else { Vec::new() }
    }

    /// Where memory grew, of a program that has names for it.
    pub fn growth(&self) -> Option<&Growth> {
        self.growth.as_deref().filter(|_| self.has_places)
    }

    /// The thread that the kill is about, if stacks were told of it that say anything, and why it is
    /// this one.
    pub fn first_thread(&self) -> Option<(&Stack, First)> {
        let says_anything = |threads: &Threads| {
            let mut stacks = threads.stacks.iter();
            self.runs_python || stacks.any(|stack| !stack.natives.is_empty())
        };
        if !self.threads.as_deref().is_some_and(says_anything) {
            return None;
        }
        let asked = match self.kill.as_ref().map(|kill| &kill.by) {
            Some(Killer::Oom(oom)) if oom.own => Some(oom.trigger.tid),
            _ => None,
        };
        let grew = self.growth.as_ref().and_then(|growth| growth.last);
        self.threads.as_ref()?.first(asked, grew)
    }
}

impl Threads {
    /// Threads whose stacks are kept.
    pub const MOST: usize = 64;

    /// Takes a stack of a kill. Of a thread with two the one that says more stays.
    pub fn push(&mut self, stack: &Stack) {
        let is_marked = stack.why == StackWhy::Mark;
        if is_marked {
            self.marked = Some(stack.tid);
        }
        if let Some(known) = self.stacks.iter_mut().find(|known| known.tid == stack.tid) {
            if says(stack) > says(known) {
                *known = stack.clone();
            }
        } else if self.stacks.len() < Self::MOST {
            self.stacks.push(stack.clone());
        } else {
            self.left_out += 1;
            // The one that all is about is never among those.
            if let Some(last) = self.stacks.last_mut().filter(|_| is_marked) {
                *last = stack.clone();
            }
        }
    }

    /// Threads that are not among [`Self::in_order`].
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// The thread that the kill is about, and why it is this one. `asked` is the one that asked for
    /// the memory, where that is known from elsewhere; `grew` the one that grew last.
    pub fn first(&self, asked: Option<Tid>, grew: Option<Tid>) -> Option<(&Stack, First)> {
        let of = |tid: Option<Tid>| self.stacks.iter().find(|stack| Some(stack.tid) == tid);
        let asked = of(self.marked.or(asked)).map(|stack| (stack, First::Asked));
        let grew = || of(grew).map(|stack| (stack, First::GrewLast));
        let runs = || {
            self.running_python()
                .map(|stack| (stack, First::RunsPython))
        };
        let any = || Some((self.stacks.first()?, First::Any));
        asked.or_else(grew).or_else(runs).or_else(any)
    }

    /// The thread with the lowest number among those that run Python.
    pub fn running_python(&self) -> Option<&Stack> {
        let running = self.stacks.iter().filter(|stack| !stack.frames.is_empty());
        running.min_by_key(|stack| stack.tid)
    }

    /// All of them: `first`, those that run Python, the others; by number.
    pub fn in_order(&self, first: Tid) -> Vec<&Stack> {
        let mut stacks: Vec<&Stack> = self.stacks.iter().collect();
        stacks.sort_by_key(|stack| (stack.tid != first, stack.frames.is_empty(), stack.tid));
        stacks
    }
}

/// How much a stack says: more compares as more.
fn says(stack: &Stack) -> (u8, usize, usize) {
    let state = match stack.python {
        PythonState::Whole => 4,
        PythonState::Cut => 3,
        PythonState::Torn => 2,
        PythonState::OtherThread => 1,
        PythonState::Unknown => 0,
    };
    let frames = stack.frames.len() + stack.omitted as usize;
    (state, frames, stack.natives.len())
}
