use super::host::*;
use crate::{
    event::{Kind, MarkSource},
    sample::memory_mb,
    targets::Targets,
    track::{Output, Rules},
    units::{Bytes, Tgid},
};

fn init(pid: u32, details: Option<&str>) -> Kind {
    let mut mark = checkpoint(pid, "bot", 60);
    mark.source = MarkSource::Init;
    mark.details = details.map(str::to_owned);
    Kind::Mark(Box::new(mark))
}

#[test]
fn a_process_that_ran_before_begins_with_its_memory_and_others_are_let_go() {
    let mut host = Host::with_python(50);
    host.found(task(60, "bash", 3));
    assert_eq!(host.told(50), ["begin python3"]);
    assert_eq!(host.told(60), [""; 0]);
    assert!(host.raw.contains(&Output::Release(Tgid(60))));
}

#[test]
fn steps_and_checkpoints_of_traced_processes_only_are_told() {
    let mut host = Host::with_python(50);
    host.feed(1, rss(50, 110));
    host.feed(2, rss(60, 110));
    host.feed(3, Kind::Mark(Box::new(checkpoint(50, "loaded", 120))));
    host.feed(4, Kind::Mark(Box::new(checkpoint(60, "loaded", 120))));
    assert_eq!(
        host.told(50),
        ["begin python3", "rss 110", "mark loaded 120"]
    );
    assert_eq!(host.told(60), [""; 0]);
}

#[test]
fn a_child_begins_with_its_first_own_entry() {
    let mut host = Host::with_python(50);
    host.feed(1, Kind::Fork(fork(50, 51, "python3")));
    assert_eq!(host.told(50)[1..], ["child 51"]);
    assert_eq!(host.told(51), [""; 0]);
    host.feed(2, rss(51, 6));
    assert_eq!(host.told(51), ["begin python3", "rss 6"]);
}

#[test]
fn a_child_that_execs_at_once_begins_as_its_own_program() {
    let mut host = Host::with_python(50);
    host.feed(1, Kind::Fork(fork(50, 51, "python3")));
    host.feed(2, rename(51, "ffmpeg"));
    host.feed(3, exec(51, "ffmpeg"));
    host.feed(4, Kind::Exit(exit(51, 256)));
    assert_eq!(host.told(51), ["begin ffmpeg", "exit 1", "ended"]);
}

#[test]
fn a_child_that_dies_without_an_entry_of_its_own_has_begun_all_the_same() {
    let mut host = Host::with_python(50);
    host.feed(1, Kind::Fork(fork(50, 51, "python3")));
    host.feed(2, Kind::Exit(exit(51, 0)));
    assert_eq!(host.told(51), ["begin python3", "exit 0", "ended"]);
}

#[test]
fn a_vfork_child_has_no_memory_of_its_own() {
    let mut host = Host::with_python(50);
    let mut vfork = fork(50, 51, "python3");
    vfork.shares_memory = true;
    host.feed(1, Kind::Fork(vfork));
    assert_eq!(host.track.person(Tgid(51)).unwrap().memory, None);
    host.feed(2, Kind::Exit(exit(51, 0)));
    assert_eq!(host.told(51), ["begin python3", "exit 0", "ended"]);
}

#[test]
fn children_are_left_alone_if_they_are_not_to_be_followed() {
    let mut host = Host::new(Rules {
        follow: false,
        ..python()
    });
    host.found(task(50, "python3", 100));
    host.feed(1, Kind::Fork(fork(50, 51, "python3")));
    host.feed(2, rss(51, 6));
    assert_eq!(host.told(50), ["begin python3"]);
    assert_eq!(host.told(51), [""; 0]);
    // Unless they become a target by themselves.
    host.feed(3, exec(51, "python3"));
    assert_eq!(host.told(51), ["begin python3"]);
}

#[test]
fn a_target_is_met_when_it_execs_or_renames() {
    let mut host = Host::new(python());
    host.found(task(60, "bash", 3));
    host.feed(1, Kind::Fork(fork(60, 61, "bash")));
    host.feed(2, exec(61, "python3"));
    assert_eq!(host.told(61), ["begin python3"]);
    host.feed(3, rename(60, "python3"));
    host.feed(4, rss(60, 4));
    assert_eq!(host.told(60), ["begin python3", "rss 4"]);
}

#[test]
fn a_program_that_becomes_a_target_by_exec_begins_with_its_new_arguments() {
    let mut host = Host::new(python());
    host.found(task(60, "bash", 3));
    // An exec renames first.
    host.feed(1, rename(60, "python3"));
    host.feed(1, exec(60, "python3"));
    assert_eq!(host.told(60), ["begin python3"]);
    let begun = host.raw.iter().find_map(|output| match output {
        Output::Entry(_, entry) => match &entry.what {
            crate::entry::What::Begin(begin) => Some(begin.program.args.clone()),
            _ => None,
        },
        _ => None,
    });
    assert_eq!(begun.unwrap(), ["python3", "new.py"]);
}

#[test]
fn a_rename_is_told_with_what_follows_and_not_twice_for_an_exec() {
    let mut host = Host::with_python(50);
    host.feed(1, rename(50, "a"));
    host.feed(2, rename(50, "b"));
    assert_eq!(host.told(50), ["begin python3", "rename a"]);
    host.feed(3, rss(50, 7));
    assert_eq!(host.told(50), ["rename b", "rss 7"]);
    host.feed(4, rename(50, "c"));
    host.feed(5, exec(50, "c"));
    assert_eq!(host.told(50), ["exec c"]);
    host.feed(6, rename(50, "c"));
    host.feed(7, rss(50, 8));
    assert_eq!(host.told(50), ["rss 8"]);
}

#[test]
fn a_name_that_was_taken_unheard_is_found_by_two_censuses_and_not_by_one() {
    let mut host = Host::with_python(50);
    host.found(task(60, "bash", 3));
    host.tasks = vec![task(50, "worker", 100), task(60, "python3", 3)];
    host.census(10_000);
    // It may still be told.
    assert_eq!(host.told(50), ["begin python3"]);
    host.feed(10_001, rename(50, "worker"));
    host.feed(10_002, rss(50, 101));
    assert_eq!(host.told(50), ["rename worker", "rss 101"]);
    host.census(20_000);
    host.feed(20_001, rss(60, 4));
    assert_eq!(host.told(60), ["begin python3", "rss 4"]);
    host.tasks = vec![task(50, "late", 101), task(60, "python3", 4)];
    host.census(30_000);
    host.census(40_000);
    host.feed(40_001, rss(50, 102));
    assert_eq!(host.told(50), ["rename late", "rss 102"]);
}

#[test]
fn a_traced_process_stays_traced_whatever_it_becomes() {
    let mut host = Host::with_python(50);
    host.feed(1, exec(50, "bash"));
    host.feed(2, rss(50, 3));
    assert_eq!(host.told(50), ["begin python3", "exec bash", "rss 3"]);
}

#[test]
fn an_exit_that_is_told_twice_counts_once() {
    let mut host = Host::with_python(50);
    host.feed(1, Kind::Exit(exit(50, 0)));
    host.feed(1, Kind::Exit(exit(50, 0)));
    host.feed(2, rss(50, 1));
    assert_eq!(host.told(50), ["begin python3", "exit 0", "ended"]);
}

#[test]
fn an_exit_tells_first_what_was_lost_on_the_way() {
    let mut host = Host::with_python(50);
    let mut end = exit(50, 0x8b);
    end.unsent = unsent(2, 3);
    host.feed(1, Kind::Exit(end));
    assert_eq!(
        host.told(50)[1..],
        [
            "lost CheckpointRecord 2",
            "lost RssRecord 3",
            "exit by signal 11",
            "ended"
        ]
    );
}

#[test]
fn a_pid_that_is_used_again_ends_the_life_that_had_it() {
    for reuse in 0..3 {
        let mut host = Host::with_python(50);
        match reuse {
            0 => {
                let mut again = fork(1, 50, "bash");
                again.started = ms(1);
                host.feed(1, Kind::Fork(again));
            }
            1 => {
                let Kind::Rename(mut again) = rename(50, "bash") else {
                    unreachable!()
                };
                again.started = ms(1);
                host.feed(1, Kind::Rename(again));
            }
            _ => {
                let mut again = task(50, "bash", 3);
                again.started = ms(1);
                host.tasks = vec![again];
                host.census(5000);
            }
        }
        host.feed(5001, rss(50, 3));
        // The end of the first process comes late: it is not the second one's.
        host.feed(5002, Kind::Exit(exit(50, 0)));
        assert_eq!(
            host.told(50)[1..],
            ["lost LifeRecord 1", "exit unheard", "ended"]
        );
        assert!(host.track.person(Tgid(50)).is_some());
    }
}

#[test]
fn an_end_that_was_missed_is_found_by_two_censuses_and_not_by_one() {
    let mut host = Host::with_python(50);
    host.census(10_000);
    assert_eq!(host.told(50), ["begin python3"]);
    host.census(20_000);
    assert_eq!(
        host.told(50),
        ["lost LifeRecord 1", "exit unheard", "ended"]
    );
    let mut host = Host::with_python(50);
    host.census(10_000);
    host.tasks = vec![task(50, "python3", 100)];
    host.census(20_000);
    host.tasks = Vec::new();
    host.census(30_000);
    assert!(host.track.is_traced(Tgid(50)));
}

#[test]
fn ends_that_are_told_late_are_not_taken_for_missed() {
    let mut host = Host::with_python(50);
    // Looked at again and again, while what happened long before is still being told.
    for taken in [20_000, 30_000, 40_000] {
        let mut out = Vec::new();
        host.track.flush(ms(10_000), &mut out);
        host.track.census(ms(10_000), ms(taken), &[], &mut out);
        host.answer(ms(10_000), out);
    }
    host.feed(10_001, rss(50, 90));
    host.feed(10_002, Kind::Exit(exit(50, 0)));
    assert_eq!(
        host.told(50),
        ["begin python3", "rss 90", "exit 0", "ended"]
    );
}

#[test]
fn a_thread_of_the_kernel_has_a_life_once_it_runs_a_program() {
    let targets = Targets {
        all: true,
        ..Targets::default()
    };
    let mut host = Host::new(Rules {
        targets,
        ..python()
    });
    host.feed(1, Kind::Fork(fork(2, 50, "kthreadd")));
    host.feed(2, rename(50, "kworker/0:1"));
    host.census(10_000);
    host.census(20_000);
    assert_eq!(host.story, []);
    host.feed(30_000, Kind::Fork(fork(2, 60, "kthreadd")));
    host.feed(30_001, exec(60, "modprobe"));
    assert_eq!(host.told(60), ["begin modprobe"]);
}

#[test]
fn a_fork_that_was_missed_is_found_by_a_census_and_followed() {
    let mut host = Host::with_python(50);
    let mut child = task(51, "worker", 8);
    child.parent = Tgid(50);
    host.tasks = vec![task(50, "python3", 100), child, task(60, "bash", 1)];
    host.census(10_000);
    assert_eq!(host.told(50)[1..], ["child 51"]);
    assert_eq!(host.told(51), ["begin worker"]);
    assert_eq!(
        host.track.person(Tgid(51)).unwrap().program.args,
        ["python3", "50.py"]
    );
    assert_eq!(host.told(60), [""; 0]);
}

#[test]
fn a_census_leaves_a_process_to_its_fork_that_is_still_under_way() {
    let mut host = Host::with_python(50);
    let mut young = task(51, "python3", 8);
    young.started = ms(9_999);
    young.parent = Tgid(50);
    host.tasks = vec![task(50, "python3", 100), young];
    host.census(10_000);
    assert_eq!(host.told(51), [""; 0]);
    let mut forked = fork(50, 51, "python3");
    forked.started = ms(9_999);
    host.feed(9_999, Kind::Fork(forked));
    host.feed(10_001, rss(51, 9));
    assert_eq!(host.told(51), ["begin python3", "rss 9"]);
}

#[test]
fn a_zombie_is_not_traced_and_keeps_nobody_alive() {
    let mut host = Host::new(python());
    let mut zombie = task(50, "python3", 0);
    zombie.memory.vms = Some(Bytes(0));
    host.found(zombie.clone());
    host.tasks = vec![zombie.clone()];
    host.census(10_000);
    assert_eq!(host.told(50), [""; 0]);

    let mut host = Host::with_python(50);
    host.feed(1, Kind::Exit(exit(50, 0)));
    host.tasks = vec![zombie];
    host.census(10_000);
    host.census(20_000);
    assert_eq!(host.told(50), ["begin python3", "exit 0", "ended"]);
}

#[test]
fn a_process_whose_leader_ended_before_its_threads_lives_on() {
    let mut host = Host::with_python(50);
    host.tasks = vec![task(50, "python3", 0)];
    host.census(10_000);
    host.census(20_000);
    host.census(30_000);
    host.feed(30_001, rss(50, 90));
    assert_eq!(host.told(50), ["begin python3", "rss 90"]);
}

#[test]
fn events_that_are_older_than_the_first_census_tell_nothing_new() {
    let mut host = Host::with_python(50);
    let before = crate::units::BootNanos(START - 1);
    host.at(before, rss(50, 1));
    host.at(before, rename(50, "bash"));
    host.at(before, exec(50, "bash"));
    host.at(before, Kind::Fork(fork(1, 50, "bash")));
    host.feed(1, rss(50, 2));
    assert_eq!(host.told(50), ["begin python3", "rss 2"]);
}

#[test]
fn a_process_that_moves_into_a_target_cgroup_is_met_by_a_census() {
    let mut host = Host::new(Rules {
        target_groups: vec![7],
        ..Rules::default()
    });
    let mut outside = task(60, "java", 3);
    outside.groups = vec![8, 1];
    host.found(outside.clone());
    host.tasks = vec![outside];
    host.census(10_000);
    assert_eq!(host.told(60), [""; 0]);
    host.tasks = vec![task(60, "java", 3)];
    host.census(20_000);
    assert_eq!(host.told(60), ["begin java"]);
    host.found(task(61, "java", 3));
    assert_eq!(host.told(61), ["begin java"]);
}

#[test]
fn the_programs_own_thresholds_are_read_and_bad_ones_are_not() {
    for (details, told) in [
        (Some("warning=800.0;critical=950.5"), "Some(800) Some(950)"),
        (Some("critical=1;x=2"), "None Some(1)"),
        (Some("warning=-5;critical=NaN"), "None None"),
        (Some("warning=inf;critical=1e300"), "None None"),
        (Some("warning=;critical"), "None None"),
        (Some("warningly=7;=;;"), "None None"),
        (Some("警告=800"), "None None"),
        (None, "None None"),
    ] {
        let mut host = Host::with_python(50);
        host.feed(1, init(50, details));
        assert_eq!(
            host.told(50)[1..],
            [format!("init Some(\"bot\") {told}")],
            "{details:?}"
        );
    }
}

#[test]
fn a_function_that_is_a_marker_is_told_by_the_users_name() {
    let mut host = Host::new(Rules {
        functions: [(1, "load".to_owned())].into(),
        ..python()
    });
    host.found(task(50, "python3", 100));
    for cookie in [1, 2] {
        let mut mark = checkpoint(50, "", 60);
        mark.source = MarkSource::Function(cookie);
        host.feed(cookie, Kind::Mark(Box::new(mark)));
    }
    assert_eq!(host.told(50)[1..], ["mark load 60", "mark marker 2 60"]);
}

#[test]
fn tracing_that_stops_ends_every_life_with_the_memory_that_is_known() {
    let mut host = Host::with_python(50);
    host.feed(1, rss(50, 123));
    host.feed(2, Kind::Fork(fork(50, 51, "python3")));
    host.detach(3);
    assert_eq!(
        host.told(50)[1..],
        ["rss 123", "child 51", "detach Some(123)", "ended"]
    );
    assert_eq!(host.told(51), ["begin python3", "detach None", "ended"]);
    assert_eq!(host.track.traced().count(), 0);
}

#[test]
fn mapped_libraries_are_looked_at() {
    let mut host = Host::with_python(50);
    host.feed(1, Kind::Loaded { pid: Tgid(50) });
    assert_eq!(host.raw.last(), Some(&Output::Discover(Tgid(50))));
}

#[test]
fn a_pid_that_is_wanted_later_is_met_at_its_exec() {
    let mut host = Host::new(Rules::default());
    host.track.want(Tgid(77));
    host.feed(1, exec(77, "anything"));
    assert_eq!(host.told(77), ["begin anything"]);
}

#[test]
fn more_processes_than_are_remembered_are_counted_and_pass_by() {
    let most = u32::try_from(crate::track::people::MOST).unwrap();
    let mut host = Host::with_python(50);
    for pid in 100..100 + most - 1 {
        host.feed(1, Kind::Fork(fork(1, pid, "x")));
    }
    assert_eq!(host.told(0), [""; 0]);
    let pid = 100 + most;
    host.feed(2, Kind::Fork(fork(50, pid, "python3")));
    host.feed(2, rename(pid, "y"));
    host.feed(2, exec(pid, "python3"));
    host.feed(3, Kind::Exit(exit(pid, 0)));
    assert_eq!(host.told(0), ["too many"; 3]);
    assert_eq!(host.told(pid), [""; 0]);
    // Who is known already is still served.
    host.feed(4, exec(50, "bash"));
    host.feed(5, Kind::Exit(exit(50, 0)));
    assert_eq!(host.told(50)[1..], ["exec bash", "exit 0", "ended"]);
}

#[test]
fn memory_after_an_exec_is_the_new_programs() {
    let mut host = Host::with_python(50);
    host.feed(1, exec(50, "bash"));
    assert_eq!(
        host.track.person(Tgid(50)).unwrap().memory,
        Some(memory_mb(1))
    );
    host.detach(2);
    assert_eq!(host.told(50)[2..], ["detach Some(1)", "ended"]);
}

#[test]
fn the_libraries_of_those_who_are_not_traced_are_not_searched() {
    let mut host = Host::with_python(50);
    let discovered = |host: &mut Host, pid: u32| {
        host.raw.clear();
        host.feed(1, Kind::Loaded { pid: Tgid(pid) });
        host.raw.contains(&Output::Discover(Tgid(pid)))
    };
    assert!(discovered(&mut host, 50));
    host.feed(2, exec(70, "bash"));
    for pid in [70, 80] {
        assert!(!discovered(&mut host, pid), "{pid}");
    }
}
