//! `bless`: goldens and command-line snapshots from what the code does now.

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace::{self, cargo, target_dir};

/// Groups of tests that compare with files and rewrite them when `MEMTRACE_BLESS` is set.
const GROUPS: [&str; 2] = ["golden::", "cli::"];

/// Runs the comparing tests in their rewriting mode.
pub fn run() -> Result<ExitCode> {
    workspace::run(&mut cargo(["build", "--release", "--package", "memtrace"]))?;
    let mut test = cargo(["test", "--package", "memtrace-tests", "--test", "all", "--"]);
    test.args(GROUPS)
        .env("MEMTRACE_BLESS", "1")
        .env("MEMTRACE_BIN", target_dir().join("release/memtrace"));
    workspace::run(&mut test)?;
    println!("look at `git diff`: each changed line is a promise to users that changed");
    Ok(ExitCode::SUCCESS)
}
