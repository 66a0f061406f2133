//! Figures of several runs, and the table of what they come to.

/// One line of the table.
pub(super) struct Row {
    /// What was measured.
    pub(super) measure: String,
    /// Without memtrace.
    pub(super) baseline: String,
    /// With an empty program in the same place.
    pub(super) floor: String,
    /// With memtrace.
    pub(super) ours: String,
    /// What the target speaks of.
    pub(super) result: f64,
    /// The most that it may be.
    pub(super) target: f64,
    /// Unit of these two: `×`, `ns`, `ms`, `MiB`, `%`.
    pub(super) unit: &'static str,
}

impl Row {
    /// The target is reached.
    pub(super) fn reached(&self) -> bool {
        self.result <= self.target
    }

    fn verdict(&self) -> String {
        if self.reached() {
            "reached".to_owned()
        } else {
            format!("missed by {:.3} {}", self.result - self.target, self.unit)
        }
    }
}

/// Prints all rows under one heading.
pub(super) fn print(rows: &[Row]) {
    println!();
    println!(
        "{:<46} {:>14} {:>14} {:>14} {:>12} {:>10}",
        "measure", "without", "floor", "memtrace", "result", "target"
    );
    for row in rows {
        let Row {
            measure,
            baseline,
            floor,
            ours,
            result,
            target,
            unit,
        } = row;
        let result = format!("{result:.3} {unit}");
        let target = format!("≤ {target} {unit}");
        println!(
            "{measure:<46} {baseline:>14} {floor:>14} {ours:>14} {result:>12} {target:>10}  {}",
            row.verdict()
        );
    }
}

/// The middle of the figures of all runs.
pub(super) fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => figures[n / 2],
        n => f64::midpoint(figures[n / 2 - 1], figures[n / 2]),
    }
}

/// The middle of the runs that nobody disturbed: those within a tenth of the best. What differs by
/// a small part cannot be told from the others, and the best alone is a matter of luck.
pub(super) fn undisturbed(figures: &[f64]) -> f64 {
    let best = figures.iter().copied().fold(f64::NAN, f64::min);
    median(
        figures
            .iter()
            .copied()
            .filter(|figure| *figure <= 1.1 * best),
    )
}

/// The middle of the ratios of two ways, run by run.
pub(super) fn median_ratio(ours: &[f64], other: &[f64]) -> f64 {
    median(ours.iter().zip(other).map(|(ours, other)| ours / other))
}

#[cfg(test)]
mod tests {
    use super::{median, median_ratio, undisturbed};

    #[test]
    fn medians_are_of_pairs_or_of_what_is_near_the_best() {
        assert!((median([3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median([4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        let (slow, fast) = ([11.0, 22.0, 33.0], [10.0, 20.0, 30.0]);
        assert!((undisturbed(&[10.0, 20.0, 10.4, 11.0]) - 10.4).abs() < 1e-9);
        assert!((median_ratio(&slow, &fast) - 1.1).abs() < 1e-9);
    }
}
