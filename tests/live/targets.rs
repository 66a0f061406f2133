//! Whom memtrace traces.

use std::{fs, os::unix::process::CommandExt as _, process::Command};

use memtrace::units::Bytes;

use super::rig::{Cgroup, Life, Memtrace, TempDir, Victim, python, unique, victim_program};

/// The victim is traced by a memtrace that was started before it, and nobody else is.
fn assert_traced_later(args: &[&str], start: impl FnOnce() -> Victim) {
    let memtrace = Memtrace::watch(args);
    let mut victim = start();
    memtrace.wait_until_traced(victim.pid());
    victim.finish();
    memtrace.wait_for_report(victim.pid());
    let ended = memtrace.stop();
    ended.assert_code(0);
    assert_eq!(ended.only_life().begin().pid.0, victim.pid());
}

#[test]
fn by_a_pattern_of_the_command_name() {
    assert_traced_later(&["--comm", "st[a-f]p?"], || {
        Victim::start::<&str>("steps", &[])
    });
}

#[test]
fn by_a_name_that_the_kernel_cuts() {
    let dir = TempDir::new();
    let name = "a_program_with_a_long_name";
    let path = dir.path().join(name);
    assert_traced_later(&["--comm", name], || Victim::copied(&path));
}

#[test]
fn by_the_script_of_an_interpreter() {
    let dir = TempDir::new();
    let script = dir.path().join("my_backtest.py");
    let text = "import os, sys\nprint('ready', os.getpid(), flush=True)\nsys.stdin.readline()\n";
    fs::write(&script, text).expect("a script can be written");
    assert_traced_later(&["--comm", "my_backtest.py"], || {
        Victim::spawn(Command::new(python()).arg(&script))
    });
}

#[test]
fn by_the_executables_path() {
    let dir = TempDir::new();
    let path = dir.path().join("steps");
    let pattern = path.to_string_lossy().into_owned();
    assert_traced_later(&["--exe", &pattern], || Victim::copied(&path));
}

#[test]
fn by_a_user() {
    assert_traced_later(&["--uid", "61234"], || {
        // A library path of somebody's home is not everybody's to read; a copy is.
        let dir = TempDir::new();
        let path = dir.path().join("steps");
        fs::copy(victim_program("steps"), &path).expect("a program can be copied");
        Victim::spawn(Command::new(&path).uid(61234))
    });
}

#[test]
fn by_a_cgroup_and_those_below_it() {
    let group = Cgroup::new(100);
    let below = group.below("inner", 100);
    let directory = group.dir().to_string_lossy().into_owned();
    for path in [&directory, &group.path] {
        let victim = Victim::start::<&str>("steps", &[]);
        below.add(victim.pid());
        let memtrace = Memtrace::watch(&["--cgroup", path]);
        memtrace.wait_for(|line| line.contains("tracing 1 process "));
        let ended = memtrace.stop();
        ended.assert_code(0);
        assert_eq!(
            ended.only_life().begin().cgroup.as_deref(),
            Some(&*below.path)
        );
    }
    // One that comes later is noticed when it runs a program there.
    assert_traced_later(&["--cgroup", &directory], || {
        let mut sh = Command::new("sh");
        sh.args(["-c", "echo $$ > \"$0/cgroup.procs\"; exec \"$1\""]);
        Victim::spawn(sh.arg(below.dir()).arg(victim_program("steps")))
    });
}

#[test]
fn by_its_pid_until_it_ends() {
    let mut victim = Victim::start::<&str>("steps", &[]);
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    victim.finish();
    let ended = memtrace.end();
    ended.assert_code(0);
    assert_eq!(ended.only_life().exit().code, Some(0));
}

#[test]
fn everybody() {
    let victim = Victim::start::<&str>("steps", &[]);
    let memtrace = Memtrace::watch(&["--all", "--quiet"]);
    memtrace.wait_until_traced(victim.pid());
    let later = Victim::start::<&str>("steps", &[]);
    memtrace.wait_until_traced(later.pid());
    let ended = memtrace.stop();
    ended.assert_code(0);
    let has_memory = |life: &Life| life.begin().memory.is_none_or(|memory| memory.rss().0 > 0);
    assert!(
        ended.lives().iter().all(has_memory),
        "threads of the kernel have none"
    );
}

#[test]
fn who_already_runs_is_picked_up_with_its_true_rss() {
    let mut victim = Victim::start::<&str>("steps", &[]);
    victim.ask("anon 77");
    victim.ask("shmem 11");
    let told = victim.ask("rss");
    let kib: u64 = told
        .split(' ')
        .nth(1)
        .expect("Rss N")
        .parse()
        .expect("a number");
    let memtrace = Memtrace::watch(&["--comm", "steps"]);
    let life = memtrace.wait_until_traced(victim.pid());
    let rss = life.begin().memory.expect("it ran already").rss();
    assert!(
        rss.0.abs_diff(kib * 1024) <= 1 << 20,
        "{rss:?} and {kib} kB"
    );
    assert!(rss > Bytes::from_mb(88));
    memtrace.stop().assert_code(0);
}

#[test]
fn by_the_name_that_it_takes_by_exec() {
    let memtrace = Memtrace::watch(&["--comm", "steps"]);
    let script = "echo ready $$; read line; exec \"$0\"";
    let mut sh = Command::new("sh");
    let mut victim = Victim::spawn(sh.args(["-c", script]).arg(victim_program("steps")));
    victim.say("");
    assert_eq!(victim.hear(), format!("ready {}", victim.pid()));
    memtrace.wait_until_traced(victim.pid());
    memtrace.stop().assert_code(0);
}

#[test]
fn by_the_name_that_it_gives_itself() {
    let memtrace = Memtrace::watch(&["--comm", "memtest-worker"]);
    let script = "import os, sys, ctypes\n\
                  print('ready', os.getpid(), flush=True)\n\
                  sys.stdin.readline()\n\
                  ctypes.CDLL(None).prctl(15, b'memtest-worker', 0, 0, 0)\n\
                  print('renamed', flush=True)\n\
                  sys.stdin.readline()\n";
    let mut victim = Victim::spawn(Command::new(python()).args(["-c", script]));
    victim.say("");
    assert_eq!(victim.hear(), "renamed");
    let life = memtrace.wait_until_traced(victim.pid());
    assert_eq!(life.begin().program.comm, "memtest-worker");
    memtrace.stop().assert_code(0);
}

#[test]
fn two_memtraces_see_the_same() {
    let mut victim = Victim::start::<&str>("steps", &[]);
    let pid = victim.pid().to_string();
    let both = [
        Memtrace::watch(&["--pid", &pid]),
        Memtrace::watch(&["--pid", &pid]),
    ];
    for memtrace in &both {
        memtrace.wait_for_checkpoints_in("/steps");
    }
    victim.ask("mark one");
    victim.ask("anon 40");
    victim.ask("mark two");
    victim.finish();
    let lives = both.map(|memtrace| {
        let ended = memtrace.end();
        ended.assert_code(0);
        ended.only_life()
    });
    for life in &lives {
        assert_eq!(life.names(), ["one", "two"]);
    }
    let rss = |number: usize| lives[number].checkpoint("two").memory.rss();
    assert_eq!(rss(0), rss(1));
}

#[test]
fn two_memtraces_in_one_directory_do_not_share_a_log() {
    let victim = Victim::start::<&str>("steps", &[]);
    let pid = victim.pid().to_string();
    let first = Memtrace::watch(&["--pid", &pid]);
    first.wait_until_traced(victim.pid());
    let second = Memtrace::watch_in(first.dir(), &["--pid", &pid]);
    drop(victim);
    second.end().assert_code(0);
    let ended = first.end();
    ended.assert_code(0);
    assert_eq!(ended.lives().len(), 2);
    assert!(ended.lives().iter().all(|life| !life.report.is_empty()));
}

#[test]
fn nobody_yet_is_said_and_waited_for() {
    let memtrace = Memtrace::watch(&["--comm", &unique("nobody")]);
    assert!(memtrace.stderr().so_far().contains("nothing matches yet"));
    memtrace.stop().assert_code(0);
}
