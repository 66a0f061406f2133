//! OOM kills: very many, and several at the same instant.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::is_interrupted;
use super::site::{Site, Victim};
use super::table::{Ended, Outcome};
use crate::rig::group::Group;

/// Kills go on at once in so many cgroups.
const LANES: usize = 4;
/// Limit of each.
const GROUP_MIB: u64 = 16;
/// Victims of one instant, and how often.
const AT_ONCE: usize = 8;
const ROUNDS: usize = 20;

/// One victim after the other in each lane.
pub(super) fn in_a_row(site: &Site, count: u32) -> Result<Outcome> {
    let memtrace = site.memtrace(&["--comm", "storm-*"])?;
    let groups = (0..LANES)
        .map(|lane| site.group(&lane.to_string(), GROUP_MIB))
        .collect::<Result<Vec<_>>>()?;
    let (began, left) = (Instant::now(), AtomicU32::new(count));
    let killed = thread::scope(|scope| {
        let lanes: Vec<_> = groups
            .iter()
            .map(|group| scope.spawn(|| lane(site, group, &left)))
            .collect();
        let joined = lanes.into_iter().map(|lane| {
            let killed = lane.join();
            killed.expect("a lane gives up by an error")
        });
        joined.collect::<Result<Vec<_>>>()
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let ended = site.end(memtrace)?;
    let pids = killed.concat();
    let mut outcome = Outcome::of(&ended, &[]);
    let told = check(&mut outcome, &ended, &pids);
    let rate = f64::from(count) / seconds;
    outcome.done = format!("{} OOM kills, {rate:.0} a second", by_kernel(&groups)?);
    outcome.kept = format!("{told} verdicts");
    Ok(outcome)
}

fn lane(site: &Site, group: &Group, left: &AtomicU32) -> Result<Vec<u32>> {
    let mut pids = Vec::new();
    while !is_interrupted() && take_one(left) {
        let mut victim = site.victim(group, "hog", &[])?;
        victim.go()?;
        pids.push(killed(&mut victim)?);
    }
    Ok(pids)
}

fn take_one(left: &AtomicU32) -> bool {
    let less = |left: u32| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
        .is_ok()
}

/// Waits until somebody has been killed.
pub(super) fn killed(victim: &mut Victim) -> Result<u32> {
    let status = victim.end()?;
    let is_killed = status.signal() == Some(9);
    ensure!(
        is_killed,
        "process {} ended with {status}, and was not killed",
        victim.pid
    );
    Ok(victim.pid)
}

/// Kills as the kernel counts them.
fn by_kernel(groups: &[Group]) -> Result<u64> {
    groups.iter().map(Group::kills).sum()
}

/// How many of these victims have their verdict in the recording, the log and on the terminal. An id
/// may have been given twice.
pub(super) fn check(outcome: &mut Outcome, ended: &Ended, pids: &[u32]) -> usize {
    let mut wanted = BTreeMap::<u32, usize>::new();
    for pid in pids {
        *wanted.entry(*pid).or_default() += 1;
    }
    let mut told = 0;
    for (pid, times) in wanted {
        let written = ended.lives_of(pid).filter(|life| life.is_killed()).count();
        // Once when it happens, and of the last ten once more at the end.
        let shown = ended.verdicts_of(pid);
        told += written.min(shown).min(times);
        outcome.expect(written == times && shown >= times, || {
            format!("{times} kills of pid {pid}: {written} are written, {shown} shown")
        });
    }
    told
}

/// Eight victims that get their line at once, twenty times.
pub(super) fn together(site: &Site) -> Result<Outcome> {
    let memtrace = site.memtrace(&["--comm", "storm-*"])?;
    let groups = (0..AT_ONCE)
        .map(|number| site.group(&number.to_string(), GROUP_MIB))
        .collect::<Result<Vec<_>>>()?;
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let mut victims = groups
            .iter()
            .map(|group| Ok(site.victims(group, 1, "hog", &[])?.remove(0)))
            .collect::<Result<Vec<_>>>()?;
        victims.iter_mut().try_for_each(Victim::go)?;
        let pids = victims.iter_mut().map(killed);
        rounds.push(pids.collect::<Result<Vec<_>>>()?);
    }
    let ended = site.end(memtrace)?;
    let mut outcome = Outcome::of(&ended, &[]);
    let mut whole = 0;
    for pids in &rounds {
        whole += usize::from(check(&mut outcome, &ended, pids) == AT_ONCE);
    }
    let mut spreads: Vec<u64> = rounds.iter().map(|pids| spread(&ended, pids)).collect();
    spreads.sort_unstable();
    let middle = spreads[spreads.len() / 2] / 1_000_000;
    outcome.done = format!(
        "{ROUNDS} × {AT_ONCE} ({} kills), {middle} ms from the first to the last",
        by_kernel(&groups)?
    );
    outcome.kept = format!("{AT_ONCE} of {AT_ONCE} in {whole} rounds");
    Ok(outcome)
}

/// From the first to the last mark.
fn spread(ended: &Ended, pids: &[u32]) -> u64 {
    let lives = pids.iter().flat_map(|pid| ended.lives_of(*pid));
    let at: Vec<u64> = lives.flat_map(|life| life.oom_kills.clone()).collect();
    at.iter().max().unwrap_or(&0) - at.iter().min().unwrap_or(&0)
}
