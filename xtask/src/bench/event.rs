//! What an RSS event of a traced process costs that takes no stack, beside an empty program in the
//! same place.

use anyhow::Result;

use super::table::{Row, undisturbed};
use super::tracer::Tracer;
use super::victim::Victim;
use super::{Place, floor};

/// Times that the storm touches its 4 MiB in one run; each touch is an event.
const ROUNDS: &str = "80";
/// Runs of this subject for one of the others: what is sought is a small part of a fault.
const TIMES: u32 = 3;
/// Stacks are on, and none is due: the storm does not grow by so much.
const NONE_DUE: [&str; 2] = ["--stack-step", "1G"];

/// With the empty program, traced without stacks, traced with stacks of which none is due; in turn.
pub(super) fn measure(place: &Place) -> Result<Vec<Row>> {
    let (mut empty, mut silent, mut stacks) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..place.runs * TIMES {
        empty.push(with_empty(place)?);
        silent.push(with_memtrace(place, &["--no-stacks"])?);
        stacks.push(with_memtrace(place, &NONE_DUE)?);
        let last = [&empty, &silent, &stacks].map(|costs| costs[costs.len() - 1]);
        eprintln!(
            "event: run {} of {}: {last:.0?} ns",
            run + 1,
            place.runs * TIMES
        );
    }
    let floor = undisturbed(&empty);
    let row = |measure: &str, costs: &[f64]| Row {
        measure: measure.to_owned(),
        baseline: String::new(),
        floor: format!("{floor:.0} ns"),
        ours: format!("{:.0} ns", undisturbed(costs)),
        result: undisturbed(costs) - floor,
        target: 150.0,
        unit: "ns",
    };
    Ok(vec![
        row("RSS event over an empty program, no stacks", &silent),
        row("RSS event over an empty program, none due", &stacks),
    ])
}

fn with_empty(place: &Place) -> Result<f64> {
    let storm = Victim::storm(place, &[ROUNDS])?;
    let _held = floor::on_rss()?;
    storm.go()
}

fn with_memtrace(place: &Place, options: &[&str]) -> Result<f64> {
    let storm = Victim::storm(place, &[ROUNDS])?;
    let pid = storm.pid.to_string();
    let _tracer = Tracer::tracing(place, &[options, &["--pid", &pid]].concat(), 1)?;
    storm.go()
}
