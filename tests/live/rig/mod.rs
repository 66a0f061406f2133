//! What the live tests stand on: a memtrace, a victim, a memory cgroup, and what was written.
//! Whatever is started here ends and is removed with its value, also when a test fails.

mod cgroup;
mod lives;
mod memtrace;
mod stream;
mod victim;

use std::{
    env,
    path::{Path, PathBuf},
    sync::{
        Once, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

// The rig is one toolbox in several files.
pub(super) use self::{
    cgroup::Cgroup,
    lives::Life,
    memtrace::{Ended, Memtrace, run_groups},
    victim::{Victim, elder, python},
};

/// How long a test waits for what has to come, on a machine with other things to do.
pub(super) fn patience() -> Duration {
    Duration::from_secs(30) * slower()
}

/// A count that makes a test heavy, and less of it on a machine that is slow.
pub(super) fn scaled(count: usize) -> usize {
    count / slower() as usize
}

/// How many times slower than others this machine is: emulated ones are.
fn slower() -> u32 {
    static SLOWER: OnceLock<u32> = OnceLock::new();
    *SLOWER.get_or_init(|| {
        let told = env::var("MEMTRACE_SLOWER").unwrap_or_else(|_| "1".to_owned());
        told.parse().expect("MEMTRACE_SLOWER is a number")
    })
}

/// Stops a test that would take the whole machine with it from running on anybody's.
#[track_caller]
pub(super) fn needs_guest() {
    let is_guest = env::var_os("MEMTRACE_GUEST").is_some();
    assert!(
        is_guest,
        "this test is for a virtual machine: cargo xtask vm"
    );
}

/// Is the kernel older than this?
pub(super) fn kernel_is_before(major: u32, minor: u32) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").expect("/proc is mounted");
    let mut numbers = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version < (major, minor)
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(super) fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + patience();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The program under test.
pub(super) fn program() -> PathBuf {
    static ELDER: Once = Once::new();
    assert!(is_root(), "live tests need root: cargo xtask test");
    ELDER.call_once(|| {
        stop_ignoring();
        victim::let_one_grow_old();
    });
    PathBuf::from(env::var_os("MEMTRACE_BIN").expect("cargo xtask test sets MEMTRACE_BIN"))
}

/// A compiled victim.
pub(super) fn victim_program(name: &str) -> PathBuf {
    let victims = env::var_os("MEMTRACE_VICTIMS").expect("cargo xtask test sets MEMTRACE_VICTIMS");
    Path::new(&victims).join(name)
}

/// Top of the workspace, or of what a guest has of it.
pub(super) fn root() -> PathBuf {
    if let Some(root) = env::var_os("MEMTRACE_ROOT") {
        return root.into();
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent()
        .expect("the tests lie in the workspace")
        .to_owned()
}

fn is_root() -> bool {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() == 0 }
}

/// A background job of a script ignores SIGINT, and one of `nohup` SIGHUP; so would whoever we start.
fn stop_ignoring() {
    for number in [libc::SIGINT, libc::SIGHUP] {
        // SAFETY: takes no function, and nobody here has a handler for these.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

/// Sends a signal to one process, or to a group if negative.
pub(super) fn signal(pid: i32, signal: i32) {
    // SAFETY: kill takes no pointers. The caller has not waited for the process.
    unsafe {
        libc::kill(pid, signal);
    }
}

/// A pid as the system calls take it.
pub(super) fn signed(pid: u32) -> i32 {
    i32::try_from(pid).expect("pids are small")
}

/// A directory of its own below the system's for temporary files; removed when dropped.
#[derive(Debug)]
pub(super) struct TempDir(PathBuf);

impl TempDir {
    pub(super) fn new() -> Self {
        let path = env::temp_dir().join(unique("memtrace-test"));
        std::fs::create_dir(&path).expect("a temporary directory can be made");
        Self(path)
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A name that nobody else has.
pub(super) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{number}", std::process::id())
}

/// The interpreters of this machine by version, looked for once.
pub(super) fn pythons() -> &'static std::collections::BTreeMap<String, PathBuf> {
    static FOUND: OnceLock<std::collections::BTreeMap<String, PathBuf>> = OnceLock::new();
    FOUND.get_or_init(xtask::test::python::interpreters)
}
