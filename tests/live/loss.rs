//! What is lost is counted, told, and an exit status of its own; the verdict arrives all the same.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use memtrace::loss::Kind;

use super::rig::{Memtrace, TempDir, Victim, program};

#[test]
fn a_ring_of_one_page_loses_steps_and_says_so() {
    let mut victim = Victim::start::<&str>("steps", &[]);
    let pid = victim.pid().to_string();
    let memtrace = Memtrace::watch(&["--pid", &pid, "--ring-mb", "0", "--step", "4096"]);
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("mark start");
    // Nobody reads the ring meanwhile.
    memtrace.signal(libc::SIGSTOP);
    victim.ask("anon 300");
    memtrace.signal(libc::SIGCONT);
    victim.ask("mark end");
    victim.finish();
    let ended = memtrace.end();
    ended.assert_code(3);
    assert!(
        ended.stderr.contains("memtrace: lost: RSS records × "),
        "{}",
        ended.stderr
    );
    let life = ended.only_life();
    assert!(life.lost(Kind::RssRecord) > 0);
    assert!(life.report.contains("RSS 记录 ×"), "{}", life.report);
    // What has a ring of its own is not lost, and is exact.
    assert_eq!(life.names(), ["start", "end"]);
    let grown = life.checkpoint("end").memory.rss().0 - life.checkpoint("start").memory.rss().0;
    assert_eq!(grown >> 20, 300);
}

/// The verdict of a killed victim is on the terminal, though nothing can be written.
fn assert_told_though(log_dir: &Path) {
    let victim = Victim::start::<&str>("steps", &[]);
    let mut command = Command::new(program());
    command.args(["--pid", &victim.pid().to_string()]);
    command.arg("--log-dir").arg(log_dir);
    let memtrace = Memtrace::spawn(&mut command, TempDir::new());
    memtrace.wait_for(|line| line.contains("cannot write logs in "));
    memtrace.wait_for(|line| line.contains("tracing 1 process "));
    victim.signal(libc::SIGKILL);
    let ended = memtrace.end();
    ended.assert_code(3);
    assert!(
        ended.stdout.contains("✋ 不是 OOM: PID "),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stderr.contains("memtrace: lost: log lines × "),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_log_directory_below_a_file() {
    let dir = TempDir::new();
    let file = dir.path().join("file");
    fs::write(&file, "").expect("a file can be written");
    assert_told_though(&file.join("logs"));
}

#[test]
fn a_log_directory_that_cannot_be_written() {
    let disk = Disk::mount("size=64k,ro");
    assert_told_though(disk.dir.path());
}

#[test]
fn a_log_directory_that_is_not_there_is_made() {
    let dir = TempDir::new();
    let logs = dir.path().join("some/where");
    let mut victim = Victim::start::<&str>("steps", &[]);
    let mut command = Command::new(program());
    command
        .args(["--pid", &victim.pid().to_string(), "--log-dir"])
        .arg(&logs);
    let memtrace = Memtrace::spawn(&mut command, TempDir::new());
    memtrace.wait_for(|line| line.contains("tracing 1 process "));
    victim.finish();
    memtrace.end().assert_code(0);
    assert_eq!(fs::read_dir(logs).expect("it was made").count(), 2);
}

/// A file system of its own, unmounted when dropped.
struct Disk {
    dir: TempDir,
}

impl Disk {
    fn mount(options: &str) -> Self {
        let dir = TempDir::new();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "none"])
            .arg(dir.path())
            .status();
        assert!(mounted.expect("mount runs").success());
        Self { dir }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.dir.path()).status();
    }
}

#[test]
fn a_full_disk_leaves_whole_lines_and_the_verdict_on_the_terminal() {
    let disk = Disk::mount("size=96k");
    let mut victim = Victim::start::<&str>("steps", &[]);
    let mut command = Command::new(program());
    command
        .args(["--pid", &victim.pid().to_string(), "--log-dir"])
        .arg(disk.dir.path());
    let memtrace = Memtrace::spawn(&mut command, TempDir::new());
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("marks 2000");
    memtrace.stdout().wait_for(|line| line.contains("[c1999]"));
    victim.signal(libc::SIGKILL);
    let ended = memtrace.end();
    ended.assert_code(3);
    assert!(
        ended.stdout.contains("✋ 不是 OOM: PID "),
        "{}",
        ended.stdout
    );
    assert!(
        ended.stderr.contains("memtrace: lost: log lines × "),
        "{}",
        ended.stderr
    );
    let files: Vec<PathBuf> = fs::read_dir(disk.dir.path())
        .expect("it is there")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(files.len(), 2);
    for file in files {
        let text = fs::read(&file).expect("it can be read");
        assert!(
            text.ends_with(b"\n"),
            "{} ends in half a line",
            file.display()
        );
    }
}
