//! Records of the rings: one header, one `repr(C)` struct for each kind.
//!
//! Integers only, in the machine's own byte order, with every byte accounted for (no padding that
//! the compiler chose); sizes are asserted at compile time. Every record begins with a
//! [`Header`]. Memory is counted in pages, in the order of the kernel's `enum` of RSS members
//! (`include/linux/mm_types_task.h`, the same from 5.10 to 7.3).

mod printed;
mod stack;

pub use printed::*;
pub use stack::*;

/// Kinds of records.
pub mod tag {
    /// [`super::Rss`]
    pub const RSS: u32 = 1;
    /// [`super::Fork`]
    pub const FORK: u32 = 2;
    /// [`super::Exec`]
    pub const EXEC: u32 = 3;
    /// [`super::Rename`]
    pub const RENAME: u32 = 4;
    /// [`super::Exit`]
    pub const EXIT: u32 = 5;
    /// [`super::OomMark`]
    pub const OOM_MARK: u32 = 6;
    /// [`super::Sigkill`]
    pub const SIGKILL: u32 = 7;
    /// [`super::Mark`]
    pub const MARK: u32 = 8;
    /// [`super::Task`]
    pub const TASK: u32 = 9;
    /// [`super::Loaded`]
    pub const LOADED: u32 = 10;
    /// [`super::Stack`]
    pub const STACK: u32 = 11;
    /// [`super::Code`]
    pub const CODE: u32 = 12;
    /// [`super::ShortCode`]
    pub const SHORT_CODE: u32 = 13;
    /// [`super::Lines`]
    pub const LINES: u32 = 14;
    /// [`super::Print`]
    pub const PRINT: u32 = 15;
    /// [`super::ShortPrint`]
    pub const SHORT_PRINT: u32 = 16;
}

/// Longest checkpoint name or detail that is kept, without the terminating NUL.
pub const TEXT_MAX: usize = 255;
/// Room for one text: [`TEXT_MAX`], one byte that tells that there was more, and a NUL.
pub const TEXT_ROOM: usize = 257;

/// The same of a [`ShortMark`].
pub const SHORT_ROOM: usize = 48;
/// Most levels of the cgroup tree that are looked at, from the task upwards.
pub const LEVELS: usize = 8;
/// Longest cgroup directory name that is kept, without NUL.
pub const CGROUP_NAME: usize = 96;
/// Room for the path of an executable.
pub const FILENAME: usize = 256;
/// Room for the arguments of a process.
pub const ARGS: usize = 512;

/// Words of what the probes remember of a traced process, for who reads that map.
pub const TRACED_WORDS: usize = 11;

/// Status of an [`Exit`] whose status could not be had.
pub const EXIT_STATUS_UNKNOWN: i32 = i32::MIN;

/// Classes of records that can be lost, as indices of the `LOST` counters.
pub mod lost {
    /// RSS steps.
    pub const RSS: u32 = 0;
    /// Forks, execs, renames, exits.
    pub const LIFE: u32 = 1;
    /// OOM marks and SIGKILLs.
    pub const KILL: u32 = 2;
    /// Checkpoints.
    pub const MARK: u32 = 3;
    /// Processes that the table of traced processes had no room for.
    pub const TRACED: u32 = 4;
    /// Checkpoints, or pieces of prints, that came faster than one process' may.
    pub const MARK_RATE: u32 = 5;
    /// Stacks, and what is needed to read them.
    pub const STACK: u32 = 6;
    /// How many classes there are.
    pub const CLASSES: u32 = 7;
}

/// Probes with a spare, as indices of the `SPARED` counters.
pub mod spared {
    /// `sched_process_exec`
    pub const EXEC: u32 = 0;
    /// `sched_process_exit`
    pub const EXIT: u32 = 1;
    /// How many there are.
    pub const PROBES: u32 = 2;
}

/// What a [`Mark`] came from.
pub mod mark {
    /// `memtrace_checkpoint(name, details)`.
    pub const CHECKPOINT: u32 = 0;
    /// The Python drop-in's `memory_checkpoint`.
    pub const PYTHON: u32 = 1;
    /// The Python drop-in's `init_global_monitor`.
    pub const PYTHON_INIT: u32 = 2;
    /// A function that the user named; no texts.
    pub const FUNCTION: u32 = 3;
}

/// Where the last direct reclaim of a thread came from.
pub mod reclaim {
    /// No reclaim was seen.
    pub const NONE: u32 = 0;
    /// A memory cgroup at its limit (`vmscan:mm_vmscan_memcg_reclaim_begin`).
    pub const MEMCG: u32 = 1;
    /// The machine short of memory (`vmscan:mm_vmscan_direct_reclaim_begin`).
    pub const GLOBAL: u32 = 2;
}

/// Start of every record.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Header {
    /// One of [`tag`].
    pub tag: u32,
    /// Bytes of the whole record.
    pub size: u32,
    /// `bpf_ktime_get_boot_ns`.
    pub at: u64,
}

/// Memory of one mm in pages: exact sums over the per-cpu counters.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct Pages {
    /// `MM_FILEPAGES`
    pub file: i64,
    /// `MM_ANONPAGES`
    pub anon: i64,
    /// `MM_SWAPENTS`
    pub swap: i64,
    /// `MM_SHMEMPAGES`
    pub shmem: i64,
    /// `mm->total_vm`
    pub vms: i64,
}

/// RSS of a traced process moved.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Rss {
    /// Start of the record.
    pub header: Header,
    /// Address of the mm, as an identity only.
    pub mm: u64,
    /// Process that owns the mm.
    pub tgid: u32,
    /// Process that ran.
    pub actor: u32,
    /// Memory now.
    pub pages: Pages,
}

/// A process (not a thread) was created.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Fork {
    /// Start of the record.
    pub header: Header,
    /// `start_boottime` of the child.
    pub start: u64,
    /// Parent process.
    pub parent: u32,
    /// Child process.
    pub child: u32,
    /// Not zero: parent and child share one mm (`vfork`).
    pub shares_mm: u32,
    /// User id of the child.
    pub uid: u32,
    /// The child's command name.
    pub comm: [u8; 16],
    /// The child's memory.
    pub pages: Pages,
}

/// A process replaced its program.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Exec {
    /// Start of the record.
    pub header: Header,
    /// `start_boottime`.
    pub start: u64,
    /// Process.
    pub tgid: u32,
    /// User id.
    pub uid: u32,
    /// Bytes of `filename` in use, NUL included; negative: unreadable.
    pub filename_len: i32,
    /// Bytes of `args` in use.
    pub args_len: u32,
    /// New command name.
    pub comm: [u8; 16],
    /// Memory of the new program.
    pub pages: Pages,
    /// `bprm->filename`.
    pub filename: [u8; FILENAME],
    /// Arguments, each ended by NUL, cut.
    pub args: [u8; ARGS],
}

/// The leader of a process changed its command name.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Rename {
    /// Start of the record.
    pub header: Header,
    /// `start_boottime`.
    pub start: u64,
    /// Process.
    pub tgid: u32,
    /// User id.
    pub uid: u32,
    /// New command name.
    pub comm: [u8; 16],
}

/// The last thread of a process is exiting. May be sent twice for one process.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    /// Start of the record.
    pub header: Header,
    /// `start_boottime` of the process' leader.
    pub start: u64,
    /// Process.
    pub tgid: u32,
    /// Status as `wait(2)` gives it.
    pub status: i32,
    /// Checkpoints of this process that could not be sent.
    pub lost_marks: u32,
    /// RSS steps of this process that could not be sent.
    pub lost_rss: u32,
    /// `signal->maxrss`, pages.
    pub peak: u64,
    /// Not zero: `pages` is there (6.16 and later).
    pub has_pages: u32,
    /// Checkpoints of this process that came faster than one process' may.
    pub limited_marks: u32,
    /// Memory at the end.
    pub pages: Pages,
}

/// One level of the memory cgroup tree.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// Inode of the cgroup's directory (`kernfs_node.id`).
    pub id: u64,
    /// Pages charged.
    pub usage: u64,
    /// Limit in pages.
    pub max: u64,
    /// v1: memory + swap; v2: swap. Pages charged.
    pub swap_usage: u64,
    /// Limit of that.
    pub swap_max: u64,
    /// Name of the directory, ended by NUL; empty for the root.
    pub name: [u8; CGROUP_NAME],
}

/// The OOM killer chose a task (`oom:mark_victim`).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct OomMark {
    /// Start of the record.
    pub header: Header,
    /// `start_boottime` of the victim's leader.
    pub start: u64,
    /// Victim process.
    pub tgid: u32,
    /// Victim thread.
    pub tid: u32,
    /// Its user id.
    pub uid: u32,
    /// Its `oom_score_adj`.
    pub oom_score_adj: i32,
    /// Bytes of page tables.
    pub page_tables: u64,
    /// Its command name.
    pub comm: [u8; 16],
    /// Exact memory.
    pub exact: Pages,
    /// The approximate counters, as the kernel's log line prints them before 7.x.
    pub approximate: Pages,
    /// Process that needed memory.
    pub trigger_tgid: u32,
    /// Thread that needed memory.
    pub trigger_tid: u32,
    /// Its command name.
    pub trigger_comm: [u8; 16],
    /// Its user id.
    pub trigger_uid: u32,
    /// One of [`reclaim`].
    pub reclaim: u32,
    /// When that reclaim began.
    pub reclaim_at: u64,
    /// Its GFP mask.
    pub gfp: u32,
    /// Its order.
    pub order: i32,
    /// Checkpoints of the victim that could not be sent.
    pub lost_marks: u32,
    /// RSS steps of the victim that could not be sent.
    pub lost_rss: u32,
    /// Levels in use.
    pub levels: u32,
    /// Checkpoints of the victim that came faster than one process' may.
    pub limited_marks: u32,
    /// The victim's memory cgroup and those above it.
    pub groups: [Group; LEVELS],
}

/// Somebody generated SIGKILL for a process.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Sigkill {
    /// Start of the record.
    pub header: Header,
    /// `start_boottime` of the target's leader.
    pub start: u64,
    /// Target process.
    pub tgid: u32,
    /// Target thread.
    pub tid: u32,
    /// Target's command name.
    pub comm: [u8; 16],
    /// Process that ran.
    pub sender_tgid: u32,
    /// Thread that ran.
    pub sender_tid: u32,
    /// Its user id.
    pub sender_uid: u32,
    /// `si_code`; for `info` 0 and 1 it is implied.
    pub code: i32,
    /// Its command name.
    pub sender_comm: [u8; 16],
    /// 0 `SEND_SIG_NOINFO`, 1 `SEND_SIG_PRIV`, 2 a siginfo.
    pub info: u32,
    /// Not zero: for the whole process.
    pub group: u32,
    /// `TRACE_SIGNAL_*`: 0 delivered, 1 ignored, 2 already pending.
    pub result: i32,
    /// Always zero.
    pub zero: u32,
    /// Memory of the target.
    pub pages: Pages,
}

/// A checkpoint. Most have short texts and come as a [`ShortMark`]; it begins as the long one does.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Mark<const TEXT: usize = { 2 * TEXT_ROOM + 6 }> {
    /// Start of the record.
    pub header: Header,
    /// Process.
    pub tgid: u32,
    /// Thread.
    pub tid: u32,
    /// Cookie of the probe.
    pub cookie: u64,
    /// One of [`mark`].
    pub kind: u32,
    /// Bytes of the name at the start of `text`, NUL not counted; negative: unreadable.
    pub name_len: i32,
    /// Bytes of the details after the name; negative: none or unreadable.
    pub details_len: i32,
    /// Always zero.
    pub zero: u32,
    /// Memory at that instant.
    pub pages: Pages,
    /// Name, then details.
    pub text: [u8; TEXT],
}

/// A checkpoint whose name and details take less than [`SHORT_ROOM`] bytes each.
pub type ShortMark = Mark<{ 2 * SHORT_ROOM }>;

/// The dynamic loader of a traced process has mapped or unmapped libraries.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Loaded {
    /// Start of the record.
    pub header: Header,
    /// Process.
    pub tgid: u32,
    /// Always zero.
    pub zero: u32,
}

/// One process of a census (the task iterator).
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Task {
    /// Start of the record.
    pub header: Header,
    /// `start_boottime`.
    pub start: u64,
    /// Process.
    pub tgid: u32,
    /// Its parent.
    pub parent: u32,
    /// User id.
    pub uid: u32,
    /// Always zero.
    pub zero: u32,
    /// Command name.
    pub comm: [u8; 16],
    /// Memory.
    pub pages: Pages,
    /// Inodes of its memory cgroup and those above it, zero-filled.
    pub groups: [u64; LEVELS],
}

const _: () = {
    assert!(size_of::<Header>() == 16);
    assert!(size_of::<Pages>() == 40);
    assert!(size_of::<Rss>() == 72);
    assert!(size_of::<Fork>() == 96);
    assert!(size_of::<Exec>() == 864);
    assert!(size_of::<Rename>() == 48);
    assert!(size_of::<Exit>() == 96);
    assert!(size_of::<Group>() == 136);
    assert!(size_of::<OomMark>() == 1296);
    assert!(size_of::<Sigkill>() == 136);
    assert!(size_of::<Mark>() == 608);
    assert!(size_of::<ShortMark>() == 184);
    assert!(size_of::<Task>() == 160);
    assert!(size_of::<Loaded>() == 24);
};
