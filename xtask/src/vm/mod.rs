//! `vm`: the live tests on real kernels, each in a virtual machine of its own.

mod guest;
mod initrd;
mod kernels;
pub(crate) mod machine;
pub(crate) mod packages;
mod qemu;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use guest::Programs;
use kernels::{Kernel, Kernels};
use machine::Machine;
use qemu::{Ended, Qemu};

use crate::cli;
use crate::test::tally::{Counts, parse_rust};
use crate::workspace::target_dir;

/// Everything that was fetched, unpacked or written for guests.
fn cache_dir() -> PathBuf {
    target_dir().join("vm")
}

/// Lines of a dead kernel's log that are shown.
const LAST_WORDS: usize = 40;

/// Boots each kernel, runs the tests in it, and tells how it went in one line each.
pub fn run(options: &cli::Vm) -> Result<ExitCode> {
    let arch = options.arch.or_else(cli::Arch::host);
    let machine =
        Machine::of(arch.context("no such machine can be emulated; name one with --arch")?);
    let lines: Vec<String> = match &options.kernels[..] {
        [] => machine.matrix.iter().map(|&line| line.to_owned()).collect(),
        chosen => chosen.to_vec(),
    };
    fs::create_dir_all(cache_dir()).context("create the cache")?;
    let qemu = Qemu::find(machine)?;
    let all = Kernels::list(machine)?;
    let programs = Programs::build(machine)?;
    let names = programs.names(options.filter.as_deref(), &options.skip)?;
    ensure!(!names.is_empty(), "no live test has such a name");
    let initrd = cache_dir().join(format!("initrd-{}", machine.debian));
    fs::write(&initrd, guest::archive(&programs, &names)?).context("write the initrd")?;
    let kernels: Vec<_> = lines
        .into_iter()
        .map(|line| {
            let kernel = kernels::fetch(&all, &line);
            (line, kernel)
        })
        .collect();

    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                while let Some((line, kernel)) = kernels.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = match kernel {
                        Ok(kernel) => test(&qemu, kernel, &initrd, names.len()),
                        Err(error) => Outcome::failed(format!("{error:#}")),
                    };
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    done.push((line.clone(), outcome));
                }
            });
        }
    });
    let mut outcomes = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    let place = |line: &String| kernels.iter().position(|(each, _)| each == line);
    outcomes.sort_by_key(|(line, _)| place(line));
    Ok(print(&outcomes, names.len()))
}

/// How it went on one kernel.
#[derive(Debug)]
struct Outcome {
    name: String,
    counts: Counts,
    seconds: u64,
    /// Why there is no verdict.
    died: Option<String>,
    failed: Vec<String>,
}

impl Outcome {
    fn failed(why: String) -> Self {
        Self {
            name: "-".to_owned(),
            counts: Counts::default(),
            seconds: 0,
            died: Some(why),
            failed: Vec::new(),
        }
    }
}

/// Runs the tests on one kernel. A guest that dies before its first test is given a second chance,
/// loudly: that was the emulator.
fn test(qemu: &Qemu, kernel: &Kernel, initrd: &Path, tests: usize) -> Outcome {
    for attempt in [1, 2] {
        let (outcome, began) = attempt_to_test(qemu, kernel, initrd, tests);
        if outcome.died.is_none() || began || attempt == 2 {
            return outcome;
        }
        println!(
            "{} | RETRY: it died before its first test: {}",
            kernel.name,
            outcome.died.unwrap_or_default()
        );
    }
    unreachable!("the second attempt is the last")
}

fn attempt_to_test(qemu: &Qemu, kernel: &Kernel, initrd: &Path, tests: usize) -> (Outcome, bool) {
    let Kernel { name, image } = kernel;
    let log = cache_dir().join(format!("{name}-{}.kernel.log", qemu.machine.debian));
    let start = Instant::now();
    let mut outcome = Outcome {
        name: name.clone(),
        counts: Counts::default(),
        seconds: 0,
        died: None,
        failed: Vec::new(),
    };
    let mut began = false;
    let mut has_verdict = false;
    println!("{name} | boots");
    let ended = qemu.boot(image, initrd, &log, |line| {
        println!("{name} | {:>4} s | {line}", start.elapsed().as_secs());
        began |= line.starts_with("running ");
        if let Some(counts) = parse_rust(line) {
            outcome.counts.add(counts);
            has_verdict = true;
        }
        if let Some((test, "FAILED")) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        {
            outcome.failed.push(test.to_owned());
        }
    });
    outcome.seconds = start.elapsed().as_secs();
    let ran = outcome.counts.passed + outcome.counts.failed;
    outcome.died = match ended {
        Err(error) => Some(format!("{error:#}")),
        Ok(Ended::Died(why)) => Some(why),
        Ok(Ended::Passed) if has_verdict && ran == tests as u64 && outcome.counts.failed == 0 => {
            None
        }
        Ok(Ended::Failed) if has_verdict && outcome.counts.failed > 0 => None,
        Ok(ended) => Some(format!("{ended:?} after {ran} of {tests} tests")),
    };
    if let Some(why) = &outcome.died {
        println!("{name} | DIED: {why}; the end of {}:", log.display());
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        for line in &lines[lines.len().saturating_sub(LAST_WORDS)..] {
            println!("{name} |   {line}");
        }
    }
    (outcome, began)
}

/// The end of the output: a line for each kernel, the tests that failed, and a total.
fn print(outcomes: &[(String, Outcome)], tests: usize) -> ExitCode {
    println!();
    let (mut passed, mut failed) = (0, 0);
    for (line, outcome) in outcomes {
        let Outcome {
            name,
            counts,
            seconds,
            died,
            failed: names,
        } = outcome;
        for test in names {
            println!("FAILED  {name}: {test}");
        }
        passed += counts.passed;
        // Whoever dies takes all the tests that did not come to their end with it.
        failed += match died {
            Some(_) => (tests as u64).saturating_sub(counts.passed).max(1),
            None => counts.failed,
        };
        let Counts {
            passed,
            failed,
            skipped,
        } = counts;
        match died {
            Some(why) => println!("{line:<8} {name:<16} DIED after {seconds} s: {why}"),
            None => println!(
                "{line:<8} {name:<16} {passed:>4} passed {failed:>3} failed {skipped:>3} skipped {seconds:>5} s"
            ),
        }
    }
    println!("{passed} passed, {failed} failed");
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
