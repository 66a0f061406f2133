//! What this host lets us stand on, and what to say when it lets us not.

use super::{RunError, notice};
use crate::{
    kernel::{
        facts::Facts,
        load::{Ground, Probes},
        programs::LoadError,
    },
    plan::TracePlan,
};

/// The kernel's structs where its BTF is known, else the records of classic tracepoints.
pub(super) fn ground(facts: &Facts) -> Result<Ground<'_>, RunError> {
    let no_btf = match (&facts.formats, &facts.layout) {
        (Some(Ok(offsets)), Ok(_)) => return Ok(Ground::Plain(offsets)),
        (_, Ok(layout)) => return Ok(Ground::Typed(layout)),
        (Some(Ok(offsets)), Err(error)) => {
            notice(&format!("{error}; {WITHOUT_BTF}"));
            return Ok(Ground::Plain(offsets));
        }
        (_, Err(error)) => error,
    };
    let formats = match &facts.formats {
        Some(Err(error)) => format!("; and {error}"),
        _ => String::new(),
    };
    Err(RunError::Other(anyhow::anyhow!("{no_btf}{formats}")))
}

const WITHOUT_BTF: &str = "going on with classic tracepoints: sizes come from /proc and are late by \
    milliseconds, exit codes and limits are not known. A kernel with CONFIG_DEBUG_INFO_BTF=y has it \
    all (Debian 11, Ubuntu 20.10, RHEL 8.2 and later), or --btf FILE with the BTF of this very kernel";

/// `--prints` and `--lines`: refuses where the kernel has nothing to tell lines by, and says what it is
/// that they tell late.
pub(super) fn watch_lines(
    probes: &mut Probes,
    facts: &Facts,
    plan: &TracePlan,
) -> Result<(), RunError> {
    if plan.prints.is_some() {
        let watched = probes.watch_prints();
        watched.map_err(|error| refused(facts, error))?;
    }
    if plan.lines.is_none() {
        return Ok(());
    }
    probes.watch_writes().map_err(|error| {
        let error = anyhow::Error::new(error).context(
            "--lines: it stands on the tracepoints syscalls:sys_enter_write and sys_enter_writev, of \
             kernels with CONFIG_FTRACE_SYSCALLS, in tracefs (mount -t tracefs tracefs \
             /sys/kernel/tracing)",
        );
        RunError::Other(error)
    })?;
    notice(
        "--lines: a program that buffers its output is late: its lines are told when it writes them",
    );
    Ok(())
}

/// Says what is missing when the kernel refuses, else what failed.
pub(super) fn refused(facts: &Facts, error: LoadError) -> RunError {
    if !error.is_not_permitted() && facts.missing_capabilities.is_empty() {
        return RunError::Other(anyhow::Error::new(error));
    }
    let may_probe = !facts
        .missing_capabilities
        .iter()
        .any(|name| matches!(*name, "CAP_SYS_ADMIN" | "CAP_BPF" | "CAP_PERFMON"));
    if let Some(bytes) = facts.locked_limit.filter(|_| may_probe) {
        return RunError::NotPermitted(format!(
            "not permitted: {:#}\nbefore 5.11 the kernel counts maps as locked memory, and RLIMIT_MEMLOCK \
             is {} KiB here: raise it (ulimit -l unlimited, LimitMEMLOCK=infinity in a unit, \
             docker run --ulimit memlock=-1), or give memtrace CAP_SYS_RESOURCE, with which it does so itself",
            anyhow::Error::new(error),
            bytes >> 10
        ));
    }
    let missing = if facts.missing_capabilities.is_empty() {
        "the kernel refuses it even so (lockdown, a container's seccomp filter, or \
         kernel.unprivileged_bpf_disabled)"
            .to_owned()
    } else {
        format!("missing: {}", facts.missing_capabilities.join(", "))
    };
    RunError::NotPermitted(format!(
        "not permitted: {:#}\n{missing}\nrun it as root (sudo memtrace …), or give the program what \
         it needs: sudo setcap cap_sys_admin,cap_bpf,cap_perfmon,cap_sys_ptrace,cap_dac_read_search+ep {}",
        anyhow::Error::new(error),
        std::env::current_exe().unwrap_or_default().display()
    ))
}

/// A thousandth of the machine's memory, from 8 MiB, which hold forty thousand checkpoints with
/// short names, to 16 MiB, which outlast a cpu that a hypervisor takes away.
pub(super) fn mark_ring_bytes(total_memory: Option<u64>) -> u32 {
    let part = (total_memory.unwrap_or(0) >> 10).clamp(8 << 20, 16 << 20);
    let part = u32::try_from(part).unwrap_or(16 << 20);
    1 << part.ilog2()
}
