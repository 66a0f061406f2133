//! The units that the rest of the code counts in, and every conversion between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A size in bytes. The usual log prints it as MiB called `MB`.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Bytes(pub u64);

/// A difference of two sizes in bytes.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Delta(pub i64);

/// Nanoseconds since the machine booted, suspended time included (`CLOCK_BOOTTIME`).
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct BootNanos(pub u64);

/// A process id as the initial pid namespace sees it: what the kernel calls a tgid.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Tgid(pub u32);

/// A thread id as the initial pid namespace sees it: what the kernel calls a pid.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Tid(pub u32);

/// Bytes in what the usual log calls a `MB`.
pub const MB: u64 = 1 << 20;

impl Bytes {
    /// `n` of the usual log's megabytes (MiB).
    pub const fn from_mb(n: u64) -> Self {
        Self(n * MB)
    }

    /// A number of pages of `page_bytes` each; a negative count (an approximate counter read at
    /// a bad moment) is nothing.
    pub fn from_pages(pages: i64, page_bytes: u64) -> Self {
        Self(u64::try_from(pages).unwrap_or(0).saturating_mul(page_bytes))
    }

    /// This size minus another one.
    pub fn since(self, earlier: Self) -> Delta {
        Delta(i64::try_from(i128::from(self.0) - i128::from(earlier.0)).unwrap_or(i64::MAX))
    }
}

impl std::ops::Add for Bytes {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl BootNanos {
    /// Seconds from an earlier instant to this one; zero if it is not earlier.
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds are shown with a few digits"
    )]
    pub fn seconds_since(self, earlier: Self) -> f64 {
        self.0.saturating_sub(earlier.0) as f64 / 1e9
    }

    /// This instant moved back by whole seconds, not before boot.
    #[must_use]
    pub fn minus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(seconds.saturating_mul(1_000_000_000)))
    }
}

/// `123.45MB`: MiB with two decimals, always `MB` (log format, "size").
impl fmt::Display for Bytes {
    #[expect(clippy::cast_precision_loss, reason = "two decimals of a MiB")]
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:.2}MB", self.0 as f64 / MB as f64)
    }
}

/// `+123.45MB`, `-3.50MB`: always with a sign (log format, "signed size").
impl fmt::Display for Delta {
    #[expect(clippy::cast_precision_loss, reason = "two decimals of a MiB")]
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mb = self.0 as f64 / MB as f64;
        // A tiny negative number must not print as -0.00.
        let shown = if mb.abs() < 0.005 { 0.0 } else { mb };
        write!(out, "{shown:+.2}MB")
    }
}

impl fmt::Display for Tgid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl fmt::Display for Tid {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}
