//! A million checkpoints, from C and from Python.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use super::table::{Row, median, median_ratio};
use super::tracer::Tracer;
use super::victim::Victim;
use super::{Place, floor};

/// Checkpoints in one run: a flood, of which memtrace loses what it cannot take in, and as many as
/// the ring holds. One that is lost costs less than one that is not.
const MARKS: [u64; 2] = [1_000_000, 30_000];

/// From where they come.
#[derive(Debug, Clone, Copy)]
enum Language {
    C,
    Python,
}

/// What one checkpoint costs, in nanoseconds, run by run, and how many were lost.
#[derive(Default)]
struct Costs {
    untraced: Vec<f64>,
    empty: Vec<f64>,
    traced: Vec<f64>,
    lost: Vec<f64>,
}

/// Untraced, with an empty program in the same place, traced; in turn.
pub(super) fn measure(place: &Place) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for language in [Language::C, Language::Python] {
        for marks in MARKS {
            rows.extend(alternate(place, language, marks)?.rows(language, marks));
        }
    }
    Ok(rows)
}

fn alternate(place: &Place, language: Language, marks: u64) -> Result<Costs> {
    let mut costs = Costs::default();
    for run in 0..place.runs {
        costs.untraced.push(language.victim(place, marks)?.go()?);
        costs.empty.push(with_empty(place, language, marks)?);
        let (cost, lost) = with_memtrace(place, language, marks)?;
        costs.traced.push(cost);
        costs.lost.push(lost);
        let shown =
            [&costs.untraced, &costs.empty, &costs.traced].map(|costs| costs[costs.len() - 1]);
        eprintln!(
            "{marks} marks from {language:?}: run {} of {}: {shown:.1?} ns",
            run + 1,
            place.runs
        );
    }
    Ok(costs)
}

fn with_empty(place: &Place, language: Language, marks: u64) -> Result<f64> {
    let victim = language.victim(place, marks)?;
    let _held = floor::on_function(&language.file(place, victim.pid)?, language.symbol())?;
    victim.go()
}

/// What one costs, and how many were lost.
fn with_memtrace(place: &Place, language: Language, marks: u64) -> Result<(f64, f64)> {
    let victim = language.victim(place, marks)?;
    let tracer = Tracer::tracing(place, &["--quiet", "--pid", &victim.pid.to_string()], 1)?;
    tracer.until_marked();
    let cost = victim.go()?;
    let lost = tracer.stop()?;
    Ok((cost, lost))
}

impl Language {
    fn victim(self, place: &Place, marks: u64) -> Result<Victim> {
        let marks = marks.to_string();
        match self {
            Self::C => Victim::storm(place, &["marks", &marks]),
            Self::Python => Victim::python(place, &["marks", &marks]),
        }
    }

    fn symbol(self) -> &'static str {
        match self {
            Self::C => "memtrace_checkpoint",
            Self::Python => "PyOS_mystricmp",
        }
    }

    /// The file that has the function: Python's may be its library or its executable.
    fn file(self, place: &Place, pid: u32) -> Result<PathBuf> {
        match self {
            Self::C => Ok(place.victims.join("storm")),
            Self::Python => {
                let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
                let library = maps
                    .lines()
                    .filter_map(|line| Some(&line[line.find('/')?..]))
                    .find(|path| path.contains("/libpython"));
                match library {
                    Some(library) => Ok(library.into()),
                    None => fs::read_link(format!("/proc/{pid}/exe")).context("find Python"),
                }
            }
        }
    }
}

impl Costs {
    fn rows(&self, language: Language, marks: u64) -> Vec<Row> {
        let Self {
            untraced,
            empty,
            traced,
            lost,
        } = self;
        let middle = |costs: &[f64]| median(costs.iter().copied());
        let ns = |costs: &[f64]| format!("{:.1} ns", middle(costs));
        let mut rows = vec![Row {
            measure: format!(
                "{marks} checkpoints, {language:?}, {:.0} lost",
                middle(lost)
            ),
            baseline: ns(untraced),
            floor: ns(empty),
            ours: ns(traced),
            result: median_ratio(traced, empty),
            target: 2.0,
            unit: "×",
        }];
        if matches!(language, Language::C) {
            rows.push(Row {
                measure: format!("{marks} checkpoints, C, untraced"),
                baseline: ns(untraced),
                floor: String::new(),
                ours: String::new(),
                result: middle(untraced),
                target: 5.0,
                unit: "ns",
            });
        }
        rows
    }
}
