//! `sched:sched_wakeup_new`, `sched_process_{exec,exit}` and `task:task_rename`: processes come, change and go.
//!
//! Sent for every process of the machine, not for traced ones alone: user space decides who is a
//! target, and knows every process' arguments before the kill that makes them interesting.

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::{
    helpers::generated::{bpf_ktime_get_boot_ns, bpf_probe_read_user},
    macros::raw_tracepoint,
    programs::RawTracePointContext,
};
use memtrace_ebpf::wire::{ARGS, Exec, Exit, FILENAME, Fork, Rename, lost, spared, tag};

use crate::{
    config::*,
    emit::{Wake, count_untraced, reserve},
    maps::{GENERATION, LIFE_RING, TGID_TO_PYTHON, TGID_TO_TRACED, Traced},
    probe::spare::seen,
    read::{self, Task},
};

const SIGNAL_GROUP_EXIT: u32 = 4;

/// A new task is woken for the first time, by its parent, right after `sched_process_fork`; but with
/// a spinlock held, so that this is not skipped (see `probe/spare.rs`).
#[raw_tracepoint(tracepoint = "sched_wakeup_new")]
fn process_fork(ctx: RawTracePointContext) -> i32 {
    let (parent, child) = (Task::current(), Task(ctx.arg(0)));
    let tgid = child.tgid();
    if tgid != child.pid() {
        return 0; // a thread
    }
    let parent_tgid = parent.tgid();
    if FOLLOW.load() != 0 && TGID_TO_TRACED.get_ptr(parent_tgid).is_some() {
        trace(tgid);
        // Its memory is a copy, with everything at the same addresses.
        if let Some(python) = unsafe { TGID_TO_PYTHON.get(parent_tgid) } {
            let _ = TGID_TO_PYTHON.insert(tgid, python, 0);
        }
    }
    let Some(mut entry) = reserve::<Fork>(&LIFE_RING, tag::FORK, lost::LIFE) else {
        return 0;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    let mm = child.mm();
    record.start = child.start();
    record.parent = parent_tgid;
    record.child = tgid;
    record.shares_mm = u32::from(mm == parent.mm());
    record.uid = child.uid();
    record.comm = child.comm();
    read::exact(mm, &mut record.pages);
    entry.submit(Wake::IfCaughtUp.flags());
    0
}

/// Holds a process in the table, so that nothing of it is missed until user space has looked.
#[inline(always)]
pub(crate) fn trace(tgid: u32) {
    // User space lets go of whom it does not want, and may be late: not of one that came after.
    let held = unsafe { bpf_ktime_get_boot_ns() };
    match TGID_TO_TRACED.get_ptr_mut(tgid) {
        Some(traced) => unsafe { (*traced).held = held },
        None => {
            let new = Traced {
                held,
                ..Traced::NEW
            };
            if TGID_TO_TRACED.insert(tgid, new, 0).is_err() {
                count_untraced();
            }
        }
    }
    move_generation();
}

/// From now on nobody's mm is known to be in vain: one of them may be somebody's new one. Of two
/// cpus at once one may count for both: each has added its process before it reads.
#[inline(always)]
fn move_generation() {
    if let Some(generation) = GENERATION.get_ptr_mut(0) {
        unsafe { write_volatile(generation, read_volatile(generation) + 1) };
    }
}

#[raw_tracepoint(tracepoint = "sched_process_exec")]
fn process_exec(ctx: RawTracePointContext) -> i32 {
    seen(spared::EXEC);
    execed(&ctx)
}

#[inline(always)]
pub(crate) fn execed(ctx: &RawTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    let tgid = task.tgid();
    diagnose!(ctx, "exec of {}", tgid);
    let _ = TGID_TO_PYTHON.remove(tgid);
    if WATCH_EXEC.load() != 0 {
        trace(tgid);
    } else if TGID_TO_TRACED.get_ptr(tgid).is_some() {
        move_generation();
    }
    let Some(mut entry) = reserve::<Exec>(&LIFE_RING, tag::EXEC, lost::LIFE) else {
        return 0;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    let mm = task.mm();
    record.start = task.leader().start();
    record.tgid = tgid;
    record.uid = task.uid();
    record.comm = task.comm();
    read::exact_of(task, mm, &mut record.pages);
    let filename = read::at(ctx.arg::<u64>(2), BPRM_FILENAME.load());
    record.filename_len = read::text(filename, record.filename.as_mut_ptr(), FILENAME) as i32;
    arguments(mm, record);
    entry.submit(Wake::Later.flags());
    0
}

/// The arguments as the new program finds them; its stack was just written, so it is resident.
#[inline(always)]
fn arguments(mm: u64, record: &mut Exec) {
    let start: u64 = read::at(mm, MM_ARG_START.load());
    let end: u64 = read::at(mm, MM_ARG_END.load());
    let length = end.wrapping_sub(start);
    let length = if length > ARGS as u64 - 1 {
        ARGS as u64 - 1
    } else {
        length
    };
    record.args_len = 0;
    let failed = unsafe {
        bpf_probe_read_user(
            record.args.as_mut_ptr().cast(),
            (length as u32) & (ARGS as u32 - 1),
            start as *const core::ffi::c_void,
        )
    };
    if failed == 0 {
        record.args_len = length as u32;
    }
}

#[raw_tracepoint(tracepoint = "task_rename")]
fn task_rename(ctx: RawTracePointContext) -> i32 {
    let task = Task(ctx.arg(0));
    let tgid = task.tgid();
    if tgid != task.pid() {
        return 0; // a thread's name is not the process'
    }
    let Some(mut entry) = reserve::<Rename>(&LIFE_RING, tag::RENAME, lost::LIFE) else {
        return 0;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.start = task.start();
    record.tgid = tgid;
    record.uid = task.uid();
    record.comm = [0; 16];
    read::text(ctx.arg(1), record.comm.as_mut_ptr(), 16);
    entry.submit(Wake::Now.flags());
    0
}

/// Fires for every thread. Two that exit together may both be the last, so it can be told twice.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
fn process_exit(ctx: RawTracePointContext) -> i32 {
    seen(spared::EXIT);
    let task = Task(ctx.arg(0));
    if is_last_of_process(task) {
        exited(task);
    }
    0
}

/// The process is gone when none of its threads is live.
#[inline(always)]
pub(crate) fn is_last_of_process(task: Task) -> bool {
    read::at::<i32>(task.signal(), SIGNAL_LIVE.load()) == 0
}

#[inline(always)]
pub(crate) fn exited(task: Task) {
    let signal = task.signal();
    let tgid = task.tgid();
    let Some(mut entry) = reserve::<Exit>(&LIFE_RING, tag::EXIT, lost::LIFE) else {
        forget(tgid);
        return;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.lost_marks = 0;
    record.lost_rss = 0;
    record.limited_marks = 0;
    if let Some(traced) = TGID_TO_TRACED.get_ptr(tgid) {
        record.lost_marks = unsafe { (*traced).lost_marks } as u32;
        record.lost_rss = unsafe { (*traced).lost_rss } as u32;
        record.limited_marks = unsafe { (*traced).limited_marks } as u32;
    }
    let leader = task.leader();
    let flags: u32 = read::at(signal, SIGNAL_FLAGS.load());
    record.start = leader.start();
    record.tgid = tgid;
    record.status = if flags & SIGNAL_GROUP_EXIT != 0 {
        read::at(signal, SIGNAL_EXIT_CODE.load())
    } else {
        read::at(leader.0, TASK_EXIT_CODE.load())
    };
    record.peak = read::at(signal, SIGNAL_MAXRSS.load());
    let mm = task.mm();
    record.has_pages = u32::from(mm != 0);
    read::exact(mm, &mut record.pages);
    entry.submit(Wake::Later.flags());
    forget(tgid);
}

#[inline(always)]
fn forget(tgid: u32) {
    let _ = TGID_TO_TRACED.remove(tgid);
    let _ = TGID_TO_PYTHON.remove(tgid);
}
