//! The command line, as far as it needs no root: help, usage errors, exit statuses, reports of
//! files. `MEMTRACE_BLESS=1` rewrites the snapshots of the help.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("data")
        .join(name)
}

fn memtrace(args: &[&str]) -> Output {
    let program = env::var_os("MEMTRACE_BIN").expect("cargo xtask test sets MEMTRACE_BIN");
    Command::new(program)
        .args(args)
        .env_remove("COLUMNS")
        .stdin(Stdio::null())
        .output()
        .expect("memtrace runs")
}

/// Exit status 2, and each of these parts in what it says, on stderr alone.
#[track_caller]
fn assert_usage(args: &[&str], parts: &[&str]) {
    let output = memtrace(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
    assert!(output.stdout.is_empty());
    for part in parts {
        assert!(said.contains(part), "{args:?}: no `{part}` in: {said}");
    }
}

#[test]
fn help_is_as_it_was() {
    for (args, name) in [
        (&["--help"][..], "help.txt"),
        (&["run", "--help"], "help-run.txt"),
        (&["report", "--help"], "help-report.txt"),
    ] {
        let output = memtrace(args);
        assert_eq!(output.status.code(), Some(0));
        let text = String::from_utf8(output.stdout).expect("help is UTF-8");
        if env::var_os("MEMTRACE_BLESS").is_some() {
            fs::write(data(name), &text).expect("a snapshot can be written");
        }
        let golden = fs::read_to_string(data(name)).unwrap_or_default();
        assert!(
            golden == text,
            "{name} differs; cargo xtask bless rewrites it. Now:\n{text}"
        );
    }
}

#[test]
fn help_names_every_exit_status() {
    let help = String::from_utf8(memtrace(&["--help"]).stdout).expect("help is UTF-8");
    let (_, statuses) = help
        .split_once("Exit status: ")
        .expect("it has a paragraph");
    let statuses = statuses.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "0 done",
        "1 failed",
        "2 usage",
        "3 done, but data was lost",
        "4 not permitted",
        "128+N",
        "126 if",
        "127 if",
        "125 if",
    ] {
        assert!(statuses.contains(part), "no `{part}` in {statuses}");
    }
}

#[test]
fn the_version_is_told() {
    let output = memtrace(&["--version"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.starts_with(b"memtrace "));
}

#[test]
fn nobody_to_watch() {
    assert_usage(
        &[],
        &["nobody to watch", "--comm NAME", "memtrace run -- COMMAND"],
    );
}

#[test]
fn no_such_process() {
    // Above the highest pid that a kernel gives.
    assert_usage(&["--pid", "4194305"], &["no such process: 4194305"]);
    assert_usage(&["--pid", "python"], &["python"]);
}

#[test]
fn a_thread_is_no_process() {
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let path = fs::read_link("/proc/thread-self").expect("/proc is mounted");
        let tid = path
            .file_name()
            .expect("a tid")
            .to_string_lossy()
            .into_owned();
        tell.send(tid).expect("the test listens");
        let _ = stopped.recv();
    });
    let tid = told.recv().expect("the thread says its tid");
    let leader = std::process::id().to_string();
    assert_usage(
        &["--pid", &tid],
        &["is a thread of process", &format!("--pid {leader}")],
    );
    drop(stop);
    thread.join().expect("it does not panic");
}

#[test]
fn no_such_user_or_cgroup() {
    assert_usage(&["--uid", "no such user"], &["no such user: no such user"]);
    assert_usage(
        &["--cgroup", "/no/such/group"],
        &["no such cgroup: /no/such/group", "looked below"],
    );
}

#[test]
fn sizes_and_thresholds_that_are_none() {
    assert_usage(
        &["run", "--memory-max", "viel", "--", "true"],
        &["`viel` is not a size", "300M"],
    );
    for threshold in ["0%", "101%", "x", "-1", "nan%"] {
        let argument = format!("--warning={threshold}");
        assert_usage(&["--all", &argument], &["is not a threshold"]);
    }
    assert_usage(
        &["--all", "--interval", "soon"],
        &["not a number of seconds"],
    );
    assert_usage(&["--all", "--ring-mb", "5000"], &["5000"]);
}

#[test]
fn markers_that_cannot_be() {
    assert_usage(&["--all", "--marker", "=name"], &["[PATH:]SYMBOL[=NAME]"]);
    assert_usage(&["--all", "--marker", "symbol="], &["[PATH:]SYMBOL[=NAME]"]);
    assert_usage(
        &["--all", "--marker", "/no/such/file:symbol"],
        &["/no/such/file", "No such file"],
    );
    let source = data("../cli.rs");
    let marker = format!("{}:symbol", source.display());
    assert_usage(
        &["--all", "--marker", &marker],
        &["cli.rs", "has no function symbol"],
    );
}

#[test]
fn a_marker_that_is_not_there_names_the_nearest() {
    let program = env::var("MEMTRACE_BIN").expect("cargo xtask test sets MEMTRACE_BIN");
    assert_usage(
        &["--all", "--marker", &format!("{program}:mainn")],
        &[
            "has no function mainn",
            "the nearest names there are",
            "main",
        ],
    );
}

#[test]
fn run_without_a_command_and_report_without_a_file() {
    assert_usage(&["run"], &["COMMAND"]);
    assert_usage(&["report"], &["FILE"]);
    assert_usage(&["--no-such-option"], &["--no-such-option"]);
}

#[test]
fn a_report_of_what_is_not_there_fails() {
    let output = memtrace(&["report", "/no/such/file.log"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("read /no/such/file.log: No such file"),
        "{said}"
    );
}

#[test]
fn a_report_of_what_is_no_log_fails() {
    let output = memtrace(&["report", &data("../Cargo.toml").to_string_lossy()]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("neither a memtrace recording nor a memory monitor log"),
        "{said}"
    );
}

#[test]
fn one_file_that_fails_does_not_keep_the_others_back() {
    let recording = recording();
    let output = memtrace(&["report", "/no/such/file.log", &recording]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("内存监控报告"));
}

#[test]
fn a_reader_that_has_had_enough_is_success() {
    let program = env::var_os("MEMTRACE_BIN").expect("cargo xtask test sets MEMTRACE_BIN");
    // More than a pipe holds.
    let files = vec![recording(); 200];
    let mut child = Command::new(program)
        .arg("report")
        .args(&files)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("memtrace runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(output.stderr.is_empty());
}

#[test]
fn stacks_are_folded_for_flame_graphs() {
    let file = data("stacks.jsonl");
    let output = memtrace(&["report", "--folded", &file.to_string_lossy()]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
    let text = String::from_utf8(output.stdout).expect("it is UTF-8");
    let loading = "<module> (/srv/bot/backtest.py:10902);main (/srv/bot/backtest.py:10810);\
                   load_all (/srv/bot/config.py:96);load_learning_config (/srv/bot/config.py:118) 417333248";
    assert!(text.lines().any(|line| line == loading), "{text}");
    assert!(
        text.lines()
            .any(|line| line == "[no python: openblas] 8388608"),
        "{text}"
    );
    assert!(
        text.lines().all(|line| !line.contains("flush_cache")),
        "{text}"
    );
}

#[test]
fn only_recordings_are_folded() {
    let log = data("own_oom.zh.log");
    let log = log.to_string_lossy();
    let parts = ["own_oom.zh.log is not a recording", ".jsonl"];
    assert_usage(&["report", "--folded", &log], &parts);
    assert_usage(
        &["report", "--folded", "--lang", "en", &log],
        &["--folded", "--lang"],
    );
}

#[test]
fn a_recording_without_stacks_says_so() {
    let output = memtrace(&[
        "report",
        "--folded",
        &data("own_oom.jsonl").to_string_lossy(),
    ]);
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("own_oom.jsonl holds no stacks of growth"),
        "{said}"
    );
}

/// Some recording among the goldens.
fn recording() -> String {
    let mut files: Vec<PathBuf> = fs::read_dir(data(""))
        .expect("there are goldens")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    files
        .first()
        .expect("there is a recording")
        .to_string_lossy()
        .into_owned()
}
