//! What the kernel reported, after decoding: numbers are sizes and times, bytes are text.

mod native;
mod printed;

pub use self::{
    native::{Address, Ask, Identity, MappedFile, Mapping, Mappings, Spot},
    printed::{Print, Rest, Stream},
};
use crate::{
    entry::{Memory, NameState, PythonState, StackWhy},
    units::{BootNanos, Bytes, Tgid, Tid},
};

/// One report and its instant.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When the probe ran.
    pub at: BootNanos,
    /// What it saw.
    pub kind: Kind,
}

/// The kinds of reports.
#[derive(Debug, Clone, PartialEq)]
pub enum Kind {
    /// RSS of a process moved.
    Rss {
        /// Owner of the memory, whoever touched it.
        pid: Tgid,
        /// Exact memory.
        memory: Memory,
    },
    /// A process was created.
    Fork(Fork),
    /// A process replaced its program.
    Exec(Box<Exec>),
    /// A process changed its command name.
    Rename(Rename),
    /// The last thread of a process is exiting.
    Exit(Exit),
    /// The OOM killer marked a victim.
    OomMark(Box<OomMark>),
    /// SIGKILL was generated.
    Sigkill(Box<Sigkill>),
    /// A checkpoint.
    Mark(Box<Mark>),
    /// A piece of what a process prints or writes.
    Print(Box<Print>),
    /// The stack of a thread.
    Stack(Box<Stack>),
    /// A code object that stacks may name.
    Code(Box<Code>),
    /// More of a code object's line table.
    Lines(Box<Lines>),
    /// The dynamic loader of a process has mapped libraries.
    Loaded {
        /// The process.
        pid: Tgid,
    },
}

/// A process was created.
#[derive(Debug, Clone, PartialEq)]
pub struct Fork {
    /// The parent.
    pub parent: Tgid,
    /// The child.
    pub child: Tgid,
    /// When the child began.
    pub started: BootNanos,
    /// They share their memory until the child execs (`vfork`).
    pub shares_memory: bool,
    /// User id of the child.
    pub uid: u32,
    /// Command name of the child.
    pub comm: String,
    /// Memory of the child.
    pub memory: Memory,
}

/// A process replaced its program.
#[derive(Debug, Clone, PartialEq)]
pub struct Exec {
    /// The process.
    pub pid: Tgid,
    /// When it began.
    pub started: BootNanos,
    /// User id.
    pub uid: u32,
    /// Command name.
    pub comm: String,
    /// Path that was executed, as the process gave it.
    pub filename: Option<String>,
    /// Arguments, perhaps cut.
    pub args: Vec<String>,
    /// Memory of the new program.
    pub memory: Memory,
}

/// A process changed its command name.
#[derive(Debug, Clone, PartialEq)]
pub struct Rename {
    /// The process.
    pub pid: Tgid,
    /// When it began.
    pub started: BootNanos,
    /// User id.
    pub uid: u32,
    /// New command name.
    pub comm: String,
}

/// What the probes could not send of one process, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsent {
    /// Checkpoints.
    pub marks: u32,
    /// RSS steps.
    pub steps: u32,
    /// Checkpoints that came faster than one process' may.
    pub too_fast: u32,
}

impl Unsent {
    /// What has come since `earlier`.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            marks: self.marks.saturating_sub(earlier.marks),
            steps: self.steps.saturating_sub(earlier.steps),
            too_fast: self.too_fast.saturating_sub(earlier.too_fast),
        }
    }
}

/// The last thread of a process is exiting.
#[derive(Debug, Clone, PartialEq)]
pub struct Exit {
    /// The process.
    pub pid: Tgid,
    /// When it began.
    pub started: BootNanos,
    /// Status as `wait(2)` gives it, if it could be had.
    pub status: Option<i32>,
    /// What could not be sent of this process.
    pub unsent: Unsent,
    /// Highest RSS by the kernel's own count.
    pub peak: Bytes,
    /// Memory at the end, where the kernel still has it.
    pub memory: Option<Memory>,
}

/// One level of the memory cgroup tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Inode of the directory.
    pub id: u64,
    /// Name of the directory; empty for the root.
    pub name: String,
    /// Charged.
    pub usage: Bytes,
    /// Limit, if there is one.
    pub limit: Option<Bytes>,
    /// Charged to memory + swap (v1) or swap (v2).
    pub swap_usage: Bytes,
    /// Limit of that, if there is one.
    pub swap_limit: Option<Bytes>,
}

/// What a thread's last reclaim was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reclaim {
    /// A memory cgroup at its limit; else the machine.
    pub memcg: bool,
    /// When it began.
    pub at: BootNanos,
    /// GFP mask.
    pub gfp: u32,
    /// Order.
    pub order: i32,
}

/// The OOM killer marked a victim.
#[derive(Debug, Clone, PartialEq)]
pub struct OomMark {
    /// Victim process.
    pub pid: Tgid,
    /// Victim thread.
    pub tid: Tid,
    /// When it began.
    pub started: BootNanos,
    /// User id.
    pub uid: u32,
    /// Command name of the victim thread.
    pub comm: String,
    /// `oom_score_adj`.
    pub oom_score_adj: i16,
    /// Page tables.
    pub page_tables: Bytes,
    /// Exact memory.
    pub exact: Memory,
    /// By the approximate counters.
    pub approximate: Memory,
    /// Process that needed memory.
    pub trigger_pid: Tgid,
    /// Thread that needed memory.
    pub trigger_tid: Tid,
    /// Its command name.
    pub trigger_comm: String,
    /// Its user id.
    pub trigger_uid: u32,
    /// Its last reclaim.
    pub reclaim: Option<Reclaim>,
    /// What could not be sent of the victim.
    pub unsent: Unsent,
    /// The victim's memory cgroup, then those above it.
    pub groups: Vec<Group>,
}

/// SIGKILL was generated.
#[derive(Debug, Clone, PartialEq)]
pub struct Sigkill {
    /// Target process.
    pub pid: Tgid,
    /// When it began.
    pub started: BootNanos,
    /// Target's command name.
    pub comm: String,
    /// Process that ran.
    pub sender_pid: Tgid,
    /// Thread that ran.
    pub sender_tid: Tid,
    /// Its user id.
    pub sender_uid: u32,
    /// Its command name.
    pub sender_comm: String,
    /// How it was sent.
    pub origin: Origin,
    /// For the whole process.
    pub group: bool,
    /// It had an effect: not ignored, not pending already.
    pub effective: bool,
    /// Memory of the target.
    pub memory: Memory,
}

/// What came with a signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// `SEND_SIG_NOINFO`
    NoInfo,
    /// `SEND_SIG_PRIV`: the kernel.
    Kernel,
    /// A siginfo with this `si_code`.
    Code(i32),
}

/// A checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// The process.
    pub pid: Tgid,
    /// The thread.
    pub tid: Tid,
    /// Which probe it came from.
    pub source: MarkSource,
    /// Its name; empty for [`MarkSource::Function`].
    pub name: String,
    /// How well the name could be read.
    pub name_state: NameState,
    /// Details, if any.
    pub details: Option<String>,
    /// Exact memory at that instant.
    pub memory: Memory,
}

/// Where a checkpoint comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkSource {
    /// `memtrace_checkpoint` or the drop-in's `memory_checkpoint`.
    Call,
    /// The drop-in's `init_global_monitor`.
    Init,
    /// A function that the user named, by its cookie.
    Function(u64),
}

/// The stack of a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The process.
    pub pid: Tgid,
    /// When it began.
    pub started: BootNanos,
    /// The thread.
    pub tid: Tid,
    /// Its command name.
    pub comm: String,
    /// Why it was taken.
    pub why: StackWhy,
    /// RSS at that instant; of [`StackWhy::Growth`] only.
    pub rss: Option<Bytes>,
    /// What is known of its Python frames.
    pub python: PythonState,
    /// Python frames, the innermost first.
    pub frames: Vec<Frame>,
    /// So many are left out between the innermost and the outermost.
    pub omitted: u32,
    /// Return addresses, the innermost first.
    pub natives: Vec<u64>,
}

/// A Python frame: a code object and where in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame {
    /// Address of the code object.
    pub code: u64,
    /// Bytes from the beginning of its instructions.
    pub offset: i64,
}

/// A text of CPython's, as it lies in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// Its state, whose bits differ between versions.
    pub state: u32,
    /// Its bytes, or the first of them.
    pub bytes: Vec<u8>,
    /// They are not all.
    pub is_cut: bool,
}

/// A code object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Code {
    /// The process.
    pub pid: Tgid,
    /// When it began.
    pub started: BootNanos,
    /// Its address.
    pub code: u64,
    /// Its first line.
    pub first_line: i32,
    /// Its file, if that could be read.
    pub file: Option<Text>,
    /// Its function, likewise.
    pub function: Option<Text>,
    /// The beginning of its line table, likewise.
    pub lines: Option<Vec<u8>>,
}

/// More of a code object's line table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lines {
    /// The process.
    pub pid: Tgid,
    /// When it began.
    pub started: BootNanos,
    /// Address of the code object.
    pub code: u64,
    /// Where in the table this begins.
    pub from: u32,
    /// Bytes of it.
    pub bytes: Vec<u8>,
}

/// One process of a census.
#[derive(Debug, Clone, PartialEq)]
pub struct Task {
    /// The process.
    pub pid: Tgid,
    /// Its parent.
    pub parent: Tgid,
    /// When it began.
    pub started: BootNanos,
    /// User id.
    pub uid: u32,
    /// Command name.
    pub comm: String,
    /// Exact memory.
    pub memory: Memory,
    /// Inodes of its memory cgroup and those above it.
    pub groups: Vec<u64>,
}
