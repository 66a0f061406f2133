//! Native functions: of a program without Python where it was killed and what grew, and of one in Python
//! what its line had called.

use std::{fs, process::Command};

use memtrace::entry::{PythonState, Stack, StackWhy};

use super::rig::{Cgroup, Ended, Life, Memtrace, TempDir, Victim, python, victim_program};

/// The native functions of a stack as far as they have names, the innermost first.
fn functions(stack: &Stack) -> Vec<&str> {
    let named = stack.natives.iter();
    named
        .filter_map(|frame| frame.function.as_deref())
        .collect()
}

/// Lets a victim grow to its limit once a stack of it has been told that is as wanted.
fn kill(mut victim: Victim, limit_mib: u64, is_known: impl Fn(&Stack) -> bool) -> (u32, Ended) {
    let group = Cgroup::new(limit_mib);
    let pid = victim.pid();
    group.add(pid);
    let memtrace = Memtrace::watch(&["--pid", &pid.to_string()]);
    memtrace.wait_until_traced(pid);
    let is_known = |life: Life| life.stacks().any(&is_known);
    while !memtrace.try_life(pid).is_some_and(is_known) {
        victim.ask("warm");
    }
    victim.say("");
    let ended = memtrace.end();
    ended.assert_code(0);
    (pid, ended)
}

fn killed_at(life: &Life) -> Vec<&Stack> {
    assert!(life.was_oom());
    let stacks: Vec<&Stack> = life
        .stacks()
        .filter(|stack| stack.why == StackWhy::Kill)
        .collect();
    assert!(!stacks.is_empty());
    stacks
}

/// `native` killed as it grows by this: a thread of it, and the page.
fn killed_native(how: &str) -> Life {
    let victim = Victim::start("native", &[how]);
    let is_known = |stack: &Stack| functions(stack).starts_with(&["fill", "warm", "main"]);
    let (pid, ended) = kill(victim, 150, is_known);
    ended.life(pid)
}

#[test]
fn name_where_a_program_without_python_was_killed_and_what_grew() {
    let life = killed_native("itself");
    let at = killed_at(&life);
    assert_eq!(functions(at[0]), ["fill", "grow", "main"], "{at:#?}");
    life.assert_verdict(&[
        "位置      fill() [native] ← grow() [native] ← main() [native]",
        "增长最多  fill() [native] +",
    ]);
}

#[test]
fn name_who_called_a_library_that_keeps_no_frame_pointers() {
    let life = killed_native("memset");
    let at = killed_at(&life);
    let own = |stack: &Stack| -> Vec<String> {
        let natives = stack.natives.iter();
        natives
            .filter(|frame| {
                frame
                    .file
                    .as_deref()
                    .is_some_and(|file| file.ends_with("/native"))
            })
            .map(|frame| frame.function.as_deref().unwrap_or("?").to_owned())
            .collect()
    };
    assert_eq!(own(at[0]), ["grow", "main"], "{at:#?}");
    life.assert_verdict(&[
        "grow() [native] ← main() [native]",
        "增长最多  grow() [native] +",
    ]);
}

#[test]
fn name_the_thread_that_asked_for_the_memory() {
    let life = killed_native("thread");
    let threads = killed_at(&life);
    assert_eq!(threads.len(), 2);
    let works = |stack: &&&Stack| functions(stack).ends_with(&["grow", "work"]);
    assert_eq!(threads.iter().filter(works).count(), 1, "{threads:#?}");
    life.assert_verdict(&["grow() [native] ← work() [native]"]);
}

#[test]
fn name_nothing_wrong_of_a_program_without_frame_pointers() {
    let group = Cgroup::new(60);
    let mut hog = Victim::start::<&str>("hog", &[]);
    let pid = hog.pid();
    group.add(pid);
    let memtrace = Memtrace::watch(&["--pid", &pid.to_string()]);
    memtrace.wait_until_traced(pid);
    hog.say("");
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(pid);
    let own = fs::read(victim_program("hog")).expect("it is there");
    let has = |name: &str| {
        own.windows(name.len())
            .any(|window| window == name.as_bytes())
    };
    for stack in life.stacks() {
        assert_eq!(stack.python, PythonState::Unknown);
        for frame in &stack.natives {
            let of_hog = frame
                .file
                .as_deref()
                .is_some_and(|file| file.ends_with("/hog"));
            let name = frame.function.as_deref();
            assert!(!of_hog || name.is_none_or(&has), "{stack:#?}");
        }
    }
}

#[test]
fn stand_under_the_python_line_that_called_them() {
    let dir = TempDir::new();
    let file = dir.path().join("calls.py");
    let library = victim_program("libnative.so");
    let program = format!(
        "\
import ctypes, os, sys
library = ctypes.CDLL({library:?})
print('ready', os.getpid(), flush=True)
warm = []
while sys.stdin.readline() == 'warm\\n':
    warm.append(b'x' * (5 << 20))
    print('ok', flush=True)
def load():
    library.native_grow()
load()
"
    );
    fs::write(&file, program).expect("a file can be written");
    let victim = Victim::spawn(Command::new(python()).arg(&file));
    let (pid, ended) = kill(victim, 150, |stack| !stack.frames.is_empty());
    let life = ended.life(pid);
    let at = killed_at(&life)[0];
    let place = (at.frames[0].function.as_deref(), at.frames[0].line);
    assert_eq!(place, (Some("load"), Some(9)));
    assert_eq!(functions(at).first(), Some(&"fill"), "{at:#?}");
    assert!(
        at.natives.iter().all(|frame| !frame.runs_python()),
        "{at:#?}"
    );
    life.assert_verdict(&[
        "位置      calls.py:9 load ← calls.py:10 <module>",
        "增长最多  calls.py:9 +",
    ]);
}
