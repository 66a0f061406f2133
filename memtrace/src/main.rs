//! Parse, plan, run, exit code.

use std::{
    io::{self, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{ExitCode, ExitStatus},
};

use clap::Parser as _;
use memtrace::{
    cli::Cli,
    contain, doctor,
    entry::Lang,
    loss::Ledger,
    plan::{Plan, ReportPlan, TracePlan},
    report::folded::Folded,
    report_files::{self, Stacks},
    run::{self, RunError},
    stacks, words,
};

/// Exit codes; the help text of the command line names them.
mod code {
    pub(crate) const DONE: u8 = 0;
    pub(crate) const FAILED: u8 = 1;
    pub(crate) const USAGE: u8 = 2;
    pub(crate) const LOST: u8 = 3;
    pub(crate) const NOT_PERMITTED: u8 = 4;
    /// The next three are those of `env`, `timeout` and the shells.
    pub(crate) const RUN_FAILED: u8 = 125;
    pub(crate) const NOT_EXECUTABLE: u8 = 126;
    pub(crate) const NOT_FOUND: u8 = 127;
}

fn main() -> ExitCode {
    contain::abort_on_panic();
    let plan = match Plan::new(Cli::parse()) {
        Ok(plan) => plan,
        Err(error) => {
            complain(&error.to_string());
            return code::USAGE.into();
        }
    };
    match plan {
        Plan::Report(plan) => report(&plan).into(),
        Plan::Fold { files } => fold(&files).into(),
        Plan::Trace(plan) => trace(*plan).into(),
        Plan::Stack { pids } => stack(&pids).into(),
        Plan::Doctor { btf } => doctor(btf.as_deref()).into(),
    }
}

fn doctor(btf: Option<&Path>) -> u8 {
    let diagnosis = doctor::examine(btf);
    // Whoever read may have had enough; the exit status still tells.
    let _ = io::stdout().write_all(diagnosis.text().as_bytes());
    match diagnosis.is_able() {
        true => code::DONE,
        false if diagnosis.not_permitted => code::NOT_PERMITTED,
        false => code::FAILED,
    }
}

fn stack(pids: &[u32]) -> u8 {
    let mut worst = code::DONE;
    for pid in pids {
        match stacks::text(*pid) {
            // Whoever read may have had enough.
            Ok(text) => drop(io::stdout().write_all(text.as_bytes())),
            Err(error) => {
                complain(&error.to_string());
                worst = worst.max(if error.is_for_want_of_rights() {
                    code::NOT_PERMITTED
                } else {
                    code::FAILED
                });
            }
        }
    }
    worst
}

fn complain(text: &str) {
    // Nobody may be listening; there is no one left to tell.
    let _ = writeln!(io::stderr(), "memtrace: {text}");
}

fn trace(plan: TracePlan) -> u8 {
    let is_run = plan.run.is_some();
    match run::trace(plan) {
        Ok(outcome) => {
            say_lost(&outcome.lost);
            let status = outcome.command.map_or(code::DONE, own_status);
            if status == code::DONE && !outcome.lost.is_empty() {
                code::LOST
            } else {
                status
            }
        }
        Err(RunError::Spawn { command, source }) => {
            complain(&format!("{}: {source}", command.to_string_lossy()));
            match source.kind() {
                io::ErrorKind::NotFound => code::NOT_FOUND,
                _ => code::NOT_EXECUTABLE,
            }
        }
        Err(RunError::NotPermitted(text)) => {
            complain(&text);
            if is_run {
                code::RUN_FAILED
            } else {
                code::NOT_PERMITTED
            }
        }
        Err(RunError::Other(error)) => {
            complain(&format!("{error:#}"));
            if is_run {
                code::RUN_FAILED
            } else {
                code::FAILED
            }
        }
    }
}

/// A command's end as an exit code of ours, as shells give it.
fn own_status(status: ExitStatus) -> u8 {
    let signalled = status.signal().map(|signal| 128 + signal);
    status
        .code()
        .or(signalled)
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(code::RUN_FAILED)
}

fn say_lost(lost: &Ledger) {
    for (kind, count) in lost.iter() {
        complain(&format!(
            "lost: {} × {count}; {}",
            words::loss_name(Lang::En, kind),
            words::loss_advice(Lang::En, kind)
        ));
    }
}

fn report(plan: &ReportPlan) -> u8 {
    let mut worst = code::DONE;
    for path in &plan.files {
        match report_files::from_file(path) {
            Ok(outcome) => {
                for text in &outcome.reports {
                    if io::stdout().write_all(text.as_bytes()).is_err() {
                        return code::DONE; // whoever read has had enough
                    }
                }
            }
            Err(error) => {
                complain(&format!("{:#}", anyhow::Error::new(error)));
                worst = code::FAILED;
            }
        }
    }
    worst
}

fn fold(files: &[PathBuf]) -> u8 {
    let mut worst = code::DONE;
    let mut folded = Folded::default();
    for path in files {
        match report_files::fold(path, &mut folded) {
            Ok(Stacks { growth, unreadable }) => {
                let name = path.display();
                if unreadable > 0 {
                    complain(&format!("{name}: {unreadable} lines could not be read"));
                }
                if growth == 0 {
                    complain(&format!("{name} holds no stacks of growth"));
                }
            }
            Err(error) => {
                worst = worst.max(match error {
                    report_files::Error::NotRecording { .. } => code::USAGE,
                    _ => code::FAILED,
                });
                complain(&format!("{:#}", anyhow::Error::new(error)));
            }
        }
    }
    // Whoever read may have had enough.
    let _ = io::stdout().write_all(folded.text().as_bytes());
    worst
}
