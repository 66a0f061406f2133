//! The floor of the benchmarks: programs that do nothing, or the least that anybody does, attached
//! where memtrace's are. Never part of memtrace itself.
#![no_std]
#![no_main]

use aya_ebpf::{
    macros::{btf_tracepoint, map, raw_tracepoint, tracepoint, uprobe},
    maps::PerCpuArray,
    programs::{BtfTracePointContext, ProbeContext, RawTracePointContext, TracePointContext},
};

/// What `bpftrace -e 'tracepoint:kmem:rss_stat { @ = count(); }'` counts in.
#[map]
static COUNT: PerCpuArray<u64> = PerCpuArray::with_max_entries(1, 0);

#[btf_tracepoint(function = "rss_stat")]
fn empty_btf(_ctx: BtfTracePointContext) -> i32 {
    0
}

#[raw_tracepoint(tracepoint = "rss_stat")]
fn empty_raw(_ctx: RawTracePointContext) -> i32 {
    0
}

#[uprobe]
fn empty_uprobe(_ctx: ProbeContext) -> u32 {
    0
}

/// The classic form, for machines without bpftrace.
#[tracepoint]
fn count_classic(_ctx: TracePointContext) -> u32 {
    if let Some(count) = COUNT.get_ptr_mut(0) {
        // SAFETY: the map gave the pointer out, and the verifier has seen it checked.
        unsafe { *count += 1 };
    }
    0
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 4] = *b"GPL\0";
