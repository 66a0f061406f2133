//! What memtrace may do after its start, as whom, and what its command may.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, process::Command};

use super::rig::{Memtrace, TempDir, Victim, program, wait_until};

/// A user without a name.
const USER: &str = "61234";

/// A line of `/proc/…/status`, its value.
fn field(status: &str, name: &str) -> String {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {status}"))
        .trim()
        .to_owned()
}

/// The sets of capabilities as numbers.
fn capabilities(status: &str) -> [u64; 4] {
    ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:"]
        .map(|name| u64::from_str_radix(&field(status, name), 16).expect("a set is hexadecimal"))
}

/// `status` of each thread.
fn threads(pid: u32) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("it runs");
    let read = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).ok();
    tasks.flatten().filter_map(read).collect()
}

/// What is kept where it was given: `CAP_DAC_READ_SEARCH`, `CAP_IPC_LOCK`, `CAP_SYS_PTRACE`,
/// `CAP_SYS_ADMIN`, `CAP_PERFMON`, `CAP_BPF`.
const KEPT: u64 = 1 << 2 | 1 << 14 | 1 << 19 | 1 << 21 | 1 << 38 | 1 << 39;

fn has_few_rights(status: &str, uid: &str) -> bool {
    let own = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    let [_, had, ..] = capabilities(&own);
    capabilities(status) == [0, had & KEPT, had & KEPT, 0]
        && ["Uid:", "Gid:"]
            .map(|name| field(status, name))
            .iter()
            .all(|ids| ids.split('\t').all(|id| id == uid))
}

/// Each thread keeps the right to its place among others until it has that: it may begin after the
/// notice that the test waits for.
#[track_caller]
fn assert_few_rights(memtrace: &Memtrace, uid: &str) {
    wait_until("threads with few rights", || {
        let threads = threads(memtrace.pid());
        let all = threads.iter().all(|status| has_few_rights(status, uid));
        (threads.len() > 3 && all).then_some(())
    });
}

/// One that is noticed, searched and killed by signal, after the start.
fn assert_traces(memtrace: Memtrace, path: &Path) {
    let mut victim = Victim::copied(path);
    memtrace.wait_for_checkpoints_in(path);
    victim.ask("mark 之前");
    victim.ask("anon 20");
    victim.ask("mark 之后");
    victim.signal(libc::SIGKILL);
    memtrace.wait_for_report(victim.pid());
    let ended = memtrace.stop();
    ended.assert_code(0);
    let life = ended.life(victim.pid());
    let [before, after] = ["之前", "之后"].map(|name| life.checkpoint(name).memory.rss().0);
    assert_eq!((after - before) >> 20, 20);
    assert_eq!(life.sigkills().len(), 1);
}

#[test]
fn every_thread_gives_up_what_it_needs_no_more() {
    let dir = TempDir::new();
    let memtrace = Memtrace::watch(&["--comm", "later"]);
    assert_few_rights(&memtrace, "0");
    assert_traces(memtrace, &dir.path().join("later"));
}

#[test]
fn as_another_user_it_traces_as_well_and_the_logs_are_that_users() {
    let dir = TempDir::new();
    let logs = dir.path().join("logs");
    let mut command = Command::new(program());
    command
        .args(["--comm", "later", "--user", USER, "--log-dir"])
        .arg(&logs);
    let memtrace = Memtrace::spawn(&mut command, TempDir::new());
    memtrace.wait_for(|line| line.ends_with("(Ctrl-C ends)"));
    assert_few_rights(&memtrace, USER);
    // A directory and a program that are only root's.
    let mut victim = Victim::copied(&dir.path().join("later"));
    memtrace.wait_for_checkpoints_in("/later");
    victim.ask("mark x");
    victim.finish();
    memtrace.wait_for(|_| true);
    wait_until("the report", || {
        let mut files = fs::read_dir(&logs).ok()?.flatten();
        let log = files.find(|file| file.path().extension().is_some_and(|end| end == "log"))?;
        let text = fs::read_to_string(log.path()).ok()?;
        text.contains("[x] RSS=").then_some(())
    });
    memtrace.stop().assert_code(0);
    let files = fs::read_dir(&logs).expect("it is there").flatten();
    let all = files.map(|file| file.path()).chain([logs.clone()]);
    for path in all {
        let meta = fs::metadata(&path).expect("it is there");
        let owner = (meta.uid().to_string(), meta.gid().to_string());
        assert_eq!(
            owner,
            (USER.to_owned(), USER.to_owned()),
            "{}",
            path.display()
        );
        assert_eq!(meta.mode() & 0o007, 0, "{}", path.display());
    }
}

/// Of `run` with these arguments: what its command finds in its own status.
fn status_of_command(args: &[&str]) -> String {
    let ended = Memtrace::run(args, &["cat", "/proc/self/status"]).end();
    ended.assert_code(0);
    ended.stdout
}

#[test]
fn a_command_has_the_rights_that_memtrace_was_started_with() {
    let own = fs::read_to_string("/proc/self/status").expect("/proc is mounted");
    for args in [&["--memory-max", "50M"][..], &["--user", "0"], &[]] {
        let status = status_of_command(args);
        assert_eq!(capabilities(&status), capabilities(&own), "{args:?}");
        for name in ["Uid:", "Gid:", "Groups:", "NoNewPrivs:", "Seccomp:"] {
            assert_eq!(field(&status, name), field(&own, name), "{args:?}");
        }
    }
}

/// Its limit's cgroup is root's, and so is the command that has left a process behind there.
#[test]
fn with_another_user_the_command_stays_ours_and_its_cgroup_is_removed() {
    let dir = TempDir::new();
    let logs = dir.path().join("logs");
    let mut command = Command::new(program());
    command
        .args(["run", "--user", USER, "--memory-max", "50M", "--log-dir"])
        .arg(&logs);
    command.args([
        "--",
        "sh",
        "-c",
        "id -u; sleep 1000 >/dev/null 2>&1 & echo left $!",
    ]);
    let run = Memtrace::spawn(&mut command, TempDir::new());
    let pid = run.pid();
    let ended = run.end();
    ended.assert_code(0);
    let left = ended
        .stdout
        .lines()
        .find_map(|line| line.strip_prefix("left "));
    let left: i32 = left
        .and_then(|pid| pid.parse().ok())
        .expect("it says whom it left");
    super::rig::signal(left, libc::SIGKILL);
    assert!(ended.stdout.starts_with("0\n"), "{}", ended.stdout);
    // From 5.16 on the right to move it back is that of who opened the file.
    if !super::rig::kernel_is_before(5, 16) {
        for group in super::rig::run_groups(pid) {
            assert!(!group.exists(), "{} is left", group.display());
        }
    }
}

#[test]
fn a_user_that_cannot_be_is_told_before_anything_begins() {
    let said = |command: &mut Command| {
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let mut unknown = Command::new(program());
    let (code, text) = said(unknown.args(["--all", "--user", "memtrace-test-nobody"]));
    assert_eq!(code, Some(2), "{text}");
    assert!(
        text.contains("no such user: memtrace-test-nobody"),
        "{text}"
    );
    let mut few = Command::new("setpriv");
    few.args(["--bounding-set", "-setuid", "--inh-caps", "-all"]);
    let (code, text) = said(few.arg(program()).args(["--all", "--user", USER]));
    assert_eq!(code, Some(4), "{text}");
    assert!(text.contains("CAP_SETUID"), "{text}");
}

/// `sudo memtrace` in a directory of the user's own, which lets root in as root only.
#[test]
fn logs_can_be_written_in_a_directory_of_another_users() {
    let dir = TempDir::new();
    let logs = dir.path().join("logs");
    fs::create_dir(&logs).expect("a directory can be made");
    let user = USER.parse().ok();
    std::os::unix::fs::chown(&logs, user, user).expect("root may");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    fs::set_permissions(&logs, private).expect("root may");
    let mut command = Command::new(program());
    command
        .args(["run", "--log-dir"])
        .arg(&logs)
        .args(["--", "true"]);
    Memtrace::spawn(&mut command, TempDir::new())
        .end()
        .assert_code(0);
    assert_eq!(fs::read_dir(&logs).expect("it is there").count(), 2);
}
