//! `test`: every test that this machine can run, and a loud word about those it cannot.

pub mod debian;
pub mod python;
pub(crate) mod tally;
pub(crate) mod victims;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result, bail};
use tally::{Counts, Tally, parse_rust};

use crate::cli;
use crate::workspace::{self, cargo, is_ci, is_root, target_dir};

/// First segment of the names of tests that trace real processes.
const LIVE: &str = "live";

/// Beginning of the names of those that need a machine of their own.
const GUEST: &str = "live::guest::";

/// How a test begins a line about what it leaves out, and why.
const NOT_RUN: &str = "NOT RUN: ";

/// Builds what the tests need, runs them group by group, and counts.
pub fn run(options: &cli::Test) -> Result<ExitCode> {
    let filter = options.filter.as_deref();
    workspace::run(&mut cargo(["build", "--release", "--package", "memtrace"]))?;
    let fixture = Fixture {
        memtrace: target_dir().join("release/memtrace"),
        victims: victims::compile()?,
    };
    let mut tally = Tally::default();

    let mut unit = cargo([
        "test",
        "--workspace",
        "--exclude",
        "memtrace-tests",
        "--no-fail-fast",
    ]);
    run_group("unit", unit.arg("--").args(filter), &mut tally)?;

    let obstacle = live_obstacle(options);
    if obstacle.is_none()
        && let Err(error) = debian::fetch()
    {
        tally.not_run(format!("Debian's interpreters: {error:#}"));
    }
    for (group, mut names) in integration_tests(filter)? {
        let all = names.len();
        names.retain(|name| !name.starts_with(GUEST));
        if names.len() < all {
            tally.not_run(format!(
                "{GUEST}: {} tests, they need a virtual machine: cargo xtask vm",
                all - names.len()
            ));
        }
        if names.is_empty() {
            continue;
        }
        if let Some(why) = obstacle.as_ref().filter(|_| group == LIVE) {
            tally.not_run(format!("{group}: {} tests, {}", names.len(), why.text));
            continue;
        }
        run_group(&group, &mut fixture.command(&group, &names), &mut tally)?;
    }
    python::run(filter, &mut tally)?;

    tally.print();
    let all_ran = obstacle.is_none_or(|why| why.chosen) || !is_ci() || !is_root();
    Ok(if tally.total().failed == 0 && all_ran {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What the tests of the tests crate find through their environment.
struct Fixture {
    memtrace: PathBuf,
    victims: PathBuf,
}

impl Fixture {
    /// Runs exactly these tests; live ones one after the other, since each measures the machine.
    fn command(&self, group: &str, names: &[String]) -> Command {
        let mut test = cargo(["test", "--package", "memtrace-tests", "--test", "all", "--"]);
        test.env("MEMTRACE_BIN", &self.memtrace)
            .env("MEMTRACE_VICTIMS", &self.victims);
        if group == LIVE {
            test.arg("--test-threads=1");
        }
        test.arg("--exact").args(names);
        test
    }
}

/// Why live tests are not run.
struct Obstacle {
    text: &'static str,
    /// Somebody asked for it.
    chosen: bool,
}

fn live_obstacle(options: &cli::Test) -> Option<Obstacle> {
    if options.no_live {
        return Some(Obstacle {
            text: "left out by --no-live",
            chosen: true,
        });
    }
    if !is_root() {
        return Some(Obstacle {
            text: "they need root: sudo -E cargo xtask test",
            chosen: false,
        });
    }
    let btf = Path::new("/sys/kernel/btf/vmlinux");
    let text = "this kernel has no BTF (/sys/kernel/btf/vmlinux)";
    (!btf.exists()).then_some(Obstacle {
        text,
        chosen: false,
    })
}

/// Names of the tests crate's tests by their first segment: goldens, command line, live, ….
fn integration_tests(filter: Option<&str>) -> Result<BTreeMap<String, Vec<String>>> {
    let mut list = cargo(["test", "--package", "memtrace-tests", "--test", "all", "--"]);
    let output = list
        .args(["--list", "--format", "terse"])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("the tests crate cannot be built");
    }
    let mut groups = BTreeMap::<String, Vec<String>>::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some(name) = line.strip_suffix(": test") else {
            continue;
        };
        if filter.is_none_or(|filter| name.contains(filter)) {
            let group = name.split("::").next().unwrap_or(name);
            groups
                .entry(group.to_owned())
                .or_default()
                .push(name.to_owned());
        }
    }
    Ok(groups)
}

/// Runs tests, shows what they print, and counts.
fn run_group(group: &str, command: &mut Command, tally: &mut Tally) -> Result<()> {
    eprintln!("\n== {group}");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {}", workspace::line(command)))?;
    let stdout = child.stdout.take().expect("stdout is piped");
    let mut counts = Counts::default();
    for line in BufReader::new(stdout).split(b'\n') {
        // Tests may print names that are not UTF-8.
        let line = line.context("read the tests' output")?;
        let line = String::from_utf8_lossy(&line);
        println!("{line}");
        // A test may say so of a part of itself, behind its own name.
        if let Some((_, what)) = line.split_once(NOT_RUN) {
            tally.not_run(what.to_owned());
        }
        if let Some(more) = parse_rust(&line) {
            counts.add(more);
        }
    }
    let status = child.wait().context("wait for the tests")?;
    tally.ran(group, counts, status.success());
    Ok(())
}
