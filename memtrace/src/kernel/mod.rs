//! Everything that touches the running kernel: facts about it, the probes, the rings, /proc.
//!
//! Does not decide what to trace or what a record means.

pub mod btf;
pub mod cgroup;
pub mod counts;
pub mod drain;
pub mod enrich;
pub mod facts;
pub mod finder;
pub mod formats;
pub mod load;
pub mod memory;
pub mod natives;
pub mod offsets;
mod patience;
pub mod prints;
pub mod procfs;
pub mod programs;
pub mod protect;
pub mod python;
pub mod pythons;
pub mod rights;
pub mod ring;
pub mod sensor;
pub mod spawn;
pub mod stacks;
pub mod symbols;
