//! RSS of one process over the look-back window, thinned.

use std::collections::VecDeque;

use crate::units::{BootNanos, Bytes};

/// Seconds over which growth is looked back at.
pub(super) const WINDOW_SECONDS: u64 = 60;

/// Figures in the order of time, each of which holds until the next.
#[derive(Debug, Clone, Default)]
pub(super) struct Samples(VecDeque<(BootNanos, Bytes)>);

impl Samples {
    /// Adds a figure. At most every other one is kept within `apart` seconds, and one that says the
    /// same as the last is not.
    pub(super) fn add(&mut self, at: BootNanos, rss: Bytes, apart: f64) {
        match self.0.back() {
            Some((_, last)) if *last == rss => return,
            // Most processes are idle: thousands have this one figure.
            None => self.0.reserve_exact(1),
            Some(_) => {}
        }
        let is_dense = self.0.len() > 1 && at.seconds_since(self.0[self.0.len() - 2].0) < apart;
        if is_dense {
            self.0.pop_back();
        }
        self.0.push_back((at, rss));
        // The last figure before the window stays: it is the one at its start.
        let start = at.minus_seconds(WINDOW_SECONDS);
        while self.0.len() > 1 && self.0[1].0 <= start {
            self.0.pop_front();
        }
    }

    /// The figure at the start of the window that ends at `at`, or the first one after it.
    pub(super) fn before(&self, at: BootNanos) -> Option<(BootNanos, Bytes)> {
        let start = at.minus_seconds(WINDOW_SECONDS);
        let earlier = self.0.iter().rev().find(|(then, _)| *then <= start);
        earlier.or_else(|| self.0.front()).copied()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
