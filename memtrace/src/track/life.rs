//! One traced life: its identity, and entries that must wait their turn.

use std::sync::Arc;

use super::{Output, codes::Codes, prints::Lines, samples::Samples};
use crate::{
    entry::{Begin, Entry, Memory, Program, StackWhy, What},
    event::{Mappings, Unsent},
    units::{BootNanos, Bytes, Delta, Tgid},
};

/// Names one traced life for as long as memtrace runs; unlike a pid it is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LifeId(pub u64);

/// A stack that was taken for a kill.
fn is_of_kill(what: &What) -> bool {
    matches!(what, What::Stack(stack) if stack.why != StackWhy::Growth)
}

/// Seconds between the samples of a life.
const APART: f64 = 2.0;

#[derive(Debug)]
pub(super) struct Life {
    pub(super) id: LifeId,
    pub(super) pid: Tgid,
    pub(super) started: BootNanos,
    pub(super) last_checkpoint: Option<String>,
    /// What a kill tells as not sent: the end tells what came after it.
    pub(super) unsent_at_kill: Unsent,
    /// When tracing began.
    pub(super) begun: BootNanos,
    /// A process whose program is about to change begins with its first own entry, so that one
    /// which execs at once has a log of the right name.
    begin: Option<(BootNanos, Box<Begin>)>,
    /// Entries that wait for a kill to be told before them.
    waiting: Vec<Entry>,
    waits: bool,
    /// A new name that may be no more than the first half of an exec.
    rename: Option<Box<(BootNanos, String)>>,
    samples: Samples,
    memory: Option<Memory>,
    /// RSS when the last stack of growth was taken, or when there was a first figure.
    stack_rss: Option<Bytes>,
    /// Of a process that is known to run Python.
    pub(super) codes: Option<Box<Codes>>,
    /// What it runs code from, if that is known; shared with its children.
    pub(super) mappings: Option<Arc<Mappings>>,
    /// It was told that its Python is not known.
    pub(super) python_unknown: bool,
    /// A Python was looked for once more when its memory grew.
    pub(super) asked_again: bool,
    /// Of a process whose prints or writes are checkpoints.
    pub(super) lines: Option<Box<Lines>>,
    /// The traced process that forked it, until it runs a program of its own.
    pub(super) parent: Option<Tgid>,
}

impl Life {
    /// A life whose first entry is `begin`, which [`Life::show`] gives out.
    pub(super) fn new(id: LifeId, begin: Begin, at: BootNanos) -> Self {
        Self {
            id,
            pid: begin.pid,
            started: begin.started,
            parent: begin.parent,
            last_checkpoint: None,
            unsent_at_kill: Unsent::default(),
            begun: at,
            begin: Some((at, Box::new(begin))),
            waiting: Vec::new(),
            waits: false,
            rename: None,
            samples: Samples::default(),
            memory: None,
            stack_rss: None,
            codes: None,
            mappings: None,
            python_unknown: false,
            asked_again: false,
            lines: None,
        }
    }

    pub(super) fn last_memory(&self) -> Option<Memory> {
        self.memory
    }

    /// By how much RSS has moved since the last stack of growth.
    pub(super) fn moved_to(&mut self, rss: Bytes) -> Delta {
        let before = self.stack_rss.replace(rss);
        rss.since(before.unwrap_or(rss))
    }

    /// Remembers RSS for the look back.
    pub(super) fn sample(&mut self, at: BootNanos, memory: Memory) {
        self.memory = Some(memory);
        self.stack_rss.get_or_insert(memory.rss());
        self.samples.add(at, memory.rss(), APART);
    }

    /// RSS at the start of the window that ends at `at`, or the first that is known after that.
    pub(super) fn before(&self, at: BootNanos) -> Option<(BootNanos, Bytes)> {
        self.samples.before(at)
    }

    /// Gives an entry out, or keeps it while a kill waits to be told.
    pub(super) fn tell(&mut self, at: BootNanos, what: What, out: &mut Vec<Output>) {
        self.tell_rename(out);
        self.give(Entry { at, what }, out);
    }

    /// Gives out an entry that was kept elsewhere, before those that are younger and still here.
    pub(super) fn tell_late(&mut self, entry: Entry, out: &mut Vec<Output>) {
        if self.waits {
            let is_older = |other: &Entry| other.at <= entry.at;
            let place = self
                .waiting
                .iter()
                .take_while(|other| is_older(other))
                .count();
            self.waiting.insert(place, entry);
        } else {
            self.give(entry, out);
        }
    }

    fn tell_rename(&mut self, out: &mut Vec<Output>) {
        if let Some(rename) = self.rename.take() {
            let (at, comm) = *rename;
            let what = What::Rename { comm };
            self.give(Entry { at, what }, out);
        }
    }

    fn give(&mut self, entry: Entry, out: &mut Vec<Output>) {
        if self.waits {
            self.waiting.push(entry);
        } else {
            self.show(out);
            out.push(Output::Entry(self.id, entry));
        }
    }

    /// The process took another name. An exec renames first, so this is told with what follows,
    /// unless that is the exec, which says more.
    pub(super) fn rename(&mut self, at: BootNanos, comm: String, out: &mut Vec<Output>) {
        self.tell_rename(out);
        self.rename = Some(Box::new((at, comm)));
    }

    /// Gives the beginning out if that has not been done.
    pub(super) fn show(&mut self, out: &mut Vec<Output>) {
        if let Some((at, begin)) = self.begin.take() {
            let what = What::Begin(begin);
            out.push(Output::Entry(self.id, Entry { at, what }));
        }
    }

    /// The process runs another program. One that has not begun yet begins as that program.
    pub(super) fn exec(
        &mut self,
        at: BootNanos,
        program: Arc<Program>,
        memory: Memory,
        out: &mut Vec<Output>,
    ) {
        self.rename = None;
        self.codes = None;
        self.mappings = None;
        self.python_unknown = false;
        self.asked_again = false;
        self.lines = None;
        self.parent = None;
        self.stack_rss = None;
        self.sample(at, memory);
        match &mut self.begin {
            Some((_, begin)) => {
                begin.program = program;
                begin.memory = Some(memory);
                self.show(out);
            }
            None => self.tell(at, What::Exec { program }, out),
        }
    }

    /// From now on entries wait.
    pub(super) fn wait(&mut self, out: &mut Vec<Output>) {
        self.tell_rename(out);
        self.waits = true;
    }

    /// What was waited for. Entries older than it go before it, but for an end, which the kernel
    /// may report before the mark of the kill that caused it.
    pub(super) fn explain(&mut self, kill: Vec<Entry>, out: &mut Vec<Output>) {
        let Some(at) = kill.first().map(|entry| entry.at) else {
            return;
        };
        self.show(out);
        let older = self
            .waiting
            .iter()
            .take_while(|entry| entry.at < at && !matches!(entry.what, What::Exit(_)))
            .count();
        let younger = self.waiting.split_off(older);
        let older = std::mem::replace(&mut self.waiting, younger);
        // Its stacks are part of the kill, whose story is over with it.
        let stacks = self.waiting.extract_if(.., |entry| is_of_kill(&entry.what));
        let before = older.into_iter().chain(stacks);
        out.extend(
            before
                .chain(kill)
                .map(|entry| Output::Entry(self.id, entry)),
        );
    }

    /// What is waited for came at this time: what is older goes out.
    pub(super) fn resume_until(&mut self, at: BootNanos, out: &mut Vec<Output>) {
        self.show(out);
        let is_older = |entry: &&Entry| entry.at <= at;
        let older = self.waiting.iter().take_while(is_older).count();
        out.extend(
            self.waiting
                .drain(..older)
                .map(|entry| Output::Entry(self.id, entry)),
        );
    }

    /// Nothing is waited for any more.
    pub(super) fn resume(&mut self, out: &mut Vec<Output>) {
        self.waits = false;
        self.show(out);
        let waiting = std::mem::take(&mut self.waiting);
        out.extend(
            waiting
                .into_iter()
                .map(|entry| Output::Entry(self.id, entry)),
        );
    }
}
