//! `fuzz`: whoever feeds memtrace nonsense gets an error, and no crash, no gigabyte, and no figure
//! that nobody measured.
//!
//! The targets are built as cargo-fuzz builds them, with `cargo` itself: one tool less to bring.

mod stats;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context as _, Result, bail};
use stats::Stats;

use crate::build_ebpf::nightly;
use crate::cli::{Arch, Fuzz};
use crate::workspace::{self, command, output_of, root, target_dir};

const TOOL_MISSING: u8 = 4;

/// How the targets are compiled: counters on all edges, comparisons told to the fuzzer, and the
/// sanitizer, which also sees a single allocation that is too large.
const FLAGS: [&str; 8] = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Zsanitizer=address",
    "--cfg=fuzzing",
];

/// Seconds after which one input takes too long; much, for CI's machines are shared.
const SLOW_SECONDS: u32 = 25;
/// Megabytes that may be allocated at once: what is read of an ELF file, and a little.
const MOST_AT_ONCE_MB: u32 = 300;
/// Megabytes in all, with what the sanitizer keeps of the freed.
const MOST_MB: u32 = 2048;
/// Longer inputs are not kept in the repository.
const KEPT_BYTES: u64 = 16 << 10;

/// Builds the targets and runs the chosen ones.
pub fn run(options: &Fuzz) -> Result<ExitCode> {
    let targets = chosen(&options.targets)?;
    let nightly = match tools() {
        Ok(nightly) => nightly,
        Err(missing) => {
            eprintln!("error: cannot build the fuzz targets, missing:{missing}");
            return Ok(ExitCode::from(TOOL_MISSING));
        }
    };
    let arch = Arch::host().context("the targets run on x86_64 and aarch64")?;
    let triple = format!("{}-unknown-linux-gnu", arch.name());
    build(&nightly, &triple)?;
    let fuzzer = Fuzzer {
        binaries: dir().join(&triple).join("release"),
        seconds: options.seconds,
    };
    let is_clean = fuzzer.run_all(&targets)?;
    if options.keep {
        for target in &targets {
            fuzzer.keep(target)?;
        }
    }
    Ok(if is_clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Everything that is built, found and learned here.
fn dir() -> PathBuf {
    target_dir().join("fuzz")
}

/// The wanted targets, or all that there are.
fn chosen(wanted: &[String]) -> Result<Vec<String>> {
    let sources = root().join("fuzz/src/bin");
    let mut known = Vec::new();
    for entry in fs::read_dir(&sources).with_context(|| format!("list {}", sources.display()))? {
        let path = entry?.path();
        known.extend(
            path.file_stem()
                .and_then(|stem| Some(stem.to_str()?.to_owned())),
        );
    }
    known.sort();
    if let Some(unknown) = wanted.iter().find(|target| !known.contains(target)) {
        bail!(
            "no target is called {unknown}; there are: {}",
            known.join(" ")
        );
    }
    Ok(if wanted.is_empty() {
        known
    } else {
        wanted.to_vec()
    })
}

/// The nightly's name, or what is missing.
fn tools() -> Result<String, String> {
    let nightly = nightly();
    if output_of(Command::new("g++").arg("--version")).is_some() {
        return nightly;
    }
    let missing = nightly.err().unwrap_or_default();
    Err(format!(
        "{missing}\n  a C++ compiler; this brings it:\n    apt-get install g++"
    ))
}

fn build(nightly: &str, triple: &str) -> Result<()> {
    let mut cargo = command("cargo");
    cargo
        .arg(format!("+{nightly}"))
        .args(["build", "--locked", "--release", "--bins"])
        .args(["--manifest-path", "fuzz/Cargo.toml", "--target", triple])
        .env_remove("RUSTUP_TOOLCHAIN")
        .env("RUSTFLAGS", FLAGS.join(" "))
        .env("CARGO_TARGET_DIR", dir());
    workspace::run(&mut cargo)
}

/// Runs what was built.
struct Fuzzer {
    binaries: PathBuf,
    seconds: u32,
}

impl Fuzzer {
    /// As many at once as there are cpus; true if nothing was found.
    fn run_all(&self, targets: &[String]) -> Result<bool> {
        let next = AtomicUsize::new(0);
        let work = || -> Result<bool> {
            let mut is_clean = true;
            while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
                is_clean &= self.run(target)?;
            }
            Ok(is_clean)
        };
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        thread::scope(|scope| {
            let workers: Vec<_> = (0..cpus.min(targets.len()))
                .map(|_| scope.spawn(work))
                .collect();
            let mut is_clean = true;
            for worker in workers {
                is_clean &= worker.join().expect("a worker reports what goes wrong")?;
            }
            Ok(is_clean)
        })
    }

    /// Runs one target and prints its line; true if nothing was found.
    fn run(&self, target: &str) -> Result<bool> {
        let (learned, seeds) = (learned(target)?, corpus(target));
        let findings = dir().join("findings");
        fs::create_dir_all(&findings)?;
        let output = self
            .target(target)
            .args([learned, seeds])
            .arg(format!("-max_total_time={}", self.seconds))
            .arg(format!("-timeout={SLOW_SECONDS}"))
            .arg(format!("-malloc_limit_mb={MOST_AT_ONCE_MB}"))
            .arg(format!("-rss_limit_mb={MOST_MB}"))
            .arg(format!("-artifact_prefix={}/{target}-", findings.display()))
            .arg("-print_final_stats=1")
            .output()
            .with_context(|| format!("start the target {target}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let log = dir().join(format!("{target}.said"));
        fs::write(&log, said.as_bytes())?;
        let stats = Stats::of(&said);
        if output.status.success() {
            println!("{target:<10} {stats}, nothing found");
            return Ok(true);
        }
        println!(
            "{target:<10} {stats}, FOUND: {}\n           all that it said: {}",
            stats.finding.as_deref().unwrap_or("it ended early"),
            log.display()
        );
        if let Some(reproducer) = &stats.reproducer {
            let binary = self.binaries.join(target);
            println!("           again: {} {reproducer}", binary.display());
        }
        Ok(false)
    }

    fn target(&self, target: &str) -> Command {
        let mut command = Command::new(self.binaries.join(target));
        command.current_dir(dir());
        command
    }

    /// Replaces the inputs in the repository by the fewest that reach what all reach.
    fn keep(&self, target: &str) -> Result<()> {
        let (fewest, seeds) = (dir().join("fewest"), corpus(target));
        let _ = fs::remove_dir_all(&fewest); // of an earlier run
        fs::create_dir_all(&fewest)?;
        let mut merge = self.target(target);
        merge
            .arg("-merge=1")
            .arg(&fewest)
            .arg(&seeds)
            .arg(learned(target)?);
        let output = merge.output()?;
        if !output.status.success() {
            bail!("{} ended with {}", workspace::line(&merge), output.status);
        }
        for old in fs::read_dir(&seeds)? {
            fs::remove_file(old?.path())?;
        }
        for input in fs::read_dir(&fewest)? {
            let input = input?;
            if input.metadata()?.len() <= KEPT_BYTES {
                fs::copy(input.path(), seeds.join(input.file_name()))?;
            }
        }
        Ok(())
    }
}

/// Where inputs are that earlier runs here have found worth keeping.
fn learned(target: &str) -> Result<PathBuf> {
    let learned = dir().join("learned").join(target);
    fs::create_dir_all(&learned)?;
    Ok(learned)
}

/// The inputs in the repository.
fn corpus(target: &str) -> PathBuf {
    root().join(Path::new("fuzz/corpus")).join(target)
}
