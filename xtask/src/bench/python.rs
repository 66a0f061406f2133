//! A Python program that builds and drops many objects, with checkpoints.

use anyhow::Result;

use super::table::{Row, undisturbed};
use super::tracer::Tracer;
use super::victim::Victim;
use super::{Place, floor};

/// Times that it builds and drops some 20 MiB in one run.
const ROUNDS: &str = "20";

/// Alone, with the empty program on the tracepoint, traced; in turn.
pub(super) fn measure(place: &Place) -> Result<Vec<Row>> {
    let (mut alone, mut empty, mut traced) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..place.runs {
        alone.push(Victim::python(place, &["work", ROUNDS])?.go()?);
        empty.push(with_empty(place)?);
        traced.push(with_memtrace(place)?);
        let last = [&alone, &empty, &traced].map(|costs| costs[costs.len() - 1] / 1e6);
        eprintln!("python: run {} of {}: {last:.2?} ms", run + 1, place.runs);
    }
    let ms = |costs: &[f64]| format!("{:.2} ms", undisturbed(costs) / 1e6);
    Ok(vec![Row {
        measure: "Python with checkpoints, a round".to_owned(),
        baseline: ms(&alone),
        floor: format!("{:.3} ×", undisturbed(&empty) / undisturbed(&alone)),
        ours: ms(&traced),
        result: undisturbed(&traced) / undisturbed(&alone),
        target: 1.01,
        unit: "×",
    }])
}

fn with_empty(place: &Place) -> Result<f64> {
    let python = Victim::python(place, &["work", ROUNDS])?;
    let _held = floor::on_rss()?;
    python.go()
}

fn with_memtrace(place: &Place) -> Result<f64> {
    let python = Victim::python(place, &["work", ROUNDS])?;
    let tracer = Tracer::tracing(place, &["--pid", &python.pid.to_string()], 1)?;
    tracer.until_marked();
    python.go()
}
