//! memtrace stands still while others set checkpoints, end and are killed.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::kills;
use super::site::{PATIENCE, Site, Victim};
use super::table::Outcome;

const STOPPED: Duration = Duration::from_secs(5);
/// Processes that ran before it was stopped, and as many that begin while it is.
const MARKERS: usize = 5;
/// Checkpoints of each, and the exit code that `many` makes of them.
const CHECKPOINTS: usize = 507;
const CODE: i64 = 7;
/// Who comes and goes meanwhile.
const BRIEF: u32 = 20;

/// What happened meanwhile is all there, and in order.
pub(super) fn raise(site: &Site) -> Result<Outcome> {
    let memtrace = site.memtrace(&["--comm", "storm-*"])?;
    let (calm, small) = (site.group("calm", 256)?, site.group("small", 16)?);
    site.meet(&calm, "many", &["1", "1"])?;
    let checkpoints = CHECKPOINTS.to_string();
    let args = [checkpoints.as_str(), "4"];
    let mut markers = site.victims(&calm, MARKERS, "many", &args)?;
    let mut hogs = site.victims(&small, 1, "hog", &[])?;

    memtrace.signal("STOP")?;
    let began = Instant::now();
    markers.extend(site.victims(&calm, MARKERS, "many", &args)?);
    hogs[0].go()?;
    markers.iter_mut().try_for_each(Victim::go)?;
    let mut brief = Vec::new();
    for code in 1..=BRIEF {
        let mut victim = site.victim(&calm, "lives", &[&code.to_string()])?;
        victim.end()?;
        brief.push((victim.pid, i64::from(code)));
    }
    let killed = [kills::killed(&mut hogs[0])?];
    for victim in &mut markers {
        victim.end()?;
    }
    ensure!(began.elapsed() < PATIENCE, "it all took too long");
    thread::sleep(STOPPED.saturating_sub(began.elapsed()));
    let seconds = began.elapsed().as_secs_f64();
    memtrace.signal("CONT")?;
    // At once: what waits in the rings has to be read for the end as well.
    let ended = site.end(memtrace)?;

    let mut outcome = Outcome::of(&ended, &[]);
    kills::check(&mut outcome, &ended, &killed);
    let mut whole = 0;
    for victim in &markers {
        let lives = ended.lives_of(victim.pid);
        let has = lives.filter(|life| life.has_counted(CHECKPOINTS)).count();
        whole += has;
        outcome.expect(has == 1, || {
            format!("the checkpoints of pid {} are not whole", victim.pid)
        });
    }
    let codes = markers.iter().map(|victim| (victim.pid, CODE));
    let mut exits = 0;
    for (pid, code) in codes.chain(brief) {
        let mut lives = ended.lives_of(pid);
        let has = lives.any(|life| life.exit.is_some_and(|exit| exit.code == Some(code)));
        exits += u32::from(has);
        outcome.expect(has, || {
            format!("the end of pid {pid} with code {code} is missing")
        });
    }
    outcome.done = format!(
        "stopped for {seconds:.1} s: {} processes with {CHECKPOINTS} checkpoints, {BRIEF} that come and go, 1 OOM kill",
        markers.len()
    );
    outcome.kept = format!("{whole} × {CHECKPOINTS} in order, {exits} exits, the kill");
    Ok(outcome)
}
