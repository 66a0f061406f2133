//! What a page fault costs: 4 KiB faults on one thread, nobody traced, a neighbour traced, traced.

use std::any::Any;

use anyhow::Result;

use super::Place;
use super::floor;
use super::table::{Row, undisturbed};
use super::tracer::Tracer;
use super::victim::Victim;
use crate::workspace::output_of;

/// Times that the storm touches its 4 MiB in one run: short, so that the ways follow closely on
/// one another.
const ROUNDS: &str = "80";
/// Runs of this subject for one of the others: what is sought is a small part of a fault.
const TIMES: u32 = 3;

/// What else goes on while the storm rages.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Beside {
    Nothing,
    /// memtrace waits for a command that does not run.
    Waiting,
    /// An empty program on the tracepoint.
    Empty,
    /// memtrace traces another process.
    Neighbour,
    /// memtrace traces the storm.
    Traced,
    /// Somebody counts the classic tracepoint.
    Classic,
}

const WAYS: [Beside; 6] = [
    Beside::Nothing,
    Beside::Waiting,
    Beside::Empty,
    Beside::Neighbour,
    Beside::Traced,
    Beside::Classic,
];

/// All of them in turn, run after run.
pub(super) fn measure(place: &Place) -> Result<Vec<Row>> {
    let has_bpftrace = output_of(std::process::Command::new("bpftrace").arg("--version")).is_some();
    let mut costs = WAYS.map(|_| Vec::new());
    for run in 0..place.runs * TIMES {
        // Each way takes each place in the order: what the one before leaves behind meets all.
        for turn in 0..WAYS.len() {
            let at = (turn + run as usize) % WAYS.len();
            costs[at].push(one(place, WAYS[at], has_bpftrace)?);
        }
        let last: Vec<_> = costs.iter().filter_map(|costs| costs.last()).collect();
        eprintln!(
            "storm: run {} of {}: {last:.0?} ns",
            run + 1,
            place.runs * TIMES
        );
    }
    Ok(rows(&costs, has_bpftrace))
}

fn one(place: &Place, way: Beside, has_bpftrace: bool) -> Result<f64> {
    let storm = Victim::storm(place, &[ROUNDS])?;
    let _held = set(place, way, storm.pid, has_bpftrace)?;
    storm.go()
}

/// Sets up what goes on beside; it ends when what is returned is dropped.
fn set(place: &Place, way: Beside, storm: u32, has_bpftrace: bool) -> Result<Box<dyn Any>> {
    Ok(match way {
        Beside::Nothing => Box::new(()),
        Beside::Waiting => Box::new(Tracer::waiting(place, &["--comm", "nobody-is-called-so"])?),
        Beside::Empty => Box::new(floor::on_rss()?),
        Beside::Neighbour => {
            let neighbour = Victim::storm(place, &["1"])?;
            let tracer = Tracer::tracing(place, &["--pid", &neighbour.pid.to_string()], 1)?;
            Box::new((tracer, neighbour))
        }
        Beside::Traced => Box::new(Tracer::tracing(place, &["--pid", &storm.to_string()], 1)?),
        Beside::Classic if has_bpftrace => Box::new(Tracer::bpftrace(place)?),
        Beside::Classic => Box::new(floor::classic_counter()?),
    })
}

fn rows(costs: &[Vec<f64>; 6], has_bpftrace: bool) -> Vec<Row> {
    let [nothing, waiting, empty, neighbour, traced, classic] = costs;
    let ns = |costs: &Vec<f64>| format!("{:.0} ns", undisturbed(costs));
    let over = |costs: &Vec<f64>| undisturbed(costs) - undisturbed(nothing);
    let more = |costs: &Vec<f64>| format!("+{:.0} ns", over(costs));
    let row = |measure: &str, ours: &Vec<f64>, floor: &Vec<f64>, target: f64| Row {
        measure: measure.to_owned(),
        baseline: ns(nothing),
        floor: more(floor),
        ours: more(ours),
        result: over(ours) / over(floor),
        target,
        unit: "×",
    };
    let counter = if has_bpftrace {
        "4 KiB fault, traced; beside bpftrace's count"
    } else {
        "4 KiB fault, traced; beside a classic counter"
    };
    vec![
        Row {
            measure: "4 KiB fault, memtrace waits".to_owned(),
            baseline: ns(nothing),
            floor: String::new(),
            ours: ns(waiting),
            result: undisturbed(waiting) / undisturbed(nothing),
            // 1.00 as it is printed: what a run differs from the next by is more.
            target: 1.005,
            unit: "×",
        },
        row("4 KiB fault, a neighbour is traced", neighbour, empty, 1.25),
        row("4 KiB fault, traced", traced, empty, 2.0),
        row(counter, traced, classic, 1.0),
    ]
}
