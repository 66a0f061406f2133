use std::sync::Arc;

use super::host::*;
use crate::{
    entry::{Entry, Native, PythonState, StackWhy, What},
    event::{Kind, MappedFile, Mapping, Mappings, Origin, Stack},
    python::layout::{Layout, Version},
    track::Output,
    units::{Bytes, Tgid, Tid},
};

fn mappings() -> Mappings {
    let file = MappedFile {
        path: "/srv/prog".into(),
        identity: None,
    };
    Mappings::new(vec![Mapping {
        start: 0x1000,
        end: 0x5000,
        offset: 0x1000,
        file: Arc::new(file),
    }])
}

/// A traced program without Python whose mappings are known.
fn program() -> Host {
    let mut host = Host::with_python(50);
    host.track.mapped(Tgid(50), mappings());
    host.told(50);
    host
}

fn stack(why: StackWhy, natives: &[u64]) -> Kind {
    stack_of(50, why, natives)
}

fn stack_of(pid: u32, why: StackWhy, natives: &[u64]) -> Kind {
    Kind::Stack(Box::new(Stack {
        pid: Tgid(pid),
        started: old(pid),
        tid: Tid(pid),
        comm: "prog".to_owned(),
        why,
        rss: (why == StackWhy::Growth).then(|| Bytes::from_mb(104)),
        python: PythonState::Unknown,
        frames: Vec::new(),
        omitted: 0,
        natives: natives.to_vec(),
    }))
}

fn native(function: &str) -> Native {
    Native {
        file: Some("/srv/prog".into()),
        at: 0x1234,
        function: Some(function.into()),
        ..Native::default()
    }
}

/// The numbers of the stacks that were asked for.
fn asked(host: &Host) -> Vec<u64> {
    let ask = |output: &Output| match output {
        Output::Name(ask) => Some(ask.number),
        _ => None,
    };
    host.raw.iter().filter_map(ask).collect()
}

/// Names the last stack that was asked for.
fn answer(host: &mut Host, at_ms: u64, functions: &[&str]) {
    let number = *asked(host).last().expect("a stack was asked for");
    answer_to(host, number, at_ms, functions);
}

fn answer_to(host: &mut Host, number: u64, at_ms: u64, functions: &[&str]) {
    let frames = functions.iter().map(|name| native(name)).collect();
    let mut out = Vec::new();
    host.track.named(number, frames, &mut out);
    host.answer(ms(at_ms), out);
}

/// The native frames of the stacks that were told, and what else was told of kill and end.
fn told(host: &Host) -> Vec<String> {
    let name = |frame: &Native| match &frame.function {
        Some(name) => name.to_string(),
        None => format!("{:#x}", frame.at),
    };
    let one = |output: &Output| match output {
        Output::Entry(_, Entry { what, .. }) => match what {
            What::Stack(stack) => {
                let frames: Vec<String> = stack.natives.iter().map(name).collect();
                Some(frames.join(" "))
            }
            What::OomKill(_) => Some("oom".to_owned()),
            What::Sigkill(_) => Some("sigkill".to_owned()),
            What::Exit(_) => Some("exit".to_owned()),
            What::Checkpoint(checkpoint) => Some(checkpoint.name.clone()),
            _ => None,
        },
        Output::Ended(..) => Some("ended".to_owned()),
        _ => None,
    };
    host.raw.iter().filter_map(one).collect()
}

#[test]
fn a_stack_waits_for_its_names() {
    let mut host = program();
    host.feed(1, stack(StackWhy::Growth, &[0x1234, 0x2000]));
    assert!(told(&host).is_empty());
    answer(&mut host, 2, &["grow", "main"]);
    assert_eq!(told(&host), ["grow main"]);
    assert!(host.track.deadline().is_none());
}

#[test]
fn a_stack_that_nobody_names_is_told_with_what_is_sure() {
    let mut host = program();
    host.feed(1, stack(StackWhy::Growth, &[0x1234, 0x2000]));
    host.flush(1000);
    assert!(told(&host).is_empty());
    host.flush(1001);
    assert_eq!(told(&host), ["0x1234"]);
    // An answer that comes later finds nobody.
    answer(&mut host, 1100, &["grow"]);
    assert_eq!(told(&host), ["0x1234"]);
}

#[test]
fn an_oom_kill_waits_for_the_names_of_its_stacks_but_not_for_long() {
    for (answered, first) in [(true, "fill grow"), (false, "0x1300")] {
        let mut host = program();
        host.track.rules.stacks = true;
        host.feed(10, boxed_kill(sigkill(50, 50, Origin::Kernel)));
        host.feed(10, boxed_oom(oom(50, 50)));
        host.feed(11, stack(StackWhy::Kill, &[0x1300]));
        host.feed(12, Kind::Exit(exit(50, 9)));
        host.flush(50);
        assert!(told(&host).is_empty());
        if answered {
            answer(&mut host, 55, &["fill", "grow"]);
            host.flush(56);
        } else {
            host.flush(75);
        }
        assert_eq!(told(&host), [first, "oom", "exit", "ended"]);
    }
}

/// The mark has waited for as long as it may, its stack not yet.
#[test]
fn a_kill_that_is_told_before_its_stack_has_names_is_told_all_the_same() {
    let mut host = program();
    host.track.rules.stacks = true;
    host.feed(10, boxed_kill(sigkill(50, 60, Origin::Kernel)));
    host.feed(10, boxed_oom(oom(50, 60)));
    host.feed(11, stack(StackWhy::Kill, &[0x1300]));
    host.feed(12, Kind::Exit(exit(50, 9)));
    host.flush(40);
    assert!(told(&host).is_empty());
    host.flush(70);
    assert_eq!(told(&host), ["0x1300", "oom", "exit", "ended"]);
}

#[test]
fn the_end_of_a_process_that_was_killed_waits_for_its_stack() {
    let mut host = program();
    host.feed(10, boxed_kill(sigkill(50, 60, Origin::Code(0))));
    host.feed(11, stack(StackWhy::Kill, &[0x1300]));
    host.feed(12, Kind::Exit(exit(50, 9)));
    assert_eq!(told(&host), ["sigkill"]);
    answer(&mut host, 13, &["sleep"]);
    assert_eq!(told(&host), ["sigkill", "sleep", "exit", "ended"]);
}

/// Growth is charged to the checkpoint before which it came.
#[test]
fn what_a_process_does_while_its_growth_has_no_names_is_told_behind_it() {
    let mut host = program();
    let mark = |name| Kind::Mark(Box::new(checkpoint(50, name, 104)));
    host.feed(1, mark("load"));
    host.feed(2, stack(StackWhy::Growth, &[0x1234]));
    host.feed(3, mark("train"));
    host.feed(4, stack(StackWhy::Growth, &[0x1234]));
    host.feed(5, mark("save"));
    assert_eq!(told(&host), ["load"]);
    let [first, second] = asked(&host)[..] else {
        panic!("two stacks were asked for")
    };
    answer_to(&mut host, first, 6, &["grow"]);
    assert_eq!(told(&host), ["load", "grow", "train"]);
    answer_to(&mut host, second, 7, &["more"]);
    assert_eq!(told(&host)[3..], ["more", "save"]);
    host.feed(8, mark("end"));
    assert_eq!(told(&host)[5..], ["end"]);
}

#[test]
fn sigkill_is_told_behind_growth_that_came_before_it() {
    let mut host = program();
    host.feed(9, stack(StackWhy::Growth, &[0x1234]));
    host.feed(10, boxed_kill(sigkill(50, 60, Origin::Code(0))));
    host.feed(12, Kind::Exit(exit(50, 9)));
    host.flush(100);
    assert_eq!(told(&host), ["0x1234", "sigkill", "exit", "ended"]);
}

#[test]
fn growth_is_told_before_the_end_of_its_process() {
    let mut host = program();
    host.feed(1, stack(StackWhy::Growth, &[0x1234]));
    host.feed(2, Kind::Exit(exit(50, 0)));
    assert_eq!(told(&host), ["0x1234", "exit", "ended"]);
}

#[test]
fn a_child_runs_the_code_of_its_parent_until_it_runs_another_program() {
    let mut host = program();
    host.feed(1, Kind::Fork(fork(50, 51, "python3")));
    host.feed(2, stack_of(51, StackWhy::Growth, &[0x1234]));
    assert_eq!(asked(&host).len(), 1);
    host.feed(3, exec(51, "python3"));
    host.feed(4, stack_of(51, StackWhy::Growth, &[0x1234]));
    assert_eq!(asked(&host).len(), 1, "nothing is known of the new program");
}

#[test]
fn under_python_only_what_it_called_is_told() {
    let mut host = program();
    let layout = Layout::of(Version { major: 3, minor: 9 }).unwrap();
    host.track.python(Tgid(50), Some(layout));
    let Kind::Stack(mut taken) = stack(StackWhy::Kill, &[0x1234]) else {
        unreachable!("it is a stack")
    };
    taken.python = PythonState::Whole;
    taken.frames = vec![crate::event::Frame { code: 1, offset: 0 }];
    host.feed(1, Kind::Stack(taken));
    let frames = ["fill", "call_function", "_PyEval_EvalFrameDefault", "main"];
    answer(&mut host, 2, &frames);
    assert_eq!(told(&host), ["fill call_function"]);
}
