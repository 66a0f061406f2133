//! What memtrace may do, and gives up once its probes are in place.
//!
//! Capabilities and users belong to threads. So this comes before the threads that stay are
//! started, and they inherit what is left; the one that starts the command of `run` is started
//! before, and keeps everything for it.

use std::{io, sync::OnceLock};

use rustix::{
    io::Errno,
    process::{Gid, Resource, Uid, getrlimit},
    thread::{
        CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set,
        set_capabilities, set_keep_capabilities, set_no_new_privs, set_thread_groups,
        set_thread_res_gid, set_thread_res_uid,
    },
};

/// What is needed as long as memtrace runs, where it was given.
const KEPT: CapabilitySet = CapabilitySet::empty()
    // Uprobes on files that are mapped later: `perf_uprobe_event_init` asks for this one by name
    // (kernel/events/core.c). So does /proc/PID/map_files, before 5.9; and all of BPF, before 5.8.
    .union(CapabilitySet::SYS_ADMIN)
    // The table of traced processes, the census, the RSS probe, from 5.8 on.
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::PERFMON)
    // /proc/PID of other users, and their files.
    .union(CapabilitySet::SYS_PTRACE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    // Pages that are yet to come are locked too.
    .union(CapabilitySet::IPC_LOCK);

/// What each thread gives up itself, once it has its place among others.
const AT_FIRST: CapabilitySet = CapabilitySet::SYS_NICE;

/// What is left to a thread that has its place.
static SETTLED: OnceLock<CapabilitySet> = OnceLock::new();

/// Whom memtrace goes on as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// As it was given.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// Its own group.
    pub gid: u32,
    /// The other groups that it is in.
    pub groups: Vec<u32>,
}

/// What is needed beside what always is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Needs {
    /// To signal a command, whoever it has become.
    pub signal: bool,
    /// To remove a cgroup that is not our user's.
    pub cgroup: bool,
}

/// This thread, with what it has left.
#[derive(Debug)]
pub struct Rights {
    kept: CapabilitySet,
    had: CapabilitySet,
}

impl Rights {
    /// Gives up what is not needed any more, for ever, and becomes another user if one is given.
    /// Whether files may be written wherever root may is decided by [`Self::settle`].
    pub fn lower(user: Option<&User>, needs: Needs) -> io::Result<Self> {
        let CapabilitySets { permitted: had, .. } = capabilities(None)?;
        let mut kept = KEPT;
        kept.set(CapabilitySet::KILL, needs.signal);
        kept.set(CapabilitySet::DAC_OVERRIDE, needs.cgroup);
        let left = had & (kept | AT_FIRST | CapabilitySet::DAC_OVERRIDE);
        // Nothing here executes anything, and whatever could be made to would get nothing. Who may
        // not shrink the bounding set has to leave it.
        set_no_new_privs(true)?;
        for bit in 0..u64::BITS {
            let one = CapabilitySet::from_bits_retain(1 << bit);
            let _ = remove_capability_from_bounding_set(one);
        }
        if let Some(user) = user {
            set_keep_capabilities(true)?;
            become_user(user)?;
            set_keep_capabilities(false)?;
        }
        let rights = Self {
            kept: had & kept,
            had,
        };
        set(left, had & (kept | AT_FIRST))?;
        Ok(rights)
    }

    /// A directory is another user's, who let root write in it: that is needed too.
    pub fn write_anywhere(&mut self) -> io::Result<()> {
        self.kept |= self.had & CapabilitySet::DAC_OVERRIDE;
        let all = self.kept | self.had & AT_FIRST;
        Ok(set(all, all)?)
    }

    /// This is what is kept. Threads that are started from here on call [`settle`].
    pub fn settle(self) -> io::Result<()> {
        let all = self.kept | self.had & AT_FIRST;
        set(all, all)?;
        let _ = SETTLED.set(self.kept);
        Ok(())
    }
}

/// The calling thread has its place among others, and gives up what it took.
pub fn settle() {
    if let Some(kept) = SETTLED.get() {
        // A thread may always have less.
        let _ = set(*kept, *kept);
    }
}

/// Files that we may have open at once (`RLIMIT_NOFILE`).
pub fn most_descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile).current;
    limit.map_or(usize::MAX, |limit| {
        usize::try_from(limit).unwrap_or(usize::MAX)
    })
}

/// Whether [`Rights::lower`] can become another user.
pub fn may_change_user() -> bool {
    let needed = CapabilitySet::SETUID | CapabilitySet::SETGID;
    capabilities(None).is_ok_and(|sets| sets.effective.contains(needed))
}

fn set(permitted: CapabilitySet, effective: CapabilitySet) -> Result<(), Errno> {
    let sets = CapabilitySets {
        effective,
        permitted,
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets)
}

/// Of this thread only, unlike what the C library does.
fn become_user(user: &User) -> Result<(), Errno> {
    let groups: Vec<Gid> = user.groups.iter().copied().map(Gid::from_raw).collect();
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_groups(&groups)?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)
}
