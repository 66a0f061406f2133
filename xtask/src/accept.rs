//! `accept`: the figures that a release has to show, measured with real kills on this machine.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::cli;
use crate::test::victims;
use crate::workspace::{self, cargo, is_root, output_of, root, target_dir};

/// The report stands on disk within this much of the kernel's mark.
const REPORT_MS: f64 = 100.0;

/// Live tests that print a figure.
const TESTS: [&str; 2] = [
    "live::memory::rss_at_500_checkpoints_is_that_of_smaps_rollup",
    "live::many::two_hundred_processes_with_a_thousand_checkpoints_each",
];

/// Kills the example again and again, and runs the tests that measure.
pub fn run(options: &cli::Accept) -> Result<ExitCode> {
    ensure!(
        is_root(),
        "real kills need root: sudo -E cargo xtask accept"
    );
    workspace::run(&mut cargo(["build", "--release", "--package", "memtrace"]))?;
    let memtrace = target_dir().join("release/memtrace");
    let python =
        output_of(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]))
            .context("no python3")?;
    let mut is_well = true;
    for threads in [1, 4] {
        let kills = Kills {
            memtrace: &memtrace,
            python: &python,
            threads,
        };
        is_well &= kills.run(options.rounds)?;
    }
    is_well &= measure(&memtrace)?;
    Ok(if is_well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Kills of the example by so many threads.
struct Kills<'a> {
    memtrace: &'a Path,
    python: &'a str,
    threads: u32,
}

/// What came of one kill.
struct Kill {
    is_right: bool,
    /// From the mark to the last write of the log.
    delay_ms: f64,
}

impl Kills<'_> {
    /// So many rounds of every scenario; true if all was as it must be.
    fn run(&self, rounds: u32) -> Result<bool> {
        let scenarios = scenarios(self.python)?;
        let mut kills = Vec::new();
        for round in 0..rounds {
            for (number, checkpoint) in &scenarios {
                let kill = self
                    .kill(number, checkpoint)
                    .with_context(|| format!("scenario {number}, round {round}"))?;
                if !kill.is_right {
                    eprintln!("wrong: scenario {number}, round {round}");
                }
                kills.push(kill);
            }
        }
        let right = kills.iter().filter(|kill| kill.is_right).count();
        let threads = match self.threads {
            1 => "1 thread".to_owned(),
            several => format!("{several} threads"),
        };
        println!(
            "verdict right in {right} of {} kills ({threads})",
            kills.len()
        );
        let mut delays: Vec<f64> = kills.iter().map(|kill| kill.delay_ms).collect();
        delays.sort_by(f64::total_cmp);
        let (median, most) = (delays[delays.len() / 2], delays[delays.len() - 1]);
        println!(
            "report on disk after the kernel's mark: median {median:.1} ms, at most {most:.1} ms ({threads})"
        );
        Ok(right == kills.len() && most < REPORT_MS)
    }

    fn kill(&self, number: &str, checkpoint: &str) -> Result<Kill> {
        let dir = std::env::temp_dir().join(format!("memtrace-accept-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let kill = self.kill_in(&dir, number, checkpoint);
        fs::remove_dir_all(&dir)?;
        kill
    }

    fn kill_in(&self, dir: &Path, number: &str, checkpoint: &str) -> Result<Kill> {
        let status = Command::new(self.memtrace)
            .args(["run", "--quiet", "--memory-max", "300M", "--log-dir"])
            .arg(dir)
            .args(["--", self.python])
            .arg(root().join("examples/backtest.py"))
            .args(["--speed", "20", "--scenario", number])
            .args(["--threads", &self.threads.to_string()])
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .context("start memtrace")?;
        let recordings = files(dir, "jsonl")?;
        let [recording] = recordings.as_slice() else {
            bail!("{} recordings, and not one", recordings.len());
        };
        let log = recording.with_extension("log");
        let text = fs::read_to_string(&log)?;
        let named = format!("   检查点    [{checkpoint}] 之后 ");
        let is_right = status.code() == Some(137)
            && text.contains("💀 被内核 OOM 杀死: PID ")
            && text.lines().any(|line| line.starts_with(&named));
        if !is_right {
            eprintln!("{text}");
        }
        let marked = marked_at(recording)?;
        let written = fs::metadata(&log)?;
        let written =
            i128::from(written.mtime()) * 1_000_000_000 + i128::from(written.mtime_nsec());
        Ok(Kill {
            is_right,
            delay_ms: millis(written - marked),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "a delay is small")]
fn millis(nanos: i128) -> f64 {
    nanos as f64 / 1e6
}

/// Wall-clock time of the kernel's mark, in nanoseconds since 1970.
fn marked_at(recording: &Path) -> Result<i128> {
    let text = fs::read_to_string(recording)?;
    let mut wall_at_boot = None;
    for line in text.lines() {
        let entry: Value = serde_json::from_str(line)?;
        match entry["event"].as_str() {
            Some("begin") => wall_at_boot = entry["wall_at_boot_ns"].as_i64(),
            Some("oom_kill") => {
                let at = entry["at"].as_i64().context("an instant")?;
                let boot = wall_at_boot.context("a recording begins with a beginning")?;
                return Ok(i128::from(boot) + i128::from(at));
            }
            _ => {}
        }
    }
    bail!("{}: no OOM kill", recording.display());
}

/// The example's scenarios: number and the checkpoint before the kill.
pub(crate) fn scenarios(python: &str) -> Result<BTreeMap<String, String>> {
    let mut example = Command::new(python);
    example
        .arg(root().join("examples/backtest.py"))
        .arg("--expect");
    let listed = output_of(&mut example).context("the example does not run")?;
    let of = |line: &str| {
        let mut fields = line.split('\t');
        Some((fields.next()?.to_owned(), fields.nth(1)?.to_owned()))
    };
    Ok(listed.lines().filter_map(of).collect())
}

fn files(dir: &Path, ending: &str) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir)? {
        paths.push(entry?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|found| found == ending));
    Ok(paths)
}

/// Runs the tests that measure, and shows their figures; true if they pass.
fn measure(memtrace: &Path) -> Result<bool> {
    let victims = victims::compile()?;
    let mut is_well = true;
    for name in TESTS {
        let output = cargo(["test", "--package", "memtrace-tests", "--test", "all", "--"])
            .args(["--exact", "--nocapture", name])
            .env("MEMTRACE_BIN", memtrace)
            .env("MEMTRACE_VICTIMS", &victims)
            .output()
            .context("start the tests")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let figures: Vec<&str> = text
            .lines()
            .filter_map(|line| Some(line.split_once("figure: ")?.1))
            .collect();
        for figure in &figures {
            println!("{figure}");
        }
        if !output.status.success() || figures.is_empty() {
            is_well = false;
            println!("{name} failed");
        }
    }
    Ok(is_well)
}
