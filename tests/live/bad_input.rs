//! What can go wrong around memtrace.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Output, Stdio},
};

use super::rig::{
    Memtrace, TempDir, Victim, program, run_groups, scaled, signal, signed, wait_until,
};

#[test]
fn a_broken_pipe_ends_it_quietly_and_well() {
    let dir = TempDir::new();
    let mut victim = Victim::start::<&str>("steps", &[]);
    let mut child = Command::new(program())
        .args(["--pid", &victim.pid().to_string(), "--log-dir"])
        .arg(dir.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("memtrace starts");
    drop(child.stdout.take());
    let stderr = child.stderr.take().expect("piped");
    let lines = std::thread::spawn(move || {
        BufReader::new(stderr)
            .lines()
            .map_while(Result::ok)
            .collect::<Vec<_>>()
    });
    // Each checkpoint is a line that cannot be shown, as soon as they are seen.
    let status = wait_until("the end of memtrace", || {
        victim.ask("mark x");
        child.try_wait().expect("it is our child")
    });
    let said = lines.join().expect("the reader does not panic");
    assert_eq!(status.code(), Some(0), "{said:?}");
    assert!(
        !said
            .iter()
            .any(|line| line.contains("panic") || line.contains("pipe")),
        "{said:?}"
    );
}

/// Another user, with no rights at all.
const NOBODY: &[&str] = &["--reuid", "65534", "--clear-groups"];

/// Traces what is not there.
const WATCH: &[&str] = &["--comm", "memtrace-test-nobody"];

/// Runs memtrace with fewer rights.
fn with_rights(setpriv: &[&str], args: &[&str]) -> Output {
    // The program may lie where only root may go; a copy does not.
    let dir = TempDir::new();
    let copy = dir.path().join("memtrace");
    fs::copy(program(), &copy).expect("the program can be copied");
    Command::new("setpriv")
        .args(setpriv)
        .arg(&copy)
        .args(args)
        .current_dir(dir.path())
        .output()
        .expect("setpriv runs")
}

#[test]
fn without_root_it_names_what_is_missing_and_how_to_get_it() {
    let output = with_rights(NOBODY, WATCH);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    for part in [
        "CAP_SYS_ADMIN",
        "CAP_BPF",
        "CAP_PERFMON",
        "CAP_SYS_PTRACE",
        "sudo memtrace",
        "setcap",
    ] {
        assert!(said.contains(part), "no {part} in {said}");
    }
}

#[test]
fn a_stack_that_may_not_be_read_is_told_as_that() {
    let victim = Victim::start::<&str>("steps", &[]);
    let output = with_rights(NOBODY, &["stack", &victim.pid().to_string()]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("CAP_SYS_PTRACE"), "{said}");
}

#[test]
fn with_too_few_capabilities_it_names_those() {
    let few = ["--bounding-set", "-sys_admin,-bpf", "--inh-caps", "-all"];
    let output = with_rights(&few, WATCH);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{said}");
    assert!(said.contains("missing: CAP_SYS_ADMIN, CAP_BPF\n"), "{said}");
}

#[test]
fn what_a_killed_memtrace_leaves_is_cleared_up_by_the_next() {
    let run = Memtrace::run(&["--memory-max", "50M"], &["sleep", "1000"]);
    let groups = run_groups(run.pid());
    let group = wait_until("the cgroup", || groups.iter().find(|group| group.exists()));
    let member = wait_until("the command", || {
        let procs = fs::read_to_string(group.join("cgroup.procs")).ok()?;
        procs.trim().parse::<u32>().ok()
    });
    run.signal(libc::SIGKILL);
    let pid = run.pid();
    wait_until("its death", || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.contains(") Z ").then_some(())
    });
    assert!(group.exists());
    // The dead one is still a zombie of ours and so is in /proc: bury it.
    assert_eq!(run.end_either_way(), (None, Some(libc::SIGKILL)));
    let next = Memtrace::run(&["--memory-max", "50M"], &["true"]).end();
    next.assert_code(0);
    assert!(!group.exists(), "{} is left", group.display());
    // Its command was not memtrace's to end.
    assert!(fs::metadata(format!("/proc/{member}")).is_ok());
    signal(signed(member), libc::SIGKILL);
    // And nothing is in a new one's way.
    let mut victim = Victim::start::<&str>("steps", &[]);
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("mark x");
    victim.finish();
    assert_eq!(memtrace.end().only_life().names(), ["x"]);
}

#[test]
fn a_hangup_does_not_end_what_nohup_started() {
    // What `nohup` does, which not every guest has.
    let mut command = Command::new("sh");
    command
        .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
        .arg(program())
        .args(["--comm", "steps"]);
    let memtrace = Memtrace::start(&mut command);
    memtrace.wait_for(|line| line.contains("waiting"));
    memtrace.signal(libc::SIGHUP);
    // It goes on: who comes later is traced.
    let mut victim = Victim::start::<&str>("steps", &[]);
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("mark x");
    memtrace.signal(libc::SIGHUP);
    victim.finish();
    memtrace.wait_for_report(victim.pid());
    let ended = memtrace.stop();
    ended.assert_code(0);
    assert_eq!(ended.life(victim.pid()).names(), ["x"]);
}

#[test]
fn a_target_that_ends_at_once_is_no_trouble() {
    for _ in 0..scaled(20) {
        let mut victim = Victim::start::<&str>("steps", &[]);
        let pid = victim.pid().to_string();
        let memtrace = Memtrace::start(Command::new(program()).args(["--pid", &pid]));
        victim.finish();
        // Gone before it was looked for, or traced to its end.
        let code = memtrace.end().code();
        assert!(code == 0 || code == 2, "{code}");
    }
}

#[test]
fn signals_in_any_phase_end_it_well() {
    for round in 0..scaled(30) {
        let memtrace = Memtrace::start(Command::new(program()).args(["--comm", "nobody"]));
        if round % 3 > 0 {
            memtrace.wait_for(|line| line.contains("waiting"));
        }
        let number = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP][round % 3];
        memtrace.signal(number);
        let (code, by) = memtrace.end_either_way();
        // Before it listens there is nothing to be cleared up, and the signal ends it.
        assert!(
            code == Some(0) || round % 3 == 0 && by == Some(number),
            "{code:?} {by:?}"
        );
    }
}
