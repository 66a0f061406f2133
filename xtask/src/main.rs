//! The project's habits as verbs: `cargo xtask VERB`.

use std::process::ExitCode;

use clap::Parser as _;
use xtask::cli::{Cli, Verb};

fn main() -> ExitCode {
    let result = match Cli::parse().verb {
        Verb::BuildEbpf(options) => xtask::build_ebpf::run(&options),
        Verb::Test(options) => xtask::test::run(&options),
        Verb::Vm(options) => xtask::vm::run(&options),
        Verb::Lint => xtask::lint::run(),
        Verb::Tidy => xtask::tidy::run(),
        Verb::Bench(options) => xtask::bench::run(&options),
        Verb::Accept(options) => xtask::accept::run(&options),
        Verb::Fuzz(options) => xtask::fuzz::run(&options),
        Verb::Soak(options) => xtask::soak::run(&options),
        Verb::Storms(options) => xtask::storms::run(&options),
        Verb::Bless => xtask::bless::run(),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}
