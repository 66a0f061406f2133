//! What can be typed after `cargo xtask`.

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

/// The project's habits as verbs. CI calls these and nothing cleverer.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub struct Cli {
    /// The habit.
    #[command(subcommand)]
    pub verb: Verb,
}

/// One habit.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Build the eBPF objects, print their programs, maps and sizes, refresh the checked-in copies
    ///
    /// Needs a nightly with rust-src, and bpf-linker; when something is missing, the commands that
    /// bring it are printed. The versions that the checked-in copies are built with stand in
    /// memtrace-ebpf/toolchain.env; with other versions the object is built and shown, and the
    /// checked-in copy is left alone.
    ///
    /// Exit status: 0 done, or the copies are what the sources build; 1 one is not, or the build
    /// failed; 3 it cannot be compared, because the toolchain is another one; 4 a tool is missing.
    BuildEbpf(BuildEbpf),
    /// Run every test: unit, goldens, command line, Python and, as root, live on this kernel
    ///
    /// Nothing skips silently: the end of the output says how many of each ran, what was not run
    /// and why. The last line is `N passed, N failed`. With CI=true, as root, a group that cannot
    /// be run is a failure.
    Test(Test),
    /// Boot real kernels in QEMU and run the live tests in each
    ///
    /// Kernels, QEMU and what the guests run come as Debian's packages, by name, into target/vm,
    /// and are kept there; nothing is installed. Needs apt, dpkg, gcc and the musl targets of Rust
    /// (which are added where rustup may), and no root. A guest that panics,
    /// hangs or ends without a verdict has failed, and the end of its kernel's log is shown.
    ///
    /// Exit status: 0 every test passed on every kernel; 1 one did not, or a kernel is not to be had.
    Vm(Vm),
    /// Check formatting, clippy (user space and the bpf target), docs, dependencies, and tidy
    ///
    /// What cannot be checked here (no nightly clippy, no cargo-deny) is listed at the end.
    Lint,
    /// Check the house rules that no compiler knows: layers, modules, unsafe, file sizes, paths
    Tidy,
    /// Measure what memtrace costs, beside an empty program in the same place
    ///
    /// The ways to be compared take turns, and medians over the runs are held against the targets.
    /// Needs root, gcc, taskset and a machine that is not busy; takes a few minutes.
    ///
    /// Exit status: 0 all targets are reached; 1 one is missed, or something failed.
    Bench(Bench),
    /// Measure what a release has to show: 200 kills of the example, RSS at 500 checkpoints, 200
    /// processes at once
    ///
    /// Each of the example's five scenarios is killed as often as --rounds says, with one thread
    /// and with four; the verdict has to name the right checkpoint each time, and the report has
    /// to stand on disk within 100 ms of the kernel's mark. Needs root.
    ///
    /// Exit status: 0 everything was as it must be; 1 something was not.
    Accept(Accept),
    /// Feed nonsense to whatever reads what memtrace does not write: rings, recordings, logs, ELF
    /// files, BTF, tracefs
    ///
    /// Each target of fuzz/src/bin runs for --seconds, as many at once as there are cpus, from the
    /// inputs in fuzz/corpus and those of earlier runs here. Prints a line for each: runs,
    /// coverage, findings. Needs the nightly of memtrace-ebpf/toolchain.env and g++; when something
    /// is missing, the commands that bring it are printed.
    ///
    /// Exit status: 0 nothing was found; 1 something was, and its reproducer is named; 4 a tool is
    /// missing.
    Fuzz(Fuzz),
    /// Let one memtrace follow kills, checkpoints and short lives for long, and watch its memory
    ///
    /// Kills victims in a memory cgroup again and again, while others set checkpoints, rename
    /// themselves, exec, fork and end. Prints a line a minute: memory, descriptors, threads, lives
    /// and kills. Needs root and gcc; takes a few hundred megabytes.
    ///
    /// Exit status: 0 memtrace did not grow, each kill had the right verdict and nothing was lost;
    /// 1 something was not so.
    Soak(Soak),
    /// Raise storms of kills, lives, page faults and checkpoints, stop memtrace, fill and stall its
    /// disk
    ///
    /// Each storm has a memtrace, cgroups and victims of its own. Prints a line for each: what was
    /// done, what of it memtrace has, what it says that it has lost. Steps and checkpoints may be
    /// lost where there are too many, if they are counted; an OOM kill, an exit or the order within a
    /// process may not. Needs root and gcc; takes two gigabytes and some six minutes.
    ///
    /// Exit status: 0 every storm held; 1 one did not, and what it left is in target/storms.
    Storms(Storms),
    /// Rewrite the goldens and the snapshots of the command line from what the code does now
    ///
    /// Look at `git diff` afterwards: each changed line is a promise to users that changed.
    Bless,
}

/// Options of `build-ebpf`.
#[derive(Debug, Args)]
pub struct BuildEbpf {
    /// Architecture of the kernel that the object is for [default: each]
    #[arg(long, value_enum)]
    pub arch: Option<Arch>,
    /// Build to a temporary place and compare byte for byte with the checked-in copy
    #[arg(long)]
    pub check: bool,
    /// Log lines from inside the probes, for development; the checked-in copy is left alone
    #[arg(long, conflicts_with = "check")]
    pub diagnostics: bool,
}

/// An architecture whose kernels the probes know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    /// 64-bit x86.
    #[value(name = "x86_64")]
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// As the compiler's `target_arch` and the object's file name spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// This machine's, if the probes know it.
    pub fn host() -> Option<Self> {
        <Self as ValueEnum>::from_str(std::env::consts::ARCH, false).ok()
    }
}

/// Options of `test`.
#[derive(Debug, Args)]
pub struct Test {
    /// Only tests whose name contains this
    #[arg(long)]
    pub filter: Option<String>,
    /// Leave out the tests that trace real processes on this kernel
    #[arg(long)]
    pub no_live: bool,
}

/// Options of `vm`.
#[derive(Debug, Args)]
pub struct Vm {
    /// Kernels: a line such as 6.12, or `newest`; on aarch64 also 6.12-16k, with large pages
    /// [default: the whole matrix]
    pub kernels: Vec<String>,
    /// Only tests whose name contains this
    #[arg(long)]
    pub filter: Option<String>,
    /// Leave out tests whose name contains this; may be given again
    #[arg(long, value_name = "NAME")]
    pub skip: Vec<String>,
    /// The machine that is emulated [default: this one]
    ///
    /// For another one than this, its cross compiler is needed, such as gcc-aarch64-linux-gnu.
    #[arg(long, value_enum)]
    pub arch: Option<Arch>,
    /// Guests that run at the same time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub jobs: u32,
}

/// Options of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// What to measure [default: everything but peers]
    #[arg(value_enum)]
    pub subjects: Vec<Subject>,
    /// Runs of each way; the median counts
    #[arg(long, default_value_t = 7)]
    pub runs: u32,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Subject {
    /// Page faults: nobody traced, a neighbour traced, traced.
    Storm,
    /// An RSS event that takes no stack, beside an empty program.
    Event,
    /// A stack of ten Python frames, and one of forty-eight.
    Walk,
    /// A Python program that builds and drops objects, with checkpoints; one that grows to 1 GB.
    Python,
    /// A million checkpoints, from C and from Python.
    Marks,
    /// From exec of memtrace until it handles events.
    Start,
    /// CPU time of memtrace while nothing happens, and its memory with 1,000 processes.
    Collector,
    /// memray and Scalene on the same programs: who names the line after a kill, and what each costs.
    /// They come from the package index (pip), into target/peers.
    Peers,
}

impl Subject {
    /// What is measured if nothing is named, in the order of the table.
    pub const USUAL: [Self; 7] = [
        Self::Storm,
        Self::Event,
        Self::Walk,
        Self::Python,
        Self::Marks,
        Self::Start,
        Self::Collector,
    ];
}

/// Options of `accept`.
#[derive(Debug, Args)]
pub struct Accept {
    /// Kills of each scenario, with one thread and with four
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub rounds: u32,
}

/// Options of `fuzz`.
#[derive(Debug, Args)]
pub struct Fuzz {
    /// What to feed [default: every target]
    pub targets: Vec<String>,
    /// How long each target runs
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub seconds: u32,
    /// Afterwards replace fuzz/corpus by the fewest inputs that reach as much
    #[arg(long)]
    pub keep: bool,
}

/// Options of `soak`.
#[derive(Debug, Args)]
pub struct Soak {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..))]
    pub minutes: u32,
}

/// Options of `storms`.
#[derive(Debug, Args)]
pub struct Storms {
    /// Which to raise [default: every storm]
    #[arg(value_enum)]
    pub storms: Vec<Storm>,
    /// Kills of the storm of that name
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub count: u32,
}

/// A storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Storm {
    /// OOM kills in a row, in four lanes.
    Kills,
    /// Eight OOM kills at the same instant, again and again.
    Together,
    /// Ten thousand lives in one minute, under --all.
    Lives,
    /// Two hundred processes that fault a gigabyte a second.
    Faults,
    /// The same through a ring of one page, which loses steps.
    FaultsLost,
    /// Sixteen threads that set checkpoints in a tight loop, beside a calm neighbour.
    Markers,
    /// memtrace is stopped for five seconds while others set checkpoints, end and are killed.
    Stopped,
    /// The log directory is full.
    DiskFull,
    /// The log directory stalls, and goes on.
    DiskStalled,
}

impl Storm {
    /// All of them, in the order of the table.
    pub const ALL: [Self; 9] = [
        Self::Kills,
        Self::Together,
        Self::Lives,
        Self::Faults,
        Self::FaultsLost,
        Self::Markers,
        Self::Stopped,
        Self::DiskFull,
        Self::DiskStalled,
    ];
}

/// A value as it is typed.
pub(crate) fn name_of(value: &impl ValueEnum) -> String {
    value
        .to_possible_value()
        .map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Names of all verbs, as typed.
pub fn verbs() -> Vec<String> {
    Cli::command()
        .get_subcommands()
        .map(|verb| verb.get_name().to_owned())
        .collect()
}
