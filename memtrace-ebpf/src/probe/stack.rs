//! Stacks: of the thread under whose hands RSS grew, of the one whose need of memory the OOM killer
//! answered, and of every thread that SIGKILL is delivered to.
//!
//! A victim's memory is still its own when SIGKILL is delivered (`get_signal`, kernel/signal.c), and
//! is read from its own context; user space comes too late for that. What is not resident cannot be
//! read. The order of mark and deliveries is not fixed, so neither waits for the other.

use aya_ebpf::{
    EbpfContext,
    helpers::{bpf_get_current_pid_tgid, generated::bpf_get_stack},
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use memtrace_ebpf::wire::{NATIVES, Stack, lost, tag, why};

use super::python;
use crate::{
    config::*,
    emit::{Wake, count_lost, header_of},
    maps::{END, STACK_RING, TGID_TO_TRACED, TID_TO_KILLED, WALKS, Walk},
    read::{self, Task},
};

const SIGKILL: i32 = 9;
const BPF_F_USER_STACK: u64 = 1 << 8;

/// Behind `rss_btf`, which has found that a stack is due.
#[btf_tracepoint(function = "rss_stat")]
fn growth_btf(ctx: BtfTracePointContext) -> i32 {
    take(&ctx, why::GROWTH)
}

/// Behind `rss_raw`.
#[raw_tracepoint(tracepoint = "rss_stat")]
fn growth_raw(ctx: RawTracePointContext) -> i32 {
    take(&ctx, why::GROWTH)
}

/// Behind `mark_stack` and `kill_stack`: one for both, since each walk costs the verifier 20 ms.
#[raw_tracepoint(tracepoint = "signal_deliver")]
fn end_stack(ctx: RawTracePointContext) -> i32 {
    // The other's first argument is a task or its pid; 9 is a kernel thread's, which is no victim.
    let why = if ctx.arg::<u64>(0) == SIGKILL as u64 {
        why::KILL
    } else {
        why::MARK
    };
    take(&ctx, why)
}

/// The victim, if it is the one that asked for memory.
#[raw_tracepoint(tracepoint = "mark_victim")]
fn mark_stack(ctx: RawTracePointContext) -> i32 {
    let id = bpf_get_current_pid_tgid();
    let victim = if VICTIM_BY_PID.load() == 0 {
        Task(ctx.arg(0))
    } else {
        match unsafe { TID_TO_KILLED.get(id as u32) } {
            Some(task) => Task(*task),
            None => return 0,
        }
    };
    if victim.tgid() == (id >> 32) as u32 {
        unsafe { END.tail_call(&ctx, 0) };
    }
    0
}

/// Threads of a process that exits get a SIGKILL, too; what their process ends with tells which.
#[raw_tracepoint(tracepoint = "signal_deliver")]
fn kill_stack(ctx: RawTracePointContext) -> i32 {
    let signal = Task::current().signal();
    if ctx.arg::<i32>(0) == SIGKILL && read::at::<i32>(signal, SIGNAL_EXIT_CODE.load()) == SIGKILL {
        unsafe { END.tail_call(&ctx, 0) };
    }
    0
}

#[inline(always)]
fn take<C: EbpfContext>(ctx: &C, why: u32) -> i32 {
    let id = bpf_get_current_pid_tgid();
    let tgid = (id >> 32) as u32;
    if TGID_TO_TRACED.get_ptr(tgid).is_none() {
        return 0;
    }
    let Some(walk) = WALKS.get_ptr_mut(why) else {
        return 0;
    };
    let walk = unsafe { &mut *walk };
    let task = Task::current();
    let stack = &mut walk.stack;
    stack.start = task.leader().start();
    stack.tgid = tgid;
    stack.tid = id as u32;
    stack.why = why;
    stack.python = 0;
    stack.depth = 0;
    stack.comm = task.comm();
    stack.natives_len = 0;
    python::walk(walk, task, why, tgid);
    // Growth under a Python line is charged to that, and comes often.
    if why != why::GROWTH || walk.stack.depth == 0 {
        walk.stack.natives_len = unsafe {
            bpf_get_stack(
                ctx.as_ptr(),
                walk.stack.natives.as_mut_ptr().cast(),
                (8 * NATIVES) as u32,
                BPF_F_USER_STACK,
            )
        } as i32;
    }
    send(walk, why);
    0
}

#[inline(always)]
fn send(walk: &mut Walk, why: u32) {
    // Later than the code objects that were told for it.
    walk.stack.header = header_of::<Stack>(tag::STACK);
    let wake = if why == why::GROWTH {
        Wake::IfCaughtUp
    } else {
        Wake::Now
    };
    if STACK_RING
        .output::<Stack>(&walk.stack, wake.flags())
        .is_err()
    {
        count_lost(lost::STACK);
    }
}
