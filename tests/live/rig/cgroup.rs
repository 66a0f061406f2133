//! A memory cgroup of a test's own, of either version.

use std::{
    fs,
    path::{Path, PathBuf},
};

use memtrace::kernel::cgroup::MemoryController;

use super::{signal, signed, unique, wait_until};

/// Removed when dropped, and whoever lives in it killed.
#[derive(Debug)]
pub(in crate::live) struct Cgroup {
    dir: PathBuf,
    /// Path from the hierarchy's root.
    pub(in crate::live) path: String,
    controller: MemoryController,
}

impl Cgroup {
    /// Below the root of the hierarchy, with a limit in MiB.
    #[track_caller]
    pub(in crate::live) fn new(limit_mib: u64) -> Self {
        let controller = MemoryController::find().expect("there is a memory controller");
        Self::create(controller, &unique("/memtrace-test"), limit_mib)
    }

    /// Below this one.
    #[track_caller]
    pub(in crate::live) fn below(&self, name: &str, limit_mib: u64) -> Self {
        let path = format!("{}/{name}", self.path);
        Self::create(self.controller.clone(), &path, limit_mib)
    }

    #[track_caller]
    fn create(controller: MemoryController, path: &str, limit_mib: u64) -> Self {
        let dir = controller.mount.join(path.trim_start_matches('/'));
        if !controller.v1 {
            let parent = dir.parent().expect("it lies below the mount");
            fs::write(parent.join("cgroup.subtree_control"), "+memory").expect("v2 delegates");
        }
        fs::create_dir(&dir).expect("a cgroup can be made");
        let group = Self {
            path: path.to_owned(),
            dir,
            controller,
        };
        let bytes = (limit_mib << 20).to_string();
        fs::write(group.dir.join(group.controller.limit_file()), &bytes).expect("limit");
        // Without swap accounting neither is there, and nothing is swapped for us to miss.
        let (swap, none) = if group.controller.v1 {
            ("memory.memsw.limit_in_bytes", bytes.as_str())
        } else {
            ("memory.swap.max", "0")
        };
        let _ = fs::write(group.dir.join(swap), none);
        group
    }

    pub(in crate::live) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Name of the file that its limit is in.
    pub(in crate::live) fn limit_file(&self) -> &'static str {
        self.controller.limit_file()
    }

    /// Moves a process in.
    #[track_caller]
    pub(in crate::live) fn add(&self, pid: u32) {
        fs::write(self.dir.join("cgroup.procs"), pid.to_string()).expect("a process can be moved");
    }

    fn members(&self) -> Vec<u32> {
        let procs = fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
        procs.lines().filter_map(|pid| pid.parse().ok()).collect()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let gone = || {
            for pid in self.members() {
                signal(signed(pid), libc::SIGKILL);
            }
            (fs::remove_dir(&self.dir).is_ok() || !self.dir.exists()).then_some(())
        };
        if std::thread::panicking() {
            for _ in 0..200 {
                if gone().is_some() {
                    return;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        } else {
            wait_until("the removal of a cgroup", gone);
        }
    }
}
