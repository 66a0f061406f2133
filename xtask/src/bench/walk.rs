//! What one stack costs the thread that it is taken of: a Python program whose RSS moves fast, traced
//! with stacks and without; the difference, by the number of stacks that the recording has.

use anyhow::{Result, ensure};

use super::Place;
use super::table::{Row, undisturbed};
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
/// As small as RSS moves at once (`percpu_counter_batch`, lib/percpu_counter.c, to 16 cpus).
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
    let (mut without, mut with) = (Vec::new(), Vec::new());
    let mut stacks = 0.0_f64;
    for run in 0..place.runs * TIMES {
        without.push(turn(place, frames, &["--no-stacks"])?.0);
        let (cost, taken) = turn(place, frames, &["--stack-step", STEP])?;
        with.push(cost);
        stacks = stacks.max(taken);
        eprintln!(
            "walk of {frames}: run {} of {}: {:.1} and {cost:.1} µs, {taken:.2} stacks",
            run + 1,
            place.runs * TIMES,
            without[without.len() - 1],
        );
    }
    ensure!(stacks >= 1.0, "only {stacks:.2} stacks in a turn");
    Ok(Row {
        measure: format!("a stack of {frames} frames, {stacks:.2} a turn"),
        baseline: String::new(),
        floor: format!("{:.1} µs", undisturbed(&without)),
        ours: format!("{:.1} µs", undisturbed(&with)),
        result: (undisturbed(&with) - undisturbed(&without)) / stacks,
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
