//! Checkpoints of every kind of program, wherever their marker is, whatever they are called.

use std::{ffi::OsString, fs, path::Path, process::Command};

use memtrace::{
    entry::{NameState, What},
    units::Bytes,
};

use super::rig::{Life, Memtrace, TempDir, Victim, python, pythons, root, victim_program};

#[test]
fn of_a_c_program() {
    let victim = Victim::start::<&str>("steps", &[]);
    check_steps(victim, "/steps");
}

/// The executable is on a file system that only the victim's mount namespace has.
#[test]
fn of_a_program_in_another_mount_namespace() {
    let dir = TempDir::new();
    let script = "mount -t tmpfs none \"$1\" && cp \"$0\" \"$1/inside\" && exec \"$1/inside\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "sh", "-c", script]);
    unshare.arg(victim_program("steps")).arg(dir.path());
    let victim = Victim::spawn(&mut unshare);
    assert!(!dir.path().join("inside").exists());
    check_steps(victim, "/inside");
}

fn check_steps(mut victim: Victim, file: &str) {
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    memtrace.wait_for_checkpoints_in(file);
    victim.ask("mark 开始");
    victim.ask("anon 20");
    victim.ask("mark 结束 多 了 20");
    assert!(victim.finish().success());
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.only_life();
    assert_eq!(life.names(), ["开始", "结束"]);
    assert_eq!(life.checkpoint("结束").details.as_deref(), Some("多 了 20"));
    life.assert_log(&[
        "] [INFO] [开始] RSS=",
        " (Δ+0.00MB, +0.00MB)\n",
        "MB) | 多 了 20\n",
    ]);
    // Shown live as they stand in the log.
    let logged = life
        .log
        .lines()
        .find(|line| line.contains("[结束]"))
        .expect("in the log");
    assert!(
        ended.stdout.lines().any(|shown| shown == logged),
        "{}",
        ended.stdout
    );
}

#[test]
fn of_a_library_that_is_loaded_later() {
    let library = victim_program("liblate.so");
    let mut victim = Victim::start("late", &[&library]);
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    victim.say("");
    assert_eq!(victim.hear(), format!("loaded {}", victim.pid()));
    memtrace.wait_for_checkpoints_in("/liblate.so");
    victim.say("");
    assert_eq!(victim.hear(), format!("done {}", victim.pid()));
    victim.say("");
    assert_eq!(victim.wait().code(), Some(7));
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.only_life();
    assert_eq!(life.names(), ["late_first", "late_second"]);
    assert_eq!(
        life.checkpoint("late_first").details.as_deref(),
        Some("from liblate")
    );
}

#[test]
fn any_function_by_its_name() {
    let library = victim_program("liblate.so");
    for marker in [
        format!("{}:late_mark=载入", library.display()),
        "late_mark=载入".to_owned(),
    ] {
        let mut victim = Victim::start("late", &[&library]);
        let pid = victim.pid().to_string();
        let memtrace = Memtrace::watch(&["--pid", &pid, "--marker", &marker]);
        victim.say("");
        victim.hear();
        memtrace.wait_for_checkpoints_in("/liblate.so");
        victim.say("");
        victim.hear();
        victim.finish();
        let ended = memtrace.end();
        ended.assert_code(0);
        assert_eq!(
            ended.only_life().names(),
            ["载入", "late_first", "载入", "late_second"]
        );
    }
}

#[test]
fn a_marker_that_no_target_has_is_told_at_the_end() {
    let (memtrace, victim) = {
        let victim = Victim::start::<&str>("steps", &[]);
        let pid = victim.pid().to_string();
        (
            Memtrace::watch(&["--pid", &pid, "--marker", "no_such_function=x"]),
            victim,
        )
    };
    drop(victim);
    let ended = memtrace.end();
    ended.assert_code(0);
    assert!(
        ended.stderr.contains("no target had a function for `x`"),
        "{}",
        ended.stderr
    );
}

/// A Python program that says `ready` and waits for a line before each step.
fn script(steps: &str) -> String {
    format!(
        "import os, sys\n\
         sys.path.insert(0, sys.argv[1])\n\
         def wait():\n    sys.stdin.readline()\n\
         print('ready', os.getpid(), flush=True)\n\
         wait()\n{steps}"
    )
}

fn python_command(interpreter: &Path, script: &Path, argument: &Path) -> Command {
    let mut command = Command::new(interpreter);
    command.arg(script).arg(argument);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(script.parent().expect("a script lies in a directory"));
    command
}

#[test]
fn of_the_drop_in_under_every_python() {
    let steps = "from memory_monitor import init_global_monitor, memory_checkpoint\n\
                 init_global_monitor(name='策略', warning_threshold_mb=100, critical_threshold_mb=200)\n\
                 memory_checkpoint('第一步', '细节 1')\n\
                 block = b'x' * (64 << 20)\n\
                 memory_checkpoint('第二步')\n";
    let mut tried = 0;
    for (version, interpreter) in pythons() {
        let minor = version
            .split('.')
            .nth(1)
            .and_then(|minor| minor.parse::<u32>().ok());
        if minor.is_none_or(|minor| minor < 8) {
            continue;
        }
        let dir = TempDir::new();
        let file = dir.path().join("program.py");
        fs::write(&file, script(steps)).expect("a script can be written");
        let memtrace = Memtrace::watch(&["--comm", "program.py"]);
        let mut victim = Victim::spawn(&mut python_command(
            interpreter,
            &file,
            &root().join("python"),
        ));
        memtrace
            .wait_for(|line| line.contains("checkpoints are seen in ") && line.contains("python"));
        victim.say("");
        assert!(victim.finish().success(), "Python {version}");
        memtrace.wait_for_report(victim.pid());
        let ended = memtrace.stop();
        ended.assert_code(0);
        check_drop_in(version, &ended.only_life());
        // memtrace writes the log; the program leaves it to it.
        let left = fs::read_dir(dir.path()).expect("it is there").count();
        assert_eq!(left, 1, "Python {version} wrote a log of its own");
        tried += 1;
    }
    assert!(tried > 0, "no Python 3.8 or later was found");
}

fn check_drop_in(version: &str, life: &Life) {
    assert_eq!(life.names(), ["第一步", "第二步"], "Python {version}");
    assert_eq!(life.checkpoint("第一步").details.as_deref(), Some("细节 1"));
    let init = life.entries.iter().find_map(|entry| match &entry.what {
        What::Init {
            name,
            warning,
            critical,
            ..
        } => Some((name.as_deref(), *warning, *critical)),
        _ => None,
    });
    let wanted = (
        Some("策略"),
        Some(Bytes::from_mb(100)),
        Some(Bytes::from_mb(200)),
    );
    assert_eq!(init, Some(wanted), "Python {version}");
    let grown = life.checkpoint("第二步").memory.rss().0 - life.checkpoint("第一步").memory.rss().0;
    assert!(
        (64 << 20..70 << 20).contains(&grown),
        "Python {version}: {grown}"
    );
    assert!(
        life.report.contains("内存监控报告 - 策略\n"),
        "{}",
        life.report
    );
}

/// Names of every kind, given to the C marker byte for byte.
#[test]
fn names_of_every_kind() {
    let dir = TempDir::new();
    let file = dir.path().join("names.py");
    let steps = "import ctypes\n\
        late = ctypes.CDLL(sys.argv[1])\n\
        late.late_mark.argtypes = [ctypes.c_char_p, ctypes.c_char_p]\n\
        print('loaded', flush=True)\n\
        wait()\n\
        for name in [b'x' * 255, '\u{6d4b}'.encode() * 85, b'y' * 10000, b'', None, b'\\xff\\xfe!',\n\
                     b'a\\nb\\x1b[31m', b'[0] RSS=1.00MB (x)', b'end']:\n\
        \x20   late.late_mark(name, b'd\\te')\n";
    fs::write(&file, script(steps)).expect("a script can be written");
    let library = victim_program("liblate.so");
    let mut victim = Victim::spawn(&mut python_command(python(), &file, &library));
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    victim.say("");
    assert_eq!(victim.hear(), "loaded");
    memtrace.wait_for_checkpoints_in("/liblate.so");
    victim.say("");
    assert!(victim.finish().success());
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.only_life();
    let names = life.names();
    assert_eq!(names.len(), 9, "{names:?}");
    assert_eq!(names[0], "x".repeat(255));
    assert_eq!(names[1], "测".repeat(85));
    assert_eq!(names[2], "y".repeat(255));
    assert_eq!(
        &names[3..],
        [
            "",
            "",
            "\u{fffd}\u{fffd}!",
            "a\nb\x1b[31m",
            "[0] RSS=1.00MB (x)",
            "end"
        ]
    );
    let states: Vec<NameState> = life
        .checkpoints()
        .iter()
        .map(|mark| mark.name_state)
        .collect();
    let mut wanted = [NameState::Whole; 9];
    wanted[2] = NameState::Cut;
    wanted[4] = NameState::Unreadable;
    assert_eq!(states, wanted);
    // No name can forge a line or reach the terminal.
    assert!(!life.log.contains('\x1b') && !ended.stdout.contains('\x1b'));
    assert_eq!(
        life.log
            .lines()
            .filter(|line| line.ends_with("| d\\te"))
            .count(),
        9
    );
    life.assert_log(&["[a\\nb\\x1b[31m] RSS=", "[<名称不可读>] RSS=", "[] RSS="]);
}

#[test]
fn a_thousand_in_a_row_keep_their_order() {
    let mut victim = Victim::start::<&str>("steps", &[]);
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string(), "--quiet"]);
    super::rig::wait_until("the first checkpoint", || {
        victim.ask("mark first");
        memtrace.try_life(victim.pid())?.has("first").then_some(())
    });
    victim.ask("marks 1000");
    victim.finish();
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.only_life();
    let wanted: Vec<String> = (0..1000).map(|number| format!("c{number:04}")).collect();
    let names: Vec<&str> = life
        .names()
        .into_iter()
        .filter(|name| *name != "first")
        .collect();
    assert_eq!(names, wanted);
    // The list in the report is in that order, too.
    let listed = life.report.lines().filter(|line| line.contains(". [c"));
    assert!(listed.count() > 0);
}

/// Thresholds of the command line hold against those of the program.
#[test]
fn thresholds_are_crossed_and_told() {
    let mut victim = Victim::start::<&str>("steps", &[]);
    let args: Vec<OsString> = ["--warning-mb", "50", "--critical-mb", "80", "--pid"]
        .iter()
        .map(OsString::from)
        .chain([victim.pid().to_string().into()])
        .collect();
    let memtrace = Memtrace::watch(&args);
    memtrace.wait_for_checkpoints_in("/steps");
    victim.ask("mark klein");
    victim.ask("anon 60");
    victim.ask("mark mittel");
    victim.ask("anon 60");
    victim.ask("mark gross");
    victim.finish();
    let life = memtrace.end().only_life();
    life.assert_log(&[
        "警告阈值: 50.00MB\n危险阈值: 80.00MB\n",
        "] [INFO] [klein] RSS=",
        "] [WARNING] [mittel] RSS=",
        "] [CRITICAL] [gross] RSS=",
        "[后台监控] RSS=",
        "阈值=80.00MB)",
    ]);
}
