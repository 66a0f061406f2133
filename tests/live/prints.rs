//! What programs print and write as checkpoints.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use memtrace::entry::NameState;

use super::rig::{
    Cgroup, Ended, Life, Memtrace, TempDir, Victim, python, pythons, scaled, victim_program,
    wait_until,
};

/// Strings of every kind and other objects, to every kind of file.
const PROGRAM: &str = r#"
import io, sys
class Name(str):
    pass
print("【Phase 1: 客观机会识别】")
print("café", "naïve", sep="-")
print("💀 und 客", 5, ["x"], end="!\n")
print(Name("derived"), Name("子类"), Name("💀"))
print("x" * 300)
sys.stdout.write("written, not printed\n")
print("to a string", file=io.StringIO())
print("to a file", file=open("beside.txt", "w"))
print("to standard error", file=sys.stderr)
print("two\nlines\n")
print("begun", end="")
print(" and ended")
print("a]b\x1b[31m")
print("last")
"#;

fn write(dir: &TempDir, program: &str) -> PathBuf {
    let file = dir.path().join("program.py");
    fs::write(&file, program).expect("a script can be written");
    file
}

fn run(options: &[&str], command: &[&Path]) -> Ended {
    Memtrace::run(options, command).end()
}

/// A run with `--lines` in which the kernel kept no write of whatever process from the probe: it does so
/// now and then, and memtrace says that it may have missed a line.
fn with_every_write_seen(run: impl Fn() -> Ended) -> Ended {
    for _ in 0..5 {
        let ended = run();
        if !ended.stderr.contains("skipped writes") {
            ended.assert_code(0);
            return ended;
        }
        ended.assert_code(3);
    }
    panic!("in each of five runs the kernel skipped the probe");
}

/// The life of the command that was run, whose exit status was zero and nothing lost.
fn life_of(options: &[&str], interpreter: &Path, program: &str) -> Life {
    let dir = TempDir::new();
    let ended = run(options, &[interpreter, &write(&dir, program)]);
    ended.assert_code(0);
    ended.only_life()
}

/// The interpreter, where what is called so is a script that looks for it.
fn itself(interpreter: &Path) -> PathBuf {
    let mut command = Command::new(interpreter);
    let output = command
        .args(["-c", "import sys; print(sys.executable)"])
        .output();
    let output = output.expect("an interpreter runs");
    String::from_utf8_lossy(&output.stdout).trim().into()
}

/// The program's stdout is a pipe, so that nothing of it is written before its end.
#[test]
fn of_every_python_are_checkpoints_at_the_moment_of_the_call() {
    assert!(!pythons().is_empty(), "there is a Python");
    for (version, interpreter) in pythons() {
        let interpreter = itself(interpreter);
        let life = life_of(&["--prints", "--quiet"], &interpreter, PROGRAM);
        let wanted = [
            "【Phase 1: 客观机会识别】",
            "café-naïve",
            "💀 und 客 … …!",
            "derived 子类 💀",
            &"x".repeat(200),
            "to standard error",
            "two",
            "lines",
            "begun and ended",
            "a]b\x1b[31m",
            "last",
        ];
        assert_eq!(life.names(), wanted, "Python {version}");
        let long = &life.checkpoints()[4];
        assert_eq!(long.name_state, NameState::Cut, "Python {version}");
        life.assert_log(&[
            "] [INFO] [【Phase 1: 客观机会识别】] RSS=",
            "[a]b\\x1b[31m] RSS=",
        ]);
        assert!(!life.log.contains('\x1b'));
    }
}

#[test]
fn need_no_stacks_and_may_be_chosen_and_named_by_a_pattern() {
    let program =
        "for i in range(3):\n    print('noise')\n    print(f'【加载 {i}】 {i * 10} 条')\n";
    let pattern = r"--prints=^【(?P<name>[^】]*)】\s*(?P<details>.*)";
    let life = life_of(&[pattern, "--no-stacks", "--quiet"], python(), program);
    assert_eq!(life.names(), ["加载 0", "加载 1", "加载 2"]);
    assert_eq!(life.checkpoint("加载 2").details.as_deref(), Some("20 条"));
}

#[test]
fn of_several_threads_do_not_mix() {
    let program = "import threading\n\
        together = threading.Barrier(4)\n\
        def work(name):\n\
        \x20   together.wait()\n\
        \x20   for i in range(200):\n\
        \x20       print(name, 'says', str(i), sep='_')\n\
        threads = [threading.Thread(target=work, args=(n,)) for n in 'abcd']\n\
        for t in threads: t.start()\n\
        for t in threads: t.join()\n";
    let life = life_of(&["--prints", "--quiet"], python(), program);
    assert_eq!(life.names().len(), 800);
    for name in ["a", "b", "c", "d"] {
        let begin = format!("{name}_says_");
        let said: Vec<&str> = life
            .names()
            .into_iter()
            .filter(|said| said.starts_with(&begin))
            .collect();
        let wanted: Vec<String> = (0..200).map(|i| format!("{begin}{i}")).collect();
        assert_eq!(said, wanted);
    }
}

/// The size at the end of a line is the one that it is told with.
#[test]
fn are_told_with_the_size_of_their_last_piece() {
    let program = "print('before')\n\
        print('grows', end=' ')\n\
        block = b'x' * (64 << 20)\n\
        print('here')\n";
    let life = life_of(&["--prints", "--quiet"], python(), program);
    let size = |name: &str| life.checkpoint(name).memory.rss().0;
    let grown = size("grows here") - size("before");
    assert!((64 << 20..70 << 20).contains(&grown), "{grown}");
}

#[test]
fn of_a_process_that_runs_already_and_of_its_children() {
    let program = "import os, sys\n\
        print('ready', os.getpid(), flush=True)\n\
        for line in sys.stdin:\n\
        \x20   print('said ' + line.strip())\n\
        if os.fork():\n\
        \x20   os.wait()\n\
        else:\n\
        \x20   print('child')\n\
        print('end')\n";
    let dir = TempDir::new();
    let mut victim = Victim::spawn(Command::new(python()).arg(write(&dir, program)));
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string(), "--prints"]);
    wait_until("the first print", || {
        victim.say("again");
        memtrace
            .try_life(victim.pid())?
            .has("said again")
            .then_some(())
    });
    victim.say("once");
    assert!(victim.finish().success());
    let ended = memtrace.end();
    ended.assert_code(0);
    let parent = ended.life(victim.pid());
    assert_eq!(
        parent.names().iter().rev().take(2).collect::<Vec<_>>(),
        [&"end", &"said once"]
    );
    let lives = ended.lives();
    let child = lives.iter().find(|life| life.begin().pid.0 != victim.pid());
    assert_eq!(child.expect("it has a life").names(), ["child", "end"]);
}

#[test]
fn in_a_tight_loop_are_held_to_a_rate_and_that_is_told() {
    const LINES: usize = 100_000;
    let program = format!(
        "import sys\n\
        for i in range({}):\n\
        \x20   print('x', 'y')\n\
        print('last')\n",
        scaled(LINES)
    );
    let dir = TempDir::new();
    let ended = run(
        &["--prints", "--quiet", "--lang", "en"],
        &[python(), &write(&dir, &program)],
    );
    let life = ended.only_life();
    let names = life.names();
    if scaled(LINES) < LINES {
        println!("not on this machine: it prints no faster than a process may");
        assert!(names.iter().all(|name| matches!(*name, "x y" | "last")));
        return;
    }
    ended.assert_code(3);
    // Four pieces a line: fifty thousand pieces and some more, and no line with a hole in it.
    assert!(
        names.len() > 10_000 && names.len() < 100_000,
        "{}",
        names.len()
    );
    assert!(names.iter().all(|name| matches!(*name, "x y" | "last")));
    assert!(ended.stderr.contains("too fast"), "{}", ended.stderr);
}

/// The phases of a program that is killed, with no change to it.
#[test]
fn tell_in_which_phase_a_program_was_killed() {
    let program = "import os, sys\n\
        print('ready', os.getpid(), flush=True)\n\
        sys.stdin.readline()\n\
        blocks = []\n\
        for phase, size in (('【Phase 1: 客观机会识别】', 20), ('【Phase 2: 错过机会分析】', 400)):\n\
        \x20   print(phase)\n\
        \x20   for i in range(size):\n\
        \x20       blocks.append(b'x' * (1 << 20))\n\
        print('【Phase 3: 参数优化】')\n";
    let dir = TempDir::new();
    let group = Cgroup::new(120);
    let mut victim = Victim::spawn(Command::new(python()).arg(write(&dir, program)));
    group.add(victim.pid());
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string(), "--prints=^【"]);
    memtrace.wait_for(|line| line.contains("checkpoints are seen in "));
    victim.say("go");
    victim.wait();
    let ended = memtrace.end();
    let life = ended.life(victim.pid());
    assert_eq!(
        life.names(),
        ["【Phase 1: 客观机会识别】", "【Phase 2: 错过机会分析】"]
    );
    let verdict = life.report.lines().find(|line| line.contains("检查点 "));
    let verdict = verdict.expect("the verdict names a checkpoint");
    assert!(
        verdict.contains("[【Phase 2: 错过机会分析】] 之后"),
        "{verdict}"
    );
}

/// Each of Debian's is seen to print, or it is said that none was.
#[test]
fn that_an_interpreter_keeps_to_itself_are_missed_aloud() {
    let mut interpreters = xtask::test::debian::interpreters();
    interpreters.insert("of this machine".to_owned(), itself(python()));
    for (version, interpreter) in &interpreters {
        let dir = TempDir::new();
        let script = write(
            &dir,
            "import time\nprint('one')\ntime.sleep(0.3)\nprint('two')\n",
        );
        let ended = run(&["--prints", "--quiet"], &[interpreter, &script]);
        ended.assert_code(0);
        let told = ended.stderr.contains("--prints: no print was seen");
        let seen = ended.only_life().names().last() == Some(&"two");
        assert!(seen != told, "Python {version}: {}", ended.stderr);
    }
}

#[test]
fn that_no_target_can_make_are_told_at_the_end() {
    let ended = run(&["--prints", "--quiet"], &[Path::new("/bin/true")]);
    ended.assert_code(0);
    assert!(
        ended.stderr.contains("--prints: no target ran a CPython"),
        "{}",
        ended.stderr
    );
}

#[test]
fn lines_of_any_program_are_checkpoints_when_it_writes_them() {
    let script = "echo 开始; printf 'half '; printf 'and half\\n'; echo error >&2; \
                  printf 'one\\ntwo\\n'; echo; echo 结束";
    let ended = with_every_write_seen(|| {
        Memtrace::run(&["--lines", "--quiet"], &["sh", "-c", script]).end()
    });
    let told = ended
        .stderr
        .lines()
        .filter(|line| line.contains("buffers its output is late"));
    assert_eq!(told.count(), 1, "{}", ended.stderr);
    let names = ["开始", "half and half", "error", "one", "two", "结束"];
    assert_eq!(ended.only_life().names(), names);
}

#[test]
fn lines_of_a_c_program_are_chosen_by_a_pattern() {
    let ended = with_every_write_seen(|| {
        let mut victim = Victim::start::<&str>("steps", &[]);
        let pid = victim.pid().to_string();
        let memtrace = Memtrace::watch(&["--pid", &pid, "--lines=^(?P<name>ok)", "--quiet"]);
        victim.ask("anon 20");
        victim.finish();
        memtrace.end()
    });
    assert_eq!(ended.only_life().names(), ["ok"]);
}

/// What a Python prints is not told again when it is written.
#[test]
fn prints_and_lines_together_tell_each_line_once() {
    let program = "import os\n\
        print('printed')\n\
        os.system('echo of a shell')\n\
        print('end', flush=True)\n";
    let dir = TempDir::new();
    let script = write(&dir, program);
    let ended =
        with_every_write_seen(|| run(&["--prints", "--lines", "--quiet"], &[python(), &script]));
    let mut names: Vec<String> = Vec::new();
    for life in ended.lives() {
        names.extend(life.names().into_iter().map(str::to_owned));
    }
    names.sort();
    assert_eq!(names, ["end", "of a shell", "printed"]);
}

#[test]
fn a_broken_pattern_is_a_usage_error_that_shows_where() {
    let ended = run(&["--prints=【(", "--quiet"], &[&victim_program("steps")]);
    ended.assert_code(2);
    assert!(
        ended.stderr.contains("--prints: ") && ended.stderr.contains("unclosed group"),
        "{}",
        ended.stderr
    );
}
