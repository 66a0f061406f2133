//! How many tests of which kind ran, and what did not run.

/// Counts of one group of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, other: Self) {
        let Self {
            passed,
            failed,
            skipped,
        } = other;
        self.passed += passed;
        self.failed += failed;
        self.skipped += skipped;
    }
}

/// All groups, and reasons for what is not among them.
#[derive(Debug, Default)]
pub(super) struct Tally {
    groups: Vec<(String, Counts)>,
    not_run: Vec<String>,
}

impl Tally {
    /// Counts a group that ran. A group that failed without a failed test (it did not compile, it
    /// was killed) counts as one failure.
    pub(super) fn ran(&mut self, group: &str, mut counts: Counts, succeeded: bool) {
        if !succeeded && counts.failed == 0 {
            counts.failed = 1;
        }
        if counts.skipped > 0 {
            self.not_run(format!("{group}: {} tests skip themselves", counts.skipped));
        }
        self.groups.push((group.to_owned(), counts));
    }

    /// Notes something that did not run.
    pub(super) fn not_run(&mut self, what_and_why: String) {
        self.not_run.push(what_and_why);
    }

    /// Sum over all groups.
    pub(super) fn total(&self) -> Counts {
        let mut total = Counts::default();
        for (_, counts) in &self.groups {
            total.add(*counts);
        }
        total
    }

    /// The end of the output.
    pub(super) fn print(&self) {
        println!();
        for (
            group,
            Counts {
                passed,
                failed,
                skipped,
            },
        ) in &self.groups
        {
            println!("{group:<24} {passed:>5} passed {failed:>5} failed {skipped:>5} skipped");
        }
        for what in &self.not_run {
            println!("NOT RUN  {what}");
        }
        let total = self.total();
        println!("{} passed, {} failed", total.passed, total.failed);
    }
}

/// Reads a line of Rust's test harness: `test result: ok. 3 passed; 0 failed; 1 ignored; …`.
/// Something a test prints may stand before it on the line.
pub(crate) fn parse_rust(line: &str) -> Option<Counts> {
    let (_, result) = line.split_once("test result: ")?;
    let number = |unit: &str| number_before(result, unit).unwrap_or(0);
    Some(Counts {
        passed: number(" passed"),
        failed: number(" failed"),
        skipped: number(" ignored"),
    })
}

/// Reads the end of Python's unittest: `Ran 7 tests in …`, then `OK` or `FAILED`, with counts.
pub(super) fn parse_python(output: &str) -> Counts {
    let number = |key: &str| {
        output
            .lines()
            .rev()
            .find_map(|line| number_after(line, key))
            .unwrap_or(0)
    };
    let failed = number("failures=") + number("errors=") + number("unexpected successes=");
    let skipped = number("skipped=");
    let passed = number("Ran ").saturating_sub(failed + skipped);
    Counts {
        passed,
        failed,
        skipped,
    }
}

fn number_before(text: &str, unit: &str) -> Option<u64> {
    text.split(unit)
        .next()?
        .rsplit(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

fn number_after(line: &str, key: &str) -> Option<u64> {
    let verdict = line.starts_with("Ran ") || line.starts_with("OK") || line.starts_with("FAILED");
    let (_, rest) = line.split_once(key).filter(|_| verdict)?;
    rest.split(|c: char| !c.is_ascii_digit())
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::{Counts, Tally, parse_python, parse_rust};

    #[test]
    fn reads_the_rust_harness() {
        let line =
            "noise test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 4 filtered";
        assert_eq!(
            parse_rust(line),
            Some(Counts {
                passed: 12,
                failed: 3,
                skipped: 1
            })
        );
        assert_eq!(parse_rust("test a::b ... ok"), None);
    }

    #[test]
    fn reads_unittest() {
        let failed = "F.\nRan 7 tests in 0.1s\n\nFAILED (failures=1, errors=2, skipped=1)\n";
        assert_eq!(
            parse_python(failed),
            Counts {
                passed: 3,
                failed: 3,
                skipped: 1
            }
        );
        assert_eq!(
            parse_python("Ran 7 tests in 1s\n\nOK\n"),
            Counts {
                passed: 7,
                ..Counts::default()
            }
        );
        assert_eq!(parse_python("ImportError"), Counts::default());
    }

    #[test]
    fn a_group_that_does_not_compile_is_a_failure() {
        let mut tally = Tally::default();
        tally.ran("unit", Counts::default(), false);
        assert_eq!(tally.total().failed, 1);
    }
}
