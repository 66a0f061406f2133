//! Keeps memtrace itself alive and at hand at the moment the machine runs out of memory.
//!
//! A global OOM first evicts the pages of programs, ours too: unlocked, the reader of the rings
//! stood still for 330 ms in a test of such a kill, and locked for 4 ms.

use std::{
    fs, io,
    sync::atomic::{AtomicBool, Ordering},
};

use procfs::process::{MMPermissions, MMapPath, Process};

/// `OOM_SCORE_ADJ_MIN` (include/uapi/linux/oom.h): never chosen.
const NEVER: &str = "-1000";
/// All our pages are locked.
static LOCKED_NOW: AtomicBool = AtomicBool::new(false);
const OOM_SCORE_ADJ: &str = "/proc/self/oom_score_adj";

/// [`Shortfall::what`] of being chosen like anybody else.
pub const SPARED: &str = "spared by the OOM killer";
/// [`Shortfall::what`] of being paged out like anybody else.
pub const LOCKED: &str = "locked in memory";

/// What could not be had, and what gives it.
#[derive(Debug)]
pub struct Shortfall {
    /// What memtrace is not, in a word or two.
    pub what: &'static str,
    /// The capability or setting that is missing.
    pub needs: &'static str,
    /// What the kernel said.
    pub error: io::Error,
}

/// Whether the OOM killer spares us, and whether our pages stay.
pub fn protect() -> Vec<Shortfall> {
    let spared = spare().map_err(|error| Shortfall {
        what: SPARED,
        needs: "CAP_SYS_RESOURCE, or OOMScoreAdjust=-1000 in its systemd unit",
        error,
    });
    let locked = lock().map_err(|error| Shortfall {
        what: LOCKED,
        needs: "CAP_IPC_LOCK",
        error,
    });
    [spared, locked]
        .into_iter()
        .filter_map(Result::err)
        .collect()
}

/// Asks the OOM killer to look elsewhere. Children inherit it: [`score`] is for who starts some.
fn spare() -> io::Result<()> {
    if score() == NEVER {
        return Ok(());
    }
    fs::write(OOM_SCORE_ADJ, NEVER)
}

/// Our own `oom_score_adj` as the kernel writes it.
pub fn score() -> String {
    let text = fs::read_to_string(OOM_SCORE_ADJ).unwrap_or_default();
    text.trim().to_owned()
}

/// Locks every page that is resident or will be, and brings in those of our own program, which a
/// kill may be the first to need.
fn lock() -> io::Result<()> {
    // Without the capability a limit holds, and what goes beyond it would fail in the middle.
    if !may_lock() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    lock_all()?;
    LOCKED_NOW.store(true, Ordering::Relaxed);
    Ok(())
}

/// Does something that the kernel refuses on locked pages, such as giving them back.
#[cfg(target_env = "gnu")]
pub(super) fn while_unlocked(act: impl FnOnce()) {
    let locked = LOCKED_NOW.load(Ordering::Relaxed);
    if locked {
        // SAFETY: takes no pointers, and no page has to be locked for anything to be right.
        unsafe { libc::munlockall() };
    }
    act();
    if locked {
        // It was allowed a moment ago.
        let _ = lock_all();
    }
}

fn lock_all() -> io::Result<()> {
    // Only what is touched: the stacks of threads are reserved many times as large as they get.
    let all = libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT;
    // SAFETY: takes no pointers.
    if unsafe { libc::mlockall(all) } != 0 {
        return Err(io::Error::last_os_error());
    }
    for (start, length) in own_code() {
        // SAFETY: locking changes no memory; a range that is not mapped is refused.
        if unsafe { libc::mlock(start as *const libc::c_void, length) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

fn may_lock() -> bool {
    const CAP_IPC_LOCK: u32 = 14;
    super::facts::effective_capabilities() >> CAP_IPC_LOCK & 1 == 1
}

/// Where our own program's code lies.
fn own_code() -> Vec<(usize, usize)> {
    let Ok(own) = std::env::current_exe() else {
        return Vec::new();
    };
    let maps = Process::myself().and_then(|process| process.maps());
    let Ok(maps) = maps else { return Vec::new() };
    maps.into_iter()
        .filter(|map| map.perms.contains(MMPermissions::EXECUTE))
        .filter(|map| matches!(&map.pathname, MMapPath::Path(path) if *path == own))
        .filter_map(|map| {
            let start = usize::try_from(map.address.0).ok()?;
            let end = usize::try_from(map.address.1).ok()?;
            Some((start, end.checked_sub(start)?))
        })
        .collect()
}
