//! Usual logs and those of the older monitor: no figure that does not stand in the line, and no
//! report that fools a terminal.
#![no_main]

use std::path::Path;

use jiff::{Timestamp, tz::TimeZone};
use libfuzzer_sys::fuzz_target;
use memtrace::{
    report::log_lines::{self, LogLine, Said},
    report_files,
    text::unescape,
};
use memtrace_fuzz::assert_plain;

fuzz_target!(|data: &[u8]| {
    for line in String::from_utf8_lossy(data).lines() {
        if let Some(parsed) = log_lines::parse(line) {
            stands_in(line, &parsed);
        }
    }
    if let Ok(outcome) = report_files::from_input(Path::new("a/of.log"), data) {
        assert!(!outcome.reports.is_empty());
        for report in &outcome.reports {
            // The tabs of a stack trace are harmless.
            assert_plain(&report.replace('\t', " "));
        }
    }
});

fn stands_in(line: &str, parsed: &LogLine) {
    let LogLine { at, level, what } = parsed;
    let at = i128::from(at.0);
    let time = Timestamp::from_nanosecond(at).expect("it was read from a date");
    let time = time
        .to_zoned(TimeZone::UTC)
        .strftime("[%Y-%m-%d %H:%M:%S")
        .to_string();
    assert!(line.starts_with(&time), "{time} is not in {line}");
    if let Some(level) = level {
        assert!(line.contains(level.label()), "{line}");
    }
    let sizes = sizes(line);
    let stands = |bytes: i128| assert!(sizes.contains(&bytes.unsigned_abs()), "{bytes} in {line}");
    match what {
        Said::Checkpoint {
            name,
            details,
            rss,
            total,
            own,
        } => {
            stands(rss.0.into());
            stands(total.0.into());
            own.iter().for_each(|own| stands(own.0.into()));
            let plain = unescape(line);
            for text in details.iter().chain([name]) {
                // What is escaped within itself is read in one piece or in two.
                assert!(
                    line.contains('\\') || plain.contains(text),
                    "{text} in {line}"
                );
            }
        }
        Said::Background { rss, total } => {
            stands(rss.0.into());
            stands(total.0.into());
        }
        Said::Crossed { rss } | Said::Baseline { rss } => stands(rss.0.into()),
        Said::Message(text) => assert!(line.ends_with(text.as_str())),
    }
}

/// Every number with a unit behind it that stands anywhere in a line, in bytes.
fn sizes(line: &str) -> Vec<u128> {
    let is_number = |c: char| c.is_ascii_digit() || c == '.';
    let mut sizes = Vec::new();
    for (at, _) in line.match_indices(is_number) {
        let rest = &line[at..];
        let (number, unit) = rest.split_at(rest.find(|c| !is_number(c)).unwrap_or(rest.len()));
        let unit = unit.trim_start_matches(' ');
        let power = ["B", "KB", "MB", "GB", "TB"]
            .iter()
            .position(|known| unit.starts_with(known));
        if let (Ok(number), Some(power)) = (number.parse::<f64>(), power) {
            let bytes = number * 1024_f64.powi(i32::try_from(power).expect("five units"));
            // Sizes saturate at what an i64 holds.
            sizes.extend([
                bytes.round().min(i64::MAX as f64) as u128,
                (bytes.round() as i64).unsigned_abs().into(),
                i64::MIN.unsigned_abs().into(),
            ]);
        }
    }
    sizes
}
