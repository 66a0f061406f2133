//! Every map: who writes it, who reads it, what bounds it.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, ProgramArray, RingBuf},
};
use memtrace_ebpf::wire::{self, INNERMOST, OUTERMOST, layout, lost, spared, why};

const BPF_F_NO_PREALLOC: u32 = 1;

/// What the probes remember of a traced process.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Traced {
    /// Its mm when RSS was last told.
    pub(crate) mm: u64,
    /// RSS that was last told, from the approximate counters.
    pub(crate) total: i64,
    /// When its fork or exec put it here; zero if user space did.
    pub(crate) held: u64,
    /// Checkpoints that could not be sent.
    pub(crate) lost_marks: u64,
    /// RSS steps that could not be sent.
    pub(crate) lost_rss: u64,
    /// Checkpoints that came too fast.
    pub(crate) limited_marks: u64,
    /// When the next checkpoint would be due if all had come at the rate that is allowed.
    pub(crate) mark_due: u64,
    /// The same of pieces of prints.
    pub(crate) print_due: u64,
    /// Not zero: pieces of prints are left out until there is room for many.
    pub(crate) print_pause: u64,
    /// `total` when the last stack of growth was taken.
    pub(crate) stack_total: i64,
    /// [`EPOCH`] when RSS was last told.
    pub(crate) epoch: u32,
    pub(crate) zero: u32,
}

impl Traced {
    pub(crate) const NEW: Self = Self {
        mm: 0,
        total: 0,
        held: 0,
        lost_marks: 0,
        lost_rss: 0,
        limited_marks: 0,
        mark_due: 0,
        print_due: 0,
        print_pause: 0,
        stack_total: 0,
        epoch: 0,
        zero: 0,
    };
}

/// An mm of nobody traced.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Miss {
    pub(crate) mm: u64,
    /// [`GENERATION`] before it was looked for.
    pub(crate) generation: u64,
}

/// The last direct reclaim of a thread.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Reclaim {
    pub(crate) at: u64,
    pub(crate) gfp: u32,
    pub(crate) order: i32,
    pub(crate) kind: u32,
    pub(crate) zero: u32,
}

/// Processes that are traced, or that exec'd and wait for user space to look at them. Written by
/// user space and by the fork, exec and exit probes; one entry per process, freed at its exit.
#[map]
pub(crate) static TGID_TO_TRACED: HashMap<u32, Traced> = HashMap::with_max_entries(16384, 0);

/// Moves whenever somebody is added to [`TGID_TO_TRACED`] or exec's while in it: the probes count
/// its lower half up, user space its upper half.
#[map]
pub(crate) static GENERATION: Array<u64> = Array::with_max_entries(1, 0);

/// The mm that a cpu last looked for in vain: nobody traced owns it while [`GENERATION`] stands.
#[map]
pub(crate) static LAST_MISS: PerCpuArray<Miss> = PerCpuArray::with_max_entries(1, 0);

/// Counted up by user space once a second while RSS is traced: a change that was not told for
/// want of size is told when the epoch has moved.
#[map]
pub(crate) static EPOCH: Array<u32> = Array::with_max_entries(1, 0);

/// RSS steps.
#[map]
pub(crate) static RSS_RING: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Forks, execs, renames, exits, OOM marks, SIGKILLs: apart, so that no flood can starve them.
#[map]
pub(crate) static LIFE_RING: RingBuf = RingBuf::with_byte_size(1 << 20, 0);

/// Empty; see `probe/marker.rs`.
#[map]
pub(crate) static NOWHERE: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Checkpoints: forty thousand with short names, for two hundred processes that come at once.
#[map]
pub(crate) static MARK_RING: RingBuf = RingBuf::with_byte_size(1 << 23, 0);

/// Stacks, and the code objects in them: two thousand and more.
#[map]
pub(crate) static STACK_RING: RingBuf = RingBuf::with_byte_size(1 << 22, 0);

/// A CPython in a process.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Python {
    /// Address of `_PyRuntime.interpreters.head`.
    pub(crate) interpreters: u64,
    /// Address of `PyCode_Type`.
    pub(crate) code_type: u64,
    /// Its layout, in [`PYTHON_LAYOUTS`].
    pub(crate) layout: u32,
    /// Moves when user space has forgotten what it was told of this process' code objects.
    pub(crate) epoch: u32,
}

/// Traced processes that run a CPython that is known. Written by user space, and by the fork, exec
/// and exit probes.
#[map]
pub(crate) static TGID_TO_PYTHON: HashMap<u32, Python> =
    HashMap::with_max_entries(16384, BPF_F_NO_PREALLOC);

/// What the versions of CPython are like. Written by user space.
#[map]
pub(crate) static PYTHON_LAYOUTS: Array<[u32; layout::WORDS]> = Array::with_max_entries(64, 0);

/// Where stacks are put together, by [`why`].
#[map]
pub(crate) static WALKS: PerCpuArray<Walk> = PerCpuArray::with_max_entries(why::COUNT, 0);

/// A stack that is being taken. All of its state is here and not in registers: the verifier does not
/// follow what a map holds, so that one round of a loop looks like the next to it.
#[repr(C)]
pub(crate) struct Walk {
    pub(crate) stack: wire::Stack,
    /// The interpreter whose threads are looked at.
    pub(crate) interpreter: u64,
    /// The next thread to be looked at.
    pub(crate) thread: u64,
    /// What `pthread_self` returns in this thread, or what is a little more than that.
    pub(crate) storage: u64,
    /// The next frame to be looked at.
    pub(crate) at: u64,
    pub(crate) code_type: u64,
    pub(crate) layout: u32,
    pub(crate) epoch: u32,
    pub(crate) zero: u32,
    /// Interpreters that have been looked at.
    pub(crate) interpreters: u32,
    /// A long line table: where it is, how long, how much of it was told.
    pub(crate) lines_at: u64,
    pub(crate) lines_size: u64,
    pub(crate) lines_from: u64,
    /// The head of a frame.
    pub(crate) frame: [u64; layout::MOST_FRAME / 8],
    /// The head of a code object.
    pub(crate) code: [u64; layout::MOST_CODE / 8],
    /// What was last found at each place of the stack, and user space had been told of.
    pub(crate) known: [KnownCode; INNERMOST + OUTERMOST],
}

/// A code object that user space has been told of. Its address may be another's later; then what it
/// points to differs, too.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct KnownCode {
    pub(crate) code: u64,
    pub(crate) file: u64,
    pub(crate) name: u64,
    pub(crate) lines: u64,
    pub(crate) tgid: u32,
    pub(crate) first_line: u32,
    pub(crate) epoch: u32,
    pub(crate) zero: u32,
}

impl KnownCode {
    /// The same, found out without branches.
    #[inline(always)]
    pub(crate) fn is(&self, other: &Self) -> bool {
        let Self {
            code,
            file,
            name,
            lines,
            tgid,
            first_line,
            epoch,
            zero: _,
        } = other;
        let addresses =
            (self.code ^ code) | (self.file ^ file) | (self.name ^ name) | (self.lines ^ lines);
        let numbers = (self.tgid ^ tgid) | (self.first_line ^ first_line) | (self.epoch ^ epoch);
        addresses | u64::from(numbers) == 0
    }
}

/// Code objects that user space has been told of. Bounded by forgetting the oldest, which are told
/// again.
#[map]
pub(crate) static KNOWN_CODES: LruHashMap<KnownCode, u8> = LruHashMap::with_max_entries(16384, 0);

/// What takes a stack of growth, behind the probe of RSS; empty until it is loaded.
#[map]
pub(crate) static GROWTH: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// What takes a victim's stacks, behind the probes of its end.
#[map]
pub(crate) static END: ProgramArray = ProgramArray::with_max_entries(1, 0);

/// Records that could not be sent, by class. Written by the probes, read by user space.
#[map]
pub(crate) static LOST: PerCpuArray<u64> = PerCpuArray::with_max_entries(lost::CLASSES, 0);

/// Threads whose event a probe with a spare has seen: slot by thread and probe, who it was in the
/// slot. Two that share one at the same instant have an event told twice, which is harmless. 64 KiB.
#[map]
pub(crate) static SEEN: Array<u64> = Array::with_max_entries(crate::probe::spare::SLOTS, 0);

/// Events that a spare told because the probe before it was skipped, by probe.
#[map]
pub(crate) static SPARED: PerCpuArray<u64> = PerCpuArray::with_max_entries(spared::PROBES, 0);

/// `__per_cpu_offset[]`, learned by the probe of that name. 8 KiB.
#[map]
pub(crate) static CPU_OFFSETS: Array<u64> = Array::with_max_entries(1024, 0);

/// A per-cpu map whose addresses give [`CPU_OFFSETS`] away.
#[map]
pub(crate) static PER_CPU: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

/// Where a census record is put together.
#[map]
pub(crate) static TASK_SCRATCH: PerCpuArray<wire::Task> = PerCpuArray::with_max_entries(1, 0);

/// The last reclaim by thread. Bounded by forgetting the oldest.
#[map]
pub(crate) static TID_TO_RECLAIM: LruHashMap<u32, Reclaim> = LruHashMap::with_max_entries(1024, 0);

/// What was last told of one member of a process' memory, from classic tracepoints.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Told {
    pub(crate) size: i64,
    pub(crate) epoch: u32,
    pub(crate) zero: u32,
}

/// Whose mm has this number in classic `rss_stat` records. Bounded by forgetting the oldest.
#[map]
pub(crate) static MM_ID_TO_TGID: LruHashMap<u32, u32> = LruHashMap::with_max_entries(4096, 0);

/// The last size by process and member, from classic `rss_stat` records. Likewise.
#[map]
pub(crate) static MEMBER_TO_TOLD: LruHashMap<u64, Told> = LruHashMap::with_max_entries(16384, 0);

/// The last task that a thread sent SIGKILL to: for kernels whose `mark_victim` gives a pid only.
#[map]
pub(crate) static TID_TO_KILLED: LruHashMap<u32, u64> = LruHashMap::with_max_entries(1024, 0);

const _: () = assert!(size_of::<Traced>() == 8 * wire::TRACED_WORDS);
