//! What is known about one process life, one fact at a time: the vocabulary of the recording.
//!
//! [`crate::track`] turns the kernel's events into entries and says whose they are. Everything
//! below it (the usual log, the live lines, the report) is a fold over the entries of one life, so
//! a recording read back gives the bytes that the live run gave. Entries hold facts, not
//! conclusions; a fact that is not known is absent, never zero.

mod stack;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::stack::{Frame, Native, PythonState, Stack, StackWhy};
use crate::units::{BootNanos, Bytes, Tgid, Tid};

/// Version of the recording that this build writes. Readers refuse a higher one.
pub const RECORDING_VERSION: u32 = 1;

/// One fact and its instant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When the kernel saw it.
    pub at: BootNanos,
    /// What it was.
    #[serde(flatten)]
    pub what: What,
}

/// The kinds of facts. The first entry of every life is [`What::Begin`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// Tracing of this life begins.
    Begin(Box<Begin>),
    /// The process took another command name (`prctl(PR_SET_NAME)`).
    Rename {
        /// The new name.
        comm: String,
    },
    /// The process replaced its program.
    Exec {
        /// Name, executable and arguments from now on.
        program: Arc<Program>,
    },
    /// The process started a child that is traced too, with a log of its own.
    Child {
        /// The child.
        pid: Tgid,
    },
    /// The program itself called its start (the drop-in's `init_global_monitor`).
    Init {
        /// The name that the program gave, if any.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        name: Option<String>,
        /// Its warning threshold, which holds unless the command line set one.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        warning: Option<Bytes>,
        /// Its critical threshold, likewise.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        critical: Option<Bytes>,
        /// Exact memory at that instant: the baseline moves here.
        memory: Memory,
    },
    /// A checkpoint.
    Checkpoint(Checkpoint),
    /// RSS moved by a step, or changed and the last figure was old.
    Rss {
        /// Exact memory after the change.
        memory: Memory,
    },
    /// The stack of one of its threads. Those of a kill come right before it.
    Stack(Box<Stack>),
    /// The process runs a Python whose stacks cannot be read.
    UnknownPython {
        /// Which one, and why.
        why: String,
    },
    /// The kernel's OOM killer chose this process.
    OomKill(Box<OomKill>),
    /// Somebody sent this process SIGKILL and it was not the OOM killer.
    Sigkill(Box<Sigkill>),
    /// How other processes stood when this one was killed.
    Neighbours(Neighbours),
    /// Something that should have been recorded for this life is missing.
    Lost(Lost),
    /// The process is gone. The last entry of a life, with [`What::Detach`] the only end.
    Exit(Exit),
    /// Tracing ends, the process lives on.
    Detach {
        /// Its memory at that instant, if it could be read.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        memory: Option<Memory>,
    },
}

/// Who the process is and under which settings it is traced. What thousands of lives have in common
/// is shared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Begin {
    /// [`RECORDING_VERSION`] of the writer.
    pub version: u32,
    /// The process.
    pub pid: Tgid,
    /// Boot time of its start: with the pid, its identity.
    pub started: BootNanos,
    /// Name, executable and arguments.
    pub program: Arc<Program>,
    /// The traced process that forked it, if that is why it is traced.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub parent: Option<Tgid>,
    /// User id, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<u32>,
    /// Path of its memory cgroup from that hierarchy's root, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cgroup: Option<Arc<str>>,
    /// The tightest limit above it and the cgroup that sets it, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub limit: Option<Arc<Limit>>,
    /// Memory when tracing began; absent when the process began by `fork` or `exec` under our eyes.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory: Option<Memory>,
    /// Wall-clock time at boot time zero, nanoseconds since 1970: the one anchor of all times.
    pub wall_at_boot_ns: i64,
    /// IANA name of the time zone that times are printed in, e.g. `Asia/Shanghai`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub time_zone: Option<Arc<str>>,
    /// Offset from UTC when tracing began, for when the name is unknown; seconds.
    pub utc_offset_seconds: i32,
    /// How lines are to be written.
    pub style: Style,
    /// Kernel release, e.g. `6.12.107+deb13-cloud-amd64`.
    pub kernel: Arc<str>,
    /// How RSS is measured, e.g. `tp_btf rss_stat, exact per-cpu sum`.
    pub sensor: Arc<str>,
    /// RSS may be off by this much between two entries (`--step`).
    pub step: Bytes,
}

/// How the usual log of this life is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Style {
    /// Warning threshold.
    pub warning: Bytes,
    /// Critical threshold.
    pub critical: Bytes,
    /// The command line set the warning threshold, so the program's own does not hold.
    pub warning_fixed: bool,
    /// Likewise for the critical threshold.
    pub critical_fixed: bool,
    /// At most one background line per this many milliseconds.
    pub interval_ms: u64,
    /// Words of the log and the report.
    pub lang: Lang,
    /// Digits of a second.
    pub precision: Precision,
}

/// The language of words in logs and reports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lang {
    /// Chinese, as the users' older monitor wrote.
    #[default]
    Zh,
    /// English.
    En,
}

/// Digits of a second in printed times.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// `10:30:45`
    #[default]
    Seconds,
    /// `10:30:45.213`
    Millis,
    /// `10:30:45.213871`
    Micros,
}

/// What a process runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// The kernel's command name, up to 15 bytes.
    pub comm: String,
    /// Path of the executable as the process sees it, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub exe: Option<String>,
    /// Arguments, the command first; cut at about 500 bytes.
    pub args: Vec<String>,
}

/// Resident memory by kind, exact, plus what else the kernel counts beside it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// Anonymous pages (`MM_ANONPAGES`).
    pub anon: Bytes,
    /// Pages of mapped files (`MM_FILEPAGES`).
    pub file: Bytes,
    /// Shared memory and tmpfs pages (`MM_SHMEMPAGES`).
    pub shmem: Bytes,
    /// Swapped-out anonymous pages (`MM_SWAPENTS`). Not resident.
    pub swap: Bytes,
    /// Mapped address space (`mm->total_vm`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vms: Option<Bytes>,
}

impl Memory {
    /// RSS: anonymous + file + shared memory, without swap.
    pub fn rss(&self) -> Bytes {
        self.anon + self.file + self.shmem
    }
}

/// A memory limit and the cgroup that sets it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Path from the hierarchy's root, e.g. `/bot`.
    pub cgroup: String,
    /// The file that holds the limit: `memory.max` (v2), `memory.limit_in_bytes` (v1), ….
    pub file: String,
    /// The limit.
    pub limit: Bytes,
}

/// One checkpoint of the program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// As the program gave it, up to 255 bytes; invalid UTF-8 replaced, control characters kept
    /// (whoever prints it escapes them).
    pub name: String,
    /// Likewise.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub details: Option<String>,
    /// The name could not be read or was cut.
    pub name_state: NameState,
    /// The thread that called.
    pub tid: Tid,
    /// Exact memory at that very instant.
    pub memory: Memory,
}

/// How well a checkpoint's name could be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NameState {
    /// In full.
    #[default]
    Whole,
    /// Longer than is kept: 255 bytes, 200 of a printed line.
    Cut,
    /// NULL or unreadable; `name` is empty.
    Unreadable,
}

/// A process as it appears in somebody else's story.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The process.
    pub pid: Tgid,
    /// The thread.
    pub tid: Tid,
    /// Its command name.
    pub comm: String,
    /// Its arguments, if known.
    pub args: Vec<String>,
    /// User id, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<u32>,
    /// Path of its memory cgroup, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cgroup: Option<String>,
}

/// The kernel's OOM killer chose this process (`oom:mark_victim`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OomKill {
    /// Victim thread, as marked.
    pub victim: Actor,
    /// The victim's `oom_score_adj`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub oom_score_adj: Option<i16>,
    /// Page tables of the victim.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub page_tables: Option<Bytes>,
    /// Exact memory at the mark.
    pub memory: Memory,
    /// What the kernel's own log line says: the approximate counters (before 7.x).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub printed: Option<Memory>,
    /// Who needed the memory that was not there.
    pub trigger: Actor,
    /// The trigger is a thread of the victim.
    pub own: bool,
    /// Which limit was hit.
    pub constraint: Constraint,
    /// `1 << order` pages were asked for, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub order: Option<i32>,
    /// GFP mask of that request, if known.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub gfp: Option<u32>,
    /// It was already dying when it was marked: no new kill.
    pub already_exiting: bool,
    /// Other processes that the same OOM killed (`memory.oom.group`).
    pub together_with: Vec<Actor>,
}

/// The limit that an OOM kill was about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Constraint {
    /// A memory cgroup's own limit.
    Cgroup {
        /// Path from the hierarchy's root.
        cgroup: String,
        /// `memory.max`, `memory.limit_in_bytes`, `memory.swap.max`, ….
        file: String,
        /// The limit.
        limit: Bytes,
        /// What was charged at the mark.
        usage: Bytes,
    },
    /// The whole machine ran out.
    Global {
        /// `MemTotal`, if known.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        total: Option<Bytes>,
        /// `MemAvailable` as last read, if known.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        available: Option<Bytes>,
    },
    /// The nodes of a cpuset ran out.
    Cpuset,
    /// It could not be told (a kernel without BTF).
    Unknown,
}

/// SIGKILL that was not the OOM killer's (`signal:signal_generate`).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sigkill {
    /// The task that ran when the signal was generated.
    pub sender: Actor,
    /// Which mechanism sent it.
    pub how: SigkillKind,
    /// Memory of the process at that instant, if it could be read.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory: Option<Memory>,
}

/// Where a SIGKILL comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SigkillKind {
    /// `kill(2)`, `pidfd_send_signal(2)`.
    Kill,
    /// `tkill(2)`, `tgkill(2)`.
    Tkill,
    /// A write to `cgroup.kill`.
    CgroupKill,
    /// The hard CPU time limit.
    CpuLimit,
    /// The init of its pid namespace ended.
    PidNamespace,
    /// The kernel, for another reason.
    Kernel,
}

/// Processes that share the cgroup which ran out (or the machine), the largest growth first.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Neighbours {
    /// Growth is counted over this many seconds, less for younger processes.
    pub window_seconds: u64,
    /// At most ten, the process itself among them.
    pub processes: Vec<Neighbour>,
}

/// One process beside a killed one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Who it is.
    pub who: Actor,
    /// Its RSS at the kill.
    pub rss: Bytes,
    /// Its RSS at the start of the window, zero if it began within it.
    pub before: Bytes,
    /// Its last checkpoint, if it is traced and had one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub checkpoint: Option<String>,
}

/// Something is missing from this life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// Which kind of record: the label of [`crate::loss::Kind`].
    pub kind: crate::loss::Kind,
    /// How many.
    pub count: u64,
}

/// The end of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// Exit code, when it exited.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub code: Option<i32>,
    /// Signal number, when a signal ended it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signal: Option<i32>,
    /// A core was dumped.
    pub core: bool,
    /// Highest RSS that the kernel saw (`signal->maxrss`), from approximate counters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub peak: Option<Bytes>,
    /// Last memory, where the kernel still has it at that point (6.16 and later).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub memory: Option<Memory>,
}
