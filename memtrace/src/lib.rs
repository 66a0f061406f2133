//! memtrace follows the resident memory of processes from inside the kernel and, when one of them
//! is `Killed`, says who did it, for which limit, after which checkpoint, and what grew.
//!
//! Facts flow one way. A stage knows the output of the stage above it and nothing else.
//!
//! ```text
//! kernel    memtrace-ebpf: probe/* → emit → rings ......................... lost? → LOST counters
//!           ------------------------------------------------------------------------------------
//! user      kernel/ring → decode → track → (tee: record/write) → align → sink/{usual_log, live}
//! offline                          record/read ────────────────────^        └→ report
//! ```

pub mod units;

pub mod loss;

pub mod entry;
pub mod event;

pub mod decode;

pub mod kernel;

pub mod naming;
pub mod targets;
pub mod track;

pub mod clock;
pub mod contain;
pub mod lines;
pub mod text;
pub mod words;

pub mod python;
pub mod record;

pub mod align;

pub mod phrase;
pub mod report;
pub mod share;
pub mod sink;

pub mod report_files;

pub mod cli;
pub mod plan;

pub mod command;
pub mod doctor;
pub mod run;
pub mod stacks;

#[cfg(test)]
mod sample;
