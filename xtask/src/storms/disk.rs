//! A disk that is full, and one that stalls. The collector goes on, and the terminal has the verdicts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::kills;
use super::recordings;
use super::site::{PATIENCE, Site, Victim};
use super::table::{Outcome, verdicts};
use super::wait_until;
use crate::workspace;

/// How long the disk stalls at least.
const STALLED: Duration = Duration::from_secs(5);
/// A verdict is shown within this much of a kill.
const SOON: Duration = Duration::from_secs(5);
const HOGS: usize = 5;
const CHECKPOINTS: usize = 1007;

/// A file system of its own; unmounted when it is dropped.
struct Disk(PathBuf);

/// A disk that stalls until this is dropped: before whoever writes to it, who cannot end meanwhile.
struct Frozen<'a>(&'a Disk);

impl Disk {
    fn mount(at: PathBuf, args: &[&str]) -> Result<Self> {
        let mut mount = Command::new("mount");
        workspace::run(mount.args(args).arg(&at))?;
        Ok(Self(at))
    }

    fn freeze(&self) -> Result<Frozen<'_>> {
        workspace::run(Command::new("fsfreeze").arg("-f").arg(&self.0))
            .context("stall a disk, which takes fsfreeze")?;
        Ok(Frozen(self))
    }
}

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        let mut thaw = Command::new("fsfreeze");
        if let Err(error) = workspace::run(thaw.arg("-u").arg(&self.0.0)) {
            eprintln!("warning: {error:#}");
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if workspace::output_of(Command::new("umount").arg(&self.0)).is_none() {
            eprintln!("warning: {} cannot be unmounted", self.0.display());
        }
    }
}

/// Whole lines, verdicts on the terminal, and an exit code that says so.
pub(super) fn full(site: &Site) -> Result<Outcome> {
    let disk = Disk::mount(site.logs(), &["-t", "tmpfs", "-o", "size=256k", "none"])?;
    let memtrace = site.memtrace(&["--comm", "storm-*"])?;
    let (calm, small) = (site.group("calm", 128)?, site.group("small", 16)?);
    site.meet(&calm, "many", &["1", "1"])?;
    for _ in 0..2 {
        let mut victim = site.victim(&calm, "many", &[&CHECKPOINTS.to_string(), "2"])?;
        victim.go()?;
        victim.end()?;
    }
    let mut pids = Vec::new();
    for mut victim in site.victims(&small, HOGS, "hog", &[])? {
        victim.go()?;
        pids.push(kills::killed(&mut victim)?);
    }
    let ended = site.end(memtrace)?;

    let mut outcome = Outcome::of(&ended, &["log lines", "recording lines"]);
    outcome.expect(ended.lost().contains_key("log lines"), || {
        "the disk was large enough".to_owned()
    });
    let shown = pids
        .iter()
        .filter(|pid| ended.verdicts_of(**pid) > 0)
        .count();
    outcome.expect(shown == HOGS, || {
        format!("{shown} of {HOGS} verdicts shown")
    });
    let halves = halves(&disk.0)?;
    outcome.faults.extend(halves);
    let lines: usize = ended.lives.iter().map(|life| life.checkpoints.len()).sum();
    outcome.done = format!(
        "256 KiB of disk for {} checkpoints, {HOGS} OOM kills",
        2 * CHECKPOINTS
    );
    outcome.kept = format!("{shown} verdicts shown, {lines} checkpoints recorded, whole lines");
    Ok(outcome)
}

/// Files that end in half a line.
fn halves(dir: &Path) -> Result<Vec<String>> {
    let mut halves = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            continue; // of the file system's own
        }
        let bytes = fs::read(&path)?;
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            halves.push(format!("{} ends in half a line", path.display()));
        }
    }
    Ok(halves)
}

/// Verdicts are shown while the disk stalls; after the thaw everything is written.
pub(super) fn stalled(site: &Site) -> Result<Outcome> {
    let image = site.path("image");
    fs::File::create(&image)?.set_len(64 << 20)?;
    workspace::run(Command::new("mkfs.ext4").args(["-q", "-F"]).arg(&image))?;
    let image = image.to_str().context("a path in UTF-8")?;
    let disk = Disk::mount(site.logs(), &["-o", "loop", image])?;
    let memtrace = site.memtrace(&["--comm", "storm-*"])?;
    let (calm, small) = (site.group("calm", 128)?, site.group("small", 32)?);
    site.meet(&calm, "many", &["1", "1"])?;
    // One whose files are open already, and one whose files are yet to be made.
    let args = [&CHECKPOINTS.to_string(), "2"];
    let mut victims = site.victims(&calm, 1, "many", &args)?;
    let mut first = site.victims(&small, 1, "hog", &[])?;
    wait_until("a recording that is open", PATIENCE, || {
        recordings::of(&site.logs(), victims[0].pid)
    })?;

    let frozen = disk.freeze()?;
    let began = Instant::now();
    victims.extend(site.victims(&calm, 1, "many", &args)?);
    for victim in &mut victims {
        victim.go()?;
        victim.end()?;
    }
    let (mut pids, mut slowest) = (Vec::new(), Duration::ZERO);
    for number in 0..HOGS {
        let mut hog = match first.pop() {
            Some(hog) => hog,
            None => site.victims(&small, 1, "hog", &[])?.remove(0),
        };
        hog.go()?;
        let pid = kills::killed(&mut hog)?;
        let killed = Instant::now();
        wait_until(
            &format!("verdict {number} while the disk stalls"),
            SOON,
            || Ok((verdicts(&memtrace.said(), pid) > 0).then_some(())),
        )?;
        slowest = slowest.max(killed.elapsed());
        pids.push(pid);
    }
    thread::sleep(STALLED.saturating_sub(began.elapsed()));
    let seconds = began.elapsed().as_secs_f64();
    drop(frozen);
    let ended = site.end(memtrace)?;

    let mut outcome = Outcome::of(&ended, &[]);
    let told = kills::check(&mut outcome, &ended, &pids);
    let mut whole = 0;
    for Victim { pid, .. } in &victims {
        let mut lives = ended.lives_of(*pid);
        let has = lives.any(|life| life.has_counted(CHECKPOINTS) && life.exit.is_some());
        whole += u32::from(has);
        outcome.expect(has, || format!("what pid {pid} did is not whole"));
    }
    outcome.faults.extend(halves(&disk.0)?);
    outcome.done = format!(
        "frozen for {seconds:.1} s: {} checkpoints, {HOGS} OOM kills",
        victims.len() * CHECKPOINTS
    );
    outcome.kept = format!(
        "{told} verdicts, each shown within {} ms of its kill; {whole} × {CHECKPOINTS} written",
        slowest.as_millis()
    );
    Ok(outcome)
}
