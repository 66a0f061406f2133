//! What a target says of its run.

use std::fmt;

/// The figures of one run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Stats {
    runs: u64,
    runs_per_second: u64,
    /// Edges that the inputs of before reached, and all inputs at the end.
    edges: (u64, u64),
    /// What was wrong.
    pub(super) finding: Option<String>,
    /// The file that shows it.
    pub(super) reproducer: Option<String>,
}

impl Stats {
    /// Reads what libFuzzer writes: `#12 INITED cov: 34 ft: …`, and `stat::` lines at the end.
    pub(super) fn of(said: &str) -> Self {
        let mut stats = Self::default();
        for line in said.lines() {
            let number = |key: &str| {
                let rest = line.split_once(key)?.1;
                rest.split_whitespace().next()?.parse::<u64>().ok()
            };
            if line.starts_with('#') {
                let edges = number(" cov: ").unwrap_or(stats.edges.1);
                if line.contains("INITED") {
                    stats.edges.0 = edges;
                }
                stats.edges.1 = edges;
            }
            if let Some(runs) = number("stat::number_of_executed_units:") {
                stats.runs = runs;
            }
            if let Some(rate) = number("stat::average_exec_per_sec:") {
                stats.runs_per_second = rate;
            }
            if line.contains("ERROR: ") || line.contains("panicked at") {
                stats.finding.get_or_insert_with(|| line.trim().to_owned());
            }
            if let Some((_, path)) = line.split_once("Test unit written to ") {
                stats.reproducer = Some(path.to_owned());
            }
        }
        stats
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            runs,
            runs_per_second,
            edges: (before, after),
            finding: _,
            reproducer: _,
        } = self;
        let new = after.saturating_sub(*before);
        write!(
            out,
            "{runs} runs, {runs_per_second} a second, {after} edges ({new} new)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Stats;

    #[test]
    fn figures_and_findings_are_read() {
        let said = "#8\tINITED cov: 30 ft: 40 corp: 5/55b exec/s: 0 rss: 40Mb\n\
                    #99\tNEW    cov: 34 ft: 50 corp: 6/60b lim: 4 exec/s: 9 rss: 41Mb\n\
                    thread '<unnamed>' panicked at src/bin/x.rs:3:5:\n\
                    ==1== ERROR: libFuzzer: deadly signal\n\
                    artifact_prefix='./'; Test unit written to ./crash-1\n\
                    stat::number_of_executed_units: 99\n\
                    stat::average_exec_per_sec:     33\n";
        let stats = Stats::of(said);
        assert_eq!(stats.to_string(), "99 runs, 33 a second, 34 edges (4 new)");
        assert_eq!(stats.reproducer.as_deref(), Some("./crash-1"));
        assert!(
            stats
                .finding
                .is_some_and(|finding| finding.contains("x.rs:3"))
        );
    }
}
