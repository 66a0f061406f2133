//! The Python stacks of running processes, under every interpreter of this machine, against what
//! Python itself says of them.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use super::rig::{TempDir, Victim, program, pythons};

/// Frames of every kind, names of every width, and what Python knows of them: its output is its own
/// stack as it stands while it waits.
const PROGRAM: &str = r#"
import asyncio, json, os, sys, threading
def stack():
    frame, found = sys._getframe(1), []
    while frame:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        found.append("%s:%d %s" % (code.co_filename, frame.f_lineno, name))
        frame = frame.f_back
    return found
def block():
    print("ready", os.getpid()); print(json.dumps(stack())); sys.stdout.flush(); sys.stdin.readline()
def 加载():
    block()
def café():
    加载()
def 𠀀():
    café()
class 缓存:
    @property
    def 内容(self):
        return 𠀀()
def generator():
    yield 1
    yield 缓存().内容
def recursive(n):
    if n:
        return recursive(n - 1)
    return [value
            for value in generator()]
def decorator(function):
    def wrapper(*args):
        return function(*args)
    return wrapper
@decorator
def decorated():
    recursive(60)
async def inner():
    decorated()
async def outer():
    await inner()
def run():
    exec(compile("\n\nasyncio.run(outer())", "<made>", "exec"))
def worker():
    threading.Event().wait()
threading.Thread(target=worker, daemon=True).start()
class Body:
    sorted([1], key=lambda _: (
        run()))
"#;

fn stack(pids: &[u32]) -> Output {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    let mut command = Command::new(program());
    let output = command.arg("stack").args(pids).output();
    output.expect("memtrace runs")
}

/// The lines of each thread.
fn threads(text: &str) -> Vec<Vec<&str>> {
    let mut threads: Vec<Vec<&str>> = Vec::new();
    for line in text.lines().skip(1) {
        match (line.strip_prefix("    "), threads.last_mut()) {
            (Some(frame), Some(thread)) => thread.push(frame),
            _ => threads.push(Vec::new()),
        }
    }
    threads
}

fn assert_stack(interpreter: &Path, file: &Path, version: &str) {
    let mut victim = Victim::spawn(Command::new(interpreter).arg(file));
    let wanted: Vec<String> = serde_json::from_str(&victim.hear()).expect("it is JSON");
    let output = stack(&[victim.pid()]);
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    assert!(output.status.success(), "{version}: {text}");
    let head = format!("PID {}: CPython {version}", victim.pid());
    assert!(text.starts_with(&head), "{text}");
    assert!(
        text.lines()
            .next()
            .is_some_and(|line| line.ends_with(", 2 threads"))
    );
    assert!(wanted.len() > 70, "{wanted:?}");
    let threads = threads(&text);
    assert!(
        threads.contains(&wanted.iter().map(String::as_str).collect()),
        "{wanted:#?}\n{text}"
    );
    let works = |thread: &&Vec<&str>| thread.iter().any(|frame| frame.ends_with(" worker"));
    assert_eq!(threads.iter().filter(works).count(), 1, "{text}");
    victim.say("");
    assert!(victim.finish().success());
}

#[test]
fn every_frame_of_every_interpreter_is_named_with_its_line() {
    let dir = TempDir::new();
    let file = dir.path().join("泄漏.py");
    fs::write(&file, PROGRAM).expect("a script can be written");
    let debians = xtask::test::debian::interpreters();
    let known = pythons()
        .iter()
        .chain(&debians)
        .filter(|(version, _)| is_known(version))
        .inspect(|(version, interpreter)| assert_stack(interpreter, &file, &minor(version)));
    println!("figure: {} interpreters", known.count());
}

/// `3.11.7` → `3.11`
fn minor(version: &str) -> String {
    version.split('.').take(2).collect::<Vec<_>>().join(".")
}

fn is_known(version: &str) -> bool {
    let minor = minor(version);
    let minor = minor
        .strip_prefix("3.")
        .and_then(|minor| minor.parse().ok());
    minor.is_some_and(|minor: u32| (7..=15).contains(&minor))
}

#[test]
fn a_process_without_python_and_one_that_is_not_there_are_named() {
    let victim = Victim::start::<&str>("steps", &[]);
    let output = stack(&[victim.pid(), 4_000_000_000]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    let parts = [
        format!("PID {}: no CPython in it", victim.pid()),
        "no process has PID 4000000000".to_owned(),
    ];
    for part in parts {
        assert!(said.contains(&part), "{said}");
    }
}
