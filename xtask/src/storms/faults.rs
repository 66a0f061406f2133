//! Two hundred processes that together fault a gigabyte a second. Steps may be lost; the last RSS is
//! right again.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::recordings::Life;
use super::site::{PATIENCE, Site, Victim};
use super::table::{Ended, Outcome};

const PROCESSES: usize = 200;
const SECONDS: u64 = 20;
/// What each is to fault in one second, MiB: all together a gigabyte.
const EACH_MIB: &str = "5.12";
/// What each touches last and keeps: more than it ever had before.
const LAST_MIB: &str = "6";
/// Small, so that there are many steps.
const STEP: &str = "64K";
/// Reading one's own memory takes some.
const NEAR_BYTES: u64 = 64 << 10;
/// The kernel's own peak comes from approximate counters.
const PEAK_NEAR_BYTES: u64 = 1 << 20;

/// What a victim said of itself.
struct Said {
    mib: f64,
    seconds: f64,
    rss: u64,
    /// By the kernel's count, which knows what ran before the last exec as well.
    peak: u64,
}

/// With the ring that users have.
pub(super) fn raise(site: &Site) -> Result<Outcome> {
    let (outcome, _) = with(site, &["--comm", "storm-*", "--step", STEP])?;
    Ok(outcome)
}

/// With a ring that is too small for this.
pub(super) fn raise_lossy(site: &Site) -> Result<Outcome> {
    let ring = ["--comm", "storm-*", "--step", STEP, "--ring-mb", "0"];
    let (mut outcome, lost) = with(site, &ring)?;
    outcome.expect(lost > 0, || "no step was lost".to_owned());
    Ok(outcome)
}

/// All at once; what came of it, and how many steps were lost.
fn with(site: &Site, args: &[&str]) -> Result<(Outcome, u64)> {
    let memtrace = site.memtrace(args)?;
    let group = site.group("all", 2560)?;
    site.meet(&group, "faults", &["0.01", "1", "1"])?;
    let args = [&SECONDS.to_string(), EACH_MIB, LAST_MIB];
    let mut victims = site.victims(&group, PROCESSES, "faults", &args)?;
    victims.iter_mut().try_for_each(Victim::go)?;
    let patience = Duration::from_secs(SECONDS) + 2 * PATIENCE;
    let mut said = Vec::new();
    for victim in &victims {
        said.push(Said::read(&victim.told("faulted ", patience)?)?);
    }
    for victim in &mut victims {
        victim.go()?;
        let code = victim.end()?.code();
        ensure!(
            code == Some(7),
            "process {} ended with {code:?}",
            victim.pid
        );
    }
    site.settle()?;
    let ended = site.end(memtrace)?;

    let mut outcome = Outcome::of(&ended, &[]);
    let mut right = 0;
    for (victim, said) in victims.iter().zip(&said) {
        let fault =
            of(&ended, victim.pid).map_or(Some("no life".to_owned()), |life| said.fault(life));
        right += u32::from(fault.is_none());
        if let Some(fault) = fault {
            outcome.faults.push(format!("pid {}: {fault}", victim.pid));
        }
    }
    let lost = ended.lost().get("RSS records").copied().unwrap_or(0);
    let by_process: u64 = ended
        .lives
        .iter()
        .filter_map(|life| life.lost.get("rss_record"))
        .sum();
    outcome.expect(lost == by_process, || {
        format!("{lost} steps are lost, and {by_process} by process")
    });
    let rate: f64 = said.iter().map(|said| said.mib / said.seconds).sum();
    let steps: u64 = ended.lives.iter().map(|life| life.steps).sum();
    outcome.done = format!("{PROCESSES} processes, {rate:.0} MiB a second for {SECONDS} s");
    outcome.kept = format!("{steps} steps; {right} last RSS, peaks and exits right");
    Ok((outcome, lost))
}

fn of(ended: &Ended, pid: u32) -> Option<&Life> {
    ended.lives_of(pid).last()
}

impl Said {
    /// `MIB SECONDS rss KIB peak KIB`
    fn read(told: &str) -> Result<Self> {
        let fields: Vec<&str> = told.split(' ').collect();
        let [mib, seconds, "rss", rss, "peak", peak] = fields[..] else {
            anyhow::bail!("`{told}` instead of figures");
        };
        let bytes = |kib: &str| kib.parse::<u64>().map(|kib| kib << 10).context("KiB");
        Ok(Self {
            mib: mib.parse()?,
            seconds: seconds.parse()?,
            rss: bytes(rss)?,
            peak: bytes(peak)?,
        })
    }

    /// What is wrong with the end of this life.
    fn fault(&self, life: &Life) -> Option<String> {
        let Some(exit) = life.exit else {
            return Some("no exit".to_owned());
        };
        let (last, peak) = (life.last_rss.unwrap_or(0), exit.peak.unwrap_or(0));
        if exit.code != Some(7) {
            Some(format!("exit code {:?}", exit.code))
        } else if last.abs_diff(self.rss) > NEAR_BYTES {
            Some(format!("its last RSS is {last}, and was {}", self.rss))
        } else if life.highest_rss.abs_diff(self.rss) > NEAR_BYTES {
            // What it has last is the most that it ever had.
            Some(format!(
                "it never had {}, but {}",
                life.highest_rss, self.rss
            ))
        } else if peak.abs_diff(self.peak) > PEAK_NEAR_BYTES {
            Some(format!("its peak is {peak}, and was {}", self.peak))
        } else {
            None
        }
    }
}
