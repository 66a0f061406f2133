//! Ten thousand short lives in one minute, while every process of the machine is traced.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::site::{PATIENCE, Site};
use super::table::Outcome;

const LIVES: usize = 10_000;
const PER_MINUTE: usize = 10_000;

/// Each has its exit with its code.
pub(super) fn raise(site: &Site) -> Result<Outcome> {
    let memtrace = site.memtrace(&["--all"])?;
    let group = site.group("all", 256)?;
    let (lives, pace) = (LIVES.to_string(), PER_MINUTE.to_string());
    let mut parent = site.victim(&group, "lives", &[&lives, &pace])?;
    parent.go()?;
    let told = parent.told("done ", 3 * PATIENCE)?;
    let (done, seconds) = told.split_once(' ').context("NUMBER SECONDS")?;
    let (done, seconds): (usize, f64) = (done.parse()?, seconds.parse()?);
    parent.end()?;
    site.settle()?;
    let ended = site.end(memtrace)?;

    // An id may be used twice in a minute: the codes tell who is missing.
    let mut wanted = BTreeMap::<(u32, i64), usize>::new();
    for line in parent.said()?.lines() {
        if let Some((pid, code)) = line
            .strip_prefix("life ")
            .and_then(|rest| rest.split_once(' '))
        {
            *wanted.entry((pid.parse()?, code.parse()?)).or_default() += 1;
        }
    }
    let mut found = BTreeMap::<(u32, i64), usize>::new();
    for life in &ended.lives {
        if let Some(code) = life.exit.and_then(|exit| exit.code) {
            *found.entry((life.pid, code)).or_default() += 1;
        }
    }
    let mut outcome = Outcome::of(&ended, &[]);
    let mut kept = 0;
    for ((pid, code), times) in &wanted {
        let has = found.get(&(*pid, *code)).copied().unwrap_or(0);
        kept += has.min(*times);
        outcome.expect(has >= *times, || {
            format!("the end of pid {pid} with code {code} is missing")
        });
    }
    let born: usize = wanted.values().sum();
    outcome.expect(born == LIVES && done == LIVES, || {
        format!("{born} of {LIVES} lives ended as they should")
    });
    outcome.expect(seconds < 66.0, || {
        format!("the machine was too slow for this pace: {seconds} s")
    });
    outcome.done = format!(
        "{born} lives in {seconds:.0} s, {} files",
        2 * ended.lives.len()
    );
    outcome.kept = format!("{kept} exits with their codes");
    Ok(outcome)
}
