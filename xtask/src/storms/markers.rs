//! One process that sets checkpoints as fast as it can, beside one that does so in peace.

use anyhow::Result;

use super::recordings::Life;
use super::site::{PATIENCE, Site};
use super::table::Outcome;

const THREADS: &str = "16";
/// The neighbour's, one every ten milliseconds.
const CALM: usize = 500;
const GAP_US: &str = "10000";

/// The calm one has all of its own; of the loud one each is there or is counted.
pub(super) fn raise(site: &Site) -> Result<Outcome> {
    let memtrace = site.memtrace(&["--comm", "storm-*"])?;
    let group = site.group("all", 128)?;
    site.meet(&group, "markers", &["1", "1", "0"])?;
    let mut loud = site
        .victims(&group, 1, "markers", &[THREADS, "0", "0"])?
        .remove(0);
    let mut calm = site
        .victims(&group, 1, "markers", &["1", &CALM.to_string(), GAP_US])?
        .remove(0);
    loud.go()?;
    calm.go()?;
    calm.told("set ", 2 * PATIENCE)?;
    loud.go()?;
    let set: u64 = loud.told("set ", PATIENCE)?.parse()?;
    for victim in [&mut loud, &mut calm] {
        victim.go()?;
        victim.end()?;
    }
    site.settle()?;
    let ended = site.end(memtrace)?;

    let expected = ["checkpoint records", "checkpoints set too fast"];
    let mut outcome = Outcome::of(&ended, &expected);
    let whole = ended
        .lives_of(calm.pid)
        .filter(|life| life.has_counted(CALM) && life.lost.is_empty());
    let is_calm = whole.count() == 1;
    outcome.expect(is_calm, || {
        "the neighbour's checkpoints are not whole".to_owned()
    });
    let loud_is = |life: &Life| life.pid == loud.pid;
    let loud_lives = || ended.lives.iter().filter(|life| loud_is(life));
    let kept: usize = loud_lives().map(|life| life.checkpoints.len()).sum();
    let kept = kept as u64;
    let lost = ended.lost();
    let counted: u64 = expected.iter().filter_map(|kind| lost.get(kind)).sum();
    outcome.expect(kept + counted == set, || {
        format!("{set} were set, {kept} are there, {counted} counted as lost")
    });
    // Its threads do not lock each other out of the sum for the process.
    let kinds = ["checkpoint_rate", "checkpoint_record"];
    let of_life = |life: &Life| {
        let counts = kinds.iter().filter_map(|kind| life.lost.get(*kind));
        counts.sum::<u64>()
    };
    let by_process: u64 = loud_lives().map(of_life).sum();
    let is_near = by_process <= counted && counted - by_process <= counted / 1000;
    outcome.expect(is_near, || {
        format!("{counted} are counted as lost, and {by_process} by process")
    });
    let has_ended = |life: &Life| life.exit.is_some_and(|exit| exit.code == Some(5));
    let is_one = |life: &&Life| [loud.pid, calm.pid].contains(&life.pid);
    let exits = ended
        .lives
        .iter()
        .filter(is_one)
        .filter(|life| has_ended(life))
        .count();
    outcome.expect(exits == 2, || format!("{exits} of 2 exits"));
    outcome.done = format!("{set} checkpoints by {THREADS} threads, {CALM} by a neighbour");
    outcome.kept = format!("{kept} + {counted} counted ({by_process} by process); {CALM} in order");
    Ok(outcome)
}
