//! The whole machine: out of memory, and with a disk to swap to.

use std::{fs, path::Path, process::Command};

use memtrace::entry::{Constraint, PythonState, StackWhy};

use crate::live::rig::{Cgroup, Life, Memtrace, TempDir, Victim, needs_guest, python};

/// The guest's second disk, which nobody else uses.
const DISK: &str = "/dev/nvme0n1";

/// Swap as long as this lives.
struct Swap;

impl Swap {
    fn on() -> Self {
        assert!(Path::new(DISK).exists(), "the guest has a disk for swap");
        run(&["mkswap", DISK]);
        run(&["swapon", DISK]);
        Self
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        let _ = Command::new("swapoff").arg(DISK).status();
    }
}

fn run(command: &[&str]) {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let output = output.expect("it runs");
    assert!(output.status.success(), "{command:?}: {output:?}");
}

/// A line of `/proc/PID/status`, in bytes.
fn status(pid: u32, key: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
    let line = text.lines().find_map(|line| line.strip_prefix(key));
    let kib = line.expect("the line is there").trim_start_matches(':');
    let kib: u64 = kib.trim().trim_end_matches(" kB").parse().expect("kB");
    kib << 10
}

/// Lets a process take all the memory that there is.
fn kill_globally() -> Life {
    needs_guest();
    let mut victim = Victim::start("hog", &["--mark", "整机"]);
    fs::write(format!("/proc/{}/oom_score_adj", victim.pid()), "1000").expect("marked out");
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    memtrace.wait_for_checkpoints_in("/hog");
    victim.say("");
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(victim.pid());
    let Constraint::Global { total, .. } = &life.oom().constraint else {
        panic!("{:?}", life.oom().constraint);
    };
    assert!(total.is_some_and(|total| total.0 > 256 << 20), "{total:?}");
    life.assert_verdict(&[
        "💀 被内核 OOM 杀死: PID ",
        "整机内存耗尽",
        "检查点    [整机] 之后 ",
        "漏记      无",
    ]);
    life
}

#[test]
fn out_of_memory_without_swap() {
    let life = kill_globally();
    let memory = life.oom().memory;
    assert!(memory.rss().0 > 256 << 20, "{memory:?}");
    assert_eq!(memory.swap.0, 0);
}

#[test]
fn out_of_memory_and_swap() {
    needs_guest();
    let swap = Swap::on();
    let life = kill_globally();
    let memory = life.oom().memory;
    assert!(memory.swap.0 > 128 << 20, "{memory:?}");
    drop(swap);
}

/// What is swapped out is not resident, and is told beside it.
#[test]
fn swapped_memory_is_not_counted_as_resident() {
    needs_guest();
    let swap = Swap::on();
    let group = Cgroup::new(48);
    fs::write(group.dir().join("memory.swap.max"), "max").expect("v2 limits swap");
    let mut victim = Victim::start::<&str>("steps", &[]);
    group.add(victim.pid());
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("mark start");
    victim.ask("anon 120");
    let before = status(victim.pid(), "VmSwap");
    victim.ask("mark full");
    let after = status(victim.pid(), "VmSwap");
    victim.finish();
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(victim.pid());
    let memory = life.checkpoint("full").memory;
    assert!(memory.rss().0 <= 52 << 20, "{memory:?}");
    assert!(memory.swap.0 >= 60 << 20, "{memory:?}");
    // Before 6.2 the kernel itself is late by up to 64 pages, later approximately right by as many.
    let slack = 1 << 20;
    let (low, high) = (before.min(after) - slack, before.max(after) + slack);
    assert!(
        (low..=high).contains(&memory.swap.0),
        "{memory:?}, {before} to {after}"
    );
    drop(swap);
}

#[test]
fn a_cgroup_out_of_memory_and_swap() {
    needs_guest();
    let swap = Swap::on();
    let group = Cgroup::new(48);
    fs::write(group.dir().join("memory.swap.max"), "32M").expect("v2 limits swap");
    let mut victim = Victim::start("hog", &["--mark", "大表"]);
    group.add(victim.pid());
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    memtrace.wait_for_checkpoints_in("/hog");
    victim.say("");
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(victim.pid());
    let memory = life.oom().memory;
    assert!(memory.swap.0 > 24 << 20, "{memory:?}");
    life.assert_verdict(&[
        "💀 被内核 OOM 杀死: PID ",
        &format!("cgroup {}: memory.max 48.00MB", group.path),
        "检查点    [大表] 之后 ",
    ]);
    drop(swap);
}

/// Three functions deep it waits for lines, and grows: by a little, and then for good.
const DEEP: &str = "\
import os, sys
held = []
def inner():
    print('ready', os.getpid(), flush=True)
    while sys.stdin.readline() == 'warm\\n':
        held.append(b'x' * (5 << 20))
        print('ok', flush=True)
    while True:
        held.append(b'x' * (1 << 20))
def middle():
    inner()
def outer():
    middle()
outer()
";

const FUNCTIONS: [&str; 4] = ["inner", "middle", "outer", "<module>"];

/// A program in a group that swaps, whose functions have been seen.
fn deep(dir: &TempDir, group: &Cgroup) -> (Victim, Memtrace) {
    fs::write(group.dir().join("memory.swap.max"), "120M").expect("v2 limits swap");
    let program = dir.path().join("deep.py");
    fs::write(&program, DEEP).expect("a file can be written");
    let mut victim = Victim::spawn(Command::new(python()).arg(&program));
    group.add(victim.pid());
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    memtrace.wait_until_traced(victim.pid());
    let is_known = |life: Life| life.stacks().any(|stack| !stack.frames.is_empty());
    while !memtrace.try_life(victim.pid()).is_some_and(is_known) {
        victim.ask("warm");
    }
    (victim, memtrace)
}

#[track_caller]
fn assert_is_the_truth_as_far_as_it_goes(life: &Life) -> usize {
    let mut killed = life.stacks().filter(|stack| stack.why == StackWhy::Kill);
    let stack = killed.next().expect("there is a stack of the kill");
    let found: Vec<_> = stack
        .frames
        .iter()
        .map(|frame| frame.function.as_deref())
        .collect();
    for (found, truth) in found.iter().zip(FUNCTIONS) {
        assert!(found.is_none_or(|found| found == truth), "{stack:#?}");
    }
    assert!(found.len() <= FUNCTIONS.len(), "{stack:#?}");
    if found.len() < FUNCTIONS.len() {
        assert_eq!(stack.python, PythonState::Torn, "{stack:#?}");
    }
    found.iter().flatten().count()
}

/// What it runs is resident, what called that long ago is not, nor are their code objects.
#[test]
fn a_program_whose_callers_are_swapped_out_is_shown_as_it_was() {
    needs_guest();
    let swap = Swap::on();
    let (dir, group) = (TempDir::new(), Cgroup::new(48));
    let (mut victim, memtrace) = deep(&dir, &group);
    victim.say("");
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(victim.pid());
    assert!(life.oom().memory.swap.0 > 64 << 20, "{:?}", life.oom());
    let named = assert_is_the_truth_as_far_as_it_goes(&life);
    assert!(named >= 1, "{}", life.report);
    life.assert_verdict(&["位置      deep.py:9 inner", "增长最多  deep.py:9 +"]);
    drop(swap);
}

/// A victim that sleeps while another one takes all there is: little of it is resident.
#[test]
fn a_program_that_is_swapped_out_itself_shows_no_wrong_name() {
    needs_guest();
    let swap = Swap::on();
    let (dir, group) = (TempDir::new(), Cgroup::new(48));
    let (mut victim, memtrace) = deep(&dir, &group);
    for _ in 0..6 {
        victim.ask("warm");
    }
    let pid = victim.pid();
    fs::write(format!("/proc/{pid}/oom_score_adj"), "1000").expect("marked out");
    let mut hog = Victim::start::<&str>("hog", &[]);
    group.add(hog.pid());
    hog.say("");
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(pid);
    assert!(life.was_oom(), "{}", life.report);
    assert!(life.oom().memory.swap.0 > 16 << 20, "{:?}", life.oom());
    assert_is_the_truth_as_far_as_it_goes(&life);
    life.assert_verdict(&["增长最多  deep.py:6 +"]);
    // What it holds is on the disk.
    drop(hog);
    drop(swap);
}
