//! `kmem:rss_stat`: the RSS of a traced process moved.
//!
//! Runs in the page-fault path under the page-table lock, for every process of the machine while
//! a traced process lives: what it does for a process that is not traced is what memtrace costs.
//! So it remembers, on each cpu, whose mm it last looked for in vain: that stays in vain until
//! somebody is added, which moves the generation.
//! Charged to the owner of the mm, whoever touched it; `owner->mm != mm` are the pages of a fork
//! or exec under way, which the child or the new program is charged with when it begins.

use core::ptr::{read_volatile, write_volatile};

use aya_ebpf::{
    helpers::bpf_get_current_pid_tgid,
    macros::{btf_tracepoint, raw_tracepoint},
    programs::{BtfTracePointContext, RawTracePointContext},
};
use memtrace_ebpf::wire::{Rss, lost, tag, why};

use crate::{
    config::*,
    emit::{Wake, add_one_shared, reserve},
    maps::{EPOCH, GENERATION, GROWTH, LAST_MISS, Miss, RSS_RING, TGID_TO_TRACED, Traced, WALKS},
    read::{self, field},
};

/// The cheapest form: BTF-typed pointers, direct loads. Needs 6.2 (older verifiers refuse the
/// array of `atomic_long_t`).
#[btf_tracepoint(function = "rss_stat")]
fn rss_btf(ctx: BtfTracePointContext) -> i32 {
    let mm: *const u8 = ctx.arg(0);
    let Some((miss, generation)) = unknown(mm as u64) else {
        return 0;
    };
    let owner: *const u8 = unsafe { field(mm, MM_OWNER.load()) };
    if owner.is_null() {
        return 0;
    }
    let owner_mm: *const u8 = unsafe { field(owner, TASK_MM.load()) };
    if owner_mm != mm {
        return 0;
    }
    let tgid: u32 = unsafe { field(owner, TASK_TGID.load()) };
    let Some(traced) = TGID_TO_TRACED.get_ptr_mut(tgid) else {
        return remember(miss, mm as u64, generation);
    };
    let first = MM_RSS.load() + RSS_COUNT.load();
    let stride = RSS_STRIDE.load();
    let file: i64 = unsafe { field(mm, first) };
    let anon: i64 = unsafe { field(mm, first + stride) };
    let shmem: i64 = unsafe { field(mm, first + 3 * stride) };
    if moved(mm as u64, tgid, traced, file + anon + shmem) {
        unsafe { GROWTH.tail_call(&ctx, 0) };
    }
    0
}

/// Where `tp_btf` cannot be loaded: the same with a helper call for each field.
#[raw_tracepoint(tracepoint = "rss_stat")]
fn rss_raw(ctx: RawTracePointContext) -> i32 {
    let mm: u64 = ctx.arg(0);
    let Some((miss, generation)) = unknown(mm) else {
        return 0;
    };
    let owner = read::Task(read::at(mm, MM_OWNER.load()));
    if owner.0 == 0 || owner.mm() != mm {
        return 0;
    }
    let tgid = owner.tgid();
    let Some(traced) = TGID_TO_TRACED.get_ptr_mut(tgid) else {
        return remember(miss, mm, generation);
    };
    let first = mm.wrapping_add(u64::from(MM_RSS.load() + RSS_COUNT.load()));
    let stride = RSS_STRIDE.load();
    let file: i64 = read::at(first, 0);
    let anon: i64 = read::at(first, stride);
    let shmem: i64 = read::at(first, 3 * stride);
    if moved(mm, tgid, traced, file + anon + shmem) {
        unsafe { GROWTH.tail_call(&ctx, 0) };
    }
    0
}

/// Where to remember this mm if it is in vain that it is looked for, and the generation to
/// remember it by, taken before the look: who is added in between moves it. Nothing if it is
/// known to be in vain.
#[inline(always)]
fn unknown(mm: u64) -> Option<(*mut Miss, u64)> {
    let generation = unsafe { read_volatile(GENERATION.get_ptr(0)?) };
    let miss = LAST_MISS.get_ptr_mut(0)?;
    let known = unsafe { (*miss).mm == mm && (*miss).generation == generation };
    if known {
        None
    } else {
        Some((miss, generation))
    }
}

/// The generation last: between the two stores the entry holds at most an older one.
#[inline(always)]
fn remember(miss: *mut Miss, mm: u64, generation: u64) -> i32 {
    unsafe {
        write_volatile(&raw mut (*miss).mm, mm);
        write_volatile(&raw mut (*miss).generation, generation);
    }
    0
}

/// Tells the RSS if it moved by a step, or at all since the last epoch. True if a stack is due.
#[inline(always)]
fn moved(mm: u64, tgid: u32, traced: *mut Traced, total: i64) -> bool {
    let traced = unsafe { &mut *traced };
    let distance = (total - traced.total).unsigned_abs();
    let epoch = EPOCH.get(0).copied().unwrap_or(0);
    let is_same_mm = traced.mm == mm;
    let same =
        is_same_mm && distance < STEP_PAGES.load() && (traced.epoch == epoch || distance == 0);
    if same {
        return false;
    }
    traced.mm = mm;
    traced.total = total;
    traced.epoch = epoch;
    let actor = (bpf_get_current_pid_tgid() >> 32) as u32;
    tell(mm, tgid, actor, traced);
    if STACK_PAGES.load() == 0 {
        return false;
    }
    if !is_same_mm {
        traced.stack_total = total;
        return false;
    }
    // What others touch waits for the process' own next touch.
    let is_due = (total - traced.stack_total).unsigned_abs() >= STACK_PAGES.load();
    if !is_due || actor != tgid {
        return false;
    }
    traced.stack_total = total;
    true
}

/// The memory is put where a stack of growth is put together: behind this it is charged with just
/// that.
#[inline(always)]
fn tell(mm: u64, tgid: u32, actor: u32, traced: &mut Traced) {
    let Some(walk) = WALKS.get_ptr_mut(why::GROWTH) else {
        return;
    };
    let pages = unsafe { &mut (*walk).stack.pages };
    read::exact(mm, pages);
    let Some(mut entry) = reserve::<Rss>(&RSS_RING, tag::RSS, lost::RSS) else {
        add_one_shared(&mut traced.lost_rss);
        return;
    };
    let record = unsafe { &mut *entry.as_mut_ptr() };
    record.mm = mm;
    record.tgid = tgid;
    record.actor = actor;
    record.pages = *pages;
    entry.submit(Wake::IfCaughtUp.flags());
}
