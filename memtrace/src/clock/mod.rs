//! Boot time ↔ wall time. Every time that is printed goes through here, from one anchor that is
//! read once and recorded, so that a replay prints the times that the live run printed.
//!
//! A step of the wall clock after the anchor was read (NTP, an administrator) does not show: times
//! stay monotonic like the kernel's.
#![forbid(unsafe_code)]

use std::sync::Arc;

use jiff::{
    Timestamp, Zoned,
    tz::{Offset, TimeZone},
};
use rustix::time::{ClockId, clock_gettime};

use crate::{
    entry::{Begin, Precision},
    units::BootNanos,
};

#[cfg(test)]
mod tests;

/// Turns boot time into the wall-clock time of one life's log.
#[derive(Debug, Clone)]
pub struct Clock {
    wall_at_boot_ns: i64,
    zone: TimeZone,
}

/// Where boot time stands on the wall: the three fields of [`Begin`] of the same names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Anchor {
    /// Wall-clock time at boot time zero, nanoseconds since 1970.
    pub wall_at_boot_ns: i64,
    /// IANA name of the system's time zone, if it has one.
    pub time_zone: Option<Arc<str>>,
    /// Its offset from UTC now, seconds.
    pub utc_offset_seconds: i32,
}

impl Anchor {
    /// Reads the wall clock, the boot clock and the time zone (the variable `TZ`, else the
    /// system's; with `utc` neither), once.
    pub fn now(utc: bool) -> Self {
        // The boot clock on both sides of the wall clock: the middle is off by half of the gap.
        let before = nanos(ClockId::Boottime);
        let wall = nanos(ClockId::Realtime);
        let after = nanos(ClockId::Boottime);
        let wall_at_boot_ns = wall - before - (after - before) / 2;
        let zone = if utc {
            TimeZone::UTC
        } else {
            TimeZone::system()
        };
        let known = |name: &&str| *name != "Etc/Unknown";
        Self {
            wall_at_boot_ns,
            time_zone: zone.iana_name().filter(known).map(Arc::from),
            utc_offset_seconds: zone.to_offset(timestamp(i128::from(wall))).seconds(),
        }
    }
}

impl Clock {
    /// The clock of a life: its anchor, its named zone, or its fixed offset where this machine
    /// does not know the name.
    pub fn of(begin: &Begin) -> Self {
        let named = begin
            .time_zone
            .as_deref()
            .and_then(|name| TimeZone::get(name).ok());
        let fixed = || {
            Offset::from_seconds(begin.utc_offset_seconds).map_or(TimeZone::UTC, TimeZone::fixed)
        };
        Self {
            wall_at_boot_ns: begin.wall_at_boot_ns,
            zone: named.unwrap_or_else(fixed),
        }
    }

    /// A clock for times that count from 1970, whatever zone they are in.
    pub fn utc() -> Self {
        Self {
            wall_at_boot_ns: 0,
            zone: TimeZone::UTC,
        }
    }

    /// `2025-11-20 10:30:45`, with the digits of a second that `precision` asks for.
    pub fn date_time(&self, at: BootNanos, precision: Precision) -> String {
        let zoned = self.zoned(at);
        let date = zoned.date();
        format!(
            "{:04}-{:02}-{:02} {}",
            date.year(),
            date.month(),
            date.day(),
            time_of(&zoned, precision)
        )
    }

    /// `10:30:45.213`, with the digits of a second that `precision` asks for.
    pub fn time(&self, at: BootNanos, precision: Precision) -> String {
        time_of(&self.zoned(at), precision)
    }

    /// `20251120_103045`, for file names.
    pub fn stamp(&self, at: BootNanos) -> String {
        let zoned = self.zoned(at);
        let (date, time) = (zoned.date(), zoned.time());
        let (year, month, day) = (date.year(), date.month(), date.day());
        format!(
            "{year:04}{month:02}{day:02}_{:02}{:02}{:02}",
            time.hour(),
            time.minute(),
            time.second()
        )
    }

    fn zoned(&self, at: BootNanos) -> Zoned {
        timestamp(i128::from(self.wall_at_boot_ns) + i128::from(at.0)).to_zoned(self.zone.clone())
    }
}

fn time_of(zoned: &Zoned, precision: Precision) -> String {
    let time = zoned.time();
    let seconds = format!(
        "{:02}:{:02}:{:02}",
        time.hour(),
        time.minute(),
        time.second()
    );
    let nanos = time.subsec_nanosecond();
    match precision {
        Precision::Seconds => seconds,
        Precision::Millis => format!("{seconds}.{:03}", nanos / 1_000_000),
        Precision::Micros => format!("{seconds}.{:06}", nanos / 1_000),
    }
}

/// The instant, or the end of time where a damaged recording points beyond it.
fn timestamp(nanos_since_1970: i128) -> Timestamp {
    let end = if nanos_since_1970 < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    };
    Timestamp::from_nanosecond(nanos_since_1970).unwrap_or(end)
}

/// The boot time now: the clock that the probes stamp their records with.
pub fn now() -> BootNanos {
    BootNanos(u64::try_from(nanos(ClockId::Boottime)).unwrap_or(0))
}

fn nanos(clock: ClockId) -> i64 {
    let now = clock_gettime(clock);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
