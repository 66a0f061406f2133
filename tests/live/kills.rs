//! Ends that are no OOM: each has a name behind it, and none is taken for another.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
};

use memtrace::entry::SigkillKind;

use super::rig::{
    Life, Memtrace, TempDir, Victim, python, signal, signed, victim_program, wait_until,
};

/// A traced `steps`.
fn traced() -> (Memtrace, Victim) {
    let victim = Victim::start::<&str>("steps", &[]);
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    (memtrace, victim)
}

/// Its life, once it has ended; memtrace ends with it.
fn life(memtrace: Memtrace, pid: u32) -> Life {
    let ended = memtrace.end();
    ended.assert_code(0);
    ended.life(pid)
}

#[test]
fn kill_by_another_process_is_told_with_its_sender() {
    let (memtrace, mut victim) = traced();
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("anon 30");
    victim.ask("mark 最后一步");
    let script = format!("kill -9 {}", victim.pid());
    let mut killer = Command::new("sh")
        .args(["-c", &script])
        .spawn()
        .expect("sh runs");
    let killer_pid = killer.id();
    killer.wait().expect("it is our child");
    let life = life(memtrace, victim.pid());
    assert!(!life.was_oom());
    assert_eq!(life.sigkills().len(), 1);
    assert_eq!(life.sigkills()[0].how, SigkillKind::Kill);
    life.assert_verdict(&[
        "✋ 不是 OOM: PID ",
        &format!("发送者    sh (PID {killer_pid}, root)"),
        "[最后一步] 之后 ",
    ]);
    assert!(victim.wait().signal() == Some(libc::SIGKILL));
}

#[test]
fn a_signal_to_one_thread_is_told_as_that() {
    let (memtrace, victim) = traced();
    let pid = signed(victim.pid());
    // SAFETY: tgkill takes no pointers; the victim has not been waited for.
    let sent = unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, libc::SIGKILL) };
    assert_eq!(sent, 0);
    let life = life(memtrace, victim.pid());
    assert_eq!(life.sigkills()[0].how, SigkillKind::Tkill);
    life.assert_verdict(&[&format!("(PID {}, root)", std::process::id()), "tkill"]);
}

#[test]
fn the_hard_cpu_limit_is_the_kernels_doing() {
    let script = "echo ready $$; read line; ulimit -t 1; while :; do :; done";
    let mut victim = Victim::spawn(Command::new("sh").args(["-c", script]));
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    victim.say("");
    let life = life(memtrace, victim.pid());
    assert_eq!(life.sigkills()[0].how, SigkillKind::CpuLimit);
    life.assert_verdict(&["✋ 不是 OOM: PID ", "RLIMIT_CPU"]);
}

#[test]
fn the_death_of_a_namespaces_init_is_told_to_its_others() {
    let memtrace = Memtrace::watch(&["--comm", "steps"]);
    let mut unshare = Command::new("unshare");
    unshare
        .args(["--pid", "--fork"])
        .arg(victim_program("steps"));
    // It complains about its child's death.
    unshare.stderr(Stdio::null());
    let mut victim = Victim::spawn_silent(&mut unshare);
    assert_eq!(victim.hear(), "ready 1");
    victim.ask("fork");
    let child_of = |pid: u32| -> u32 {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        children
            .expect("it lives")
            .trim()
            .parse()
            .expect("one child")
    };
    let init = child_of(victim.pid());
    let other = child_of(init);
    memtrace.wait_until_traced(init);
    // The other one's log waits for its first entry.
    victim.ask("anon 8");
    memtrace.wait_until_traced(other);
    signal(signed(init), libc::SIGKILL);
    memtrace.wait_for_report(init);
    memtrace.wait_for_report(other);
    let ended = memtrace.stop();
    let (init, other) = (ended.life(init), ended.life(other));
    assert_eq!(init.sigkills()[0].how, SigkillKind::Kill);
    assert_eq!(other.sigkills()[0].how, SigkillKind::PidNamespace);
    other.assert_verdict(&["✋ 不是 OOM: PID ", "pid 命名空间"]);
}

#[test]
fn threads_that_their_own_process_ends_are_no_kill() {
    // Both end the other threads by a SIGKILL inside the kernel: an exit, and an exec.
    let script = "import os, sys, threading, time\n\
                  for _ in range(3): threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()\n\
                  print('ready', os.getpid(), flush=True)\n\
                  sys.stdin.readline()\n\
                  if sys.argv[1] == 'exec': os.execv('/bin/sh', ['sh', '-c', 'exit 3'])\n\
                  os._exit(3)\n";
    for way in ["exit", "exec"] {
        let mut victim = Victim::spawn(Command::new(python()).args(["-c", script, way]));
        let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
        victim.say("");
        let life = life(memtrace, victim.pid());
        assert!(
            life.sigkills().is_empty() && !life.was_oom(),
            "{:#?}",
            life.entries
        );
        assert_eq!(life.exit().code, Some(3));
        assert!(
            life.headline().starts_with("❌ 退出: PID "),
            "{}",
            life.report
        );
    }
}

#[test]
fn other_signals_are_named_and_are_no_kill() {
    for (number, name) in [(libc::SIGTERM, "SIGTERM"), (libc::SIGSEGV, "SIGSEGV")] {
        let (memtrace, victim) = traced();
        victim.signal(number);
        let life = life(memtrace, victim.pid());
        assert_eq!(life.exit().signal, Some(number));
        assert!(life.sigkills().is_empty());
        assert!(
            life.headline().starts_with("💥 被信号终止: PID "),
            "{}",
            life.report
        );
        assert!(life.headline().contains(name), "{}", life.report);
    }
}

#[test]
fn a_core_dump_is_told() {
    let dir = TempDir::new();
    let mut command = Command::new("sh");
    command.current_dir(dir.path());
    command
        .args(["-c", "ulimit -c unlimited; exec \"$0\""])
        .arg(victim_program("steps"));
    let mut victim = Victim::spawn(&mut command);
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    victim.say("abort");
    let status = victim.wait();
    let life = life(memtrace, victim.pid());
    assert_eq!(life.exit().signal, Some(libc::SIGABRT));
    assert_eq!(life.exit().core, status.core_dumped());
    assert_eq!(life.headline().contains("已转储核心"), status.core_dumped());
}

#[test]
fn a_stop_while_the_victim_goes_on_is_told_as_that() {
    let (memtrace, victim) = traced();
    memtrace.wait_until_traced(victim.pid());
    for number in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
        memtrace.signal(number);
        let ended = memtrace.end();
        ended.assert_code(0);
        let life = ended.life(victim.pid());
        assert!(
            life.headline()
                .starts_with("👀 监控结束, 进程仍在运行: PID "),
            "{}",
            life.report
        );
    }
    memtrace.stop().assert_code(0);
    wait_until("nothing", || {
        fs::metadata(format!("/proc/{}", victim.pid())).ok()
    });
}
