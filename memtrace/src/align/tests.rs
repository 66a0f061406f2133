use super::{book::Marks, *};
use crate::{
    entry::{Lost, NameState, Style},
    loss,
    sample::{begin, checkpoint, memory_mb, rss, seconds},
    units::Tid,
};

/// The rows of a life that begins as given.
fn rows_of(begin: Begin, entries: &[Entry]) -> (Story, Vec<Row>) {
    let mut story = Story::begin(seconds(0), begin);
    let mut rows = Vec::new();
    for entry in entries {
        story.apply(entry, &mut rows);
    }
    (story, rows)
}

/// Rows in short: `baseline 60`, `mark +0 +0`, `near`, `over`, `background 900`.
fn short(rows: &[Row]) -> Vec<String> {
    let mb = |bytes: Bytes| bytes.0 >> 20;
    let one = |row: &Row| match &row.line {
        Line::Checkpoint(mark) => format!("mark {:+} {:+}", mark.total.0 >> 20, mark.own.0 >> 20),
        Line::Background { rss, .. } => format!("background {}", mb(*rss)),
        Line::Crossed {
            threshold: Threshold::Warning,
            ..
        } => "near".to_owned(),
        Line::Crossed {
            threshold: Threshold::Critical,
            ..
        } => "over".to_owned(),
        Line::Baseline { rss } => format!("baseline {}", mb(*rss)),
        Line::Thresholds { warning, critical } => {
            format!("thresholds {} {}", mb(*warning), mb(*critical))
        }
        Line::Named(name) => format!("named {name}"),
        other => format!("{other:?}"),
    };
    rows.iter().map(one).collect()
}

fn check(entries: &[Entry], expected: &[&str]) {
    assert_eq!(short(&rows_of(begin(), entries).1), expected);
}

fn init(second: u64, mb: u64, warning: Option<u64>, critical: Option<u64>) -> Entry {
    let what = What::Init {
        name: None,
        warning: warning.map(Bytes::from_mb),
        critical: critical.map(Bytes::from_mb),
        memory: memory_mb(mb),
    };
    Entry {
        at: seconds(second),
        what,
    }
}

#[test]
fn the_first_checkpoint_moves_the_baseline_and_the_second_does_not() {
    check(
        &[checkpoint(1, "a", 70), checkpoint(2, "b", 90)],
        &["baseline 70", "mark +0 +0", "mark +20 +20"],
    );
}

#[test]
fn a_first_checkpoint_at_the_baseline_says_nothing_of_it() {
    check(&[checkpoint(1, "a", 60)], &["mark +0 +0"]);
}

#[test]
fn the_programs_own_start_is_the_baseline_whenever_it_comes() {
    check(
        &[
            init(1, 65, None, None),
            checkpoint(2, "a", 70),
            init(3, 80, None, None),
            checkpoint(4, "b", 81),
        ],
        &["baseline 65", "mark +5 +0", "baseline 80", "mark +1 +11"],
    );
}

#[test]
fn a_life_that_began_under_our_eyes_gets_its_baseline_from_the_first_rss() {
    let unmeasured = Begin {
        memory: None,
        ..begin()
    };
    let (story, rows) = rows_of(unmeasured, &[rss(1, 5), rss(2, 9)]);
    assert_eq!(short(&rows), ["baseline 5"]);
    assert_eq!(story.book.total(Bytes::from_mb(9)), Delta(4 << 20));
}

#[test]
fn a_replaced_program_is_measured_from_its_own_beginning() {
    let exec = Entry {
        at: seconds(1),
        what: What::Exec {
            program: Program::default().into(),
        },
    };
    let (_, rows) = rows_of(begin(), &[exec, rss(2, 3)]);
    assert_eq!(short(&rows)[1..], ["baseline 3"]);
}

#[test]
fn thresholds_of_the_program_hold_unless_the_command_line_set_them() {
    let fixed = Begin {
        style: Style {
            critical_fixed: true,
            ..begin().style
        },
        ..begin()
    };
    let (story, rows) = rows_of(
        fixed,
        &[init(1, 60, Some(100), Some(200)), checkpoint(2, "a", 150)],
    );
    assert_eq!(short(&rows), ["thresholds 100 950", "mark +90 +0", "near"]);
    assert_eq!(story.level(Bytes::from_mb(150)), Level::Warning);
}

#[test]
fn levels_begin_at_their_threshold() {
    let story = Story::begin(seconds(0), begin());
    let level = |mb| story.level(Bytes::from_mb(mb));
    assert_eq!(
        [799, 800, 949, 950].map(level),
        [Level::Info, Level::Warning, Level::Warning, Level::Critical]
    );
}

#[test]
fn a_threshold_is_told_once_until_rss_was_below_it() {
    check(
        &[rss(1, 810), rss(2, 820), rss(3, 790), rss(4, 800)],
        &["near", "background 810", "near", "background 800"],
    );
}

#[test]
fn falling_below_critical_alone_arms_only_critical() {
    check(
        &[rss(1, 960), rss(2, 900), rss(3, 950)],
        &["near", "over", "background 960", "over", "background 950"],
    );
}

#[test]
fn a_checkpoint_that_crosses_says_so_after_its_own_line() {
    check(
        &[
            checkpoint(0, "a", 60),
            checkpoint(1, "b", 870),
            rss(1, 871),
            rss(3, 872),
        ],
        &["mark +0 +0", "mark +810 +810", "near", "background 871"],
    );
}

#[test]
fn background_lines_keep_their_interval_above_the_threshold_and_are_silent_below() {
    check(
        &[
            rss(1, 810),
            rss(5, 811),
            rss(6, 812),
            rss(10, 813),
            rss(11, 814),
            rss(12, 700),
            rss(30, 701),
        ],
        &["near", "background 810", "background 812", "background 814"],
    );
}

#[test]
fn growth_of_the_last_minute_counts_from_the_figure_that_held_when_it_began() {
    let (story, _) = rows_of(begin(), &[rss(10, 100), rss(30, 200), rss(100, 350)]);
    let recent = story.book.recent(seconds(100)).unwrap();
    assert_eq!((recent.grown, recent.seconds), (Delta(150 << 20), 60));
    let (story, _) = rows_of(begin(), &[rss(10, 100)]);
    let recent = story.book.recent(seconds(10)).unwrap();
    assert_eq!((recent.grown, recent.seconds), (Delta(40 << 20), 10));
}

#[test]
fn many_checkpoints_keep_their_ends_their_count_and_the_largest() {
    let all = 2 * Marks::KEEP as u64 + 500;
    let mut story = Story::begin(seconds(0), begin());
    let mut rows = Vec::new();
    for n in 0..all {
        let mb = if n == 15_000 { 400 } else { 60 };
        story.apply(&checkpoint(n, &format!("loop {n}"), mb), &mut rows);
        rows.clear();
    }
    let marks = &story.book.marks;
    assert_eq!(
        (marks.count(), marks.cut()),
        (all, all - 2 * Marks::KEEP as u64)
    );
    assert_eq!(marks.last().map(|mark| mark.number), Some(all));
    assert_eq!(
        marks
            .top()
            .iter()
            .map(|mark| &*mark.name)
            .collect::<Vec<_>>(),
        ["loop 15000"]
    );
}

#[test]
fn the_first_kill_is_the_one_that_counts_and_keeps_how_things_stood() {
    let sigkill = |second, pid| Entry {
        at: seconds(second),
        what: What::Sigkill(Box::new(Sigkill {
            sender: crate::entry::Actor {
                pid: crate::units::Tgid(pid),
                ..Default::default()
            },
            how: crate::entry::SigkillKind::Kill,
            memory: None,
        })),
    };
    let (story, _) = rows_of(
        begin(),
        &[
            checkpoint(1, "a", 60),
            sigkill(2, 7),
            sigkill(3, 8),
            rss(4, 1),
        ],
    );
    let kill = story.kill.unwrap();
    assert!(matches!(&kill.by, Killer::Sigkill(sigkill) if sigkill.sender.pid.0 == 7));
    assert_eq!(
        (kill.rss, kill.mark.map(|mark| mark.number)),
        (Some(Bytes::from_mb(60)), Some(1))
    );
}

#[test]
fn losses_are_counted_and_data_loss_is_a_warning() {
    let lost = |kind| Entry {
        at: seconds(1),
        what: What::Lost(Lost { kind, count: 3 }),
    };
    let (story, rows) = rows_of(
        begin(),
        &[
            lost(loss::Kind::CheckpointRecord),
            lost(loss::Kind::RssRecord),
        ],
    );
    assert_eq!(story.book.lost.get(loss::Kind::CheckpointRecord), 3);
    assert_eq!(
        rows.iter().map(|row| row.level).collect::<Vec<_>>(),
        [Level::Warning, Level::Info]
    );
}

#[test]
fn empty_details_are_none() {
    let what = What::Checkpoint(Checkpoint {
        name: "a".into(),
        details: Some(String::new()),
        name_state: NameState::Whole,
        tid: Tid(1),
        memory: memory_mb(60),
    });
    let (story, _) = rows_of(
        begin(),
        &[Entry {
            at: seconds(1),
            what,
        }],
    );
    assert_eq!(story.book.marks.last().unwrap().details, None);
}
