//! One process life, entry by entry: checkpoints lined up with RSS, the rows that a reader sees,
//! and what the report will need. No input or output, no clock, no words.
//!
//! # Rules
//!
//! - **Baseline**: the program's own start ([`What::Init`]) always moves it; the first checkpoint
//!   moves it if there was no such start; before both it is the RSS when tracing began, or the
//!   first RSS known where the process began (or replaced its program) under our eyes.
//! - **Level**: from the RSS of the line; see [`Level::of`].
//! - **Threshold lines**: once when RSS is at a threshold or above and was not before; again only
//!   after RSS was below it. One entry that passes both thresholds writes both, the lower first.
//! - **Background lines**: on RSS entries only, because a checkpoint's own line says the same. One
//!   whenever a threshold is passed upwards, else at most one per interval.
#![forbid(unsafe_code)]

use std::sync::Arc;

use self::{
    book::{Book, Reading, Recent},
    growth::{Grown, Growth},
    row::{Level, Line, Mark, Row, Threshold},
    threads::Threads,
};
use crate::{
    clock::Clock,
    entry::{
        Begin, Checkpoint, Entry, Exit, Lost, Memory, Neighbours, OomKill, Program, Sigkill, What,
    },
    units::{BootNanos, Bytes, Delta},
};

pub mod book;
pub mod growth;
pub mod row;
pub mod threads;

#[cfg(test)]
mod tests;

/// All that is known about one process life so far.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each remembers a thing of its own"
)]
#[derive(Debug)]
pub struct Story {
    /// How it began; its `program` is the one of the beginning.
    pub begin: Begin,
    /// When tracing began.
    pub began: BootNanos,
    /// Its clock.
    pub clock: Clock,
    /// What it runs now.
    pub program: Arc<Program>,
    /// The name that the program gave itself.
    pub name: Option<String>,
    /// Warning threshold that holds now.
    pub warning: Bytes,
    /// Critical threshold that holds now.
    pub critical: Bytes,
    /// Its figures.
    pub book: Book,
    /// Where it grew; of most lives no stack is taken, and these take no room.
    growth: Option<Box<Growth>>,
    runs_python: bool,
    /// Which Python it runs, if that is one whose stacks cannot be read, and why.
    pub unknown_python: Option<Box<str>>,
    /// Its stacks say where: it runs Python, or its native functions have names.
    has_places: bool,
    /// What its threads were at when it was killed, if that was told.
    pub threads: Option<Box<Threads>>,
    /// Its killer, and the checkpoints and growth as they stood at that instant.
    pub kill: Option<Box<Kill>>,
    /// Other processes at the kill.
    pub neighbours: Option<Box<Neighbours>>,
    /// How it ended; absent while it goes on, and where the recording breaks off.
    pub end: Option<Box<End>>,
    /// Instant of the last entry.
    pub latest: BootNanos,
    started_itself: bool,
    over_warning: bool,
    over_critical: bool,
    background_at: Option<BootNanos>,
}

/// A deadly event and how things stood then.
#[derive(Debug, Clone, PartialEq)]
pub struct Kill {
    /// When it came.
    pub at: BootNanos,
    /// Who killed.
    pub by: Killer,
    /// RSS then, or as last known.
    pub rss: Option<Bytes>,
    /// Growth over the last minute before it.
    pub recent: Option<Recent>,
    /// The last checkpoint before it.
    pub mark: Option<Arc<Mark>>,
    /// The lines that grew most in the last minute before it.
    pub lines: Vec<Grown>,
}

/// Who killed a process.
#[derive(Debug, Clone, PartialEq)]
pub enum Killer {
    /// The kernel's OOM killer.
    Oom(Box<OomKill>),
    /// A SIGKILL of somebody else.
    Sigkill(Box<Sigkill>),
}

/// How a life, or its recording, ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The process is gone.
    Exit(Exit),
    /// Tracing ended first.
    Detach,
}

impl Story {
    /// The story of a life that [`What::Begin`] opened at `at`.
    pub fn begin(at: BootNanos, begin: Begin) -> Self {
        let mut book = Book::default();
        if let Some(memory) = begin.memory {
            book.memory(at, memory);
            book.baseline = Some(memory.rss());
        }
        Self {
            began: at,
            clock: Clock::of(&begin),
            program: Arc::clone(&begin.program),
            name: None,
            warning: begin.style.warning,
            critical: begin.style.critical,
            book,
            growth: None,
            runs_python: false,
            unknown_python: None,
            has_places: false,
            threads: None,
            kill: None,
            neighbours: None,
            end: None,
            latest: at,
            started_itself: false,
            over_warning: false,
            over_critical: false,
            background_at: None,
            begin,
        }
    }

    /// The story that an entry opens, if it is a [`What::Begin`].
    pub fn of(entry: &Entry) -> Option<Self> {
        match &entry.what {
            What::Begin(begin) => Some(Self::begin(entry.at, Begin::clone(begin))),
            _ => None,
        }
    }

    /// The life is over for a reader, so the report can be made. A victim of the OOM killer is
    /// told at the kill: what its teardown takes, seconds at times, adds nothing to its story.
    pub fn is_told(&self) -> bool {
        let oom = self
            .kill
            .as_ref()
            .is_some_and(|kill| matches!(&kill.by, Killer::Oom(oom) if !oom.already_exiting));
        oom || self.end.is_some()
    }

    /// Takes the next entry of this life and adds the rows that a reader sees of it.
    pub fn apply(&mut self, entry: &Entry, rows: &mut Vec<Row>) {
        let at = entry.at;
        if self.is_told() {
            return;
        }
        self.latest = self.latest.max(at);
        match &entry.what {
            // A second beginning of the same life says nothing new.
            What::Begin(_) => {}
            What::Rename { comm } => self.rename(at, comm, rows),
            What::Exec { program } => self.exec(at, program, rows),
            What::Child { pid } => rows.push(self.row(at, Line::Child(*pid))),
            What::Init {
                name,
                warning,
                critical,
                memory,
            } => {
                self.name_itself(at, name.as_deref(), rows);
                self.set_thresholds(at, *warning, *critical, rows);
                self.start_itself(at, *memory, rows);
            }
            What::Checkpoint(checkpoint) => self.checkpoint(at, checkpoint, rows),
            What::Rss { memory } => self.rss(at, *memory, rows),
            What::Stack(stack) => self.stack(at, stack),
            What::UnknownPython { why } => rows.push(self.without_python(at, why)),
            What::OomKill(kill) => self.oom_killed(at, kill, rows),
            What::Sigkill(kill) => self.sigkilled(at, kill, rows),
            What::Neighbours(neighbours) => self.neighbours = Some(neighbours.clone().into()),
            What::Lost(Lost { kind, count }) => {
                self.book.lost.add(*kind, *count);
                rows.push(self.row(
                    at,
                    Line::Lost {
                        kind: *kind,
                        count: *count,
                    },
                ));
            }
            What::Exit(exit) => {
                self.last_memory(at, exit.memory);
                rows.push(self.row(at, Line::Exited(exit.clone())));
                self.end = Some(End::Exit(exit.clone()).into());
            }
            What::Detach { memory } => {
                self.last_memory(at, *memory);
                rows.push(self.row(at, Line::Detached));
                self.end = Some(End::Detach.into());
            }
        }
    }

    /// The level of an RSS under the thresholds that hold now.
    pub fn level(&self, rss: Bytes) -> Level {
        Level::of(rss, self.warning, self.critical)
    }

    fn rename(&mut self, at: BootNanos, comm: &str, rows: &mut Vec<Row>) {
        if self.program.comm != comm {
            comm.clone_into(&mut Arc::make_mut(&mut self.program).comm);
            rows.push(self.row(at, Line::Renamed(comm.to_owned())));
        }
    }

    fn exec(&mut self, at: BootNanos, program: &Arc<Program>, rows: &mut Vec<Row>) {
        self.program = Arc::clone(program);
        rows.push(self.row(at, Line::Replaced(Program::clone(program))));
        // The memory of the old program is gone; for the new one tracing begins here.
        if !self.started_itself && self.book.marks.count() == 0 {
            self.book.baseline = None;
        }
    }

    fn name_itself(&mut self, at: BootNanos, name: Option<&str>, rows: &mut Vec<Row>) {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return;
        };
        if self.name.as_deref() != Some(name) {
            self.name = Some(name.to_owned());
            rows.push(self.row(at, Line::Named(name.to_owned())));
        }
    }

    fn set_thresholds(
        &mut self,
        at: BootNanos,
        warning: Option<Bytes>,
        critical: Option<Bytes>,
        rows: &mut Vec<Row>,
    ) {
        let style = &self.begin.style;
        let before = (self.warning, self.critical);
        self.warning = warning
            .filter(|_| !style.warning_fixed)
            .unwrap_or(self.warning);
        self.critical = critical
            .filter(|_| !style.critical_fixed)
            .unwrap_or(self.critical);
        if before != (self.warning, self.critical) {
            let line = Line::Thresholds {
                warning: self.warning,
                critical: self.critical,
            };
            rows.push(self.row(at, line));
        }
    }

    /// The program calls its start: growth is measured from here.
    fn start_itself(&mut self, at: BootNanos, memory: Memory, rows: &mut Vec<Row>) {
        self.started_itself = true;
        self.book.memory(at, memory);
        self.move_baseline(at, memory.rss(), rows);
        self.cross(at, memory.rss(), rows);
    }

    fn oom_killed(&mut self, at: BootNanos, kill: &OomKill, rows: &mut Vec<Row>) {
        let kill = Box::new(kill.clone());
        self.book.memory(at, kill.memory);
        self.killed(at, Killer::Oom(kill.clone()));
        rows.push(Row {
            at,
            level: Level::Critical,
            line: Line::OomKilled(kill),
        });
    }

    fn sigkilled(&mut self, at: BootNanos, kill: &Sigkill, rows: &mut Vec<Row>) {
        let kill = Box::new(kill.clone());
        self.last_memory(at, kill.memory);
        self.killed(at, Killer::Sigkill(kill.clone()));
        rows.push(Row {
            at,
            level: Level::Critical,
            line: Line::Sigkilled(kill),
        });
    }

    fn checkpoint(&mut self, at: BootNanos, checkpoint: &Checkpoint, rows: &mut Vec<Row>) {
        let Checkpoint {
            name,
            details,
            name_state,
            tid: _,
            memory,
        } = checkpoint;
        let rss = memory.rss();
        self.book.memory(at, *memory);
        let previous = self.book.marks.last().map(|mark| mark.rss);
        if previous.is_none() && !self.started_itself {
            self.move_baseline(at, rss, rows);
        }
        self.settle_baseline(at, rss, rows);
        let own = previous.map_or(Delta(0), |previous| rss.since(previous));
        let ranks = self.book.marks.ranks(own);
        let growth = self.growth.as_mut();
        let lines = growth.map_or_else(Vec::new, |growth| growth.mark(ranks));
        let lines = self.of_places(lines);
        let mark = self.book.marks.push(Mark {
            number: 0,
            at,
            level: self.level(rss),
            name: Arc::from(name.as_str()),
            name_state: *name_state,
            details: details
                .as_deref()
                .filter(|text| !text.is_empty())
                .map(Arc::from),
            place: None,
            rss,
            total: self.book.total(rss),
            own,
            lines,
        });
        rows.push(Row {
            at,
            level: mark.level,
            line: Line::Checkpoint(mark),
        });
        self.cross(at, rss, rows);
    }

    fn rss(&mut self, at: BootNanos, memory: Memory, rows: &mut Vec<Row>) {
        let rss = memory.rss();
        self.book.memory(at, memory);
        self.settle_baseline(at, rss, rows);
        let crossed = self.cross(at, rss, rows);
        if self.over_warning && (crossed || self.background_is_due(at)) {
            self.background_at = Some(at);
            rows.push(self.row(
                at,
                Line::Background {
                    rss,
                    total: self.book.total(rss),
                },
            ));
        }
    }

    fn background_is_due(&self, at: BootNanos) -> bool {
        let interval_nanos = self.begin.style.interval_ms.saturating_mul(1_000_000);
        self.background_at
            .is_none_or(|last| at.0.saturating_sub(last.0) >= interval_nanos)
    }

    /// The first RSS of a life that began under our eyes is where tracing began.
    fn settle_baseline(&mut self, at: BootNanos, rss: Bytes, rows: &mut Vec<Row>) {
        if self.book.baseline.is_none() {
            self.move_baseline(at, rss, rows);
        }
    }

    fn move_baseline(&mut self, at: BootNanos, rss: Bytes, rows: &mut Vec<Row>) {
        let moved = self.book.baseline != Some(rss);
        self.book.baseline = Some(rss);
        if moved {
            rows.push(Row {
                at,
                level: Level::Info,
                line: Line::Baseline { rss },
            });
        }
    }

    /// Writes the threshold lines that are due and says whether there were any.
    fn cross(&mut self, at: BootNanos, rss: Bytes, rows: &mut Vec<Row>) -> bool {
        let critical = self.critical;
        let mut crossed = false;
        for (threshold, limit, over) in [
            (Threshold::Warning, self.warning, &mut self.over_warning),
            (Threshold::Critical, self.critical, &mut self.over_critical),
        ] {
            let was_over = std::mem::replace(over, rss >= limit);
            if *over && !was_over {
                crossed = true;
                let line = Line::Crossed {
                    threshold,
                    rss,
                    critical,
                };
                rows.push(Row {
                    at,
                    level: Level::Critical,
                    line,
                });
            }
        }
        crossed
    }

    /// The first deadly event is the one that killed; a later one found it dying.
    fn killed(&mut self, at: BootNanos, by: Killer) {
        if self.kill.is_none() {
            let rss = self.book.last.map(|reading| reading.rss);
            let mark = self.book.marks.last().cloned();
            let recent = self.book.recent(at);
            let growth = self.growth.as_ref();
            let lines = growth.map_or_else(Vec::new, |growth| growth.recent(at));
            let lines = self.of_places(lines);
            self.kill = Some(Box::new(Kill {
                at,
                by,
                rss,
                recent,
                mark,
                lines,
            }));
        }
    }

    fn last_memory(&mut self, at: BootNanos, memory: Option<Memory>) {
        if let Some(memory) = memory {
            self.book.memory(at, memory);
        }
    }

    fn row(&self, at: BootNanos, line: Line) -> Row {
        let level = match &line {
            Line::Lost { kind, .. } if kind.severity() == crate::loss::Severity::Data => {
                Level::Warning
            }
            Line::Background { rss, .. } => self.level(*rss),
            _ => self.level(self.book.last.map_or(Bytes(0), |Reading { rss, .. }| rss)),
        };
        Row { at, level, line }
    }
}
