use super::log_lines::{LogLine, Said, parse, parse_size};
use super::old_log::Reader;
use crate::{
    align::{Story, row::Level},
    entry::{
        Actor, Checkpoint, Constraint, Entry, Frame, Neighbour, Neighbours, OomKill, PythonState,
        Stack, StackWhy, What,
    },
    sample::{begin, checkpoint as mark, grew, memory_mb, seconds, stack},
    units::{Bytes, Delta, Tgid, Tid},
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

fn at(second: u64, what: What) -> Entry {
    Entry {
        at: seconds(second),
        what,
    }
}

fn taken(second: u64, stack: Stack) -> Entry {
    at(second, What::Stack(stack.into()))
}

/// A kill for which thread 12345 of the victim asked, or another process.
fn oom(second: u64, own: bool) -> OomKill {
    let trigger = Actor {
        pid: Tgid(if own { 12345 } else { 7 }),
        tid: Tid(if own { 12345 } else { 7 }),
        comm: "python3".to_owned(),
        ..Actor::default()
    };
    OomKill {
        victim: Actor::default(),
        oom_score_adj: None,
        page_tables: None,
        memory: memory_mb(500 + second),
        printed: None,
        trigger,
        own,
        constraint: Constraint::Unknown,
        order: None,
        gfp: None,
        already_exiting: false,
        together_with: Vec::new(),
    }
}

fn story(entries: &[Entry]) -> Story {
    let mut story = Story::begin(seconds(0), begin());
    for entry in entries {
        story.apply(entry, &mut Vec::new());
    }
    story
}

/// The verdict's lines of these labels, without these.
fn said_of(story: &Story, label: &str) -> Vec<String> {
    let text = super::text(story);
    let mut lines = text.lines().map(str::to_owned);
    let first = lines.find_map(|line| {
        Some(
            line.strip_prefix("   ")?
                .strip_prefix(label)?
                .trim()
                .to_owned(),
        )
    });
    let more = lines.take_while(|line| line.starts_with(&" ".repeat(12)));
    first
        .into_iter()
        .chain(more.map(|line| line.trim().to_owned()))
        .collect()
}

#[test]
fn the_position_is_told_from_the_line_that_grew_most() {
    let load = [("/srv/config.py", 118, "load"), ("/srv/main.py", 9, "main")];
    let tick = [("/srv/feed.py", 3, "tick")];
    let of = |position: &[(&str, u32, &str)], own| {
        let kill = What::OomKill(oom(9, own).into());
        let why = if own { StackWhy::Mark } else { StackWhy::Kill };
        story(&[
            mark(1, "a", 60),
            taken(2, grew(12345, 398, &load)),
            taken(9, stack(why, 12345, position)),
            at(9, kill),
        ])
    };
    let same = of(&load, true);
    assert_eq!(
        said_of(&same, "位置"),
        ["config.py:118 load ← main.py:9 main"]
    );
    assert_eq!(
        said_of(&same, "增长最多"),
        ["config.py:118 +398.00MB (9 秒内)", "[a] 之后 +449.00MB"]
    );
    let elsewhere = of(&tick, true);
    assert_eq!(
        said_of(&elsewhere, "位置"),
        ["feed.py:3 tick (只是被杀的一刻, 增长最多的行见下)"]
    );
    assert_eq!(
        said_of(&elsewhere, "增长最多")[0],
        "config.py:118 +398.00MB (9 秒内)"
    );
    assert_eq!(
        said_of(&of(&tick, false), "位置"),
        ["feed.py:3 tick (只是当时所在, 不是它触发的)"]
    );
}

#[test]
fn a_stack_that_is_not_whole_says_so_and_none_says_nothing() {
    let of = |stack: Option<Stack>| {
        let stack = stack.map(|stack| taken(9, stack));
        let kill = at(9, What::OomKill(oom(9, true).into()));
        let entries: Vec<Entry> = stack.into_iter().chain([kill]).collect();
        said_of(&story(&entries), "位置")
    };
    let frames = [
        ("/srv/a.py", 1, "f"),
        ("/srv/a.py", 1, "f"),
        ("/srv/a.py", 2, "g"),
    ];
    let at = |python, count: usize| {
        Some(Stack {
            python,
            ..stack(StackWhy::Mark, 12345, &frames[..count])
        })
    };
    assert_eq!(of(None), [""; 0]);
    assert_eq!(of(at(PythonState::Whole, 3)), ["a.py:1 f ×2 ← a.py:2 g"]);
    assert_eq!(of(at(PythonState::Cut, 3)), ["a.py:1 f ×2 ← a.py:2 g ← …"]);
    assert_eq!(
        of(at(PythonState::Torn, 3)),
        ["a.py:1 f ×2 ← a.py:2 g ← ? (栈不完整)"]
    );
    assert_eq!(
        of(at(PythonState::Torn, 0)),
        ["线程 12345 python3 的 Python 栈读不出"]
    );
    assert_eq!(
        of(at(PythonState::OtherThread, 0)),
        ["线程 12345 python3 不运行 Python"]
    );
    // A program that runs no Python is not told so.
    assert_eq!(of(at(PythonState::Unknown, 0)), [""; 0]);
    let bare = Stack {
        frames: vec![Frame::default()],
        ..stack(StackWhy::Mark, 777, &[])
    };
    assert_eq!(of(Some(bare)), ["?:? (线程 777 python3)"]);
}

#[test]
fn files_of_one_name_are_told_apart() {
    let frames = [
        ("/srv/bot/a/config.py", 1, "f"),
        ("/srv/bot/b/config.py", 2, "g"),
        ("/srv/bot/b/main.py", 3, "<module>"),
        ("config.py", 4, "h"),
    ];
    let story = story(&[
        taken(9, stack(StackWhy::Mark, 12345, &frames)),
        at(9, What::OomKill(oom(9, true).into())),
    ]);
    assert_eq!(
        said_of(&story, "位置"),
        ["a/config.py:1 f ← b/config.py:2 g ← main.py:3 <module> ← config.py:4 h"]
    );
}

#[test]
fn the_programs_own_line_is_shown_below_a_library() {
    let library = "/usr/lib/python3.11/json/decoder.py";
    let frames = [
        (library, 1, "raw_decode"),
        (library, 2, "decode"),
        ("/usr/lib/python3.11/json/__init__.py", 3, "loads"),
        ("<frozen runpy>", 4, "run"),
        ("/srv/config.py", 118, "load"),
        ("/srv/main.py", 9, "main"),
    ];
    let story = story(&[
        taken(9, stack(StackWhy::Mark, 12345, &frames)),
        at(9, What::OomKill(oom(9, true).into())),
    ]);
    assert_eq!(
        said_of(&story, "位置"),
        ["decoder.py:1 raw_decode ← decoder.py:2 decode ← … ← config.py:118 load ← main.py:9 main"]
    );
}

#[test]
fn the_top_ten_end_within_fifty_lines_however_much_there_is_to_say() {
    let mut entries = Vec::new();
    for n in 0..12_u32 {
        let second = u64::from(n) + 1;
        let line = n + 1;
        entries.push(taken(second, grew(1, 20, &[("/srv/a.py", line, "f")])));
        entries.push(at(
            second,
            What::Checkpoint(Checkpoint {
                details: Some("x".repeat(300)),
                ..match mark(second, "a", 60 + 20 * second).what {
                    What::Checkpoint(checkpoint) => checkpoint,
                    other => panic!("{other:?}"),
                }
            }),
        ));
    }
    entries.push(taken(14, grew(1, 20, &[("/srv/a.py", 1, "f")])));
    entries.push(taken(14, stack(StackWhy::Mark, 9, &[])));
    entries.push(taken(
        14,
        stack(StackWhy::Kill, 10, &[("/srv/a.py", 1, "f")]),
    ));
    let process = |pid| Neighbour {
        who: Actor {
            pid: Tgid(pid),
            ..Actor::default()
        },
        rss: Bytes::from_mb(3000),
        before: Bytes(0),
        checkpoint: None,
    };
    let near = Neighbours {
        window_seconds: 60,
        processes: vec![process(8)],
    };
    entries.push(at(14, What::Neighbours(near)));
    let kill = OomKill {
        oom_score_adj: Some(5),
        already_exiting: true,
        together_with: vec![Actor::default()],
        ..oom(14, true)
    };
    entries.push(at(14, What::OomKill(kill.into())));
    let exit = crate::entry::Exit {
        signal: Some(11),
        peak: Some(Bytes::from_mb(9000)),
        ..crate::entry::Exit::default()
    };
    entries.push(at(15, What::Exit(exit)));
    let text = super::text(&story(&entries));
    let end = text
        .lines()
        .position(|line| line.starts_with("📈"))
        .unwrap();
    assert!(end <= 51, "{end}: {text}");
    // As many as fit have their line, and that still names what grew.
    assert!(text.contains("… | a.py:2 +20.00MB\n"), "{text}");
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("  #"))
            .take(10)
            .count(),
        10
    );
}

#[test]
fn growth_is_listed_with_its_share_and_what_is_not_is_summed() {
    let mut entries: Vec<Entry> = (1..=12)
        .map(|line| {
            taken(
                1,
                grew(1, i64::from(line) * 10, &[("/srv/a.py", line, "f")]),
            )
        })
        .collect();
    entries.push(taken(2, grew(1, -20, &[("/srv/a.py", 12, "f")])));
    let text = super::text(&story(&entries));
    assert!(
        text.contains("  净增长 +760.00MB, 来自 13 次栈采样\n"),
        "{text}"
    );
    assert!(
        text.contains("  #1    +110.00MB  14.5%  /srv/a.py:11 f\n"),
        "{text}"
    );
    assert!(
        text.contains("  #2    +100.00MB  13.2%  /srv/a.py:10 f\n"),
        "{text}"
    );
    assert!(
        text.contains("/srv/a.py:12 f (增 +120.00MB, 减 -20.00MB)\n"),
        "{text}"
    );
    assert!(text.contains("  … 其余各行 +30.00MB\n"), "{text}");
    assert!(
        text.contains("  #1    +760.00MB 100.0%  /srv/a.py f (增"),
        "{text}"
    );
}

#[test]
fn where_nothing_grew_no_line_is_blamed() {
    let text = super::text(&story(&[taken(1, grew(1, -5, &[("/srv/a.py", 1, "f")]))]));
    assert!(
        text.contains("  没有净增长的行\n  … 其余各行 -5.00MB\n"),
        "{text}"
    );
    assert!(!text.contains('%'), "{text}");
    assert!(!super::text(&story(&[])).contains("📈"));
}

#[test]
fn names_in_stacks_forge_no_line() {
    let wild = [("/srv/\x1b[2J\n💀.py", 1, "f\u{202e}\n")];
    let text = super::text(&story(&[
        taken(1, grew(12345, 5, &wild)),
        taken(9, stack(StackWhy::Mark, 12345, &wild)),
        at(9, What::OomKill(oom(9, true).into())),
    ]));
    assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
    assert_eq!(
        text.lines().filter(|line| line.starts_with('💀')).count(),
        1
    );
}
