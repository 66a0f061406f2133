//! Kills by the kernel's OOM killer, in memory cgroups of their own.

use memtrace::entry::Constraint;

use super::rig::{Cgroup, Life, Memtrace, Victim, elder, wait_until};

/// Lets a hog be killed where 80 MB are allowed; the life that has the kill.
fn kill_hog(args: &[&str]) -> (Cgroup, Victim, Life) {
    let group = Cgroup::new(80);
    let mut args = args.to_vec();
    args.extend(["--mark", "大表"]);
    let memtrace = Memtrace::watch(&["--comm", "hog"]);
    let mut victim = Victim::start("hog", &args);
    group.add(victim.pid());
    memtrace.wait_until_traced(victim.pid());
    memtrace.wait_for_checkpoints_in("/hog");
    victim.say("");
    memtrace.wait_for_report(victim.pid());
    victim.wait();
    let ended = memtrace.stop();
    ended.assert_code(0);
    let mut killed: Vec<Life> = ended.lives().into_iter().filter(Life::was_oom).collect();
    assert_eq!(killed.len(), 1, "{:#?}", ended.lives());
    let life = killed.pop().expect("there is one");
    // The last screen has the verdict of the one who was killed.
    assert!(ended.stdout.contains(&life.verdict()), "{}", ended.stdout);
    (group, victim, life)
}

fn assert_killed(group: &Cgroup, life: &Life) {
    let kill = life.oom();
    let Constraint::Cgroup {
        cgroup,
        file,
        limit,
        usage,
    } = &kill.constraint
    else {
        panic!("{:?}", kill.constraint);
    };
    assert_eq!((&**cgroup, &**file), (&*group.path, group.limit_file()));
    assert_eq!(limit.0, 80 << 20);
    assert!(usage.0 <= limit.0 && usage.0 > 76 << 20, "{usage:?}");
    assert!(kill.own && !kill.already_exiting && kill.together_with.is_empty());
    assert_eq!(kill.victim.pid, life.begin().pid);
    assert_eq!(kill.trigger.pid, life.begin().pid);
    assert!(kill.memory.rss().0 > 64 << 20, "{:?}", kill.memory);
    assert_eq!(life.exit().signal, Some(libc::SIGKILL));
    assert!(life.sigkills().is_empty());
    life.assert_verdict(&[
        "💀 被内核 OOM 杀死: PID ",
        &format!(
            "cgroup {}: {} 80.00MB, 用量 ",
            group.path,
            group.limit_file()
        ),
        "检查点    [大表] 之后 ",
        "触发者    本进程",
        "漏记      无",
    ]);
}

#[test]
fn one_thread() {
    let (group, victim, life) = kill_hog(&[]);
    assert_killed(&group, &life);
    assert_eq!(life.begin().pid.0, victim.pid());
}

#[test]
fn four_threads() {
    let (group, victim, life) = kill_hog(&["--threads", "4"]);
    assert_killed(&group, &life);
    assert_eq!(life.begin().pid.0, victim.pid());
}

#[test]
fn threads_whose_leader_has_gone() {
    let (group, victim, life) = kill_hog(&["--threads", "4", "--leader-exits"]);
    assert_killed(&group, &life);
    assert_eq!(life.begin().pid.0, victim.pid());
}

#[test]
fn a_forked_child() {
    let (group, victim, life) = kill_hog(&["--fork"]);
    assert_killed(&group, &life);
    assert_eq!(life.begin().parent.map(|pid| pid.0), Some(victim.pid()));
}

#[test]
fn a_child_by_vfork() {
    let (group, victim, life) = kill_hog(&["--vfork"]);
    assert_killed(&group, &life);
    assert_eq!(life.begin().parent.map(|pid| pid.0), Some(victim.pid()));
}

#[test]
fn a_process_without_checkpoints() {
    let group = Cgroup::new(80);
    let mut victim = Victim::start::<&str>("hog", &[]);
    group.add(victim.pid());
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string(), "--lang", "en"]);
    victim.say("");
    let life = memtrace.end().only_life();
    life.assert_verdict(&[
        "💀 Killed by the kernel's OOM killer: PID ",
        "the program has no checkpoints",
    ]);
}

/// The victim has held its memory for more than the minute that the verdict looks back; another
/// process of the cgroup grows.
#[test]
fn an_innocent_victim_and_the_one_who_grew() {
    let group = Cgroup::new(160);
    let mut victim = elder();
    group.add(victim.pid());
    victim.ask("anon 40");
    let adj = format!("/proc/{}/oom_score_adj", victim.pid());
    std::fs::write(adj, "1000").expect("the victim can be marked out");
    let mut grower = Victim::start::<&str>("steps", &[]);
    group.add(grower.pid());
    // 7.3 asks for a second victim before the memory of the first is free. Where this is not allowed
    // (no CAP_SYS_RESOURCE) the kernel must be one that does not.
    let adj = format!("/proc/{}/oom_score_adj", grower.pid());
    let _ = std::fs::write(adj, "-1000");
    let pids = [victim.pid().to_string(), grower.pid().to_string()];
    let memtrace = Memtrace::watch(&["--pid", &pids[0], "--pid", &pids[1]]);
    memtrace.wait_for_checkpoints_in("/steps");
    grower.ask("mark 加载历史");
    // A little at a time: with the victim gone there is room again.
    wait_until("the OOM", || {
        grower.ask("anon 1");
        std::fs::read_to_string(format!("/proc/{}/stat", victim.pid()))
            .is_ok_and(|stat| stat.contains(") Z "))
            .then_some(())
    });
    let life = memtrace.wait_for_report(victim.pid());
    let kill = life.oom();
    assert!(!kill.own);
    assert_eq!(kill.trigger.pid.0, grower.pid());
    assert_eq!(life.neighbours().processes[0].who.pid.0, grower.pid());
    let blame = life.verdict().lines().nth(1).unwrap_or_default().to_owned();
    assert!(
        blame.contains(&format!("增长的是 PID {}", grower.pid()))
            && blame.contains("在 [加载历史] 之后")
            && blame.contains("没有增长"),
        "{}",
        life.report
    );
    life.assert_verdict(&["触发者    PID ", "oom_score_adj 是 1000"]);
    assert!(grower.finish().success());
    memtrace.end().assert_code(0);
    victim.wait();
}

/// cgroup v1 has no `memory.oom.group`; there this test only makes sure of that, and what v2 does
/// with it is tested in the virtual machines of `cargo xtask vm`.
#[test]
fn a_cgroup_that_is_killed_as_a_whole() {
    let group = Cgroup::new(80);
    let file = group.dir().join("memory.oom.group");
    if group.limit_file() == "memory.limit_in_bytes" {
        assert!(!file.exists());
        return;
    }
    std::fs::write(file, "1").expect("v2 has it");
    let bystander = Victim::start::<&str>("steps", &[]);
    let mut hog = Victim::start::<&str>("hog", &[]);
    group.add(bystander.pid());
    group.add(hog.pid());
    let pids = [bystander.pid().to_string(), hog.pid().to_string()];
    let memtrace = Memtrace::watch(&["--pid", &pids[0], "--pid", &pids[1]]);
    hog.say("");
    let ended = memtrace.end();
    ended.assert_code(0);
    let kill = ended.life(bystander.pid());
    assert_eq!(kill.oom().together_with[0].pid.0, hog.pid());
    kill.assert_verdict(&["一同杀死", "memory.oom.group"]);
}

/// Who is not traced is told in a line.
#[test]
fn a_victim_that_is_not_traced() {
    let group = Cgroup::new(40);
    let mut victim = Victim::start::<&str>("hog", &[]);
    group.add(victim.pid());
    let memtrace = Memtrace::watch(&["--comm", "memtrace-test-nobody"]);
    victim.say("");
    memtrace.wait_for(|line| {
        line.contains("the OOM killer killed hog") && line.contains(&victim.pid().to_string())
    });
    let ended = memtrace.stop();
    ended.assert_code(0);
    assert!(ended.lives().is_empty());
}
