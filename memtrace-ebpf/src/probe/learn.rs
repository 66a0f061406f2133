//! Learns `__per_cpu_offset[]`, which exact RSS needs, without kallsyms.
//!
//! A per-cpu map gives it away: the address of cpu N's value minus the map's own per-cpu pointer
//! (`bpf_array.pptrs[0]`) is what the kernel adds for cpu N. Never attached; user space runs it
//! once with `BPF_PROG_TEST_RUN` (5.10). Loaded only where per-cpu RSS counters are (6.2), so
//! `bpf_map_lookup_percpu_elem` (5.19) is always there.

use core::ptr::addr_of;

use aya_ebpf::{
    helpers::generated::bpf_map_lookup_percpu_elem, macros::raw_tracepoint,
    programs::RawTracePointContext,
};

use crate::{
    config::{ARRAY_PPTRS, CPUS},
    maps::{CPU_OFFSETS, PER_CPU},
    read,
};

#[raw_tracepoint(tracepoint = "sys_enter")]
fn learn_cpu_offsets(_ctx: RawTracePointContext) -> i32 {
    let map = read::number(addr_of!(PER_CPU) as u64);
    let per_cpu: u64 = read::at(map, ARRAY_PPTRS.load());
    let key = 0_u32;
    for cpu in 0..CPUS.load() {
        let value = unsafe {
            bpf_map_lookup_percpu_elem(
                addr_of!(PER_CPU).cast_mut().cast(),
                addr_of!(key).cast(),
                cpu,
            )
        };
        let (false, Some(slot)) = (value.is_null(), CPU_OFFSETS.get_ptr_mut(cpu)) else {
            continue;
        };
        unsafe { *slot = read::number(value as u64).wrapping_sub(per_cpu) };
    }
    0
}
