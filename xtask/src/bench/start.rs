//! From `exec` of memtrace until it handles events.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::Place;
use super::table::{Row, undisturbed};

/// Runs of this subject for one of the others: each is short.
const TIMES: u32 = 3;

/// Time until everybody who runs is known and every later event is seen.
pub(super) fn measure(place: &Place) -> Result<Vec<Row>> {
    let (mut floors, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..place.runs * TIMES {
        floors.push(version(place)?);
        ours.push(waiting(place)?);
    }
    let middle = |times: &[f64]| undisturbed(times);
    Ok(vec![Row {
        measure: "start to first event".to_owned(),
        baseline: String::new(),
        floor: format!("{:.1} ms", middle(&floors)),
        ours: format!("{:.1} ms", middle(&ours)),
        result: middle(&ours),
        target: 100.0,
        unit: "ms",
    }])
}

/// The floor: the same program comes and goes.
fn version(place: &Place) -> Result<f64> {
    let started = Instant::now();
    Command::new(&place.memtrace)
        .arg("--version")
        .stdout(Stdio::null())
        .status()?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

fn waiting(place: &Place) -> Result<f64> {
    let started = Instant::now();
    let mut memtrace = Command::new(&place.memtrace)
        .args(["--comm", "nobody-is-called-so", "--log-dir"])
        .arg(&place.scratch)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("start memtrace")?;
    // What this host does not allow it says first.
    let mut lines = BufReader::new(memtrace.stderr.take().expect("stderr is piped")).lines();
    let mut said = String::new();
    while !said.contains("waiting") {
        let Some(line) = lines.next() else { break };
        said = line?;
    }
    let took = started.elapsed().as_secs_f64() * 1e3;
    memtrace.kill()?;
    memtrace.wait()?;
    anyhow::ensure!(said.contains("waiting"), "memtrace said: {}", said.trim());
    Ok(took)
}
