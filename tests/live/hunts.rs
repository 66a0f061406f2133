//! The five hunts that memtrace was asked for, in a program that has no checkpoint at all.

use std::{ffi::OsString, fs, path::PathBuf};

use super::rig::{Ended, Life, Memtrace, TempDir, python, root};

/// Of each scenario: the call that kills, and what the program printed last before it.
const HUNTS: [(&str, &[&str], &str); 5] = [
    ("1", &["results.append(self.grow_together("], "/4] "),
    ("2", &["kept.append(self.grow_together("], "] 从'"),
    (
        "3",
        &[
            "details = self.grow_together(",
            "snapshots = self.grow_together(",
            "decisions = self.grow_together(",
        ],
        "✓ 发现3097个错过的机会",
    ),
    (
        "4",
        &["configs = [self.load_learning_config("],
        "📧 生成邮件主题...",
    ),
    (
        "5",
        &["copied[\"history\"][key] = copy.deepcopy("],
        "跳过旧版错过机会分析",
    ),
];

/// The example alone, where it finds no drop-in.
fn alone(dir: &TempDir) -> PathBuf {
    let file = dir.path().join("backtest.py");
    fs::copy(root().join("examples/backtest.py"), &file).expect("a file can be copied");
    file
}

fn kill(options: &[&str], number: &str) -> (Ended, Life) {
    let dir = TempDir::new();
    let program = alone(&dir);
    let options: Vec<_> = ["--memory-max", "300M"]
        .iter()
        .chain(options)
        .copied()
        .collect();
    let command: [OsString; 6] = [
        python().into(),
        program.into(),
        "--speed".into(),
        "10".into(),
        "--scenario".into(),
        number.into(),
    ];
    let ended = Memtrace::run(&options, &command).end();
    ended.assert_code(137);
    let life = ended.only_life();
    (ended, life)
}

/// The verdict's line under a label.
fn told<'a>(life: &'a Life, label: &str) -> &'a str {
    let mut lines = life.report.lines().map(str::trim_start);
    let told = lines.find_map(|line| line.strip_prefix(label));
    told.unwrap_or_else(|| panic!("no {label}: {}", life.report))
        .trim()
}

#[test]
fn without_a_checkpoint_the_line_that_kills_is_on_the_stack_that_the_verdict_shows() {
    let source = fs::read_to_string(root().join("examples/backtest.py")).expect("the example");
    for (number, calls, _) in HUNTS {
        let (_ended, life) = kill(&[], number);
        assert!(life.names().is_empty(), "{:?}", life.names());
        let lines: Vec<String> = (1..)
            .zip(source.lines())
            .filter(|(_, line)| calls.iter().any(|call| line.contains(call)))
            .map(|(number, _)| format!("backtest.py:{number} "))
            .collect();
        assert_eq!(lines.len(), calls.len(), "scenario {number}");
        let position = told(&life, "位置");
        assert!(
            lines.iter().any(|line| position.contains(line)),
            "scenario {number}: {lines:?} is not in {position}"
        );
        assert!(
            told(&life, "检查点").contains("程序没有检查点"),
            "{}",
            life.report
        );
    }
}

#[test]
fn with_prints_the_verdict_names_what_the_program_printed_last() {
    for (number, _, phase) in HUNTS {
        let (ended, life) = kill(&["--prints", "--quiet"], number);
        let last = ended.stdout.lines().last().expect("it printed").trim();
        assert!(last.contains(phase), "scenario {number}: {last}");
        let checkpoint = told(&life, "检查点");
        assert!(
            checkpoint.starts_with(&format!("[{last}] 之后 ")),
            "scenario {number}: {checkpoint}, and not {last}"
        );
    }
}
