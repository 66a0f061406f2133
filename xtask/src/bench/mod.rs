//! `bench`: what memtrace costs, beside what an empty program in the same place costs.
//!
//! Machines differ and are shared, so nothing here is absolute: the ways to be compared take turns,
//! run after run. A run's figure is CPU time of the measured thread in its best round, which no
//! neighbour can shorten. What is held against a target is a ratio: of the medians of undisturbed runs
//! where a few parts in a hundred are sought, else the median of the ratios run by run.

mod collector;
mod event;
mod floor;
mod marks;
mod peers;
mod python;
mod start;
mod storm;
mod table;
mod tracer;
mod victim;
mod walk;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use table::Row;

use crate::cli::{Bench, Subject};
use crate::test::victims;
use crate::workspace::{self, cargo, is_root, target_dir};

/// Where things are that every subject needs.
struct Place {
    memtrace: PathBuf,
    victims: PathBuf,
    /// For logs and recordings; emptied at the start.
    scratch: PathBuf,
    runs: u32,
}

/// Measures the chosen subjects and prints the table.
pub fn run(options: &Bench) -> Result<ExitCode> {
    if !is_root() {
        bail!("the benchmarks load eBPF programs, which needs root: sudo -E cargo xtask bench");
    }
    if !Path::new("/sys/kernel/btf/vmlinux").exists() {
        bail!("this kernel has no BTF (/sys/kernel/btf/vmlinux), so memtrace cannot run");
    }
    let place = Place::prepare(options.runs)?;
    let subjects = if options.subjects.is_empty() {
        Subject::USUAL.to_vec()
    } else {
        options.subjects.clone()
    };
    let mut rows = Vec::new();
    for subject in subjects {
        eprintln!("== {subject:?}");
        rows.extend(measure(subject, &place)?);
    }
    table::print(&rows);
    Ok(if rows.iter().all(Row::reached) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn measure(subject: Subject, place: &Place) -> Result<Vec<Row>> {
    match subject {
        Subject::Storm => storm::measure(place),
        Subject::Event => event::measure(place),
        Subject::Walk => walk::measure(place),
        Subject::Python => python::measure(place),
        Subject::Marks => marks::measure(place),
        Subject::Start => start::measure(place),
        Subject::Collector => collector::measure(place),
        Subject::Peers => peers::measure(place),
    }
}

impl Place {
    fn prepare(runs: u32) -> Result<Self> {
        workspace::run(&mut cargo(["build", "--release", "--package", "memtrace"]))?;
        let scratch = target_dir().join("bench");
        if scratch.exists() {
            fs::remove_dir_all(&scratch).with_context(|| format!("empty {}", scratch.display()))?;
        }
        fs::create_dir_all(&scratch).with_context(|| format!("create {}", scratch.display()))?;
        Ok(Self {
            memtrace: target_dir().join("release/memtrace"),
            victims: victims::compile()?,
            scratch,
            runs: runs.max(1),
        })
    }
}
