use super::log_lines::{LogLine, Said, parse, parse_size};
use super::old_log::Reader;
use crate::{
    align::row::Level,
    units::{Bytes, Delta},
};

const MB: i64 = 1 << 20;

fn said(body: &str) -> Option<Said> {
    parse(&format!("[2025-11-20 10:30:49] {body}")).map(|line| line.what)
}

fn checkpoint(name: &str, details: Option<&str>, total: i64, own: Option<i64>) -> Said {
    Said::Checkpoint {
        name: name.to_owned(),
        details: details.map(str::to_owned),
        rss: Bytes::from_mb(2),
        total: Delta(total),
        own: own.map(Delta),
    }
}

#[test]
fn sizes_of_every_unit_and_sign() {
    let size = |text| parse_size(text).map(|(size, rest)| (size.0, rest));
    assert_eq!(size("12.00B"), Some((12, "")));
    assert_eq!(size("1.50KB x"), Some((1536, " x")));
    assert_eq!(size("2 GB"), Some((2 << 30, "")));
    assert_eq!(size("1TB"), Some((1 << 40, "")));
    for bad in ["", "MB", "nanMB", "1e9MB", "1.2.3MB", "1.00", "-1.00MB"] {
        assert_eq!(size(bad), None, "{bad}");
    }
}

#[test]
fn growth_with_any_sign_or_none() {
    let own = |text: &str| said(&format!("[INFO] [a] RSS=2.00MB (Δ{text}, {text})"));
    assert_eq!(own("1.00MB"), Some(checkpoint("a", None, MB, Some(MB))));
    assert_eq!(
        own("+-12582912.00B"),
        Some(checkpoint("a", None, -12 * MB, Some(-12 * MB)))
    );
    assert_eq!(own("-1.00MB"), Some(checkpoint("a", None, -MB, Some(-MB))));
}

#[test]
fn remarks_are_dropped_and_details_are_not() {
    let with = |tail: &str| said(&format!("[INFO] [a] RSS=2.00MB (Δ+0.00MB, +0.00MB){tail}"));
    assert_eq!(with(" ← 看这里！"), Some(checkpoint("a", None, 0, Some(0))));
    assert_eq!(
        with(" | x ← y | z"),
        Some(checkpoint("a", Some("x ← y | z"), 0, Some(0)))
    );
    assert_eq!(
        with(" ⚠️ | x"),
        Some(checkpoint("a", Some("x"), 0, Some(0)))
    );
}

#[test]
fn background_lines_with_and_without_level_in_both_languages() {
    let background = Some(Said::Background {
        rss: Bytes::from_mb(2),
        total: Delta(MB),
    });
    for body in [
        "[CRITICAL] [后台监控] RSS=2.00MB (Δ+1.00MB)",
        "[后台监控] RSS=2.00MB (Δ+1.00MB)  ← Killed",
        "[WARNING] [background] RSS=2.00MB (Δ1.00MB)",
    ] {
        assert_eq!(said(body), background, "{body}");
    }
    assert_eq!(
        said("[INFO] [后台监控] RSS=2.00MB (Δ+1.00MB, +1.00MB)"),
        Some(checkpoint("后台监控", None, MB, Some(MB)))
    );
}

#[test]
fn a_checkpoint_may_be_called_like_a_level() {
    assert_eq!(
        said("[INFO] [INFO] RSS=2.00MB (Δ+1.00MB, +1.00MB)"),
        Some(checkpoint("INFO", None, MB, Some(MB)))
    );
    assert_eq!(
        said("[INFO] RSS=2.00MB (Δ+1.00MB, +1.00MB)"),
        Some(checkpoint("INFO", None, MB, Some(MB)))
    );
}

#[test]
fn thresholds_with_and_without_the_limit() {
    let crossed = Some(Said::Crossed {
        rss: Bytes::from_mb(2),
    });
    assert_eq!(
        said("[CRITICAL] ⚠️ 内存接近危险阈值！当前RSS=2.00MB"),
        crossed
    );
    assert_eq!(
        said(
            "[CRITICAL] ⚠️ Memory is near the critical threshold! Current RSS=2.00MB (threshold=3.00MB)"
        ),
        crossed
    );
}

#[test]
fn a_line_cut_anywhere_is_none_or_a_message_and_never_a_wrong_figure() {
    let line = "[2025-11-20 10:34:02.213] [WARNING] [加载config_AFTER] RSS=870.56MB (Δ+810.33MB, +318.22MB)";
    let whole = parse(line).unwrap();
    assert!(matches!(
        &whole,
        LogLine {
            level: Some(Level::Warning),
            what: Said::Checkpoint { .. },
            ..
        }
    ));
    for end in (0..line.len()).filter(|end| line.is_char_boundary(*end)) {
        let cut = parse(&line[..end]).map(|line| line.what);
        assert!(
            matches!(cut, None | Some(Said::Message(_))),
            "{:?}",
            &line[..end]
        );
    }
}

#[test]
fn odd_times_are_none() {
    for time in [
        "2025-13-20 10:30:45",
        "2025-11-20 10:61:45",
        "1969-01-01 00:00:00",
        "9999-01-01 00:00:00",
        "2025-11-20T10:30:45",
        "2025-11-20 10:30:4加",
        "+025-11-20 10:30:45",
        "2025-11-20 10:30:45.",
        "2025-11-20 10:30:45.1234567890",
    ] {
        assert_eq!(parse(&format!("[{time}] [INFO] x")), None, "{time}");
    }
}

#[test]
fn a_report_in_the_log_is_given_as_it_stands_and_a_cut_one_is_made_again() {
    let rule = "=".repeat(80);
    let report = format!("{rule}\n内存监控报告 - x\n生成时间: y\n{rule}\n\nwords\n{rule}\n");
    let read = |text: &str| {
        let mut reader = Reader::new("file");
        text.lines().for_each(|line| reader.line(line));
        reader.finish()
    };
    let line = "[2025-11-20 10:30:49] [INFO] [a] RSS=2.00MB (Δ+0.00MB, +0.00MB)\n";
    assert_eq!(
        read(&format!("{line}\n{report}")),
        std::slice::from_ref(&report)
    );
    let cut = read(&format!("{line}\n{}", &report[..report.len() - 20]));
    assert!(cut[0].contains("内存监控报告 - file") && cut[0].contains("1. [a]"));
    assert!(read("nothing of a log\n").is_empty());
}

#[test]
fn a_log_that_was_appended_to_gives_a_report_for_each_run() {
    let mut reader = Reader::new("file");
    for title in ["one", "two"] {
        reader.line(&format!("内存监控日志 - {title}"));
        reader.line("[2025-11-20 10:30:49] [INFO] [a] RSS=2.00MB (Δ+0.00MB, +0.00MB)");
    }
    let reports = reader.finish();
    assert!(reports[0].contains("报告 - one\n") && reports[1].contains("报告 - two\n"));
}

#[test]
fn no_damage_to_a_log_makes_the_reader_panic() {
    let log = "内存监控日志 - x\n基线内存: RSS=1.00MB, VMS=2.00MB\n[2025-11-20 10:30:49] [INFO] [a] RSS=2.00MB (Δ+0.00MB, +0.00MB) | d\n  File \"a.py\", line 3, in f\n[2025-11-20 10:30:50] [CRITICAL] ⚠️ 内存接近危险阈值！当前RSS=2.00MB (阈值=3.00MB)\n";
    let mut state = 7_u64;
    for _ in 0..5_000 {
        let mut bytes = log.as_bytes().to_vec();
        for _ in 0..4 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let at = usize::try_from(state >> 40).unwrap() % bytes.len();
            bytes[at] = state.to_le_bytes()[3];
        }
        let mut reader = Reader::new("file");
        String::from_utf8_lossy(&bytes)
            .lines()
            .for_each(|line| reader.line(line));
        assert!(reader.finish().iter().all(|report| report.ends_with("=\n")));
    }
}

/// The report of a log with these lines.
fn reports(lines: &[&str]) -> Vec<String> {
    let mut reader = Reader::new("x");
    for line in lines {
        reader.line(line);
    }
    reader.finish()
}

#[test]
fn what_a_log_holds_for_the_terminal_is_shown_and_not_done() {
    let rule = "=".repeat(80);
    let (title, wild) = ("内存监控报告 - x", "\x1b[2J\u{202e}");
    let whole = [&rule, title, wild, &rule, &rule];
    let (log, killed) = (
        format!("内存监控日志 - {wild}"),
        format!("[2025-11-20 10:30:45] [INFO] 💀 {wild}"),
    );
    for lines in [&whole[..], &[&log, &killed]] {
        let reports = reports(lines);
        assert_eq!(reports.len(), 1);
        assert!(
            !reports[0].contains(['\x1b', '\u{202e}']),
            "{:?}",
            reports[0]
        );
        assert!(reports[0].contains("\\x1b[2J\\u{202e}"), "{}", reports[0]);
    }
}
