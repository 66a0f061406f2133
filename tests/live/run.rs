//! `memtrace run`: the main job, and how it ends.

use std::{ffi::OsString, fs, os::unix::fs::PermissionsExt as _, process::Command};

use super::rig::{
    Cgroup, Ended, Life, Memtrace, TempDir, Victim, program, python, root, run_groups,
    victim_program,
};

/// The example's command line.
fn example(args: &[&str]) -> Vec<OsString> {
    let mut command = vec![
        python().into(),
        root().join("examples/backtest.py").into(),
        "--speed".into(),
        "10".into(),
    ];
    command.extend(args.iter().map(OsString::from));
    command
}

/// Replays a recording as a user does.
fn replay(life: &Life) -> String {
    let output = Command::new(program())
        .arg("report")
        .arg(&life.recording)
        .output()
        .expect("memtrace runs");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("a report is UTF-8")
}

fn assert_no_group_is_left(pid: u32) {
    for group in run_groups(pid) {
        assert!(!group.exists(), "{} is left", group.display());
    }
}

/// Runs the example where 300 MB are allowed, to its end.
fn kill_example(args: &[&str]) -> (Ended, Life) {
    let run = Memtrace::run(&["--memory-max", "300M"], &example(args));
    let pid = run.pid();
    let ended = run.end();
    ended.assert_code(137);
    assert_no_group_is_left(pid);
    let life = ended.only_life();
    life.assert_verdict(&[
        "💀 被内核 OOM 杀死: PID ",
        "backtest.py",
        &format!("/memtrace-run-{pid}: memory."),
        " 300.00MB, 用量 ",
        "触发者    本进程",
        "漏记      无",
    ]);
    (ended, life)
}

#[test]
fn the_example_is_killed_and_the_verdict_names_limit_and_checkpoint() {
    let (ended, life) = kill_example(&[]);
    life.assert_verdict(&["检查点    [错过机会分析_START] 之后 "]);
    assert_eq!(life.exit().signal, Some(libc::SIGKILL));
    // What the terminal shows last is the verdict, alone.
    assert!(
        ended.stderr.ends_with(&format!("\n{}", life.verdict())),
        "{}",
        ended.stderr
    );
    // What the command printed went its own way.
    assert!(!ended.stdout.contains("[INFO]"), "{}", ended.stdout);
    // The log ends with the report, and the recording gives the same bytes.
    assert_eq!(replay(&life), life.report);
    let log = fs::read_to_string(&life.file).expect("the log is there");
    assert!(log.ends_with(&life.report));
}

#[test]
fn each_scenario_is_killed_after_its_checkpoint_with_one_thread_and_with_four() {
    let listed = Command::new(python())
        .arg(root().join("examples/backtest.py"))
        .arg("--expect")
        .output()
        .expect("the example runs");
    let listed = String::from_utf8(listed.stdout).expect("UTF-8");
    assert_eq!(listed.lines().count(), 5);
    for line in listed.lines() {
        let mut fields = line.split('\t');
        let (number, checkpoint) = (fields.next().unwrap(), fields.nth(1).unwrap());
        for threads in ["1", "4"] {
            let (_ended, life) = kill_example(&["--scenario", number, "--threads", threads]);
            life.assert_verdict(&[&format!("检查点    [{checkpoint}] 之后 ")]);
            assert_eq!(replay(&life), life.report);
        }
    }
}

#[test]
fn the_mended_example_ends_well() {
    let run = Memtrace::run(&["--memory-max", "300M"], &example(&["--fixed"]));
    let pid = run.pid();
    let ended = run.end();
    ended.assert_code(0);
    assert_no_group_is_left(pid);
    let life = ended.only_life();
    assert!(
        life.headline().starts_with("✅ 正常退出: PID "),
        "{}",
        life.report
    );
    assert!(!life.was_oom() && life.sigkills().is_empty());
}

#[test]
fn the_commands_status_is_our_own() {
    let dir = TempDir::new();
    let data = dir.path().join("data");
    fs::write(&data, "no program").expect("a file can be written");
    fs::set_permissions(&data, fs::Permissions::from_mode(0o644)).expect("chmod");
    let data = data.to_string_lossy().into_owned();
    for (code, command) in [
        (0, vec!["true"]),
        (7, vec!["sh", "-c", "exit 7"]),
        (143, vec!["sh", "-c", "kill -TERM $$"]),
        (137, vec!["sh", "-c", "kill -KILL $$"]),
        (134, vec!["sh", "-c", "kill -ABRT $$"]),
        (127, vec!["memtrace-test-no-such-command"]),
        (126, vec![&data]),
    ] {
        let run = Memtrace::run(&["--memory-max", "50M"], &command);
        let pid = run.pid();
        let ended = run.end();
        assert_eq!(ended.code(), code, "{command:?}\n{}", ended.stderr);
        assert_no_group_is_left(pid);
    }
}

#[test]
fn a_command_that_cannot_be_run_is_named() {
    let ended = Memtrace::run(&[], &["memtrace-test-no-such-command"]).end();
    assert!(
        ended
            .stderr
            .contains("memtrace: memtrace-test-no-such-command: No such file"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_interrupt_is_passed_on_and_everything_is_cleared_up() {
    for (signal, code) in [
        (libc::SIGINT, 130),
        (libc::SIGTERM, 143),
        (libc::SIGHUP, 129),
    ] {
        let run = Memtrace::run(&["--memory-max", "50M"], &["sleep", "1000"]);
        let pid = run.pid();
        // The command runs when its recording says that it has become `sleep`.
        super::rig::wait_until("the command", || {
            let text = fs::read_dir(run.dir()).ok()?.flatten().find_map(|entry| {
                let path = entry.path();
                path.extension()
                    .is_some_and(|ending| ending == "jsonl")
                    .then(|| fs::read_to_string(path).unwrap_or_default())
            })?;
            text.contains("\"sleep\"").then_some(())
        });
        run.signal(signal);
        let ended = run.end();
        ended.assert_code(code);
        assert_no_group_is_left(pid);
        let life = ended.only_life();
        assert_eq!(life.exit().signal, Some(signal));
        assert!(
            life.headline().starts_with("💥 被信号终止: PID "),
            "{}",
            life.report
        );
    }
}

#[test]
fn a_second_interrupt_does_not_wait_for_a_command_that_will_not_end() {
    let command = ["sh", "-c", "trap '' INT TERM; echo deaf; exec sleep 1000"];
    let run = Memtrace::run(&["--memory-max", "50M"], &command);
    let pid = run.pid();
    run.stdout().wait_for(|line| line == "deaf");
    run.signal(libc::SIGTERM);
    // The first is taken before the second comes: signals of one kind do not queue.
    run.signal(libc::SIGINT);
    let ended = run.end();
    ended.assert_code(137);
    assert_no_group_is_left(pid);
}

#[test]
fn checkpoints_right_after_the_start_are_seen() {
    let many = victim_program("many").into_os_string();
    let ended = Memtrace::run(&[], &[many, "50".into(), "0".into()]).end();
    ended.assert_code(50);
    assert_eq!(ended.only_life().names().len(), 50);
}

#[test]
fn the_outer_of_two_cgroups_is_named_when_its_limit_is_hit() {
    let outer = Cgroup::new(64);
    let inner = outer.below("inner", 200);
    let mut victim = Victim::start("hog", &["--mark", "大表"]);
    let memtrace = Memtrace::watch(&["--pid", &victim.pid().to_string()]);
    inner.add(victim.pid());
    memtrace.wait_for_checkpoints_in("/hog");
    victim.say("");
    let ended = memtrace.end();
    ended.assert_code(0);
    let life = ended.life(victim.pid());
    life.assert_verdict(&[
        &format!("cgroup {}: {} 64.00MB", outer.path, outer.limit_file()),
        "检查点    [大表] 之后 ",
    ]);
    assert_eq!(life.oom().victim.cgroup.as_deref(), Some(&*inner.path));
}
