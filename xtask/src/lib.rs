//! The project's habits, one verb per module. The binary only dispatches; the tests crate uses
//! [`tidy`].

pub mod cli;

pub mod build_ebpf;

pub mod test;

pub mod vm;

pub mod bench;

pub mod lint;

pub mod tidy;

pub mod accept;

pub mod fuzz;

pub mod soak;

pub mod storms;

pub mod bless;

mod rig;

mod workspace;
