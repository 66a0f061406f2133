//! Python programs: one that builds and drops many objects, with checkpoints, and one that grows to
//! a gigabyte.

use anyhow::Result;

use super::table::{Row, undisturbed};
use super::tracer::Tracer;
use super::victim::Victim;
use super::{Place, floor};

/// Times that it builds and drops some 20 MiB in one run.
const WORK: [&str; 2] = ["work", "20"];
/// Megabytes that the other grows by, in rounds of sixteen.
const GROW: [&str; 2] = ["grow", "1000"];

/// One after the other.
pub(super) fn measure(place: &Place) -> Result<Vec<Row>> {
    Ok(vec![
        alternate(place, "Python with checkpoints, a round", &WORK)?,
        alternate(place, "Python that grows to 1 GB, 16 MB of it", &GROW)?,
    ])
}

/// Alone, with the empty program on the tracepoint, traced; in turn.
fn alternate(place: &Place, measure: &str, program: &[&str]) -> Result<Row> {
    let (mut alone, mut empty, mut traced) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..place.runs {
        alone.push(Victim::python(place, program)?.go()?);
        empty.push(with_empty(place, program)?);
        traced.push(with_memtrace(place, program)?);
        let last = [&alone, &empty, &traced].map(|costs| costs[costs.len() - 1] / 1e6);
        eprintln!(
            "python, {}: run {} of {}: {last:.2?} ms",
            program[0],
            run + 1,
            place.runs
        );
    }
    let ms = |costs: &[f64]| format!("{:.2} ms", undisturbed(costs) / 1e6);
    Ok(Row {
        measure: measure.to_owned(),
        baseline: ms(&alone),
        floor: format!("{:.3} ×", undisturbed(&empty) / undisturbed(&alone)),
        ours: ms(&traced),
        result: undisturbed(&traced) / undisturbed(&alone),
        target: 1.01,
        unit: "×",
    })
}

fn with_empty(place: &Place, program: &[&str]) -> Result<f64> {
    let python = Victim::python(place, program)?;
    let _held = floor::on_rss()?;
    python.go()
}

fn with_memtrace(place: &Place, program: &[&str]) -> Result<f64> {
    let python = Victim::python(place, program)?;
    let tracer = Tracer::tracing(place, &["--pid", &python.pid.to_string()], 1)?;
    tracer.until_marked();
    python.go()
}
