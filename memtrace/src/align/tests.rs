use super::{
    book::Marks,
    threads::{First, Threads},
    *,
};
use crate::{
    entry::{Actor, Lost, NameState, PythonState, SigkillKind, Stack, StackWhy, Style},
    loss,
    sample::{begin, checkpoint, frame, grew, memory_mb, rss, seconds, stack},
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

fn sigkill(second: u64, pid: u32) -> Entry {
    let kill = Sigkill {
        sender: Actor {
            pid: crate::units::Tgid(pid),
            ..Actor::default()
        },
        how: SigkillKind::Kill,
        memory: None,
    };
    Entry {
        at: seconds(second),
        what: What::Sigkill(kill.into()),
    }
}

#[test]
fn the_first_kill_is_the_one_that_counts_and_keeps_how_things_stood() {
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

fn taken(second: u64, stack: Stack) -> Entry {
    Entry {
        at: seconds(second),
        what: What::Stack(stack.into()),
    }
}

/// Threads in the order of a reader, and why the first one is it.
fn threads(story: &Story) -> (Vec<u32>, Option<First>) {
    let first = story.first_thread();
    let (Some(threads), Some((stack, why))) = (&story.threads, first) else {
        return (Vec::new(), None);
    };
    let order = threads.in_order(stack.tid);
    (order.iter().map(|stack| stack.tid.0).collect(), Some(why))
}

#[test]
fn stacks_write_no_lines_and_a_killed_process_grows_no_more() {
    let (story, rows) = rows_of(
        begin(),
        &[
            taken(1, grew(9, 5, &[("a.py", 1, "f")])),
            sigkill(2, 7),
            taken(3, grew(9, -400, &[("a.py", 1, "f")])),
        ],
    );
    assert_eq!(rows.len(), 1);
    assert_eq!(story.growth.unwrap().total.net, Delta(5 << 20));
    let lines = story.kill.unwrap().lines;
    assert_eq!((lines.len(), lines[0].moved.net), (1, Delta(5 << 20)));
}

#[test]
fn a_checkpoint_keeps_the_lines_of_its_interval() {
    let (story, _) = rows_of(
        begin(),
        &[
            taken(1, grew(9, 500, &[("a.py", 1, "f")])),
            checkpoint(2, "a", 560),
            taken(3, grew(9, 5, &[("a.py", 2, "f")])),
            checkpoint(4, "b", 565),
            taken(5, grew(9, -5, &[("a.py", 3, "f")])),
            checkpoint(6, "c", 560),
        ],
    );
    let lines: Vec<_> = story
        .book
        .marks
        .head()
        .iter()
        .map(|mark| mark.lines.len())
        .collect();
    // The first has nothing before it, and the last did not grow.
    assert_eq!(lines, [0, 1, 0]);
}

#[test]
fn the_thread_that_asked_for_the_memory_goes_first() {
    let at = |why, tid| taken(1, stack(why, tid, &[("a.py", 1, "f")]));
    let idle = |tid| {
        taken(
            1,
            Stack {
                python: PythonState::OtherThread,
                ..stack(StackWhy::Kill, tid, &[])
            },
        )
    };
    let grew = taken(1, grew(8, 5, &[("a.py", 1, "f")]));
    let of = |entries: &[Entry]| threads(&rows_of(begin(), entries).0);
    let kill = StackWhy::Kill;
    assert_eq!(
        of(&[
            grew.clone(),
            at(kill, 7),
            at(kill, 8),
            at(kill, 9),
            at(StackWhy::Mark, 9)
        ]),
        (vec![9, 7, 8], Some(First::Asked))
    );
    assert_eq!(
        of(&[idle(5), at(kill, 7), at(kill, 8), grew]),
        (vec![8, 7, 5], Some(First::GrewLast))
    );
    assert_eq!(
        of(&[idle(5), at(kill, 8), at(kill, 7)]),
        (vec![7, 8, 5], Some(First::RunsPython))
    );
    assert_eq!(of(&[idle(6), idle(5)]), (vec![6, 5], Some(First::Any)));
    assert_eq!(of(&[]), (vec![], None));
}

#[test]
fn stacks_of_a_sigkill_may_come_after_it() {
    let (story, _) = rows_of(
        begin(),
        &[sigkill(1, 7), taken(2, stack(StackWhy::Kill, 3, &[]))],
    );
    assert_eq!(threads(&story), (vec![3], Some(First::Any)));
}

#[test]
fn of_two_stacks_of_a_thread_the_one_that_says_more_stays() {
    let whole = stack(StackWhy::Kill, 3, &[("a.py", 1, "f"), ("a.py", 9, "main")]);
    let torn = Stack {
        python: PythonState::Torn,
        ..stack(StackWhy::Mark, 3, &[("a.py", 1, "f")])
    };
    for two in [[&torn, &whole], [&whole, &torn]] {
        let mut threads = Threads::default();
        for stack in two {
            threads.push(stack);
        }
        let (first, why) = threads.first(None, None).unwrap();
        assert_eq!((first, why), (&whole, First::Asked));
    }
}

#[test]
fn threads_beyond_the_bound_are_counted_and_the_one_that_asked_is_kept() {
    let mut threads = Threads::default();
    for tid in 0..100 {
        threads.push(&stack(StackWhy::Kill, tid, &[]));
    }
    threads.push(&stack(StackWhy::Mark, 500, &[("a.py", 1, "f")]));
    let kept = threads.in_order(Tid(500));
    assert_eq!(kept[0].frames, [frame("a.py", 1, "f")]);
    assert_eq!((kept.len(), threads.left_out()), (Threads::MOST, 37));
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
