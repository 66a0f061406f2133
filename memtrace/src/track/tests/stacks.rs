use super::host::*;
use crate::{
    entry::{PythonState, StackWhy},
    event::{Code, Frame, Kind, Origin, Stack, Text},
    python::layout::{Layout, Version},
    units::{BootNanos, Bytes, Tgid, Tid},
};

fn layout() -> Layout {
    let version = Version { major: 3, minor: 9 };
    Layout::of(version).unwrap()
}

/// A traced Python with 100 MB whose interpreter is known.
fn known_python() -> Host {
    let mut host = Host::with_python(50);
    host.track.python(Tgid(50), Some(layout()));
    host.told(50);
    host
}

fn stack(pid: u32, tid: u32, why: StackWhy, mb: Option<u64>) -> Kind {
    let frame = |code| Frame { code, offset: 0 };
    Kind::Stack(Box::new(Stack {
        pid: Tgid(pid),
        started: old(pid),
        tid: Tid(tid),
        comm: "python3".to_owned(),
        why,
        rss: mb.map(Bytes::from_mb),
        python: PythonState::Whole,
        frames: vec![frame(0x1000), frame(0x2000)],
        omitted: 0,
        natives: Vec::new(),
    }))
}

fn code(pid: u32, started: BootNanos, at: u64, name: &str) -> Kind {
    let text = |text: &str| Text {
        state: 1 << 2 | 1 << 6,
        bytes: text.as_bytes().to_vec(),
        is_cut: false,
    };
    Kind::Code(Box::new(Code {
        pid: Tgid(pid),
        started,
        code: at,
        first_line: 7,
        file: Some(text("a.py")),
        function: Some(text(name)),
        lines: Some(vec![0, 1]),
    }))
}

#[test]
fn growth_is_counted_from_stack_to_stack() {
    let mut host = known_python();
    host.feed(1, code(50, old(50), 0x1000, "leak"));
    host.feed(1, code(50, old(50), 0x2000, "main"));
    host.feed(2, rss(50, 104));
    host.feed(3, stack(50, 50, StackWhy::Growth, Some(105)));
    host.feed(4, rss(50, 108));
    host.feed(5, stack(50, 51, StackWhy::Growth, Some(110)));
    host.feed(6, stack(50, 51, StackWhy::Growth, Some(90)));
    assert_eq!(
        host.told(50),
        [
            "rss 104",
            "Growth of 50 +5 leak:8 main:8",
            "rss 108",
            "Growth of 51 +5 leak:8 main:8",
            "Growth of 51 -20 leak:8 main:8",
        ]
    );
}

#[test]
fn the_stacks_of_a_kill_are_told_before_it_whenever_they_come() {
    let mut host = known_python();
    host.feed(1, code(50, old(50), 0x1000, "leak"));
    host.feed(2, boxed_kill(sigkill(50, 50, Origin::Kernel)));
    // Another thread of it dies before the mark.
    host.feed(3, stack(50, 51, StackWhy::Kill, None));
    host.feed(4, boxed_oom(oom(50, 50)));
    host.feed(5, stack(50, 50, StackWhy::Mark, None));
    host.feed(6, rss(50, 150));
    host.feed(7, stack(50, 50, StackWhy::Kill, None));
    host.feed(8, Kind::Exit(exit(50, 9)));
    host.flush(60);
    assert_eq!(
        host.told(50),
        [
            "Kill of 51 leak:8 ?:?",
            "Mark of 50 leak:8 ?:?",
            "Kill of 50 leak:8 ?:?",
            "oom by 50 own",
            "rss 150",
            "exit by signal 9",
            "ended"
        ]
    );
}

#[test]
fn a_kill_waits_for_the_first_stack_of_its_victim_and_a_moment_after_the_last() {
    let mut rules = python();
    rules.stacks = true;
    let mut host = Host::new(rules);
    host.found(task(50, "python3", 100));
    host.track.python(Tgid(50), Some(layout()));
    host.told(50);
    host.feed(2, boxed_oom(oom(50, 60)));
    host.flush(40);
    assert!(host.told(50).is_empty());
    host.feed(41, stack(50, 50, StackWhy::Kill, None));
    host.flush(50);
    assert!(host.told(50).is_empty());
    // Not longer than a report may take.
    host.flush(62);
    assert_eq!(host.told(50), ["Kill of 50 ?:? ?:?", "oom by 60 exiting"]);
}

#[test]
fn a_child_has_the_python_of_its_parent_until_it_runs_another_program() {
    let mut host = known_python();
    host.feed(1, Kind::Fork(fork(50, 51, "python3")));
    host.feed(2, code(51, old(51), 0x1000, "work"));
    host.feed(3, stack(51, 51, StackWhy::Growth, Some(9)));
    host.feed(4, exec(51, "python3"));
    host.feed(5, code(51, old(51), 0x1000, "other"));
    host.feed(6, stack(51, 51, StackWhy::Growth, Some(9)));
    assert_eq!(
        host.told(51),
        [
            "begin python3",
            "Growth of 51 +0 work:8 ?:?",
            "exec python3",
            "Growth of 51 +8 "
        ]
    );
}

#[test]
fn code_of_an_earlier_process_with_the_same_number_names_nothing() {
    let mut host = known_python();
    host.feed(1, code(50, ms(0), 0x1000, "stranger"));
    host.feed(2, stack(50, 50, StackWhy::Growth, Some(105)));
    assert_eq!(host.told(50), ["Growth of 50 +5 ?:? ?:?"]);
}

#[test]
fn that_a_python_is_not_known_is_told_once_of_each_program() {
    let mut host = Host::with_python(50);
    host.told(50);
    for ms in [1, 2] {
        host.unknown_python(ms, 50, "CPython 3.99");
    }
    assert_eq!(host.told(50), ["unknown python CPython 3.99"]);
    host.feed(3, exec(50, "python3"));
    host.told(50);
    host.unknown_python(4, 50, "CPython 4.0");
    assert_eq!(host.told(50), ["unknown python CPython 4.0"]);
}
