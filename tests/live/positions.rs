//! Where a Python program was when it was killed, and which of its lines had grown.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use memtrace::entry::{Frame, PythonState, Stack, StackWhy};

use super::rig::{Cgroup, Life, Memtrace, TempDir, Victim, program, python, scaled};

/// What every program here begins with: it says that it is ready, and waits for a line.
const READY: &str = "\
import os, sys
print('ready', os.getpid(), flush=True)
warm = []
while sys.stdin.readline() == 'warm\\n':
    warm.append(b'x' * (5 << 20))
    print('ok', flush=True)
";

fn start(dir: &Path, name: &str, program: &str) -> (PathBuf, Victim) {
    let file = dir.join(name);
    fs::write(&file, format!("{READY}{program}")).expect("a file can be written");
    let victim = Victim::spawn(Command::new(python()).arg(&file));
    (file, victim)
}

/// Waits until memtrace has found the Python of a victim, which grows a little for that.
#[track_caller]
fn wait_until_known(memtrace: &Memtrace, victim: &mut Victim) {
    memtrace.wait_until_traced(victim.pid());
    let is_known = |life: Life| life.stacks().any(|stack| !stack.frames.is_empty());
    while !memtrace.try_life(victim.pid()).is_some_and(is_known) {
        victim.ask("warm");
    }
}

/// The stack of the only thread of a victim, as SIGKILL was delivered to it.
#[track_caller]
fn killed_at(life: &Life) -> &Stack {
    let found: Vec<&Stack> = life
        .stacks()
        .filter(|stack| stack.why == StackWhy::Kill)
        .collect();
    let [stack] = found[..] else {
        panic!("{found:#?}")
    };
    assert_eq!(stack.python, PythonState::Whole);
    stack
}

/// MiB that each line of a program is charged with.
fn growth(life: &Life, file: &Path) -> BTreeMap<u32, i64> {
    let mut lines = BTreeMap::new();
    for stack in life.stacks() {
        let is_own = |frame: &&Frame| frame.file.as_deref() == file.to_str();
        let own = stack.frames.iter().find(is_own);
        if let (Some(at), Some(moved)) = (own.and_then(|own| own.line), stack.moved) {
            *lines.entry(at).or_insert(0) += moved.0;
        }
    }
    lines
        .into_iter()
        .map(|(line, moved)| (line, moved >> 20))
        .collect()
}

#[test]
fn lines_that_allocate_known_amounts_are_charged_with_them() {
    let dir = TempDir::new();
    let program = "\
small = b'x' * (20 << 20)
large = b'x' * (120 << 20)
print('ok', flush=True)
sys.stdin.readline()
del large
middle = [b'x' * (1 << 20) for _ in range(60)]
print('ok', flush=True)
sys.stdin.readline()
";
    let (file, mut victim) = start(dir.path(), "amounts.py", program);
    let pid = victim.pid().to_string();
    let memtrace = Memtrace::watch(&["--stack-step", "1M", "--pid", &pid]);
    wait_until_known(&memtrace, &mut victim);
    for _ in 0..2 {
        victim.ask("");
    }
    let pid = victim.pid();
    victim.finish();
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(pid);
    let lines = growth(&life, &file);
    // What is left of a step at the end of a line is charged to the next one.
    for (line, mib) in [(7, 20), (8, 120), (11, -120), (12, 60)] {
        let charged = lines.get(&line).copied().unwrap_or(0);
        assert!(
            (charged - mib).abs() <= 4,
            "line {line}: {charged} MiB; {lines:?}"
        );
    }
}

#[test]
fn a_victim_that_slept_shows_its_sleep_and_the_line_that_grew() {
    let dir = TempDir::new();
    let program = "\
def grow():
    return [b'x' * (1 << 20) for _ in range(60)]
def sleep(held):
    print('ok', flush=True)
    sys.stdin.readline()
sleep(grow())
";
    for _ in 0..scaled(20) {
        let group = Cgroup::new(120);
        let (file, mut victim) = start(dir.path(), "asleep.py", program);
        let pid = victim.pid();
        fs::write(format!("/proc/{pid}/oom_score_adj"), "1000").expect("marked out");
        group.add(pid);
        let memtrace = Memtrace::watch(&["--pid", &pid.to_string()]);
        wait_until_known(&memtrace, &mut victim);
        victim.ask("");
        let mut hog = Victim::start::<&str>("hog", &[]);
        group.add(hog.pid());
        hog.say("");
        let ended = memtrace.end();
        let life = ended.life(pid);
        assert!(!life.oom().own);
        let stack = killed_at(&life);
        let place = (stack.frames[0].function.as_deref(), stack.frames[0].line);
        assert_eq!(place, (Some("sleep"), Some(11)), "{stack:#?}");
        let heaviest = growth(&life, &file).into_iter().max_by_key(|(_, mib)| *mib);
        assert!(
            heaviest.is_some_and(|(line, mib)| line == 8 && mib > 50),
            "{heaviest:?}"
        );
        life.assert_verdict(&[
            "位置      asleep.py:11 sleep ← asleep.py:12 <module>",
            "asleep.py:8 +",
        ]);
    }
}

#[test]
fn victims_of_one_instant_have_each_their_own_stack() {
    let dir = TempDir::new();
    let groups: Vec<Cgroup> = (0..8).map(|_| Cgroup::new(80)).collect();
    let mut victims: Vec<Victim> = groups
        .iter()
        .enumerate()
        .map(|(number, group)| {
            let program = format!(
                "\
def leak_{number}():
    held = []
    while True:
        held.append(b'x' * (1 << 20))
leak_{number}()
"
            );
            let (_, victim) = start(dir.path(), &format!("leak{number}.py"), &program);
            group.add(victim.pid());
            victim
        })
        .collect();
    let mut args: Vec<String> = Vec::new();
    for victim in &victims {
        args.extend(["--pid".to_owned(), victim.pid().to_string()]);
    }
    let memtrace = Memtrace::watch(&args);
    for victim in &mut victims {
        wait_until_known(&memtrace, victim);
    }
    for victim in &mut victims {
        victim.say("");
    }
    let ended = memtrace.end();
    ended.assert_code(0);
    for (number, victim) in victims.iter().enumerate() {
        let life = ended.life(victim.pid());
        let stack = killed_at(&life);
        let function = format!("leak_{number}");
        assert_eq!(
            stack.frames[0].function.as_deref(),
            Some(&*function),
            "{stack:#?}"
        );
        life.assert_verdict(&[&format!("位置      leak{number}.py:10 {function} ← ")]);
    }
}

#[test]
fn every_thread_of_a_victim_has_its_stack_and_the_one_that_asked_comes_first() {
    let dir = TempDir::new();
    let program = "\
import threading
def wait(gate):
    gate.wait()
def leak():
    held = []
    while True:
        held.append(b'x' * (1 << 20))
gate = threading.Event()
threads = [threading.Thread(target=wait, args=(gate,)) for _ in range(10)]
threads.append(threading.Thread(target=leak))
for thread in threads:
    thread.start()
wait(gate)
";
    let group = Cgroup::new(80);
    let (_, mut victim) = start(dir.path(), "threads.py", program);
    group.add(victim.pid());
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    wait_until_known(&memtrace, &mut victim);
    victim.say("");
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(victim.pid());
    let mut functions: BTreeMap<&str, usize> = BTreeMap::new();
    for stack in life.stacks().filter(|stack| stack.why == StackWhy::Kill) {
        let own = |frame: &&Frame| {
            frame
                .file
                .as_deref()
                .is_some_and(|file| file.ends_with("threads.py"))
        };
        let frame = stack.frames.iter().find(own).expect("it runs the program");
        *functions
            .entry(frame.function.as_deref().unwrap_or("?"))
            .or_default() += 1;
    }
    assert_eq!(functions, BTreeMap::from([("leak", 1), ("wait", 11)]));
    life.assert_verdict(&["位置      threads.py:13 leak ← "]);
}

#[test]
fn without_stacks_none_are_taken() {
    let dir = TempDir::new();
    let program = "\
held = [b'x' * (1 << 20) for _ in range(1000)]
";
    let group = Cgroup::new(60);
    let (_, mut victim) = start(dir.path(), "none.py", program);
    group.add(victim.pid());
    let memtrace = Memtrace::watch(&["--no-stacks", "--pid", &victim.pid().to_string()]);
    memtrace.wait_until_traced(victim.pid());
    victim.say("");
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(victim.pid());
    assert!(life.was_oom() && life.stacks().next().is_none());
    assert!(!life.verdict().contains("位置"), "{}", life.verdict());
}

#[test]
fn a_python_that_is_not_known_is_named_in_the_log_and_in_the_verdict() {
    let group = Cgroup::new(60);
    let mut victim = Victim::start::<&str>("stranger", &[]);
    let pid = victim.pid();
    group.add(pid);
    let memtrace = Memtrace::watch(&["--pid", &pid.to_string()]);
    memtrace.wait_for(|line| line.contains("no Python stacks of pid"));
    victim.say("");
    victim.wait();
    let ended = memtrace.end();
    let life = ended.life(pid);
    let why = "CPython 3.99 is not known; 3.7 to 3.15 are";
    let log = fs::read_to_string(&life.file).expect("there is a log");
    let in_log: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("[INFO]") && line.contains(why))
        .collect();
    assert!(
        matches!(in_log[..], [once] if once.contains("/stranger: ")),
        "{log}"
    );
    life.assert_verdict(&["位置      ", "没有 Python 栈: ", why]);
    assert!(life.stacks().all(|stack| stack.frames.is_empty()));
}

#[test]
fn the_doctor_says_whether_stacks_can_be_taken() {
    let output = Command::new(program())
        .arg("doctor")
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stdout);
    if !said.contains("ok    stacks ") {
        let memtrace = Memtrace::watch(&["--comm", "memtrace-test-nobody"]);
        panic!("{said}{}", memtrace.stop().stderr);
    }
}
