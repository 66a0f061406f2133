//! `storms`: what memtrace may have to stand, raised on purpose. Steps and checkpoints may be lost
//! where there are too many of them, and are counted then. An OOM kill, an exit, or the order within
//! a process may not.

mod disk;
mod faults;
mod kills;
mod lives;
mod markers;
mod recordings;
mod site;
mod stopped;
mod table;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Result, ensure};
use site::{Site, home};
use table::{Outcome, Row};

use crate::cli::{self, Storm};
use crate::rig::group::Groups;
use crate::rig::on_interrupt;
use crate::test::victims;
use crate::workspace::{self, cargo, is_root};

/// What all that is started may take.
const ALL_MIB: u64 = 3072;

/// Ctrl-C came: whoever waits gives up, and what was started ends with its owner.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Raises the chosen storms one after the other and prints the table.
pub fn run(options: &cli::Storms) -> Result<ExitCode> {
    ensure!(
        is_root(),
        "real kills need root: sudo -E cargo xtask storms"
    );
    workspace::run(&mut cargo(["build", "--release", "--package", "memtrace"]))?;
    let victims = victims::compile()?;
    on_interrupt(|| IS_INTERRUPTED.store(true, Ordering::Relaxed))?;
    let groups = Groups::create("storms", ALL_MIB)?;
    let storms = if options.storms.is_empty() {
        Storm::ALL.to_vec()
    } else {
        options.storms.clone()
    };
    let mut rows = Vec::new();
    for storm in storms {
        if is_interrupted() {
            break;
        }
        let name = cli::name_of(&storm);
        eprintln!("== {name}");
        let outcome = Site::prepare(&name, &victims, &groups)
            .and_then(|site| raise(storm, &site, options))
            .unwrap_or_else(|error| Outcome::failed(&error));
        rows.push(Row { name, outcome });
    }
    drop(groups);
    table::print(&rows);
    let is_well = !is_interrupted() && rows.iter().all(|row| row.outcome.faults.is_empty());
    if is_well {
        // Otherwise what memtrace wrote shows what happened.
        site::remove(&home())?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::FAILURE)
}

fn raise(storm: Storm, site: &Site, options: &cli::Storms) -> Result<Outcome> {
    match storm {
        Storm::Kills => kills::in_a_row(site, options.count),
        Storm::Together => kills::together(site),
        Storm::Lives => lives::raise(site),
        Storm::Faults => faults::raise(site),
        Storm::FaultsLost => faults::raise_lossy(site),
        Storm::Markers => markers::raise(site),
        Storm::Stopped => stopped::raise(site),
        Storm::DiskFull => disk::full(site),
        Storm::DiskStalled => disk::stalled(site),
    }
}

fn is_interrupted() -> bool {
    IS_INTERRUPTED.load(Ordering::Relaxed)
}

/// Waits for something that may never come.
fn wait_until<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let began = std::time::Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        ensure!(!is_interrupted(), "interrupted");
        ensure!(began.elapsed() < patience, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
