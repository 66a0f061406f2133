//! RSS is exact, and it is the RSS of whoever owns the memory.

use std::{fs, path::Path, process::Command};

use memtrace::{
    entry::What,
    units::{Bytes, MB},
};

use super::rig::{
    Cgroup, Life, Memtrace, TempDir, Victim, kernel_is_before, scaled, victim_program,
};

/// `Rss` of `/proc/PID/smaps_rollup`: the kernel walks the page tables for it.
fn rollup(pid: u32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("it lives");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("Rss:"))
        .expect("an Rss line");
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("kB");
    kib * 1024
}

/// Numbers that look like chance and are the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One checkpoint, and what /proc said before and after it.
struct Measured {
    pid: u32,
    name: String,
    before: u64,
    after: u64,
}

/// A victim allocates anonymous, file and shared memory, gives it back, starts threads and forks;
/// at each of `count` checkpoints its RSS is held against `/proc/PID/smaps_rollup`. The largest
/// distance from what was read there before and after.
fn largest_error(count: usize) -> u64 {
    let group = Cgroup::new(600);
    let dir = TempDir::new();
    let mut victim = Victim::start::<&str>("steps", &[]);
    group.add(victim.pid());
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string(), "--quiet"]);
    let mut pid = victim.pid();
    // The probe is on the marker when its first checkpoint has arrived.
    super::rig::wait_until("the first checkpoint", || {
        victim.ask("mark first");
        super::rig::wait_until("the recording", || memtrace.try_life(pid))
            .has("first")
            .then_some(())
    });
    let mut dice = Dice(1);
    let mut held = 0;
    let mut measured = Vec::new();
    for number in 0..count {
        let mib = 1 + dice.roll(12);
        match dice.roll(10) {
            _ if held > 250 => {
                victim.ask("free");
                held = 0;
            }
            0..4 => drop(victim.ask(&format!("anon {mib}"))),
            4..6 => drop(victim.ask(&format!("shmem {mib}"))),
            6..8 => {
                let file = dir.path().join(format!("file{}", number % 7));
                victim.ask(&format!("file {} {mib}", file.display()));
            }
            8 => drop(victim.ask(&format!("thread 3 {}", mib / 3 + 1))),
            // Each fork leaves a parent that waits; the copies of its memory are shared.
            _ if number % 5 == 0 => pid = victim.ask("fork").parse().expect("a pid"),
            _ => {
                victim.ask("free");
                held = 0;
            }
        }
        held += mib;
        let name = format!("m{number}");
        let before = rollup(pid);
        victim.ask(&format!("mark {name}"));
        let after = rollup(pid);
        measured.push(Measured {
            pid,
            name,
            before,
            after,
        });
    }
    drop(victim);
    let ended = memtrace.end();
    ended.assert_code(0);
    let lives = ended.lives();
    measured
        .iter()
        .map(|measured| error_of(measured, &lives))
        .max()
        .unwrap_or(0)
}

/// How far the recorded RSS lies outside of what was read; more than allowed fails.
fn error_of(measured: &Measured, lives: &[Life]) -> u64 {
    let life = lives
        .iter()
        .find(|life| life.begin().pid.0 == measured.pid)
        .expect("each process has a life");
    let rss = life.checkpoint(&measured.name).memory.rss().0;
    let low = measured.before.min(measured.after);
    let high = measured.before.max(measured.after);
    let error = low.saturating_sub(rss).max(rss.saturating_sub(high));
    let allowed = MB.max(high / 200);
    assert!(
        error <= allowed,
        "{} of {}: recorded {rss}, read {low} to {high}",
        measured.name,
        measured.pid
    );
    error
}

#[test]
fn rss_at_500_checkpoints_is_that_of_smaps_rollup() {
    let count = scaled(500);
    let error = largest_error(count);
    println!("figure: RSS at {count} checkpoints off by at most {error} bytes");
}

/// The highest RSS that a recording holds.
fn highest(life: &Life) -> Bytes {
    let of = |what: &What| match what {
        What::Rss { memory } => Some(memory.rss()),
        What::Checkpoint(mark) => Some(mark.memory.rss()),
        _ => None,
    };
    life.entries
        .iter()
        .filter_map(|entry| of(&entry.what))
        .max()
        .unwrap_or_default()
}

#[test]
fn memory_that_another_process_writes_is_charged_to_its_owner() {
    let memtrace = Memtrace::watch(&["--comm", "steps", "--comm", "remote"]);
    let mut victim = Victim::start::<&str>("steps", &[]);
    let before = memtrace.wait_until_traced(victim.pid());
    assert!(highest(&before) < Bytes::from_mb(16));
    let address = victim.ask("serve 32");
    let mut remote = Command::new(victim_program("remote"));
    let mut remote = Victim::spawn_silent(remote.args([&victim.pid().to_string(), &address, "32"]));
    assert_eq!(remote.hear(), format!("ok {}", 32 * MB));
    let writer = remote.pid();
    assert!(remote.wait().success());
    // The victim itself has done nothing. Before 6.2 its own last faults are not in the sum when
    // the writer stops, so that the last step may be one that is not told.
    let least = if kernel_is_before(6, 2) { 31 } else { 32 };
    memtrace.wait_for_life(victim.pid(), |life| highest(life) >= Bytes::from_mb(least));
    memtrace.wait_for_report(writer);
    let ended = memtrace.stop();
    assert!(highest(&ended.life(writer)) < Bytes::from_mb(16));
    assert!(highest(&ended.life(victim.pid())) < Bytes::from_mb(48));
}

#[test]
fn a_child_has_a_log_of_its_own_and_its_pages_are_not_the_parents() {
    let memtrace = Memtrace::watch(&["--comm", "steps"]);
    let mut victim = Victim::start::<&str>("steps", &[]);
    memtrace.wait_until_traced(victim.pid());
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("anon 40");
    victim.ask("mark parent");
    let child: u32 = victim.ask("fork").parse().expect("a pid");
    victim.ask("anon 60");
    victim.ask("mark child 孩子");
    victim.say("exit 9");
    assert_eq!(victim.wait().code(), Some(9));
    memtrace.wait_for_report(victim.pid());
    let ended = memtrace.stop();
    ended.assert_code(0);
    let (parent, born) = (ended.life(victim.pid()), ended.life(child));
    assert_eq!(parent.children(), [child]);
    assert_eq!(parent.names(), ["parent"]);
    assert!(
        highest(&parent) < Bytes::from_mb(50),
        "{:?}",
        highest(&parent)
    );
    assert_eq!(born.begin().parent.map(|pid| pid.0), Some(victim.pid()));
    born.assert_log(&[
        &format!("父进程: PID {}\n", victim.pid()),
        "[child] RSS=",
        " | 孩子\n",
    ]);
    assert!(born.checkpoint("child").memory.rss() > Bytes::from_mb(100));
    assert_eq!(born.exit().code, Some(9));
    // Two processes: the terminal says whose line each is.
    assert!(
        ended.stdout.contains(&format!("{child:>7} [")),
        "{}",
        ended.stdout
    );
}

#[test]
fn children_are_left_alone_with_no_follow() {
    let memtrace = Memtrace::watch(&["--comm", "steps", "--no-follow"]);
    let mut victim = Victim::start::<&str>("steps", &[]);
    memtrace.wait_until_traced(victim.pid());
    victim.ask("fork");
    victim.ask("anon 8");
    victim.say("exit 0");
    victim.wait();
    memtrace.wait_for_report(victim.pid());
    let ended = memtrace.stop();
    ended.assert_code(0);
    assert_eq!(ended.only_life().begin().pid.0, victim.pid());
}

#[test]
fn a_child_by_vfork_is_not_charged_to_the_parent() {
    let memtrace = Memtrace::watch(&["--comm", "hog"]);
    let mut victim = Victim::start("hog", &["--vfork", "--max", "48"]);
    memtrace.wait_until_traced(victim.pid());
    victim.say("");
    let line = victim.hear();
    let child: u32 = line
        .strip_prefix("child ")
        .expect("a child")
        .parse()
        .expect("a pid");
    memtrace.wait_for_life(child, |life| highest(life) >= Bytes::from_mb(48));
    victim.say("");
    assert_eq!(victim.wait().code(), Some(0));
    memtrace.wait_for_report(victim.pid());
    let ended = memtrace.stop();
    assert!(highest(&ended.life(victim.pid())) < Bytes::from_mb(16));
    assert_eq!(
        ended.life(child).begin().parent.map(|pid| pid.0),
        Some(victim.pid())
    );
}

#[test]
fn threads_that_outlive_their_leader_go_on_in_the_same_log() {
    let memtrace = Memtrace::watch(&["--comm", "hog"]);
    let mut victim = Victim::start("hog", &["--leader-exits", "--threads", "4", "--max", "64"]);
    memtrace.wait_until_traced(victim.pid());
    victim.say("");
    let life = memtrace.wait_for_life(victim.pid(), |life| highest(life) >= Bytes::from_mb(64));
    assert!(life.report.is_empty());
    victim.say("");
    assert_eq!(victim.wait().code(), Some(0));
    let life = memtrace.wait_for_report(victim.pid());
    assert_eq!(life.exit().code, Some(0));
    memtrace.stop().assert_code(0);
}

#[test]
fn exec_is_told_and_the_memory_is_the_new_programs() {
    let memtrace = Memtrace::watch(&["--comm", "steps"]);
    let mut victim = Victim::start::<&str>("steps", &[]);
    memtrace.wait_until_traced(victim.pid());
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("anon 64");
    victim.ask("mark old");
    victim.say("exec 新程序");
    assert_eq!(victim.hear(), format!("ready {}", victim.pid()));
    victim.ask("mark new");
    assert!(victim.finish().success());
    memtrace.wait_for_report(victim.pid());
    let ended = memtrace.stop();
    let life = ended.only_life();
    life.assert_log(&["程序替换", "新程序"]);
    assert!(life.checkpoint("old").memory.rss() > Bytes::from_mb(64));
    assert!(life.checkpoint("new").memory.rss() < Bytes::from_mb(16));
}

#[test]
fn file_and_shared_memory_are_told_apart() {
    let dir = TempDir::new();
    let file = dir.path().join("file");
    let memtrace = Memtrace::watch(&["--comm", "steps"]);
    let mut victim = Victim::start::<&str>("steps", &[]);
    memtrace.wait_until_traced(victim.pid());
    memtrace.wait_for_checkpoints_in("/steps");
    for step in [
        "mark start",
        "anon 20",
        "shmem 30",
        &file_step(&file),
        "mark full",
        "free",
        "mark freed",
    ] {
        victim.ask(step);
    }
    victim.finish();
    memtrace.wait_for_report(victim.pid());
    let life = memtrace.stop().only_life();
    let (start, full, freed) = (
        life.checkpoint("start").memory,
        life.checkpoint("full").memory,
        life.checkpoint("freed").memory,
    );
    // Beside these the program runs: a page of its text or of its loader's may come, or become its
    // own when a probe is put into it.
    let near = |grown: Bytes, base: Bytes, mib: u64| {
        let distance = grown.0.abs_diff(base.0 + mib * MB);
        assert!(
            distance <= 64 << 10,
            "{grown:?} - {base:?} is not {mib} MiB"
        );
    };
    near(full.anon, start.anon, 20);
    // A file on tmpfs counts as shared memory; anywhere else, as file.
    let (shmem, file) = if is_on_tmpfs(dir.path()) {
        (70, 0)
    } else {
        (30, 40)
    };
    near(full.shmem, start.shmem, shmem);
    near(full.file, start.file, file);
    assert!(freed.rss() < Bytes::from_mb(16));
}

fn is_on_tmpfs(path: &Path) -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").expect("/proc is mounted");
    let on = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            Some((fields.next()?, fields.next()?))
        })
        .filter(|(mount, _)| path.starts_with(mount))
        .max_by_key(|(mount, _)| mount.len());
    on.is_some_and(|(_, kind)| kind == "tmpfs")
}

fn file_step(file: &Path) -> String {
    format!("file {} 40", file.display())
}
