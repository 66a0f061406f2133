//! What this host can do, observed once before anything is loaded.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aya::{
    programs::ProgramType,
    sys::{BpfHelper, is_helper_supported},
};

use super::{
    formats::{self, FormatError},
    offsets::{Layout, LayoutError},
};

/// Where the kernel's BTF is.
pub const BTF: &str = "/sys/kernel/btf/vmlinux";

/// What was observed.
#[derive(Debug)]
pub struct Facts {
    /// `uname -r`
    pub release: String,
    /// Bytes of a page.
    pub page_bytes: u64,
    /// Possible cpus.
    pub cpus: u32,
    /// What BTF says, or why it says nothing.
    pub layout: Result<Layout, NoLayout>,
    /// Where the fields of classic records are; looked for only where there is no layout, or on
    /// demand.
    pub formats: Option<Result<Vec<(&'static str, u32)>, FormatError>>,
    /// `bpf_get_attach_cookie` exists (5.15).
    pub cookies: bool,
    /// Capabilities that memtrace needs and this process lacks.
    pub missing_capabilities: Vec<&'static str>,
    /// How much memory may be locked, where that is limited and may not be raised.
    pub locked_limit: Option<u64>,
}

/// Why there is no layout.
#[derive(Debug, thiserror::Error)]
pub enum NoLayout {
    /// The file is not there or not readable.
    #[error("{path}: {1}", path = .0.display())]
    File(PathBuf, io::Error),
    /// It is not what the probes need.
    #[error("{path}: {1}", path = .0.display())]
    Layout(PathBuf, LayoutError),
}

impl Facts {
    /// Looks at the host. Reads files and asks the kernel; changes nothing. `btf` is where the
    /// kernel's BTF is, if not in its place.
    pub fn observe(btf: Option<&Path>, plain: bool) -> Self {
        let layout = layout(btf.unwrap_or(Path::new(BTF)));
        Self {
            formats: (plain || layout.is_err()).then(formats::offsets),
            release: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map(|release| release.trim().to_owned())
                .unwrap_or_default(),
            page_bytes: page_bytes(),
            cpus: aya::util::nr_cpus().map_or(1, |cpus| u32::try_from(cpus).unwrap_or(1)),
            layout,
            cookies: is_helper_supported(
                ProgramType::KProbe,
                BpfHelper::BPF_FUNC_get_attach_cookie,
            )
            .unwrap_or(false),
            missing_capabilities: missing_capabilities(),
            locked_limit: locked_limit(),
        }
    }
}

impl Facts {
    /// The programs are loaded: what they were bound to takes more than a thousand processes do.
    pub fn forget_types(&mut self) {
        if let Ok(layout) = &mut self.layout {
            layout.bound_types = Vec::new();
        }
    }
}

fn layout(path: &Path) -> Result<Layout, NoLayout> {
    let blob = fs::read(path).map_err(|error| NoLayout::File(path.to_owned(), error))?;
    Layout::find(&blob).map_err(|error| NoLayout::Layout(path.to_owned(), error))
}

fn page_bytes() -> u64 {
    // SAFETY: sysconf takes no pointers and _SC_PAGESIZE is always known.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).unwrap_or(4096)
}

/// `CAP_SYS_ADMIN` alone suffices for all of it; else each part needs its own (kernel/bpf/syscall.c,
/// and `perf_uprobe_event_init` in kernel/events/core.c, which knows `CAP_SYS_ADMIN` only).
fn missing_capabilities() -> Vec<&'static str> {
    const WANTED: [(u32, &str); 4] = [
        (21, "CAP_SYS_ADMIN"),
        (39, "CAP_BPF"),
        (38, "CAP_PERFMON"),
        (19, "CAP_SYS_PTRACE"),
    ];
    let effective = effective_capabilities();
    let has = |bit: u32| effective >> bit & 1 == 1;
    let admin = has(21);
    WANTED
        .iter()
        .filter(|(bit, _)| !has(*bit) && (!admin || !matches!(bit, 38 | 39)))
        .map(|(_, name)| *name)
        .collect()
}

/// Our effective capabilities, a bit each.
pub(super) fn effective_capabilities() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0)
}

/// The hard `RLIMIT_MEMLOCK` of a process that lacks `CAP_SYS_RESOURCE`.
fn locked_limit() -> Option<u64> {
    const SYS_RESOURCE: u32 = 24;
    if effective_capabilities() >> SYS_RESOURCE & 1 == 1 {
        return None;
    }
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max locked memory"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
