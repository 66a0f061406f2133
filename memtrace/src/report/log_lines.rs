//! One line of a usual log, or of the older Python monitor's, read back into figures.

use jiff::{civil::DateTime, tz::TimeZone};

use crate::{
    align::row::Level,
    text::unescape,
    units::{BootNanos, Bytes, Delta},
    words::{LANGS, Word, say},
};

/// What a line says. Its time is the wall-clock time as printed, counted from 1970 as if it were UTC.
#[derive(Debug, Clone, PartialEq)]
pub struct LogLine {
    /// When.
    pub at: BootNanos,
    /// The level that stands in the line; older background lines have none.
    pub level: Option<Level>,
    /// What.
    pub what: Said,
}

/// The kinds of lines.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// A checkpoint.
    Checkpoint {
        /// Its name, unescaped.
        name: String,
        /// Its details, unescaped.
        details: Option<String>,
        /// RSS.
        rss: Bytes,
        /// Growth since the baseline.
        total: Delta,
        /// Growth since the previous checkpoint, if the line says it.
        own: Option<Delta>,
    },
    /// RSS in the background.
    Background {
        /// RSS.
        rss: Bytes,
        /// Growth since the baseline.
        total: Delta,
    },
    /// A threshold was passed.
    Crossed {
        /// RSS.
        rss: Bytes,
    },
    /// The baseline moved.
    Baseline {
        /// The new one.
        rss: Bytes,
    },
    /// Anything else, as it stands.
    Message(String),
}

/// Reads a line; nothing where it is none of a log, or damaged.
pub fn parse(line: &str) -> Option<LogLine> {
    let (time, rest) = line.strip_prefix('[')?.split_once("] ")?;
    let at = parse_time(time)?;
    let labelled = rest
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "));
    let (level, body) = match labelled.and_then(|(label, body)| Some((Level::parse(label)?, body)))
    {
        // A checkpoint may be called like a level; then its size follows.
        Some((level, body)) if !body.starts_with("RSS=") => (Some(level), body),
        _ => (None, rest),
    };
    Some(LogLine {
        at,
        level,
        what: said(body)?,
    })
}

/// `2025-11-20 10:30:45`, with any digits of a second.
pub fn parse_time(text: &str) -> Option<BootNanos> {
    let (seconds, fraction) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b' '), (13, b':'), (16, b':')];
    if separators
        .iter()
        .any(|(at, separator)| seconds.as_bytes()[*at] != *separator)
    {
        return None;
    }
    let year = digits(&seconds[..4])?;
    let [month, day, hour, minute, second] =
        [5, 8, 11, 14, 17].map(|at| seconds.get(at..at + 2).and_then(digits));
    let part = |value: Option<i16>| i8::try_from(value?).ok();
    let time = DateTime::new(
        year,
        part(month)?,
        part(day)?,
        part(hour)?,
        part(minute)?,
        part(second)?,
        nanos(fraction)?,
    );
    let zoned = time.ok()?.to_zoned(TimeZone::UTC).ok()?;
    u64::try_from(zoned.timestamp().as_nanosecond())
        .ok()
        .map(BootNanos)
}

/// `123.45MB`, `12.00 KB`, in bytes.
pub fn parse_size(text: &str) -> Option<(Bytes, &str)> {
    let (Delta(bytes), rest) = parse_delta(text)?;
    Some((Bytes(u64::try_from(bytes).ok()?), rest))
}

/// A size with any sign or none, also `+-12582912.00B`, and what follows it.
fn parse_delta(text: &str) -> Option<(Delta, &str)> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let (sign, number) = unsigned
        .strip_prefix('-')
        .map_or((1.0, unsigned), |number| (-1.0, number));
    let end = number.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, rest) = number.split_at(end);
    let rest = rest.trim_start_matches(' ');
    let units: [(&str, i32); 5] = [("TB", 40), ("GB", 30), ("MB", 20), ("KB", 10), ("B", 0)];
    let (unit, power) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
    let bytes = sign * number.parse::<f64>().ok()? * 2_f64.powi(power);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a size beyond an i64 saturates"
    )]
    let delta = Delta(bytes.round() as i64);
    Some((delta, &rest[unit.len()..]))
}

fn said(body: &str) -> Option<Said> {
    if body.starts_with('[') {
        return measured(body);
    }
    if body.starts_with('⚠') {
        let rss = LANGS
            .iter()
            .find_map(|lang| after(body, say(*lang, Word::CurrentRss)));
        return Some(Said::Crossed {
            rss: parse_size(rss?)?.0,
        });
    }
    let is_baseline = LANGS
        .iter()
        .any(|lang| body.starts_with(say(*lang, Word::Baseline)));
    match after(body, "RSS=").filter(|_| is_baseline) {
        Some(size) => Some(Said::Baseline {
            rss: parse_size(size)?.0,
        }),
        None => Some(Said::Message(body.to_owned())),
    }
}

/// `[name] RSS=<size> (Δ<delta>[, <delta>])` and details or a reader's remark.
fn measured(body: &str) -> Option<Said> {
    let inner = body.strip_prefix('[')?;
    let ends = inner.match_indices("] RSS=");
    ends.into_iter()
        .find_map(|(end, separator)| figures(&inner[..end], &inner[end + separator.len()..]))
}

fn figures(name: &str, rest: &str) -> Option<Said> {
    let (rss, rest) = parse_size(rest)?;
    let rest = rest
        .trim_start()
        .strip_prefix('(')?
        .strip_prefix(['Δ', '∆'])?;
    let (total, rest) = parse_delta(rest)?;
    let (own, rest) = match rest.strip_prefix(',') {
        None => (None, rest),
        Some(rest) => {
            let (own, rest) = parse_delta(rest.trim_start())?;
            (Some(own), rest)
        }
    };
    // What follows the figures and is not behind a ` | ` is a remark that somebody added.
    let details = rest
        .strip_prefix(')')?
        .split_once(" | ")
        .map(|(_, details)| unescape(details));
    let background = own.is_none()
        && LANGS
            .iter()
            .any(|lang| name == say(*lang, Word::Background));
    if background {
        return Some(Said::Background { rss, total });
    }
    let name = unescape(name);
    Some(Said::Checkpoint {
        name,
        details,
        rss,
        total,
        own,
    })
}

fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.split_once(word).map(|(_, rest)| rest)
}

fn digits(text: &str) -> Option<i16> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// `.213`, `,213871` or nothing.
fn nanos(fraction: &str) -> Option<i32> {
    let Some(digits) = fraction.strip_prefix(['.', ',']) else {
        return fraction.is_empty().then_some(0);
    };
    let plain = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    format!("{digits:0<9}").parse().ok().filter(|_| plain)
}
