//! What user space sets before the programs are loaded: offsets of kernel structs, found in the
//! running kernel's BTF, and the few settings that the probes need.
//!
//! One global for each number. User space freezes them before the verifier runs, so they are
//! constants to it: branches on them cost nothing and offsets can be added to kernel pointers.

use aya_ebpf::Global;

macro_rules! globals {
    ($($(#[$doc:meta])* $name:ident: $kind:ty;)*) => {$(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        pub(crate) static $name: Global<$kind> = Global::new(0);
    )*};
}

globals! {
    /// Pages that RSS must move before it is told (`--step`).
    STEP_PAGES: u64;
    /// Pages that RSS must move before a stack is taken (`--stack-step`); 0: no stacks.
    STACK_PAGES: u64;
    /// Not zero: children of traced processes are traced.
    FOLLOW: u32;
    /// Not zero: every exec is held in the table until user space has looked at it.
    WATCH_EXEC: u32;

    /// Always zero, which the compiler does not know: what stands behind it is never run.
    NEVER: u32;

    /// Possible cpus.
    CPUS: u32;
    /// Not zero: `bpf_get_attach_cookie` exists (5.15).
    HAS_COOKIE: u32;
    /// Not zero: `bpf_get_current_task_btf` exists (5.11), and BTF in the kernel for it.
    TYPED: u32;
    /// Not zero: RSS is kept in `percpu_counter`s (6.2), else in atomics.
    PERCPU_RSS: u32;
    /// Not zero: `mark_victim` passes a pid, not a task (before 6.9 and its backports).
    VICTIM_BY_PID: u32;
    /// Not zero: the reclaim tracepoints pass gfp before order (7.x).
    GFP_FIRST: u32;

    /// Log2 of the bytes of a page, for the probes on classic tracepoints. The next ones are offsets in the
    /// records of those, from tracefs.
    PLAIN_PAGE_SHIFT: u32;
    /// `kmem:rss_stat`, `mm_id`
    PLAIN_RSS_ID: u32;
    /// `kmem:rss_stat`, `curr`
    PLAIN_RSS_CURR: u32;
    /// `kmem:rss_stat`, `member`
    PLAIN_RSS_MEMBER: u32;
    /// `kmem:rss_stat`, `size`
    PLAIN_RSS_SIZE: u32;
    /// `sched:sched_process_fork`, `child_pid`
    PLAIN_FORK_CHILD: u32;
    /// `signal:signal_generate`, `sig`
    PLAIN_SIGNAL_SIG: u32;
    /// `signal:signal_generate`, `code`
    PLAIN_SIGNAL_CODE: u32;
    /// `signal:signal_generate`, `pid`
    PLAIN_SIGNAL_PID: u32;
    /// `signal:signal_generate`, `group`
    PLAIN_SIGNAL_GROUP: u32;
    /// `signal:signal_generate`, `result`
    PLAIN_SIGNAL_RESULT: u32;
    /// `oom:mark_victim`, `pid`
    PLAIN_MARK_PID: u32;

    /// `task_struct.thread.fsbase` (x86-64) or `.thread.uw.tp_value` (aarch64): where a thread's own
    /// storage begins; or 0.
    TASK_TLS: u32;
    /// How far below that `pthread_self` may be; 0: it is just that.
    TLS_WINDOW: u32;

    /// `task_struct.mm`
    TASK_MM: u32;
    /// `task_struct.tgid`
    TASK_TGID: u32;
    /// `task_struct.pid`
    TASK_PID: u32;
    /// `task_struct.start_boottime`
    TASK_START: u32;
    /// `task_struct.comm`
    TASK_COMM: u32;
    /// `task_struct.cred`
    TASK_CRED: u32;
    /// `task_struct.signal`
    TASK_SIGNAL: u32;
    /// `task_struct.real_parent`
    TASK_PARENT: u32;
    /// `task_struct.group_leader`
    TASK_LEADER: u32;
    /// `task_struct.exit_code`
    TASK_EXIT_CODE: u32;
    /// `task_struct.cgroups`
    TASK_CGROUPS: u32;
    /// `task_struct.rss_stat.count`, before 6.2; else zero.
    TASK_RSS: u32;
    /// `cred.uid`
    CRED_UID: u32;
    /// `signal_struct.live`
    SIGNAL_LIVE: u32;
    /// `signal_struct.flags`
    SIGNAL_FLAGS: u32;
    /// `signal_struct.group_exit_code`
    SIGNAL_EXIT_CODE: u32;
    /// `signal_struct.maxrss`
    SIGNAL_MAXRSS: u32;
    /// `signal_struct.oom_score_adj`
    SIGNAL_OOM_ADJ: u32;
    /// `mm_struct.owner`
    MM_OWNER: u32;
    /// `mm_struct.rss_stat`
    MM_RSS: u32;
    /// `mm_struct.total_vm`
    MM_TOTAL_VM: u32;
    /// `mm_struct.pgtables_bytes`
    MM_PGTABLES: u32;
    /// `mm_struct.arg_start`
    MM_ARG_START: u32;
    /// `mm_struct.arg_end`
    MM_ARG_END: u32;
    /// `linux_binprm.filename`
    BPRM_FILENAME: u32;
    /// Bytes from one RSS member to the next: `sizeof(struct percpu_counter)` or 8.
    RSS_STRIDE: u32;
    /// `percpu_counter.count`, or 0
    RSS_COUNT: u32;
    /// `percpu_counter.counters`
    RSS_PERCPU: u32;
    /// `bpf_array.pptrs`
    ARRAY_PPTRS: u32;
    /// `css_set.subsys[memory_cgrp_id]`
    CSET_MEMORY: u32;
    /// `cgroup_subsys_state.cgroup`
    CSS_CGROUP: u32;
    /// `cgroup_subsys_state.parent`
    CSS_PARENT: u32;
    /// `cgroup.kn`
    CGROUP_KN: u32;
    /// `kernfs_node.id`
    KN_ID: u32;
    /// `kernfs_node.name`
    KN_NAME: u32;
    /// `mem_cgroup.memory`
    MEMCG_MEMORY: u32;
    /// `mem_cgroup.memsw`, which v2 calls `swap`
    MEMCG_SWAP: u32;
    /// `page_counter.usage`
    COUNTER_USAGE: u32;
    /// `page_counter.max`
    COUNTER_MAX: u32;
}
