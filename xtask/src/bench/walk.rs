//! What one stack costs the thread that it is taken of: a Python program whose RSS moves fast, traced
//! with stacks and without; the difference, by the number of stacks that the recording has.

use anyhow::{Result, ensure};

use super::Place;
use super::table::{Row, median};
use super::tracer::Tracer;
use super::victim::Victim;

/// Rounds of one run.
const ROUNDS: u32 = 20;
/// Turns of one round, of which one more goes before the first (`storm.py`).
const TURNS: u32 = 100;
/// Runs of this subject for one of the others.
const TIMES: u32 = 2;
/// Python frames, and what a stack of them may cost, in µs: beyond the tenth each may cost 0.3.
const FRAMES: [(&str, f64); 2] = [("10", 5.0), ("48", 16.4)];
/// As small as RSS moves at once (`percpu_counter_batch`, `lib/percpu_counter.c`, to 16 cpus).
const STEP: &str = "128K";

/// Without stacks and with them, in turn.
pub(super) fn measure(place: &Place) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (frames, target) in FRAMES {
        rows.push(alternate(place, frames, target)?);
    }
    Ok(rows)
}

fn alternate(place: &Place, frames: &str, target: f64) -> Result<Row> {
    let (mut without, mut with, mut each) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..place.runs * TIMES {
        let (alone, _) = turn(place, frames, &["--no-stacks"])?;
        let (traced, stacks) = turn(place, frames, &["--stack-step", STEP])?;
        ensure!(stacks >= 1.0, "only {stacks:.2} stacks in a turn");
        without.push(alone);
        with.push(traced);
        each.push((traced - alone) / stacks);
        eprintln!(
            "walk of {frames}: run {} of {}: {alone:.1} and {traced:.1} µs, {stacks:.2} stacks",
            run + 1,
            place.runs * TIMES,
        );
    }
    Ok(Row {
        measure: format!("a stack of {frames} Python frames"),
        baseline: format!("{:.1} µs", median(without)),
        floor: String::new(),
        ours: format!("{:.1} µs", median(with)),
        // Run by run: how many stacks a turn has differs.
        result: median(each),
        target,
        unit: "µs",
    })
}

/// What a turn costs, in µs, and how many stacks are taken in one.
fn turn(place: &Place, frames: &str, options: &[&str]) -> Result<(f64, f64)> {
    let python = Victim::python(place, &["walk", &ROUNDS.to_string(), frames])?;
    let pid = python.pid.to_string();
    let always = ["--quiet", "--step", STEP, "--pid", &pid];
    let tracer = Tracer::tracing(place, &[&always, options].concat(), 1)?;
    tracer.until_marked();
    let cost = python.go()? / 1e3;
    let stacks = tracer.stacks()?;
    Ok((cost, stacks / f64::from((ROUNDS + 1) * TURNS)))
}
