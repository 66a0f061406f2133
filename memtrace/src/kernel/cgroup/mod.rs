//! Memory cgroups: the limit above a process, and a group of our own for `run --memory-max`.

#[cfg(test)]
mod tests;

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use crate::{entry::Limit, units::Bytes};

/// Where the memory controller is mounted, and as which version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryController {
    /// Mount point of its hierarchy.
    pub mount: PathBuf,
    /// It is that of cgroup v1.
    pub v1: bool,
}

impl MemoryController {
    /// Finds it; absent where there is none.
    pub fn find() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let mut v2 = None;
        for line in mounts.lines() {
            let mut fields = line.split(' ').skip(1);
            let (mount, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
            if kind == "cgroup" && options.split(',').any(|option| option == "memory") {
                return Some(Self {
                    mount: mount.into(),
                    v1: true,
                });
            }
            if kind == "cgroup2" {
                v2 = Some(PathBuf::from(mount));
            }
        }
        let mount = v2?;
        let controllers = fs::read_to_string(mount.join("cgroup.controllers")).ok()?;
        controllers
            .split_whitespace()
            .any(|name| name == "memory")
            .then_some(Self { mount, v1: false })
    }

    /// Name of the file that holds a group's limit.
    pub fn limit_file(&self) -> &'static str {
        if self.v1 {
            "memory.limit_in_bytes"
        } else {
            "memory.max"
        }
    }

    /// The tightest limit on a group and those above it.
    pub fn limit(&self, group: &str) -> Option<Limit> {
        let mut tightest: Option<Limit> = None;
        for group in Path::new(group).ancestors() {
            let relative = group.strip_prefix("/").unwrap_or(group);
            let file = self.mount.join(relative).join(self.limit_file());
            let Some(limit) = fs::read_to_string(file).ok().and_then(|text| parse(&text)) else {
                continue;
            };
            if tightest.as_ref().is_none_or(|known| limit < known.limit) {
                let cgroup = group.display().to_string();
                tightest = Some(Limit {
                    cgroup,
                    file: self.limit_file().to_owned(),
                    limit,
                });
            }
        }
        tightest
    }
}

/// A limit as the kernel writes it; "none" is `max` (v2) or a huge number (v1).
fn parse(text: &str) -> Option<Bytes> {
    let limit: u64 = text.trim().parse().ok()?;
    (limit < 1 << 60).then_some(Bytes(limit))
}

/// Why a group could not be made.
#[derive(Debug, thiserror::Error)]
pub enum GroupError {
    /// There is no memory controller.
    #[error(
        "no memory cgroup controller is mounted: mount cgroup2 on /sys/fs/cgroup, or boot with `cgroup_enable=memory`"
    )]
    NoController,
    /// A step failed.
    #[error("{action} {}", path.display())]
    Step {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// A memory cgroup of our own, removed when dropped.
#[derive(Debug)]
pub struct Group {
    path: PathBuf,
    /// The parent's `cgroup.procs`, for the removal. Opened before we become another user: who opened
    /// it may move processes (from 5.16 on; before, who writes).
    back: File,
}

/// Prefix of the groups that `run` makes; the rest is the pid of the memtrace that made it.
const PREFIX: &str = "memtrace-run-";

impl Group {
    /// Makes a group limited to so many bytes of memory and no swap, below our own.
    pub fn create(limit: Bytes) -> Result<Self, GroupError> {
        let controller = MemoryController::find().ok_or(GroupError::NoController)?;
        let mut last = None;
        for parent in parents(&controller) {
            match Self::create_below(&controller, &parent, limit) {
                Ok(group) => return Ok(group),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or(GroupError::NoController))
    }

    fn create_below(
        controller: &MemoryController,
        parent: &Path,
        limit: Bytes,
    ) -> Result<Self, GroupError> {
        let path = parent.join(format!("{PREFIX}{}", std::process::id()));
        if !controller.v1 {
            let delegate = parent.join("cgroup.subtree_control");
            write(&delegate, "+memory", "delegate the memory controller by")?;
        }
        fs::create_dir(&path).map_err(|source| GroupError::Step {
            action: "create the cgroup",
            path: path.clone(),
            source,
        })?;
        let back = parent.join("cgroup.procs");
        let opened = File::options().write(true).open(&back);
        let back = opened.map_err(|source| {
            let _ = fs::remove_dir(&path);
            GroupError::Step {
                action: "open",
                path: back,
                source,
            }
        })?;
        let group = Self { path, back };
        let bytes = limit.0.to_string();
        write(&group.path.join(controller.limit_file()), &bytes, "set")?;
        // The limit is to be felt, not swapped away. Neither file exists without swap accounting.
        let (swap, none) = if controller.v1 {
            ("memory.memsw.limit_in_bytes", bytes.as_str())
        } else {
            ("memory.swap.max", "0")
        };
        let _ = fs::write(group.path.join(swap), none);
        Ok(group)
    }

    /// The file that takes the pid of a process to be moved here.
    pub fn procs(&self) -> PathBuf {
        self.path.join("cgroup.procs")
    }

    /// The group's directory.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        empty(&self.path, &self.back);
    }
}

/// Removes a group. Who still lives in it goes back to the parent: `run` started it, but does not
/// own what it left running.
fn empty(path: &Path, back: &File) {
    for _ in 0..100 {
        if fs::remove_dir(path).is_ok() || !path.exists() {
            return;
        }
        let procs = fs::read_to_string(path.join("cgroup.procs")).unwrap_or_default();
        for pid in procs.lines() {
            let _ = back.write_all_at(pid.as_bytes(), 0);
        }
        // A killed process leaves its group a moment after its parent has heard of its end.
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

/// Where a group of ours may be: below our own, or else below the root, for in v2 a group with
/// processes cannot hand controllers to children.
fn parents(controller: &MemoryController) -> [PathBuf; 2] {
    let own = super::procfs::memory_cgroup(std::process::id()).unwrap_or_default();
    let own = controller.mount.join(own.trim_start_matches('/'));
    [own, controller.mount.clone()]
}

/// Removes groups whose memtrace was killed before it could.
pub fn remove_left_behind() {
    for parent in MemoryController::find().iter().flat_map(parents) {
        remove_dead(&parent);
    }
}

fn remove_dead(parent: &Path) {
    let back = File::options()
        .write(true)
        .open(parent.join("cgroup.procs"));
    let (Ok(entries), Ok(back)) = (fs::read_dir(parent), back) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else {
            continue;
        };
        let is_pid = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
        if is_pid && !Path::new("/proc").join(pid).exists() {
            empty(&entry.path(), &back);
        }
    }
}

fn write(path: &Path, text: &str, action: &'static str) -> Result<(), GroupError> {
    fs::write(path, text).map_err(|source| GroupError::Step {
        action,
        path: path.to_owned(),
        source,
    })
}
