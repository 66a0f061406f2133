//! What a reader sees as one line of the log. Numbers and names; the words are the sinks'.

use std::sync::Arc;

use super::growth::Grown;
use crate::{
    entry::{Exit, NameState, OomKill, Program, Sigkill},
    loss,
    units::{BootNanos, Bytes, Delta, Tgid},
};

/// One line of the usual log.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// When it happened.
    pub at: BootNanos,
    /// How serious it is; for a line with an RSS, from that RSS.
    pub level: Level,
    /// What it says.
    pub line: Line,
}

/// The level of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Below the warning threshold.
    #[default]
    Info,
    /// At the warning threshold or above.
    Warning,
    /// At the critical threshold or above.
    Critical,
}

/// One of the two thresholds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threshold {
    /// The lower one, 800 MB by default.
    Warning,
    /// The upper one, 950 MB by default.
    Critical,
}

/// The kinds of lines.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// A checkpoint of the program.
    Checkpoint(Arc<Mark>),
    /// RSS while it is at the warning threshold or above.
    Background {
        /// RSS then.
        rss: Bytes,
        /// Growth since the baseline.
        total: Delta,
    },
    /// RSS has risen to a threshold.
    Crossed {
        /// Which one.
        threshold: Threshold,
        /// RSS then.
        rss: Bytes,
        /// The critical threshold, which the line shows whichever was crossed.
        critical: Bytes,
    },
    /// Growth is measured from here from now on.
    Baseline {
        /// RSS that is the new baseline.
        rss: Bytes,
    },
    /// The program set thresholds other than those in the header.
    Thresholds {
        /// Warning threshold from now on.
        warning: Bytes,
        /// Critical threshold from now on.
        critical: Bytes,
    },
    /// The program gave itself a name.
    Named(String),
    /// The process took another command name.
    Renamed(String),
    /// The process replaced its program.
    Replaced(Program),
    /// The process started a traced child.
    Child(Tgid),
    /// It runs a Python whose stacks cannot be read: which one, and why.
    UnknownPython(String),
    /// Something is missing from here.
    Lost {
        /// What.
        kind: loss::Kind,
        /// How many.
        count: u64,
    },
    /// The kernel's OOM killer chose the process.
    OomKilled(Box<OomKill>),
    /// Somebody sent it SIGKILL.
    Sigkilled(Box<Sigkill>),
    /// The process is gone.
    Exited(Exit),
    /// Tracing ended, the process lives on.
    Detached,
}

/// A checkpoint, lined up with the memory of its process.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Its place among the checkpoints of its life, from 1.
    pub number: u64,
    /// When the program called it.
    pub at: BootNanos,
    /// From its RSS.
    pub level: Level,
    /// As the program gave it, unescaped.
    pub name: Arc<str>,
    /// Whether that is all of it.
    pub name_state: NameState,
    /// Likewise, if the program gave any.
    pub details: Option<Arc<str>>,
    /// Where in the program, the innermost place first, if it is known.
    pub place: Option<Arc<str>>,
    /// RSS at that instant.
    pub rss: Bytes,
    /// Growth since the baseline.
    pub total: Delta,
    /// Growth since the previous checkpoint; zero for the first.
    pub own: Delta,
    /// The lines that grew most since then, if stacks tell and it is one of the ten that grew most.
    pub lines: Vec<Grown>,
}

impl Mark {
    /// Own growth from which a checkpoint is a problem.
    pub const PROBLEM: Delta = Delta(100 << 20);

    /// It grew by more than [`Self::PROBLEM`].
    pub fn is_problem(&self) -> bool {
        self.own > Self::PROBLEM
    }
}

impl Level {
    /// The level of an RSS under two thresholds.
    pub fn of(rss: Bytes, warning: Bytes, critical: Bytes) -> Self {
        match rss {
            _ if rss >= critical => Self::Critical,
            _ if rss >= warning => Self::Warning,
            _ => Self::Info,
        }
    }

    /// As it stands in the log, the same in every language.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }

    /// The level of a label.
    pub fn parse(label: &str) -> Option<Self> {
        [Self::Info, Self::Warning, Self::Critical]
            .into_iter()
            .find(|level| level.label() == label)
    }
}
