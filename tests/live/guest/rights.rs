//! With few rights, little lockable memory, and a kernel that hides its BTF.

use std::{fs, process::Command};

use memtrace::units::Bytes;

use crate::live::rig::{
    Cgroup, Life, Memtrace, TempDir, Victim, kernel_is_before, needs_guest, program, victim_program,
};

/// No capabilities but the three that probes need.
const THREE: [&str; 4] = [
    "--bounding-set",
    "-all,+bpf,+perfmon,+sys_admin",
    "--inh-caps",
    "-all",
];

/// Starts memtrace on a process by way of another program, and waits until it is ready.
fn watch(mut command: Command, pid: u32) -> Memtrace {
    command.arg(program()).args(["--pid", &pid.to_string()]);
    let memtrace = Memtrace::start(&mut command);
    memtrace.wait_for(|line| line.ends_with("(Ctrl-C ends)"));
    memtrace
}

/// A shell that does something and then becomes what follows.
fn sh(script: &str) -> Command {
    let mut sh = Command::new("sh");
    sh.args(["-c", &format!("{script}; exec \"$@\""), "sh"]);
    sh
}

/// How far a size may be from what was asked for: a little is the program's own.
const EXACT_MB: u64 = 1;
/// From /proc a moment later: what the victim did in it, and before 6.2 what each thread has not yet
/// added to its process' counts.
const A_MOMENT_LATER_MB: u64 = 4;

/// Checkpoints, sizes, and an OOM kill with its verdict.
fn assert_traced(memtrace: Memtrace, mut victim: Victim, off_by_mb: u64) -> Life {
    let group = Cgroup::new(64);
    group.add(victim.pid());
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("mark 之前");
    // Without BTF its size is read a moment later.
    memtrace.stdout().wait_for(|line| line.contains("[之前]"));
    victim.ask("anon 30");
    victim.ask("mark 之后");
    memtrace.stdout().wait_for(|line| line.contains("[之后]"));
    victim.say("anon 100");
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(victim.pid());
    let grown = life.checkpoint("之后").memory.rss().0 - life.checkpoint("之前").memory.rss().0;
    assert!(grown.abs_diff(30 << 20) < off_by_mb << 20, "{grown}");
    life.assert_verdict(&["💀 被内核 OOM 杀死: PID ", "检查点    [之后] 之后 "]);
    drop(group);
    life
}

/// Whoever has as few capabilities as memtrace can be looked into by it.
#[test]
fn three_capabilities_are_enough() {
    needs_guest();
    let mut few = Command::new("setpriv");
    let victim = Victim::spawn(few.args(THREE).arg(victim_program("steps")));
    // Before 5.11 maps are charged to lockable memory, which has a test of its own.
    let mut command = sh("ulimit -l unlimited");
    command.arg("setpriv").args(THREE);
    let memtrace = watch(command, victim.pid());
    assert_traced(memtrace, victim, EXACT_MB);
}

#[test]
fn root_raises_a_small_limit_on_locked_memory() {
    needs_guest();
    let victim = Victim::start::<&str>("steps", &[]);
    let memtrace = watch(sh("ulimit -l 64"), victim.pid());
    assert_traced(memtrace, victim, EXACT_MB);
}

/// Before 5.11 maps count against `RLIMIT_MEMLOCK`, which only `CAP_SYS_RESOURCE` raises.
#[test]
fn a_small_limit_on_locked_memory_that_cannot_be_raised_is_told() {
    needs_guest();
    let mut few = Command::new("setpriv");
    let victim = Victim::spawn(few.args(THREE).arg(victim_program("steps")));
    let mut command = sh("ulimit -l 64");
    command.arg("setpriv").args(THREE);
    if !kernel_is_before(5, 11) {
        let memtrace = watch(command, victim.pid());
        assert_traced(memtrace, victim, EXACT_MB);
        return;
    }
    command
        .arg(program())
        .args(["--pid", &victim.pid().to_string()]);
    let ended = Memtrace::start(&mut command).end();
    ended.assert_code(4);
    for part in [
        "RLIMIT_MEMLOCK",
        "64 KiB",
        "5.11",
        "ulimit -l unlimited",
        "LimitMEMLOCK",
    ] {
        assert!(ended.stderr.contains(part), "no {part} in {}", ended.stderr);
    }
}

/// Has `/sys/kernel/btf` empty for what follows, and nobody else.
const HIDE: &str = "mount -t tmpfs none /sys/kernel/btf";

fn hidden() -> Command {
    let mut command = Command::new("unshare");
    command.arg("--mount").arg("sh");
    command.args(["-c", &format!("{HIDE}; exec \"$@\""), "sh"]);
    command
}

#[test]
fn a_kernel_that_hides_its_btf_is_traced_by_classic_tracepoints() {
    needs_guest();
    let victim = Victim::start::<&str>("steps", &[]);
    let memtrace = watch(hidden(), victim.pid());
    memtrace.wait_for(|line| {
        line.contains("/sys/kernel/btf/vmlinux") && line.contains("classic tracepoints")
    });
    let life = assert_traced(memtrace, victim, A_MOMENT_LATER_MB);
    life.assert_log(&["/proc/PID/status"]);
}

#[test]
fn btf_from_a_file_is_as_good() {
    needs_guest();
    let dir = TempDir::new();
    let file = dir.path().join("vmlinux.btf");
    fs::copy("/sys/kernel/btf/vmlinux", &file).expect("it can be copied");
    let victim = Victim::start::<&str>("steps", &[]);
    let mut command = hidden();
    command.arg(program()).arg("--btf").arg(&file);
    command.args(["--pid", &victim.pid().to_string()]);
    let memtrace = Memtrace::start(&mut command);
    memtrace.wait_for(|line| line.ends_with("(Ctrl-C ends)"));
    let life = assert_traced(memtrace, victim, EXACT_MB);
    life.assert_log(&["raw_tp rss_stat"]);
    assert!(life.oom().memory.rss() > Bytes::from_mb(40));
}
