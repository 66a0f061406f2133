//! What the report needs to remember of a life, in bounded room: figures, checkpoints and the RSS
//! of the last minute.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use super::row::Mark;
use crate::{
    entry::Memory,
    loss::Ledger,
    units::{BootNanos, Bytes, Delta},
};

/// The figures of one life.
#[derive(Debug, Default)]
pub struct Book {
    /// Growth is measured from this RSS.
    pub baseline: Option<Bytes>,
    /// Last RSS known.
    pub last: Option<Reading>,
    /// The last memory by kind and its instant, where kinds are known.
    pub memory: Option<Memory>,
    /// Last address space known.
    pub vms: Option<Bytes>,
    /// Highest RSS known and when it was first reached.
    pub peak: Option<Reading>,
    /// Every checkpoint, or as many as fit.
    pub marks: Marks,
    /// What is missing.
    pub lost: Ledger,
    /// RSS over the last minute.
    history: History,
}

/// RSS at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// When.
    pub at: BootNanos,
    /// How much.
    pub rss: Bytes,
}

/// Growth over the last seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recent {
    /// By how much RSS grew.
    pub grown: Delta,
    /// Over this many seconds: the window, or less for a younger life.
    pub seconds: u64,
}

/// Checkpoints in order: the first [`Marks::KEEP`], the last [`Marks::KEEP`], and the ten that grew most.
/// Most processes have none, and these take no room.
#[derive(Debug, Default)]
pub struct Marks(Option<Box<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    head: Vec<Arc<Mark>>,
    tail: VecDeque<Arc<Mark>>,
    top: Vec<Arc<Mark>>,
    count: u64,
    texts: Texts,
}

#[derive(Debug, Default)]
struct History(VecDeque<Reading>);

/// Names and details occur again and again; each is stored once.
#[derive(Debug, Default)]
struct Texts(HashSet<Arc<str>>);

impl Book {
    /// Seconds over which recent growth is counted.
    pub const WINDOW_SECONDS: u64 = 60;

    /// Takes note of exact memory.
    pub fn memory(&mut self, at: BootNanos, memory: Memory) {
        self.memory = Some(memory);
        self.vms = memory.vms.or(self.vms);
        self.reading(Reading {
            at,
            rss: memory.rss(),
        });
    }

    /// Takes note of an RSS whose kinds are not known.
    pub fn reading(&mut self, reading: Reading) {
        self.last = Some(reading);
        if self.peak.is_none_or(|peak| reading.rss > peak.rss) {
            self.peak = Some(reading);
        }
        self.history.push(reading);
    }

    /// Growth of an RSS since the baseline, or nothing where there is none.
    pub fn total(&self, rss: Bytes) -> Delta {
        self.baseline
            .map_or(Delta(0), |baseline| rss.since(baseline))
    }

    /// Growth over the window that ends now; absent before the first figure.
    pub fn recent(&self, now: BootNanos) -> Option<Recent> {
        let start = now.minus_seconds(Self::WINDOW_SECONDS);
        let from = self.history.at(start)?;
        let began = from.at.max(start);
        let seconds = now.0.saturating_sub(began.0) / 1_000_000_000;
        Some(Recent {
            grown: self.last?.rss.since(from.rss),
            seconds,
        })
    }
}

impl History {
    /// Readings closer than this to the one before are not kept.
    const SPACING_NANOS: u64 = 100_000_000;

    fn push(&mut self, reading: Reading) {
        let near = |last: &Reading| reading.at.0.saturating_sub(last.at.0) < Self::SPACING_NANOS;
        match self.0.back() {
            Some(last) if near(last) || last.rss == reading.rss => return,
            // Most processes are idle: thousands have this one figure.
            None => self.0.reserve_exact(1),
            Some(_) => {}
        }
        self.0.push_back(reading);
        let start = reading.at.minus_seconds(Book::WINDOW_SECONDS);
        // The newest one that is older than the window stays: it is the RSS at the window's start.
        while self.0.get(1).is_some_and(|second| second.at <= start) {
            self.0.pop_front();
        }
    }

    /// The reading that held at an instant, or the first one after it.
    fn at(&self, instant: BootNanos) -> Option<Reading> {
        let before = self.0.iter().rev().find(|reading| reading.at <= instant);
        before.or(self.0.front()).copied()
    }
}

impl Marks {
    /// Checkpoints kept from the beginning, and as many from the end.
    pub const KEEP: usize = 10_000;

    /// Checkpoints in the list of the largest growth.
    pub const TOP: usize = 10;

    /// Less than this shows as nothing.
    const SMALLEST: i64 = 5243;

    /// The next checkpoint; its number is given here.
    pub fn push(&mut self, mark: Mark) -> Arc<Mark> {
        self.0.get_or_insert_default().push(mark)
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.0.as_ref().map_or(0, |kept| kept.count)
    }

    /// How many of them are no longer here, between [`Self::head`] and [`Self::tail`].
    pub fn cut(&self) -> u64 {
        self.0.as_ref().map_or(0, |kept| {
            kept.count - (kept.head.len() + kept.tail.len()) as u64
        })
    }

    /// The first ones, in order.
    pub fn head(&self) -> &[Arc<Mark>] {
        self.0.as_ref().map_or(&[], |kept| &kept.head)
    }

    /// The ones after [`Self::head`] and the cut, in order.
    pub fn tail(&self) -> impl Iterator<Item = &Arc<Mark>> {
        self.0.iter().flat_map(|kept| &kept.tail)
    }

    /// The last one.
    pub fn last(&self) -> Option<&Arc<Mark>> {
        let kept = self.0.as_ref()?;
        kept.tail.back().or(kept.head.last())
    }

    /// A checkpoint of this own growth would be among the [`Self::TOP`] now.
    pub fn ranks(&self, own: Delta) -> bool {
        let top = self.top();
        let full = top.len() == Self::TOP;
        let is_among = !full || top.last().is_some_and(|last| own > last.own);
        Self::shows(own) && is_among
    }

    /// Growth that does not read +0.00MB.
    pub fn shows(by: Delta) -> bool {
        by.0 >= Self::SMALLEST
    }

    /// Those that grew, by own growth, the largest first, the earlier first among equals.
    pub fn top(&self) -> &[Arc<Mark>] {
        self.0.as_ref().map_or(&[], |kept| &kept.top)
    }
}

impl Kept {
    fn push(&mut self, mut mark: Mark) -> Arc<Mark> {
        self.count += 1;
        mark.number = self.count;
        mark.name = self.texts.once(mark.name);
        mark.details = mark.details.map(|details| self.texts.once(details));
        let mark = Arc::new(mark);
        if self.head.len() < Marks::KEEP {
            self.head.push(Arc::clone(&mark));
        } else {
            self.tail.push_back(Arc::clone(&mark));
            if self.tail.len() > Marks::KEEP {
                self.tail.pop_front();
            }
        }
        self.rank(&mark);
        mark
    }

    fn rank(&mut self, mark: &Arc<Mark>) {
        if !Marks::shows(mark.own) {
            return;
        }
        let place = self.top.partition_point(|other| other.own >= mark.own);
        if place < Marks::TOP {
            self.top.insert(place, Arc::clone(mark));
            self.top.truncate(Marks::TOP);
        }
    }
}

impl Texts {
    /// Distinct texts after which those in use nowhere else are forgotten.
    const ROOM: usize = 8 * Marks::KEEP;

    fn once(&mut self, text: Arc<str>) -> Arc<str> {
        if let Some(known) = self.0.get(&text) {
            return Arc::clone(known);
        }
        if self.0.len() >= Self::ROOM {
            self.0.retain(|known| Arc::strong_count(known) > 1);
        }
        self.0.insert(Arc::clone(&text));
        text
    }
}
