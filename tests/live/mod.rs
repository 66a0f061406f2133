//! Real processes, a real kernel, real kills. `cargo xtask test` runs these as root, one after the
//! other, and says so where it cannot.
//!
//! No test sleeps to keep step: it waits for a line of memtrace, of a victim, or of a recording,
//! up to [`rig::patience`].

mod bad_input;
mod battery;
mod checkpoints;
mod guest;
mod hostile;
mod hunts;
mod kills;
mod loss;
mod many;
mod memory;
mod natives;
mod oom;
mod positions;
mod prints;
mod rig;
mod rights;
mod run;
mod stacks;
mod targets;
