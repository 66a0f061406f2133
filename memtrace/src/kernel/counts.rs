//! What the probes counted: what they could not send, and what the kernel did not run them for.

use std::{
    fs,
    os::fd::{AsFd as _, AsRawFd as _},
};

use aya::programs::Program;
use memtrace_ebpf::wire::{lost, spared};

use super::{
    load::{EXIT, HARMLESS, Probes},
    prints::WRITES,
};
use crate::event::Unsent;

/// What the kernel did not run our programs for, since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Events that are lost.
    pub events: u64,
    /// Threads whose end was not seen. One that was the last of its process is told by its SIGCHLD,
    /// unless the parent ignores that; the others do not matter.
    pub ends: u64,
    /// Calls of write(2), of any process. No classic tracepoint's program is run on a cpu that is in
    /// the middle of a `bpf` call on a map, be it memtrace's own that was preempted
    /// (`bpf_disable_instrumentation`, `include/linux/bpf.h`; `trace_call_bpf`,
    /// `kernel/trace/bpf_trace.c`, 5.10 to 7.3).
    pub writes: u64,
}

impl Probes {
    /// Records that could not be sent since the start, by class of [`lost`].
    pub fn lost(&self) -> [u64; lost::CLASSES as usize] {
        let mut total = [0; lost::CLASSES as usize];
        for (class, sum) in (0_u32..).zip(&mut total) {
            if let Ok(values) = self.lost.get(&class, 0) {
                *sum = values.iter().sum();
            }
        }
        total
    }

    /// Events that no program of ours was run for, because it was running on that cpu already:
    /// interrupted by itself, or, where tracepoints can be preempted, by another process. The kernel
    /// counts since 5.12 what it skips (`recursion_misses`); what a spare told instead is not lost.
    pub fn skipped(&self) -> Skipped {
        let mut skipped = Skipped::default();
        for (name, program) in self.ebpf.programs() {
            match name {
                EXIT => skipped.ends += misses(program),
                _ if WRITES.iter().any(|&(write, _)| write == name) => {
                    skipped.writes += misses(program);
                }
                _ if HARMLESS.contains(&name) => {}
                _ => skipped.events += misses(program),
            }
        }
        for probe in 0..spared::PROBES {
            let values = self.spared.get(&probe, 0);
            let spared: u64 = values.map_or(0, |values| values.iter().sum());
            let count = match probe {
                spared::EXIT => &mut skipped.ends,
                _ => &mut skipped.events,
            };
            *count = count.saturating_sub(spared);
        }
        skipped
    }

    /// What could not be sent of one process.
    pub fn unsent(&self, pid: u32) -> Unsent {
        let Ok([_, _, _, marks, steps, too_fast, ..]) = self.traced.get(&pid, 0) else {
            return Unsent::default();
        };
        let [marks, steps, too_fast] =
            [marks, steps, too_fast].map(|count| u32::try_from(count).unwrap_or(u32::MAX));
        Unsent {
            marks,
            steps,
            too_fast,
        }
    }
}

/// How often the kernel has skipped a program.
fn misses(program: &Program) -> u64 {
    let of_text = |text: &str| {
        let count = text
            .lines()
            .find_map(|line| line.strip_prefix("recursion_misses:"))?;
        count.trim().parse().ok()
    };
    program
        .fd()
        .ok()
        .map(|fd| format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))
        .and_then(|path| fs::read_to_string(path).ok())
        .and_then(|text| of_text(&text))
        .unwrap_or(0)
}
