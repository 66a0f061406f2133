//! `soak`: one memtrace over kills, checkpoints and short lives for long. It may not grow, miss a
//! verdict, or lose anything.

mod churn;
mod logs;
mod watch;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use watch::{Curve, Sample};

use crate::cli;
use crate::rig::group::Groups;
use crate::rig::memtrace::Memtrace;
use crate::rig::on_interrupt;
use crate::test::victims;
use crate::workspace::{self, cargo, is_root, output_of, root, target_dir};

/// Between two samples.
const EVERY: Duration = Duration::from_secs(5);
/// What all together may take.
const ALL_MIB: u64 = 1024;

/// The example under a name of its own.
const EXAMPLE: &str = "examples/soak-example.py";

/// What the parts share.
struct Soak {
    /// Where victims lie under names of their own, and memtrace writes.
    dir: PathBuf,
    python: String,
    /// The example's scenarios, and the checkpoint before each one's kill.
    scenarios: Vec<(String, String)>,
    is_over: AtomicBool,
    kills: AtomicU64,
    /// What was not as it must be.
    faults: Mutex<Vec<String>>,
}

/// Runs for so long, and prints the curve.
pub fn run(options: &cli::Soak) -> Result<ExitCode> {
    ensure!(is_root(), "real kills need root: sudo -E cargo xtask soak");
    workspace::run(&mut cargo(["build", "--release", "--package", "memtrace"]))?;
    let soak = Arc::new(Soak::prepare(&victims::compile()?)?);
    // Ctrl-C ends the soak as its time does: nobody is left behind.
    let interrupted = Arc::clone(&soak);
    on_interrupt(move || interrupted.is_over.store(true, Ordering::Relaxed))?;
    let groups = Groups::create("soak", ALL_MIB)?;
    let wanted = ["--quiet", "--comm", "soak-*"];
    let mut memtrace = Memtrace::start(&soak.dir, &soak.dir.join("logs"), &wanted)?;
    let length = Duration::from_secs(60 * u64::from(options.minutes));
    let curve = thread::scope(|scope| {
        let workers: Vec<_> = (0..churn::WORKERS)
            .map(|number| {
                let (soak, groups) = (&soak, &groups);
                scope.spawn(move || churn::run(soak, groups, number))
            })
            .collect();
        let curve = soak.watch(&mut memtrace, length);
        soak.is_over.store(true, Ordering::Relaxed);
        for worker in workers {
            if worker.join().is_err() {
                soak.fault("a worker gave up");
            }
        }
        curve
    })?;
    drop(groups);
    soak.finish(memtrace, &curve)
}

impl Soak {
    fn prepare(victims: &Path) -> Result<Self> {
        let dir = target_dir().join("soak");
        let _ = fs::remove_dir_all(&dir); // of an earlier run
        for below in ["logs", "examples"] {
            fs::create_dir_all(dir.join(below))?;
        }
        // Names that nobody else's processes have.
        let example = root().join("examples/backtest.py");
        let named = [
            (victims.join("hog"), "soak-hog"),
            (victims.join("steps"), "soak-steps"),
            (victims.join("many"), "soak-many"),
            (PathBuf::from("/bin/sh"), "soak-sh"),
            (PathBuf::from("/bin/true"), "soak-true"),
            (example, EXAMPLE),
            // The example looks for its module beside itself.
            (root().join("python"), "python"),
        ];
        for (program, name) in named {
            // A victim that is compiled again meanwhile would be another file, with no probe on it yet.
            if program.starts_with(victims) {
                fs::copy(program, dir.join(name))?;
            } else {
                symlink(program, dir.join(name))?;
            }
        }
        let mut python = Command::new("python3");
        let python = output_of(python.args(["-c", "import sys; print(sys.executable)"]))
            .context("no python3")?;
        Ok(Self {
            dir,
            scenarios: crate::accept::scenarios(&python)?.into_iter().collect(),
            python,
            is_over: AtomicBool::new(false),
            kills: AtomicU64::new(0),
            faults: Mutex::new(Vec::new()),
        })
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn fault(&self, what: &str) {
        eprintln!("fault: {what}");
        let mut faults = self
            .faults
            .lock()
            .expect("nobody panics with the list in hand");
        faults.push(what.to_owned());
    }

    /// Samples memtrace, and removes the files of lives that have ended.
    fn watch(&self, memtrace: &mut Memtrace, length: Duration) -> Result<Curve> {
        let (began, mut curve) = (Instant::now(), Curve::default());
        let mut janitor = logs::Janitor::default();
        while began.elapsed() < length && !self.is_over() {
            thread::sleep(EVERY);
            if let Some(status) = memtrace.ended()? {
                bail!("memtrace ended with {status}: {}", memtrace.said());
            }
            janitor.sweep(self)?;
            let sample = Sample {
                seconds: began.elapsed().as_secs(),
                lives: janitor.lives,
                bytes: janitor.bytes,
                kills: self.kills.load(Ordering::Relaxed),
                ..Sample::of(memtrace.pid())?
            };
            curve.add(sample);
        }
        Ok(curve)
    }

    fn finish(&self, memtrace: Memtrace, curve: &Curve) -> Result<ExitCode> {
        let (code, said) = memtrace.stop()?;
        if code != Some(0) {
            self.fault(&format!(
                "memtrace ended with {code:?}: {}",
                last_lines(&said)
            ));
        }
        // What has ended and was not looked at yet.
        let mut rest = logs::Janitor::default();
        rest.finish(self)?;
        for fault in curve.judge() {
            self.fault(&fault);
        }
        println!("{}", curve.summary());
        let faults = self.faults.lock().expect("the workers have ended");
        println!("soak: {} faults", faults.len());
        if !faults.is_empty() {
            return Ok(ExitCode::FAILURE);
        }
        fs::remove_dir_all(&self.dir)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(8).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
