use super::host::*;
use crate::{
    event::{Kind, Origin, Reclaim},
    loss,
    units::{BootNanos, Tgid, Tid},
};

const KERNEL: Origin = Origin::Kernel;

#[test]
fn an_oom_kill_is_told_behind_its_neighbours_and_before_all_that_came_after_it() {
    let mut host = Host::with_python(50);
    host.tasks = vec![task(50, "python3", 200), task(60, "bash", 3)];
    host.feed(1, rss(50, 180));
    host.at(ms(2), boxed_kill(sigkill(50, 50, KERNEL)));
    host.at(BootNanos(ms(2).0 + 50_000), boxed_oom(oom(50, 50)));
    host.feed(3, rss(50, 201));
    host.feed(4, Kind::Exit(exit(50, 9)));
    assert_eq!(host.told(50), ["begin python3", "rss 180"]);
    host.flush(30);
    assert_eq!(
        host.told_all(50),
        [
            "near 50:100>200 60:3>3",
            "oom by 50 own",
            "rss 201",
            "exit by signal 9",
            "ended"
        ]
    );
    assert!(!host.track.awaits_kill() && !host.track.is_traced(Tgid(50)));
}

#[test]
fn what_came_between_the_signal_and_the_mark_is_told_before_the_kill() {
    let mut host = Host::with_python(50);
    host.feed(1, rename(50, "worker"));
    host.feed(2, boxed_kill(sigkill(50, 50, KERNEL)));
    host.feed(3, rss(50, 180));
    host.feed(4, boxed_oom(oom(50, 50)));
    host.flush(30);
    assert_eq!(
        host.told(50),
        ["begin python3", "rename worker", "rss 180", "oom by 50 own"],
    );
}

#[test]
fn an_exit_that_is_reported_before_the_mark_still_comes_last_and_keeps_the_arguments() {
    let mut host = Host::with_python(50);
    host.feed(2, boxed_kill(sigkill(50, 60, KERNEL)));
    host.feed(3, Kind::Exit(exit(50, 9)));
    host.tasks = vec![task(50, "python3", 0), task(60, "java", 80)];
    host.feed(4, boxed_oom(oom(50, 60)));
    host.flush(30);
    assert_eq!(
        host.told_all(50),
        [
            "begin python3",
            "near 50:100>200 60:80>80",
            "oom by 60",
            "exit by signal 9",
            "ended"
        ]
    );
    assert_eq!(host.kills()[0].victim.args, ["python3", "50.py"]);
    assert!(host.track.person(Tgid(50)).is_none());
}

#[test]
fn a_group_kill_names_all_its_victims_to_each() {
    let mut host = Host::with_python(50);
    host.found(task(51, "python3", 10));
    for (at, pid) in [(1, 50), (2, 51)] {
        host.feed(at, boxed_kill(sigkill(pid, 50, KERNEL)));
        host.feed(at, boxed_oom(oom(pid, 50)));
    }
    host.feed(3, boxed_oom(oom(52, 50)));
    // The group's kill signals its first victim again, which is pending already.
    let mut again = sigkill(50, 50, KERNEL);
    again.effective = false;
    host.feed(3, boxed_kill(again));
    host.flush(40);
    assert_eq!(host.told(50)[1..], ["oom by 50 own with [51, 52]"]);
    assert_eq!(host.told(51)[1..], ["oom by 50 with [52, 50]"]);
    assert_eq!(host.told(52), ["untraced kill"]);
}

#[test]
fn kills_of_one_thread_in_two_cgroups_or_long_apart_are_two_ooms() {
    let mut host = Host::with_python(50);
    host.found(task(51, "python3", 10));
    host.found(task(52, "python3", 10));
    host.feed(1, boxed_oom(oom(50, 9)));
    let mut elsewhere = oom(51, 9);
    elsewhere.groups = vec![group(8, "other", 64, Some(64)), group(1, "", 900, None)];
    host.feed(2, boxed_oom(elsewhere));
    host.feed(2000, boxed_oom(oom(52, 9)));
    host.flush(3000);
    for pid in [50, 51, 52] {
        let told = host.told(pid);
        assert_eq!(told[1], "oom by 9 exiting", "{told:?}");
    }
}

#[test]
fn a_thread_that_reclaims_again_in_between_meets_a_second_oom() {
    let mut host = Host::with_python(50);
    host.found(task(51, "python3", 10));
    for (at, pid, reclaimed) in [(10, 50, 9), (15, 51, 14)] {
        let mut mark = oom(pid, 9);
        mark.reclaim = Some(Reclaim {
            memcg: true,
            at: ms(reclaimed),
            gfp: 0xcc0,
            order: 0,
        });
        host.feed(at, boxed_oom(mark));
    }
    host.flush(100);
    for pid in [50, 51] {
        assert_eq!(host.told(pid)[1], "oom by 9 exiting");
    }
}

#[test]
fn victims_of_one_oom_wait_for_each_other_but_not_for_long() {
    let mut host = Host::with_python(50);
    host.found(task(51, "python3", 10));
    host.feed(1, boxed_oom(oom(50, 9)));
    assert_eq!(host.track.deadline(), Some(ms(21)));
    host.feed(15, boxed_oom(oom(51, 9)));
    assert_eq!(host.track.deadline(), Some(ms(35)));
    host.flush(35);
    assert_eq!(host.told(50)[1], "oom by 9 exiting with [51]");
}

#[test]
fn a_second_mark_of_a_victim_by_another_thread_is_no_second_kill() {
    let mut host = Host::with_python(50);
    for (at, tid) in [(1, 50), (2, 53), (500, 54)] {
        let mut mark = oom(50, 50);
        mark.tid = Tid(tid);
        mark.trigger_tid = Tid(tid);
        host.feed(at, boxed_oom(mark));
    }
    host.flush(1000);
    assert_eq!(host.kills().len(), 1);
}

#[test]
fn a_mark_without_a_signal_of_its_sender_is_of_a_process_that_was_dying_already() {
    let mut host = Host::with_python(50);
    host.feed(1, boxed_oom(oom(50, 50)));
    host.flush(40);
    assert_eq!(host.told(50)[1], "oom by 50 own exiting");
}

#[test]
fn a_killed_process_that_is_marked_as_well_gets_both_told() {
    let mut host = Host::with_python(50);
    // The CPU limit's signal, then the mark of somebody else's OOM.
    host.feed(1, boxed_kill(sigkill(50, 50, KERNEL)));
    host.feed(10, boxed_oom(oom(50, 60)));
    host.feed(11, Kind::Exit(exit(50, 9)));
    host.flush(25);
    host.flush(60);
    assert_eq!(
        host.told(50),
        [
            "begin python3",
            "CpuLimit by c50",
            "oom by 60 exiting",
            "exit by signal 9",
            "ended"
        ]
    );
}

#[test]
fn who_shares_the_victims_memory_is_signalled_without_a_mark_and_told_as_its_companion() {
    let mut host = Host::with_python(50);
    host.found(task(51, "python3", 10));
    host.feed(1, boxed_kill(sigkill(50, 9, KERNEL)));
    host.feed(1, boxed_oom(oom(50, 9)));
    host.feed(2, boxed_kill(sigkill(51, 9, KERNEL)));
    host.feed(3, Kind::Exit(exit(51, 9)));
    host.flush(40);
    assert_eq!(
        host.told(51)[1..],
        ["oom by 9 with [50]", "exit by signal 9", "ended"]
    );
    let kill = &host.kills()[1];
    assert_eq!((kill.victim.pid, kill.victim.uid), (Tgid(51), Some(1000)));
    assert_eq!((kill.oom_score_adj, kill.printed), (None, None));
}

#[test]
fn a_victim_is_not_its_own_companion_when_its_signal_comes_after_its_mark() {
    let mut host = Host::with_python(50);
    host.feed(1, boxed_oom(oom(50, 9)));
    host.feed(2, boxed_kill(sigkill(50, 9, KERNEL)));
    host.feed(3, Kind::Exit(exit(50, 9)));
    host.flush(40);
    assert_eq!(
        host.told(50)[1..],
        ["oom by 9 exiting", "exit by signal 9", "ended"]
    );
}

#[test]
fn a_killer_that_is_not_the_oom_killer_is_named_with_its_way() {
    for (origin, group, sender, told) in [
        (Origin::Code(0), true, 9, "Kill by c9"),
        (Origin::Code(-1), true, 9, "Kill by c9"),
        (Origin::Code(-6), false, 9, "Tkill by c9"),
        (Origin::Code(128), true, 9, "Kernel by c9"),
        (Origin::NoInfo, false, 9, "CgroupKill by c9"),
        // As kill(2) is seen since 7.3, and cgroup.kill without BTF.
        (Origin::NoInfo, true, 9, "Kill by c9"),
        (Origin::Code(0), false, 9, "CgroupKill by c9"),
        (KERNEL, true, 50, "CpuLimit by c50"),
        (KERNEL, true, 9, "PidNamespace by c9"),
    ] {
        let mut host = Host::with_python(50);
        let mut kill = sigkill(50, sender, origin);
        kill.group = group;
        host.feed(1, boxed_kill(kill));
        host.feed(2, Kind::Exit(exit(50, 9)));
        host.flush(40);
        assert_eq!(
            host.told(50)[1..],
            [told, "exit by signal 9", "ended"],
            "{origin:?}"
        );
    }
}

#[test]
fn a_signal_that_is_ignored_or_pending_already_is_not_told() {
    let mut host = Host::with_python(50);
    let mut kill = sigkill(50, 9, Origin::Code(0));
    kill.effective = false;
    host.feed(1, boxed_kill(kill));
    assert_eq!(host.told(50), ["begin python3"]);
}

#[test]
fn a_signal_of_the_kernel_that_no_mark_explains_is_told_after_a_moment_and_not_before() {
    let mut host = Host::with_python(50);
    host.feed(1, boxed_kill(sigkill(50, 50, KERNEL)));
    host.flush(20);
    assert_eq!(host.told(50), ["begin python3"]);
    assert_eq!(host.track.deadline(), Some(ms(21)));
    host.flush(21);
    assert_eq!(host.told(50), ["CpuLimit by c50"]);
}

#[test]
fn the_next_event_tells_a_kill_whose_time_has_come() {
    let mut host = Host::with_python(50);
    host.feed(1, boxed_oom(oom(50, 50)));
    host.feed(100, rss(50, 3));
    assert_eq!(host.told(50)[1..], ["oom by 50 own exiting", "rss 3"]);
}

#[test]
fn more_signals_than_are_remembered_leave_nobody_waiting() {
    let mut host = Host::with_python(50);
    host.feed(1, boxed_kill(sigkill(50, 50, KERNEL)));
    for pid in 0..1024 {
        host.feed(2, boxed_kill(sigkill(10_000 + pid, 3, KERNEL)));
    }
    assert_eq!(host.told(50), ["begin python3", "CpuLimit by c50"]);
    let mut host = Host::with_python(50);
    host.feed(1, boxed_oom(oom(50, 50)));
    for pid in 0..1024 {
        host.feed(2, boxed_oom(oom(10_000 + pid, 3)));
    }
    assert_eq!(host.told(50)[1], "oom by 50 own exiting");
}

#[test]
fn tracing_that_stops_tells_the_kills_that_wait() {
    let mut host = Host::with_python(50);
    host.found(task(51, "python3", 10));
    host.feed(1, boxed_kill(sigkill(50, 50, KERNEL)));
    host.feed(1, boxed_oom(oom(50, 50)));
    host.feed(2, Kind::Exit(exit(50, 9)));
    host.detach(3);
    assert_eq!(
        host.told(50)[1..],
        ["oom by 50 own", "exit by signal 9", "ended"]
    );
    assert_eq!(host.told(51)[1..], ["detach Some(10)", "ended"]);
}

#[test]
fn a_life_that_ends_unheard_while_its_kill_waits_is_told_in_full() {
    let mut host = Host::with_python(50);
    host.feed(1, boxed_oom(oom(50, 50)));
    let mut reused = fork(1, 50, "bash");
    reused.started = ms(2);
    host.feed(2, Kind::Fork(reused));
    host.flush(40);
    assert_eq!(
        host.told(50)[1..],
        [
            "oom by 50 own exiting",
            "lost LifeRecord 1",
            "exit unheard",
            "ended"
        ]
    );
}

#[test]
fn an_untraced_victim_is_told_once_and_by_its_arguments() {
    let mut host = Host::new(python());
    host.found(task(70, "java", 100));
    host.feed(1, boxed_kill(sigkill(70, 70, KERNEL)));
    host.feed(1, boxed_oom(oom(70, 70)));
    host.feed(2, Kind::Exit(exit(70, 9)));
    host.flush(40);
    assert_eq!(host.told(70), ["untraced kill"]);
    assert_eq!(host.kills()[0].victim.args, ["java", "70.py"]);
    assert!(host.track.person(Tgid(70)).is_none());
}

#[test]
fn a_reclaim_of_long_ago_says_nothing_of_the_kill() {
    for (reclaim_at, expected) in [(ms(0), Some(3)), (BootNanos(START - 10_000_000_000), None)] {
        let mut host = Host::with_python(50);
        let mut mark = oom(50, 50);
        mark.reclaim = Some(crate::event::Reclaim {
            memcg: true,
            at: reclaim_at,
            gfp: 0xcc0,
            order: 3,
        });
        host.feed(1, boxed_oom(mark));
        host.flush(40);
        assert_eq!(host.kills()[0].order, expected);
    }
}

#[test]
fn lost_records_are_told_to_every_life_and_those_of_one_to_that_one() {
    let mut host = Host::with_python(50);
    host.found(task(51, "python3", 10));
    let mut out = Vec::new();
    host.track.lost(ms(1), loss::Kind::KillRecord, 2, &mut out);
    let lost = crate::entry::Lost {
        kind: loss::Kind::RssRecord,
        count: 3,
    };
    host.track.lost_by(ms(2), Tgid(51), lost, &mut out);
    host.answer(ms(2), out);
    assert_eq!(host.told(50)[1..], ["lost KillRecord 2"]);
    assert_eq!(
        host.told(51)[1..],
        ["lost KillRecord 2", "lost RssRecord 3"]
    );
}

#[test]
fn what_was_lost_is_told_once_with_the_kill_and_what_came_after_it_with_the_end() {
    let mut end = exit(50, 9);
    end.unsent = unsent(5, 7);
    let mut mark = oom(50, 50);
    mark.unsent = unsent(5, 4);
    let mut host = Host::with_python(50);
    host.feed(1, boxed_oom(mark.clone()));
    host.feed(2, Kind::Exit(end.clone()));
    host.flush(40);
    assert_eq!(
        host.told(50)[1..],
        [
            "lost CheckpointRecord 5",
            "lost RssRecord 4",
            "oom by 50 own exiting",
            "lost RssRecord 3",
            "exit by signal 9",
            "ended"
        ]
    );
    let mut host = Host::with_python(50);
    host.feed(1, boxed_kill(sigkill(50, 50, KERNEL)));
    host.feed(2, Kind::Exit(end));
    host.feed(3, boxed_oom(mark));
    host.flush(40);
    assert_eq!(
        host.told(50)[1..],
        [
            "lost CheckpointRecord 5",
            "lost RssRecord 7",
            "oom by 50 own",
            "exit by signal 9",
            "ended"
        ]
    );
}
