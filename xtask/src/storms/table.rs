//! What came of each storm, and the table.

use std::collections::BTreeMap;

use super::recordings::Life;

/// Kinds of losses after which the next figure is right again.
const REPAIRED: [&str; 2] = ["RSS records", "skipped probes"];

/// One line of the table.
pub(super) struct Row {
    /// The storm, as typed.
    pub(super) name: String,
    /// What came of it.
    pub(super) outcome: Outcome,
}

/// What came of a storm.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// What was done, with the figures that were reached.
    pub(super) done: String,
    /// What of it memtrace has.
    pub(super) kept: String,
    /// What it says that it has lost.
    pub(super) lost: String,
    /// What is not as it must be.
    pub(super) faults: Vec<String>,
}

/// A memtrace that has ended, and what it has left.
pub(super) struct Ended {
    /// Its exit code.
    pub(super) code: Option<i32>,
    /// All that it said.
    pub(super) said: String,
    /// All that it recorded.
    pub(super) lives: Vec<Life>,
}

impl Outcome {
    /// A storm that could not be raised, or that went wrong on the way.
    pub(super) fn failed(error: &anyhow::Error) -> Self {
        Self {
            faults: vec![format!("{error:#}")],
            ..Self::default()
        }
    }

    /// Begins with what has to be so in every storm. Losses of other kinds than `expected` and than
    /// those that repair themselves are faults.
    pub(super) fn of(ended: &Ended, expected: &[&str]) -> Self {
        let lost = ended.lost();
        let mut outcome = Self {
            lost: told(&lost),
            ..Self::default()
        };
        let code = if lost.is_empty() { 0 } else { 3 };
        outcome.expect(ended.code == Some(code), || {
            format!("exit code {:?}, and not {code}", ended.code)
        });
        for (kind, count) in lost {
            let may_be = REPAIRED.contains(&kind) || expected.contains(&kind);
            outcome.expect(may_be, || format!("lost {kind} × {count}"));
        }
        for life in &ended.lives {
            if let Some(fault) = &life.fault {
                outcome.faults.push(format!("{}: {fault}", life.file));
            }
        }
        outcome
    }

    /// Notes a fault if it is not so.
    pub(super) fn expect(&mut self, is_so: bool, fault: impl FnOnce() -> String) {
        if !is_so {
            self.faults.push(fault());
        }
    }

    fn verdict(&self) -> &'static str {
        if self.faults.is_empty() {
            "held"
        } else {
            "FAILED"
        }
    }
}

impl Ended {
    /// Everything that it says it has lost, by name.
    pub(super) fn lost(&self) -> BTreeMap<&str, u64> {
        let of = |line: &'_ str| {
            let rest = line.strip_prefix("memtrace: lost: ")?;
            let (name, rest) = rest.split_once(" × ")?;
            let (count, _) = rest.split_once(';')?;
            let start = "memtrace: lost: ".len();
            Some((start..start + name.len(), count.parse().ok()?))
        };
        self.said
            .lines()
            .filter_map(|line| of(line).map(|(name, count)| (&line[name], count)))
            .collect()
    }

    /// Lives of a process id, in the order of their files. An id may be used again.
    pub(super) fn lives_of(&self, pid: u32) -> impl Iterator<Item = &Life> {
        self.lives.iter().filter(move |life| life.pid == pid)
    }

    /// How often the terminal says that this process was killed.
    pub(super) fn verdicts_of(&self, pid: u32) -> usize {
        verdicts(&self.said, pid)
    }
}

/// How often a text says that the OOM killer killed this process.
pub(super) fn verdicts(text: &str, pid: u32) -> usize {
    let verdict = format!("💀 Killed by the kernel's OOM killer: PID {pid} ");
    text.matches(&verdict).count()
}

fn told(lost: &BTreeMap<&str, u64>) -> String {
    if lost.is_empty() {
        return "nothing".to_owned();
    }
    let kinds: Vec<_> = lost
        .iter()
        .map(|(kind, count)| format!("{kind} × {count}"))
        .collect();
    kinds.join(", ")
}

/// How many faults of one storm are shown.
const SHOWN: usize = 10;

/// Prints all rows under one heading, and what was not as it must be below.
pub(super) fn print(rows: &[Row]) {
    println!();
    println!("| storm | done | kept | lost, as told | |");
    println!("|---|---|---|---|---|");
    for Row { name, outcome } in rows {
        let Outcome {
            done,
            kept,
            lost,
            faults: _,
        } = outcome;
        println!(
            "| {name} | {done} | {kept} | {lost} | {} |",
            outcome.verdict()
        );
    }
    for Row { name, outcome } in rows {
        for fault in outcome.faults.iter().take(SHOWN) {
            println!("{name}: {fault}");
        }
        if let Some(more) = outcome.faults.len().checked_sub(SHOWN + 1) {
            println!("{name}: and {} more", more + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Ended, Outcome};

    fn ended(code: i32, said: &str) -> Ended {
        Ended {
            code: Some(code),
            said: said.to_owned(),
            lives: Vec::new(),
        }
    }

    #[test]
    fn what_repairs_itself_is_told_and_is_no_fault() {
        let said = "memtrace: lost: RSS records × 12; raise --ring-mb\n";
        let outcome = Outcome::of(&ended(3, said), &[]);
        assert_eq!(outcome.lost, "RSS records × 12");
        assert_eq!(outcome.faults, [""; 0]);
    }

    #[test]
    fn other_losses_are_faults_unless_expected() {
        let said = "memtrace: lost: log lines × 2; see the disk\n";
        assert_eq!(Outcome::of(&ended(3, said), &["log lines"]).faults, [""; 0]);
        let faults = Outcome::of(&ended(3, said), &[]).faults;
        assert_eq!(faults, ["lost log lines × 2"]);
    }

    #[test]
    fn a_silent_loss_and_a_false_alarm_are_faults() {
        assert_eq!(Outcome::of(&ended(3, ""), &[]).faults.len(), 1);
        let said = "memtrace: lost: RSS records × 12; raise --ring-mb\n";
        assert_eq!(Outcome::of(&ended(0, said), &[]).faults.len(), 1);
    }
}
