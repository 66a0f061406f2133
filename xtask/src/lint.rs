//! `lint`: everything that reads the sources without running them.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::build_ebpf::bpf_cargo;
use crate::cli::Arch;
use crate::tidy;
use crate::workspace::{self, cargo, command, is_ci, output_of};

/// Runs every check, also after one has failed, and tells of all at the end.
pub fn run() -> Result<ExitCode> {
    let mut results = vec![
        ("fmt", check(&mut cargo(["fmt", "--all", "--check"]))),
        ("fmt of fuzz", check(&mut fuzz_fmt())),
        ("clippy", check(&mut user_space_clippy())),
        ("clippy for bpf", bpf_clippy()),
        ("aarch64", aarch64_clippy()),
        ("docs", check(&mut docs())),
        ("cargo-deny", deny()),
    ];
    results.push(("tidy", tidy_outcome()?));

    println!();
    for (name, outcome) in &results {
        match outcome {
            Outcome::Passed => println!("{name:<16} ok"),
            Outcome::Failed(why) => println!("{name:<16} FAILED: {why}"),
            Outcome::NotRun { why, .. } => println!("{name:<16} NOT RUN: {why}"),
        }
    }
    let good = results.iter().all(|(_, outcome)| match outcome {
        Outcome::Passed => true,
        Outcome::Failed(_) => false,
        Outcome::NotRun { optional, .. } => *optional || !is_ci(),
    });
    Ok(if good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

enum Outcome {
    Passed,
    Failed(String),
    /// An optional check may be left out in CI too.
    NotRun {
        why: String,
        optional: bool,
    },
}

fn check(command: &mut Command) -> Outcome {
    match workspace::run(command) {
        Ok(()) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{error:#}")),
    }
}

/// Not of the workspace.
fn fuzz_fmt() -> Command {
    cargo(["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])
}

fn user_space_clippy() -> Command {
    cargo([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ])
}

/// Of the program alone: nothing else has to run there without a machine like it.
fn aarch64_clippy() -> Outcome {
    const TARGET: &str = "aarch64-unknown-linux-musl";
    let installed = ["target", "list", "--installed"];
    let installed = output_of(command("rustup").args(installed)).unwrap_or_default();
    if !installed.contains(TARGET) {
        return Outcome::NotRun {
            why: format!("rustup target add {TARGET}"),
            optional: false,
        };
    }
    check(&mut cargo([
        "clippy",
        "--package",
        "memtrace",
        "--target",
        TARGET,
        "--",
        "-D",
        "warnings",
    ]))
}

/// The probes themselves are compiled for no other target than bpf.
fn bpf_clippy() -> Outcome {
    let arch = Arch::host().unwrap_or(Arch::X86_64);
    let not_run = |why: String| Outcome::NotRun {
        why,
        optional: false,
    };
    match bpf_cargo("clippy", arch) {
        Err(missing) => not_run(format!("missing:{missing}")),
        Ok(clippy) if !has_clippy(&clippy) => {
            let toolchain = clippy
                .get_args()
                .next()
                .unwrap_or_default()
                .to_string_lossy();
            let name = toolchain.trim_start_matches('+');
            not_run(format!("rustup component add clippy --toolchain {name}"))
        }
        Ok(mut clippy) => check(clippy.args(["--", "-D", "warnings"])),
    }
}

/// The first argument names the toolchain: `cargo +NAME clippy`.
fn has_clippy(clippy: &Command) -> bool {
    let toolchain = clippy.get_args().next().unwrap_or_default();
    let mut version = command("cargo");
    version.env_remove("RUSTUP_TOOLCHAIN");
    output_of(version.arg(toolchain).args(["clippy", "--version"])).is_some()
}

fn docs() -> Command {
    let mut doc = cargo([
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
    ]);
    doc.env("RUSTDOCFLAGS", "-D warnings");
    doc
}

fn deny() -> Outcome {
    if output_of(&mut cargo(["deny", "--version"])).is_none() {
        let why = "cargo install cargo-deny --locked".to_owned();
        return Outcome::NotRun {
            why,
            optional: true,
        };
    }
    check(&mut cargo(["deny", "check"]))
}

fn tidy_outcome() -> Result<Outcome> {
    let faults = tidy::faults()?;
    for fault in &faults {
        eprintln!("{fault}");
    }
    match faults.len() {
        0 => Ok(Outcome::Passed),
        n => Ok(Outcome::Failed(format!("{n} faults"))),
    }
}
