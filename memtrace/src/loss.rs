//! Every way in which data can be missing: its name, how bad it is, and what to do about it.

use serde::{Deserialize, Serialize};

/// A kind of missing data. Everything that is dropped anywhere counts as one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The kernel side could not reserve room for an RSS step. The next one is absolute again.
    RssRecord,
    /// The kernel side could not send a fork, exec, rename or exit.
    LifeRecord,
    /// The kernel side could not send an OOM mark or a SIGKILL.
    KillRecord,
    /// The kernel side could not send a checkpoint.
    CheckpointRecord,
    /// A process set checkpoints faster than one process may.
    CheckpointRate,
    /// The kernel side could not send a stack, or a code object that stacks name.
    StackRecord,
    /// The kernel's table of traced processes was full.
    TracedTable,
    /// A record arrived that could not be decoded.
    BadRecord,
    /// A probe ran while the same probe was running on that cpu and was skipped by the kernel.
    SkippedProbe,
    /// Likewise the probe of write(2), in whatever process: a line that was to be a checkpoint.
    SkippedWrite,
    /// A log line could not be written.
    LogLine,
    /// A recording line could not be written.
    RecordingLine,
    /// A file that a target maps could not be searched for marker symbols.
    MarkerFile,
    /// Notices of newly mapped files were lost, so that a marker may have been found late.
    MapNotice,
    /// More processes lived at once than the collector keeps state for.
    LifeTable,
    /// A line of a log or recording that was read back could not be understood.
    UnreadableLine,
}

/// How much a loss matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The figures are right again at the next event.
    Resolution,
    /// Something that a reader would look for is not there.
    Data,
}

impl Kind {
    /// Every kind, in the order in which the ledger is shown.
    pub const ALL: [Self; 16] = [
        Self::KillRecord,
        Self::LifeRecord,
        Self::CheckpointRecord,
        Self::CheckpointRate,
        Self::StackRecord,
        Self::RssRecord,
        Self::TracedTable,
        Self::BadRecord,
        Self::SkippedProbe,
        Self::SkippedWrite,
        Self::LogLine,
        Self::RecordingLine,
        Self::MarkerFile,
        Self::MapNotice,
        Self::LifeTable,
        Self::UnreadableLine,
    ];

    /// How much it matters.
    pub const fn severity(self) -> Severity {
        match self {
            Self::RssRecord | Self::MapNotice => Severity::Resolution,
            Self::KillRecord
            | Self::LifeRecord
            | Self::CheckpointRecord
            | Self::CheckpointRate
            | Self::StackRecord
            | Self::TracedTable
            | Self::BadRecord
            | Self::SkippedProbe
            | Self::SkippedWrite
            | Self::LogLine
            | Self::RecordingLine
            | Self::MarkerFile
            | Self::LifeTable
            | Self::UnreadableLine => Severity::Data,
        }
    }
}

/// Counts of what is missing, by kind. Of most lives nothing is: their ledgers take no room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger(Option<Box<[u64; Kind::ALL.len()]>>);

impl Ledger {
    /// Counts `n` more of a kind.
    pub fn add(&mut self, kind: Kind, n: u64) {
        if n > 0
            && let Some(place) = Kind::ALL.iter().position(|k| *k == kind)
        {
            let counts = self.0.get_or_insert_default();
            counts[place] = counts[place].saturating_add(n);
        }
    }

    /// Adds all that another ledger counted.
    pub fn merge(&mut self, other: &Self) {
        for (kind, count) in other.iter() {
            self.add(kind, count);
        }
    }

    /// How many of a kind.
    pub fn get(&self, kind: Kind) -> u64 {
        self.iter().find(|(k, _)| *k == kind).map_or(0, |(_, n)| n)
    }

    /// The kinds with a count above zero, in the order of [`Kind::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Kind, u64)> + '_ {
        let counts = self.0.as_deref().into_iter().flatten().copied();
        Kind::ALL.into_iter().zip(counts).filter(|(_, n)| *n > 0)
    }

    /// Nothing is missing.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}
