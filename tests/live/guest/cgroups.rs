//! cgroup v2: nested limits, groups that die together, `cgroup.kill`.

use std::fs;

use memtrace::entry::SigkillKind;

use crate::live::rig::{Cgroup, Memtrace, Victim, kernel_is_before, needs_guest};

/// A group, and that it is of version 2.
fn group(limit_mib: u64) -> Cgroup {
    needs_guest();
    let group = Cgroup::new(limit_mib);
    assert_eq!(group.limit_file(), "memory.max");
    group
}

#[test]
fn the_middle_of_three_nested_limits_is_named() {
    let outer = group(300);
    let middle = outer.below("middle", 64);
    let inner = middle.below("inner", 200);
    let mut victim = Victim::start("hog", &["--mark", "大表"]);
    inner.add(victim.pid());
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    memtrace.wait_for_checkpoints_in("/hog");
    victim.say("");
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(victim.pid());
    life.assert_verdict(&[
        "💀 被内核 OOM 杀死: PID ",
        &format!("cgroup {}: memory.max 64.00MB", middle.path),
        "检查点    [大表] 之后 ",
        "漏记      无",
    ]);
    assert_eq!(life.oom().victim.cgroup.as_deref(), Some(&*inner.path));
}

#[test]
fn all_cgroups_below_one_that_is_killed_as_a_whole() {
    let outer = group(80);
    fs::write(outer.dir().join("memory.oom.group"), "1").expect("v2 has it");
    let groups = ["a", "b"].map(|name| outer.below(name, 200));
    let bystanders = [(); 2].map(|()| Victim::start::<&str>("steps", &[]));
    for (group, bystander) in groups.iter().zip(&bystanders) {
        group.add(bystander.pid());
    }
    let mut hog = Victim::start::<&str>("hog", &[]);
    groups[0].add(hog.pid());
    let memtrace = Memtrace::watch(&["--comm", "hog", "--comm", "steps"]);
    memtrace.wait_until_traced(hog.pid());
    hog.say("");
    for bystander in &bystanders {
        memtrace.wait_for_report(bystander.pid());
    }
    memtrace.wait_for_report(hog.pid());
    let ended = memtrace.stop();
    ended.assert_code(0);
    for bystander in &bystanders {
        let life = ended.life(bystander.pid());
        let together: Vec<u32> = life
            .oom()
            .together_with
            .iter()
            .map(|who| who.pid.0)
            .collect();
        assert_eq!(together.len(), 2, "{together:?}");
        assert!(together.contains(&hog.pid()), "{together:?}");
        life.assert_verdict(&["一同杀死", "memory.oom.group", &outer.path]);
    }
}

/// `cgroup.kill` came with 5.14.
#[test]
fn a_write_to_cgroup_kill_is_told_as_that() {
    let group = group(100);
    let kill = group.dir().join("cgroup.kill");
    if !kill.exists() {
        assert!(
            kernel_is_before(5, 14),
            "only old kernels have no cgroup.kill"
        );
        println!("not on this kernel: cgroup.kill came with 5.14");
        return;
    }
    let victim = Victim::start::<&str>("steps", &[]);
    group.add(victim.pid());
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    fs::write(kill, "1").expect("the group can be killed");
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(victim.pid());
    assert!(!life.was_oom());
    assert_eq!(life.sigkills()[0].how, SigkillKind::CgroupKill);
    life.assert_verdict(&["✋ 不是 OOM: PID ", "cgroup.kill"]);
}
