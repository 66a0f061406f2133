//! One process that sets checkpoints as fast as it can, beside one that does so in peace.

use anyhow::Result;

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
    let (mut kept, mut counted, mut exits) = (0, 0, 0);
    for life in ended.lives_of(loud.pid) {
        kept += life.checkpoints.len() as u64;
        let kinds = ["checkpoint_rate", "checkpoint_record"];
        counted += kinds
            .iter()
            .filter_map(|kind| life.lost.get(*kind))
            .sum::<u64>();
    }
    for pid in [loud.pid, calm.pid] {
        let is_over =
            |life: &&super::recordings::Life| life.exit.is_some_and(|exit| exit.code == Some(5));
        exits += ended.lives_of(pid).filter(is_over).count();
    }
    outcome.expect(exits == 2, || format!("{exits} of 2 exits"));
    outcome.expect(kept + counted == set, || {
        format!(
            "{set} were set, {kept} are there, {counted} counted as lost: {} off",
            set.abs_diff(kept + counted)
        )
    });
    outcome.done = format!("{set} checkpoints by {THREADS} threads, {CALM} by a neighbour");
    outcome.kept = format!("{kept} + {counted} counted; {CALM} in order");
    Ok(outcome)
}
