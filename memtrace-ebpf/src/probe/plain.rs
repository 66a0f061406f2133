//! The same events from classic tracepoints, for kernels without BTF: their records have a layout
//! of their own that user space reads from tracefs. What needs kernel structs (memory, identity,
//! cgroups) is missing here and is read from /proc by user space, a moment later.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{bpf_get_current_comm, bpf_get_current_pid_tgid, bpf_get_current_uid_gid},
    macros::tracepoint,
    programs::TracePointContext,
};
use memtrace_ebpf::wire::{
    EXIT_STATUS_UNKNOWN, Exec, Exit, Fork, OomMark, Pages, Rss, Sigkill, lost, reclaim, tag,
};

use crate::{
    config::*,
    emit::{Wake, reserve},
    maps::{EPOCH, LIFE_RING, MEMBER_TO_TOLD, MM_ID_TO_TGID, RSS_RING, TGID_TO_TRACED, Told},
    probe::life::trace,
    read,
};

const SIGKILL: i32 = 9;
const SI_KERNEL: i32 = 0x80;
const SWAP: u32 = 2;

#[inline(always)]
fn field<T: read::Plain>(ctx: &TracePointContext, offset: u32) -> T {
    read::at(ctx.as_ptr() as u64, offset)
}

#[inline(always)]
fn current() -> (u32, u32) {
    let id = bpf_get_current_pid_tgid();
    ((id >> 32) as u32, id as u32)
}

/// One member of one mm has a new size. The mm is known by a number only: whose it is shows when
/// its owner itself touches it.
#[tracepoint]
fn plain_rss(ctx: TracePointContext) -> u32 {
    let id: u32 = field(&ctx, PLAIN_RSS_ID.load());
    let own: u32 = field(&ctx, PLAIN_RSS_CURR.load());
    let member: u32 = field(&ctx, PLAIN_RSS_MEMBER.load());
    let size: i64 = field(&ctx, PLAIN_RSS_SIZE.load());
    let tgid = if own != 0 {
        current().0
    } else {
        match unsafe { MM_ID_TO_TGID.get(id) } {
            Some(tgid) => *tgid,
            None => return 0,
        }
    };
    if member == SWAP || TGID_TO_TRACED.get_ptr(tgid).is_none() {
        return 0;
    }
    if own != 0 {
        let _ = MM_ID_TO_TGID.insert(id, tgid, 0);
    }
    let key = u64::from(tgid) << 32 | u64::from(member);
    let epoch = EPOCH.get(0).copied().unwrap_or(0);
    if let Some(told) = unsafe { MEMBER_TO_TOLD.get(key) } {
        let distance = (size - told.size).unsigned_abs() >> PLAIN_PAGE_SHIFT.load();
        if distance < STEP_PAGES.load() && (told.epoch == epoch || distance == 0) {
            return 0;
        }
    }
    let _ = MEMBER_TO_TOLD.insert(
        key,
        Told {
            size,
            epoch,
            zero: 0,
        },
        0,
    );
    let Some(mut entry) = reserve::<Rss>(&RSS_RING, tag::RSS, lost::RSS) else {
        return 0;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.mm = u64::from(id);
    record.tgid = tgid;
    record.actor = current().0;
    record.pages = Pages::default();
    entry.submit(Wake::IfCaughtUp.flags());
    0
}

/// Threads come this way too; user space tells them apart.
#[tracepoint]
fn plain_fork(ctx: TracePointContext) -> u32 {
    let (parent, _) = current();
    let child: u32 = field(&ctx, PLAIN_FORK_CHILD.load());
    let traced = FOLLOW.load() != 0 && TGID_TO_TRACED.get_ptr(parent).is_some();
    if traced {
        trace(child);
    }
    let Some(mut entry) = reserve::<Fork>(&LIFE_RING, tag::FORK, lost::LIFE) else {
        return 0;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.start = 0;
    record.parent = parent;
    record.child = child;
    record.shares_mm = 0;
    record.uid = bpf_get_current_uid_gid() as u32;
    record.comm = bpf_get_current_comm().unwrap_or([0; 16]);
    record.pages = Pages::default();
    entry.submit(Wake::IfCaughtUp.flags());
    0
}

#[tracepoint]
fn plain_exec(_ctx: TracePointContext) -> u32 {
    let (tgid, _) = current();
    if WATCH_EXEC.load() != 0 {
        trace(tgid);
    }
    let Some(mut entry) = reserve::<Exec>(&LIFE_RING, tag::EXEC, lost::LIFE) else {
        return 0;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.start = 0;
    record.tgid = tgid;
    record.uid = bpf_get_current_uid_gid() as u32;
    record.filename_len = -1;
    record.args_len = 0;
    record.comm = bpf_get_current_comm().unwrap_or([0; 16]);
    record.pages = Pages::default();
    record.filename[0] = 0;
    entry.submit(Wake::Now.flags());
    0
}

/// Told at the end of the leader; with what status is not in the record.
#[tracepoint]
fn plain_exit(_ctx: TracePointContext) -> u32 {
    let (tgid, tid) = current();
    if tgid != tid {
        return 0;
    }
    if let Some(mut entry) = reserve::<Exit>(&LIFE_RING, tag::EXIT, lost::LIFE) {
        let record = unsafe { &mut *entry.as_mut_ptr() };
        record.start = 0;
        record.tgid = tgid;
        record.status = EXIT_STATUS_UNKNOWN;
        record.lost_marks = 0;
        record.lost_rss = 0;
        record.peak = 0;
        record.has_pages = 0;
        record.limited_marks = 0;
        record.pages = Pages::default();
        entry.submit(Wake::Now.flags());
    }
    let _ = TGID_TO_TRACED.remove(tgid);
    0
}

#[tracepoint]
fn plain_signal(ctx: TracePointContext) -> u32 {
    if field::<i32>(&ctx, PLAIN_SIGNAL_SIG.load()) != SIGKILL {
        return 0;
    }
    let (tgid, tid) = current();
    let code: i32 = field(&ctx, PLAIN_SIGNAL_CODE.load());
    let target: u32 = field(&ctx, PLAIN_SIGNAL_PID.load());
    let Some(mut entry) = reserve::<Sigkill>(&LIFE_RING, tag::SIGKILL, lost::KILL) else {
        return 0;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.start = 0;
    record.tgid = target;
    record.tid = target;
    record.comm = [0; 16];
    record.sender_tgid = tgid;
    record.sender_tid = tid;
    record.sender_uid = bpf_get_current_uid_gid() as u32;
    record.code = code;
    record.sender_comm = bpf_get_current_comm().unwrap_or([0; 16]);
    record.info = if code == SI_KERNEL { 1 } else { 2 };
    record.group = field(&ctx, PLAIN_SIGNAL_GROUP.load());
    record.result = field(&ctx, PLAIN_SIGNAL_RESULT.load());
    record.zero = 0;
    record.pages = Pages::default();
    entry.submit(Wake::Now.flags());
    0
}

#[tracepoint]
fn plain_mark(ctx: TracePointContext) -> u32 {
    let (tgid, tid) = current();
    let victim: u32 = field(&ctx, PLAIN_MARK_PID.load());
    let Some(mut entry) = reserve::<OomMark>(&LIFE_RING, tag::OOM_MARK, lost::KILL) else {
        return 0;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    let header = record.header;
    unsafe {
        core::ptr::write_bytes(
            entry.as_mut_ptr().cast::<u64>(),
            0,
            size_of::<OomMark>() / 8,
        );
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.header = header;
    record.tgid = victim;
    record.tid = victim;
    record.trigger_tgid = tgid;
    record.trigger_tid = tid;
    record.trigger_comm = bpf_get_current_comm().unwrap_or([0; 16]);
    record.trigger_uid = bpf_get_current_uid_gid() as u32;
    record.reclaim = reclaim::NONE;
    entry.submit(Wake::Now.flags());
    0
}
