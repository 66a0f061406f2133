//! Whatever the order of events, the stories stay sound.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::host::*;
use crate::{
    entry::{Entry, What},
    event::{Kind, Origin},
    track::{LifeId, Output, Rules},
    units::{BootNanos, Tgid},
};

#[derive(Debug, Clone)]
enum Step {
    Rss(u32),
    Fork(u32, u32, u64),
    Exec(u32, bool),
    Rename(u32, bool),
    Exit(u32),
    Mark(u32),
    Sigkill(u32, u32, u8, bool),
    Oom(u32, u32),
    Census(Vec<u32>),
    Flush,
}

/// Few pids, so that they meet.
fn pid() -> impl Strategy<Value = u32> {
    50..54_u32
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        pid().prop_map(Step::Rss),
        (pid(), pid(), 0..3_u64)
            .prop_map(|(parent, child, start)| Step::Fork(parent, child, start)),
        (pid(), any::<bool>()).prop_map(|(pid, target)| Step::Exec(pid, target)),
        (pid(), any::<bool>()).prop_map(|(pid, target)| Step::Rename(pid, target)),
        pid().prop_map(Step::Exit),
        pid().prop_map(Step::Mark),
        (pid(), pid(), 0..3_u8, any::<bool>())
            .prop_map(|(pid, sender, how, works)| Step::Sigkill(pid, sender, how, works)),
        (pid(), pid()).prop_map(|(pid, trigger)| Step::Oom(pid, trigger)),
        prop::collection::vec(pid(), 0..4).prop_map(Step::Census),
        Just(Step::Flush),
    ]
}

/// What the kernel knows of processes.
#[derive(Default)]
struct Kernel {
    /// When the process that has this pid now began: at boot, or with its last fork.
    starts: HashMap<u32, BootNanos>,
    /// To whom SIGKILL was sent: a second one has no effect.
    killed: HashSet<(u32, BootNanos)>,
}

fn play(host: &mut Host, kernel: &mut Kernel, at: u64, step: Step) {
    let Kernel { starts, killed } = kernel;
    let comm = |target: bool| if target { "python3" } else { "bash" };
    let of =
        |starts: &HashMap<u32, BootNanos>, pid: u32| starts.get(&pid).copied().unwrap_or(old(pid));
    let kind = match step {
        Step::Rss(pid) => rss(pid, at),
        Step::Fork(parent, child, start) => {
            if start > 0 {
                starts.insert(child, ms(at));
            }
            let mut fork = fork(parent, child, "python3");
            fork.started = of(starts, child);
            Kind::Fork(fork)
        }
        Step::Exec(pid, target) => {
            let mut kind = exec(pid, comm(target));
            if let Kind::Exec(exec) = &mut kind {
                exec.started = of(starts, pid);
            }
            kind
        }
        Step::Rename(pid, target) => {
            let mut kind = rename(pid, comm(target));
            if let Kind::Rename(rename) = &mut kind {
                rename.started = of(starts, pid);
            }
            kind
        }
        Step::Exit(pid) => {
            let mut exit = exit(pid, 9);
            exit.started = of(starts, pid);
            Kind::Exit(exit)
        }
        Step::Mark(pid) => Kind::Mark(Box::new(checkpoint(pid, "here", at))),
        Step::Sigkill(pid, sender, how, works) => {
            let origin = [Origin::Kernel, Origin::NoInfo, Origin::Code(0)][usize::from(how)];
            let mut kill = sigkill(pid, sender, origin);
            kill.started = of(starts, pid);
            kill.effective = works && killed.insert((pid, kill.started));
            boxed_kill(kill)
        }
        Step::Oom(pid, trigger) => {
            let mut mark = oom(pid, trigger);
            mark.started = of(starts, pid);
            boxed_oom(mark)
        }
        Step::Census(pids) => {
            host.tasks = pids
                .into_iter()
                .map(|pid| {
                    let mut task = task(pid, "python3", at % 2);
                    task.started = of(starts, pid);
                    task.parent = Tgid(50);
                    task
                })
                .collect();
            return host.census(at);
        }
        Step::Flush => return host.flush(at),
    };
    host.feed(at, kind);
}

/// What was told of one life so far.
#[derive(Debug)]
struct Told {
    pid: Tgid,
    /// The instant of its last entry that is not of a kill.
    latest: BootNanos,
    /// OOM kills, without those of somebody who was dying already.
    kills: u32,
    is_closed: bool,
}

fn is_sound(raw: &[Output]) -> Result<(), TestCaseError> {
    let mut alive: HashMap<LifeId, Told> = HashMap::new();
    let mut ended: HashSet<LifeId> = HashSet::new();
    for output in raw {
        match output {
            Output::Entry(life, entry) => {
                prop_assert!(!ended.contains(life), "an entry after the end");
                if let What::Begin(begin) = &entry.what {
                    let told = Told {
                        pid: begin.pid,
                        latest: entry.at,
                        kills: 0,
                        is_closed: false,
                    };
                    prop_assert!(alive.insert(*life, told).is_none(), "begun twice");
                }
                let told = alive.get_mut(life);
                let told = told.ok_or_else(|| TestCaseError::fail("not begun"))?;
                tells(told, entry)?;
            }
            Output::Ended(life, pid) => {
                let told = alive.remove(life);
                let told = told.ok_or_else(|| TestCaseError::fail("ended, but not begun"))?;
                prop_assert_eq!(told.pid, *pid, "ended as somebody else");
                prop_assert!(told.is_closed, "ended without an end");
                ended.insert(*life);
            }
            _ => {}
        }
    }
    prop_assert!(
        alive.is_empty(),
        "still alive after everything ended: {alive:?}"
    );
    Ok(())
}

/// One entry of a life that has begun and not ended.
fn tells(told: &mut Told, entry: &Entry) -> Result<(), TestCaseError> {
    prop_assert!(!told.is_closed, "an exit is the last entry");
    // A kill is told where it makes sense, whose instant the kernel may report a moment later: after
    // the beginning of a life that begins with it, and before the end that it caused.
    let is_of_kill = matches!(
        entry.what,
        What::OomKill(_) | What::Sigkill(_) | What::Neighbours(_) | What::Lost(_)
    );
    if !is_of_kill {
        prop_assert!(told.latest <= entry.at, "an entry before the one before it");
        told.latest = entry.at;
    }
    match &entry.what {
        What::Exit(_) | What::Detach { .. } => told.is_closed = true,
        What::OomKill(kill) => told.kills += u32::from(!kill.already_exiting),
        _ => {}
    }
    prop_assert!(told.kills <= 1, "one OOM kill is told twice");
    Ok(())
}

/// Of whom the kernel need not tell any more, no life goes on.
fn released(host: &Host, since: usize) -> Result<(), TestCaseError> {
    for output in &host.raw[since..] {
        if let Output::Release(pid) = output {
            prop_assert!(!host.track.is_traced(*pid), "released and still traced");
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_order_of_events_gives_sound_stories(
        steps in prop::collection::vec((step(), 0..15_u64), 0..60),
        follow: bool,
    ) {
        let mut host = Host::new(Rules { follow, ..python() });
        host.found(task(50, "python3", 100));
        let mut kernel = Kernel::default();
        let (mut at, mut told) = (0, 0);
        for (step, later) in steps {
            at += later;
            play(&mut host, &mut kernel, at, step);
            released(&host, told)?;
            told = host.raw.len();
            let waits = host.track.awaits_kill();
            prop_assert!(waits || host.track.kills.is_idle(), "somebody waits for nothing");
        }
        host.detach(at);
        is_sound(&host.raw)?;
    }
}
