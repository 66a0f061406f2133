//! Second chances for the probes that tell of lives, and who wakes the reader for them.
//!
//! The kernel skips a program that is running on the cpu already (`__bpf_trace_run`,
//! `kernel/trace/bpf_trace.c`). Since tracepoints can be preempted (seen on 7.3), this
//! hits others: a process that is preempted within a probe has those of every process that runs on
//! its cpu meanwhile skipped. An exit that is skipped is a process whose end has no code.
//!
//! So forks are told by a tracepoint that cannot be preempted. Who execs meets three programs, in
//! this order. The first does the work and leaves word that it has. The spare does it if the first
//! was skipped. The last wakes the reader: the reader goes before others, so whoever wakes it is
//! preempted at that very instruction, and had better not be within one of the other two. Who exits
//! has a better spare than a second program: its parent's SIGCHLD, whose probe cannot be preempted.
//! (A parent that ignores it gets none.)

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid, macros::raw_tracepoint, programs::RawTracePointContext,
};
use memtrace_ebpf::wire::spared;

use crate::{
    emit::{Wake, add_one},
    maps::{LIFE_RING, SEEN, SPARED},
    probe::life::{execed, exited, is_last_of_process},
    read::Task,
};

/// Of [`SEEN`]; a power of two.
pub(crate) const SLOTS: u32 = 1 << 13;
/// Bytes that wait to be read (`BPF_RB_AVAIL_DATA`).
const AVAILABLE: u64 = 0;

#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn spare_exec(ctx: RawTracePointContext) -> i32 {
    if was_seen(spared::EXEC) {
        return 0;
    }
    execed(&ctx)
}

/// To be called when SIGCHLD is generated, which a process does at its very end, under a spinlock:
/// tells its exit if that was not seen. Its memory is gone by now.
#[inline(always)]
pub(crate) fn spare_exit() {
    let task = Task::current();
    if is_last_of_process(task) && !was_seen(spared::EXIT) {
        exited(task);
    }
}

/// An empty record that nobody is shown, for the sake of the waking that comes with it.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn wake_reader(_ctx: RawTracePointContext) -> i32 {
    if LIFE_RING.query(AVAILABLE) != 0
        && let Some(nothing) = LIFE_RING.reserve::<u64>(0)
    {
        nothing.discard(Wake::Now.flags());
    }
    0
}

/// Who this is, and where to leave word: a thread and a probe.
#[inline(always)]
fn word(probe: u32) -> (u64, Option<*mut u64>) {
    let who = u64::from(bpf_get_current_pid_tgid() as u32) << 8 | u64::from(probe);
    let slot = (who as u32 >> 8).wrapping_add(probe * (SLOTS / spared::PROBES)) & (SLOTS - 1);
    // Not the word that an empty slot holds.
    (who + 1, SEEN.get_ptr_mut(slot))
}

/// Leaves word that a probe has seen what this thread is doing.
#[inline(always)]
pub(crate) fn seen(probe: u32) {
    let (who, slot) = word(probe);
    if let Some(slot) = slot {
        unsafe { slot.write_volatile(who) };
    }
}

/// Whether there is such word, and takes it away; if there is none, the event is now the spare's.
#[inline(always)]
fn was_seen(probe: u32) -> bool {
    let (who, slot) = word(probe);
    if let Some(slot) = slot
        && unsafe { slot.read_volatile() } == who
    {
        unsafe { slot.write_volatile(0) };
        return true;
    }
    add_one(SPARED.get_ptr_mut(probe));
    false
}
