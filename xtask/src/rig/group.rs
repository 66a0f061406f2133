//! The memory cgroups in which everything that a verb starts lives and is killed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::workspace::output_of;

/// Where the memory controller is mounted, and as which version. As memtrace itself finds it; but
/// the verbs build without memtrace, or a broken one could not be mended.
struct MemoryController {
    mount: PathBuf,
    v1: bool,
}

impl MemoryController {
    fn find() -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
        let find = |is_wanted: fn(&str, &str) -> bool| {
            mounts.lines().find_map(|line| {
                let mut fields = line.split(' ').skip(1);
                let (mount, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
                is_wanted(kind, options).then(|| PathBuf::from(mount))
            })
        };
        let has_memory = |kind: &str, options: &str| {
            kind == "cgroup" && options.split(',').any(|option| option == "memory")
        };
        match find(has_memory) {
            Some(mount) => Some(Self { mount, v1: true }),
            None => find(|kind, _| kind == "cgroup2").map(|mount| Self { mount, v1: false }),
        }
    }

    fn limit_file(&self) -> &'static str {
        if self.v1 {
            "memory.limit_in_bytes"
        } else {
            "memory.max"
        }
    }

    /// The file that counts OOM kills.
    fn kills_file(&self) -> &'static str {
        if self.v1 {
            "memory.oom_control"
        } else {
            "memory.events"
        }
    }
}

/// An outer group with one limit for all. Whoever lives in it is killed when it is dropped.
pub(crate) struct Groups {
    dir: PathBuf,
    controller: MemoryController,
}

/// A group within.
pub(crate) struct Group {
    dir: PathBuf,
    kills: PathBuf,
}

impl Groups {
    /// Below the root of the memory hierarchy, after removing what a killed verb of this name has
    /// left. All together may take so many MiB: the machine's memory is somebody else's.
    pub(crate) fn create(verb: &str, all_mib: u64) -> Result<Self> {
        let controller = MemoryController::find().context("no memory cgroup controller")?;
        let prefix = format!("memtrace-{verb}-");
        remove_dead(&controller.mount, &prefix);
        let dir = controller
            .mount
            .join(format!("{prefix}{}", std::process::id()));
        let groups = Self { dir, controller };
        make(&groups.controller, &groups.dir, all_mib)?;
        Ok(groups)
    }

    /// A group within, limited to so many MiB.
    pub(crate) fn group(&self, name: &str, mib: u64) -> Result<Group> {
        let dir = self.dir.join(name);
        make(&self.controller, &dir, mib)?;
        Ok(Group {
            kills: dir.join(self.controller.kills_file()),
            dir,
        })
    }
}

impl Group {
    /// The file that takes the pid of whoever joins.
    pub(crate) fn procs(&self) -> PathBuf {
        self.dir.join("cgroup.procs")
    }

    /// OOM kills in it, as the kernel counts them.
    pub(crate) fn kills(&self) -> Result<u64> {
        let text = fs::read_to_string(&self.kills)?;
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        count
            .and_then(|count| count.parse().ok())
            .with_context(|| format!("no oom_kill in {}", self.kills.display()))
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        remove(&self.dir);
    }
}

fn make(controller: &MemoryController, dir: &Path, mib: u64) -> Result<()> {
    if !controller.v1 {
        let parent = dir.parent().context("it lies below the mount")?;
        fs::write(parent.join("cgroup.subtree_control"), "+memory")
            .with_context(|| format!("delegate memory below {}", parent.display()))?;
    }
    fs::create_dir(dir).with_context(|| format!("create {}", dir.display()))?;
    let bytes = (mib << 20).to_string();
    fs::write(dir.join(controller.limit_file()), &bytes).context("limit the group")?;
    // Without swap accounting neither is there, and nothing is swapped.
    let (swap, none) = if controller.v1 {
        ("memory.memsw.limit_in_bytes", bytes.as_str())
    } else {
        ("memory.swap.max", "0")
    };
    let _ = fs::write(dir.join(swap), none);
    Ok(())
}

/// Kills whoever lives in a group or below it, and removes it.
fn remove(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            remove(&entry.path());
        }
    }
    for _ in 0..200 {
        let procs = fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default();
        for pid in procs.lines() {
            // It may have ended already.
            let _ = output_of(Command::new("kill").args(["-KILL", pid]));
        }
        if fs::remove_dir(dir).is_ok() || !dir.exists() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    eprintln!("warning: {} cannot be removed", dir.display());
}

fn remove_dead(mount: &Path, prefix: &str) {
    for entry in fs::read_dir(mount).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix(prefix)) else {
            continue;
        };
        let is_pid = !pid.is_empty() && pid.bytes().all(|byte| byte.is_ascii_digit());
        if is_pid && !Path::new("/proc").join(pid).exists() {
            remove(&entry.path());
        }
    }
}
