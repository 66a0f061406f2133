//! The numbers about kernel structs that the probes need, found in BTF. Pure.

#[cfg(test)]
mod tests;

use super::btf::{self, Btf, BtfError, kind};

const STRUCTS: &[&str] = &[
    "task_struct",
    "cred",
    "signal_struct",
    "mm_struct",
    "linux_binprm",
    "percpu_counter",
    "bpf_array",
    "css_set",
    "cgroup_subsys_state",
    "cgroup",
    "kernfs_node",
    "mem_cgroup",
    "page_counter",
    "cgroup_subsys_id",
];

const TRACEPOINTS: &[&str] = &[
    "rss_stat",
    "mark_victim",
    "signal_generate",
    "sched_wakeup_new",
    "sched_process_exec",
    "sched_process_exit",
    "task_rename",
    "mm_vmscan_memcg_reclaim_begin",
    "mm_vmscan_direct_reclaim_begin",
];

/// Types that programs are bound to by id.
const BOUND: &[(u8, &str)] = &[
    (kind::TYPEDEF, "btf_trace_rss_stat"),
    (kind::FUNC, "bpf_iter_task"),
];

/// How a kernel keeps RSS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RssLayout {
    /// `struct percpu_counter rss_stat[NR_MM_COUNTERS]`: 6.2 and later.
    PerCpu,
    /// `struct mm_rss_stat { atomic_long_t count[NR_MM_COUNTERS]; }`: before.
    Atomic,
}

/// What BTF says about this kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Value of each global of `memtrace-ebpf/src/config.rs` that BTF decides.
    pub globals: Vec<(&'static str, u32)>,
    /// How RSS is kept.
    pub rss: RssLayout,
    /// Of the tracepoints that are wanted, those that this kernel lacks.
    pub missing_tracepoints: Vec<&'static str>,
    /// BTF with nothing but the types that programs are bound to, at the kernel's ids: aya takes
    /// several times as long and a hundred times the memory for the whole.
    pub bound_types: Vec<u8>,
}

/// Why the probes cannot work from a kernel's BTF.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The blob is broken.
    #[error(transparent)]
    Btf(#[from] BtfError),
    /// A field that the probes need is not there.
    #[error("this kernel's BTF has no {0}")]
    Missing(String),
    /// RSS is kept in a way that no known kernel has.
    #[error("this kernel keeps mm_struct.rss_stat in an unknown form")]
    RssForm,
}

/// The fields, each with the global that takes its offset.
const FIELDS: &[(&str, &str, &str)] = &[
    ("TASK_MM", "task_struct", "mm"),
    ("TASK_TGID", "task_struct", "tgid"),
    ("TASK_PID", "task_struct", "pid"),
    ("TASK_START", "task_struct", "start_boottime"),
    ("TASK_COMM", "task_struct", "comm"),
    ("TASK_CRED", "task_struct", "cred"),
    ("TASK_SIGNAL", "task_struct", "signal"),
    ("TASK_PARENT", "task_struct", "real_parent"),
    ("TASK_LEADER", "task_struct", "group_leader"),
    ("TASK_EXIT_CODE", "task_struct", "exit_code"),
    ("TASK_CGROUPS", "task_struct", "cgroups"),
    ("CRED_UID", "cred", "uid"),
    ("SIGNAL_LIVE", "signal_struct", "live"),
    ("SIGNAL_FLAGS", "signal_struct", "flags"),
    ("SIGNAL_EXIT_CODE", "signal_struct", "group_exit_code"),
    ("SIGNAL_MAXRSS", "signal_struct", "maxrss"),
    ("SIGNAL_OOM_ADJ", "signal_struct", "oom_score_adj"),
    ("MM_OWNER", "mm_struct", "owner"),
    ("MM_RSS", "mm_struct", "rss_stat"),
    ("MM_TOTAL_VM", "mm_struct", "total_vm"),
    ("MM_PGTABLES", "mm_struct", "pgtables_bytes"),
    ("MM_ARG_START", "mm_struct", "arg_start"),
    ("MM_ARG_END", "mm_struct", "arg_end"),
    ("BPRM_FILENAME", "linux_binprm", "filename"),
    ("ARRAY_PPTRS", "bpf_array", "pptrs"),
    ("CSS_CGROUP", "cgroup_subsys_state", "cgroup"),
    ("CSS_PARENT", "cgroup_subsys_state", "parent"),
    ("CGROUP_KN", "cgroup", "kn"),
    ("KN_ID", "kernfs_node", "id"),
    ("KN_NAME", "kernfs_node", "name"),
    ("MEMCG_MEMORY", "mem_cgroup", "memory"),
    // In one union: v1 calls it memsw, v2 swap.
    ("MEMCG_SWAP", "mem_cgroup", "memsw"),
    ("COUNTER_USAGE", "page_counter", "usage"),
    ("COUNTER_MAX", "page_counter", "max"),
];

/// Where a task keeps the address of its thread's own storage, and how far below that the C library
/// may have its `pthread_self`: on x86-64 it is just that (glibc and musl), on aarch64 the struct
/// lies below the thread pointer.
#[cfg(target_arch = "x86_64")]
const THREAD_STORAGE: (&str, u32) = ("thread.fsbase", 0);
#[cfg(not(target_arch = "x86_64"))]
const THREAD_STORAGE: (&str, u32) = ("thread.uw.tp_value", 4096);

impl Layout {
    /// Finds everything in a BTF blob.
    pub fn find(blob: &[u8]) -> Result<Self, LayoutError> {
        let typedefs: Vec<String> = TRACEPOINTS
            .iter()
            .map(|name| format!("btf_trace_{name}"))
            .collect();
        let mut wanted: Vec<&str> = STRUCTS.to_vec();
        wanted.extend(typedefs.iter().map(String::as_str));
        wanted.extend(BOUND.iter().map(|(_, name)| *name));
        let btf = Btf::parse(blob, &wanted)?;
        let mut globals = Vec::with_capacity(FIELDS.len() + 8);
        for &(global, structure, field) in FIELDS {
            globals.push((global, need(&btf, structure, field)?));
        }
        let subsystem = btf
            .enumerator("cgroup_subsys_id", "memory_cgrp_id")
            .ok_or_else(|| LayoutError::Missing("memory cgroups".to_owned()))?;
        let subsystems = need(&btf, "css_set", "subsys")?;
        globals.push((
            "CSET_MEMORY",
            subsystems.saturating_add(subsystem.saturating_mul(8)),
        ));
        // Zero says that threads keep nothing to themselves.
        let untold = btf.offset("task_struct", "rss_stat.count").unwrap_or(0);
        globals.push(("TASK_RSS", untold));
        let (field, window) = THREAD_STORAGE;
        globals.push(("TASK_TLS", btf.offset("task_struct", field).unwrap_or(0)));
        globals.push(("TLS_WINDOW", window));
        let rss = rss(&btf, &mut globals)?;
        globals.push((
            "VICTIM_BY_PID",
            u32::from(first_is_number(&btf, "mark_victim")),
        ));
        globals.push(("GFP_FIRST", u32::from(gfp_first(&btf))));
        let missing_tracepoints = TRACEPOINTS
            .iter()
            .copied()
            .filter(|name| btf.tracepoint(name).is_none())
            .collect();
        Ok(Self {
            globals,
            rss,
            missing_tracepoints,
            bound_types: btf::stand_in(&bound(&btf)),
        })
    }
}

fn bound(btf: &Btf<'_>) -> Vec<(u8, &'static str, u32)> {
    BOUND
        .iter()
        .filter_map(|(kind, name)| Some((*kind, *name, btf.id(*kind, name)?)))
        .collect()
}

fn need(btf: &Btf<'_>, structure: &str, field: &str) -> Result<u32, LayoutError> {
    btf.offset(structure, field)
        .ok_or_else(|| LayoutError::Missing(format!("{structure}.{field}")))
}

fn rss(btf: &Btf<'_>, globals: &mut Vec<(&'static str, u32)>) -> Result<RssLayout, LayoutError> {
    const ARRAY: u8 = 3;
    let (layout, stride, count, per_cpu) = if btf.offset("mm_struct", "rss_stat.count").is_some() {
        (RssLayout::Atomic, 8, 0, 0)
    } else if btf.field_kind("mm_struct", "rss_stat") == Some(ARRAY) {
        let size = btf.size("percpu_counter").ok_or(LayoutError::RssForm)?;
        let count = need(btf, "percpu_counter", "count")?;
        let per_cpu = need(btf, "percpu_counter", "counters")?;
        (RssLayout::PerCpu, size, count, per_cpu)
    } else {
        return Err(LayoutError::RssForm);
    };
    globals.push(("RSS_STRIDE", stride));
    globals.push(("RSS_COUNT", count));
    globals.push(("RSS_PERCPU", per_cpu));
    globals.push(("PERCPU_RSS", u32::from(layout == RssLayout::PerCpu)));
    Ok(layout)
}

fn first_is_number(btf: &Btf<'_>, tracepoint: &str) -> bool {
    btf.tracepoint(tracepoint)
        .and_then(|arguments| arguments.into_iter().next())
        .is_some_and(|first| first.kind == kind::INT)
}

fn gfp_first(btf: &Btf<'_>) -> bool {
    btf.tracepoint("mm_vmscan_memcg_reclaim_begin")
        .and_then(|arguments| arguments.into_iter().next())
        .is_some_and(|first| first.typedef.as_deref() == Some("gfp_t"))
}
