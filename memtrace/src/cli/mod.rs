//! The command line. clap types only: [`crate::plan`] turns them into what is to be done.

#[cfg(test)]
mod tests;

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::kernel::sensor::Sensor;

/// Says who was Killed, by whom and for which limit, after which checkpoint, and where the memory
/// grew.
///
/// Leave it running on the server as root; it catches the next OOM:
///
///     sudo memtrace --comm python3
///
/// Each process that matches gets a log in the usual format, `memory_monitor_<comm>_<pid>_<time>.log`,
/// with a report at its end, and beside it a recording that `memtrace report` reads.
#[derive(Debug, Parser)]
#[command(
    name = "memtrace",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "\
Exit status: 0 done · 1 failed · 2 usage · 3 done, but data was lost (it says which) · 4 not permitted.
`memtrace run` exits as its command did: its own status, 128+N if signal N ended it, 126 if it
cannot be executed, 127 if there is no such command, 125 if memtrace itself failed, and 3 if the
command succeeded but data was lost."
)]
pub struct Cli {
    /// What to do instead of watching.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Whom to watch.
    #[command(flatten)]
    pub targets: TargetArgs,
    /// How.
    #[command(flatten)]
    pub trace: TraceArgs,
}

/// Verbs beside watching.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a command and watch it to its end, in a memory cgroup if a limit is given.
    #[command(
        after_help = "Example: memtrace run --memory-max 300M -- python3 examples/backtest.py"
    )]
    Run(Box<RunArgs>),
    /// Print the report of logs and recordings again, also of the older Python monitor's logs.
    #[command(
        after_help = "Example: memtrace report --folded memory_monitor_*.jsonl | inferno-flamegraph > growth.svg
Exit status: 0 done · 1 a file could not be read · 2 usage, also a log with --folded.
The other files are printed all the same."
    )]
    Report(ReportArgs),
    /// Print the Python stacks of a running process: file, line and function, with no change to it.
    #[command(
        after_help = "Knows CPython 3.7 to 3.15. Needs root, CAP_SYS_PTRACE or to be the process' user.
Exit status: 0 done · 1 no stack could be read · 4 not permitted."
    )]
    Stack(StackArgs),
    /// Try what this host lets memtrace do, and say what it does not, and why.
    #[command(after_help = "Exit status: 0 memtrace works here · 1 it does not · 4 not permitted.")]
    Doctor(DoctorArgs),
}

/// `memtrace stack`
#[derive(Debug, Args)]
pub struct StackArgs {
    /// Processes that run Python.
    #[arg(required = true, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pids: Vec<u32>,
}

/// `memtrace doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// BTF of this very kernel, where /sys/kernel/btf/vmlinux is missing.
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

/// `memtrace run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Limit the command to this much memory: 300M, 2G, or bytes. It gets no swap.
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub memory_max: Option<u64>,
    /// How.
    #[command(flatten)]
    pub trace: TraceArgs,
    /// The command and its arguments.
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `memtrace report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Logs (.log) or recordings (.jsonl), complete or cut off.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Language of a report that is made anew; a recording keeps the one it was made with.
    #[arg(long, value_enum, value_name = "LANG")]
    pub lang: Option<LangArg>,
    /// Print the stacks that memory grew on, for flame graph tools, and no report: a line for each, its
    /// frames from the outermost to the innermost, `function (file:line)` with `;` between them, and
    /// the bytes that it grew by. All recordings add up; what shrank is left out; a thread without
    /// Python is `[no python: NAME]`. Logs hold no stacks.
    #[arg(long, conflicts_with = "lang")]
    pub folded: bool,
}

/// Whom to watch. Several options add up.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Whom to watch (several add up)")]
pub struct TargetArgs {
    /// Processes of this name: command name, executable, or an interpreter's script
    /// (`--comm backtest.py`). May hold `*`, `?` and `[abc]`. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub comm: Vec<String>,
    /// This process; memtrace ends with the last one. May be repeated.
    #[arg(long, short, value_name = "PID")]
    pub pid: Vec<u32>,
    /// Processes that run this executable: a name, a path, or a pattern of either.
    #[arg(long, value_name = "PATH")]
    pub exe: Vec<String>,
    /// Processes in this cgroup or below it: its directory, or its path from the root.
    #[arg(long, value_name = "PATH")]
    pub cgroup: Vec<String>,
    /// Processes of this user: a number or a name.
    #[arg(long, value_name = "USER")]
    pub uid: Vec<String>,
    /// Every process of the machine.
    #[arg(long, short)]
    pub all: bool,
}

/// How to trace and write.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line"
)]
#[derive(Debug, Args)]
pub struct TraceArgs {
    /// Do not trace the children of traced processes.
    #[arg(long)]
    pub no_follow: bool,
    /// Make a function a checkpoint: `[PATH:]SYMBOL[=NAME]`. May be repeated.
    #[arg(long, value_name = "MARKER")]
    pub marker: Vec<String>,
    /// Make the lines that a Python program prints its checkpoints, at the moment of the call,
    /// whatever stdout buffers: all, or those that match. `(?P<name>…)` in REGEX chooses a
    /// checkpoint's name, `(?P<details>…)` its details. What is no string is `…` (docs/prints.md).
    #[arg(long, value_name = "REGEX", num_args = 0..=1, require_equals = true)]
    pub prints: Option<Option<String>>,
    /// The same for any program, from what it writes to standard output and error. A program that
    /// buffers its output is late.
    #[arg(long, value_name = "REGEX", num_args = 0..=1, require_equals = true)]
    pub lines: Option<Option<String>>,
    /// Directory of the logs and recordings; made if it is not there.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub log_dir: PathBuf,
    /// Go on as this user, a name or a number, once the probes are in place: logs belong to it. The
    /// command of `run` stays who we are.
    #[arg(long, value_name = "USER")]
    pub user: Option<String>,
    /// Warning threshold: MB, a size (1.5G), or a part of the limit that holds the process (80%).
    #[arg(long, visible_alias = "warning-mb", value_name = "SIZE|%", value_parser = threshold)]
    pub warning: Option<ThresholdArg>,
    /// Critical threshold, likewise.
    #[arg(long, visible_alias = "critical-mb", value_name = "SIZE|%", value_parser = threshold)]
    pub critical: Option<ThresholdArg>,
    /// Seconds between two background lines of a process above its warning threshold.
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0, value_parser = seconds)]
    pub interval: f64,
    /// Tell RSS when it has moved by this much.
    #[arg(long, value_name = "SIZE", default_value = "1M", value_parser = size)]
    pub step: u64,
    /// Take the Python stack of the thread at work when RSS has moved by this much: growth is told by
    /// line with this resolution.
    #[arg(long, value_name = "SIZE", default_value = "4M", value_parser = size)]
    pub stack_step: u64,
    /// Take no stacks, neither of growth nor at a kill.
    #[arg(long, conflicts_with = "stack_step")]
    pub no_stacks: bool,
    /// Language of logs and reports.
    #[arg(long, value_enum, value_name = "LANG", default_value = "zh")]
    pub lang: LangArg,
    /// Write times in UTC, not local time.
    #[arg(long)]
    pub utc: bool,
    /// Digits of a second in times.
    #[arg(long, value_enum, value_name = "DIGITS", default_value = "s")]
    pub time_precision: PrecisionArg,
    /// Print no live lines, only verdicts and reports.
    #[arg(long, short)]
    pub quiet: bool,
    /// Colour on the terminal.
    #[arg(long, value_enum, value_name = "WHEN", default_value = "auto")]
    pub color: ColorArg,
    /// Size of the ring for RSS steps, MB; more is lost less.
    #[arg(long, value_name = "MB", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=1024))]
    pub ring_mb: u32,
    /// BTF of this very kernel, where /sys/kernel/btf/vmlinux is missing (btfhub.io collects them).
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
    /// Load another build of the eBPF object (`cargo xtask build-ebpf --diagnostics`), and print
    /// what its probes say.
    #[arg(long, value_name = "FILE", hide = true)]
    pub object: Option<PathBuf>,
    /// How RSS changes are sensed; the cheapest that works if not given.
    #[arg(long, value_enum, value_name = "SENSOR")]
    pub sensor: Option<Sensor>,
}

/// A threshold as given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ThresholdArg {
    /// So many bytes.
    Bytes(u64),
    /// A part of the limit that holds the process.
    Percent(f64),
}

/// `--lang`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LangArg {
    /// Chinese
    Zh,
    /// English
    En,
}

/// `--time-precision`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    /// 10:30:45
    S,
    /// 10:30:45.213
    Ms,
    /// 10:30:45.213871
    Us,
}

/// `--color`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// `300M`, `1.5G`, `64k`, `1048576`, with or without `B` or `iB`: bytes, units of 1024.
fn size(text: &str) -> Result<u64, String> {
    parse_size(text, 1).ok_or_else(|| {
        format!("`{text}` is not a size: write bytes or a number with K, M, G or T, such as 300M")
    })
}

/// A bare number is in MB here, as `--warning-mb 800` says.
fn threshold(text: &str) -> Result<ThresholdArg, String> {
    let wrong = || {
        format!(
            "`{text}` is not a threshold: write MB (800), a size (1.5G) or a part of the limit (80%)"
        )
    };
    match text.trim().strip_suffix('%') {
        Some(percent) => percent
            .parse()
            .ok()
            .filter(|percent| (0.0..=100.0).contains(percent) && *percent > 0.0)
            .map(ThresholdArg::Percent)
            .ok_or_else(wrong),
        None => parse_size(text, 1 << 20)
            .map(ThresholdArg::Bytes)
            .ok_or_else(wrong),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a finite size between 1 and 2^60 bytes"
)]
fn parse_size(text: &str, bare: u64) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let stem = lower
        .strip_suffix("ib")
        .or_else(|| lower.strip_suffix('b'))
        .unwrap_or(&lower);
    let (number, unit) = match stem.char_indices().last()? {
        (at, 'k') => (&stem[..at], 1 << 10),
        (at, 'm') => (&stem[..at], 1 << 20),
        (at, 'g') => (&stem[..at], 1 << 30),
        (at, 't') => (&stem[..at], 1_u64 << 40),
        _ if stem.len() < lower.len() => (stem, 1),
        _ => (stem, bare),
    };
    let value: f64 = number.trim().parse().ok()?;
    let bytes = value * unit as f64;
    (bytes.is_finite() && (1.0..1.15e18).contains(&bytes)).then_some(bytes as u64)
}

fn seconds(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|seconds: &f64| seconds.is_finite() && (0.0..=1e6).contains(seconds))
        .ok_or_else(|| format!("`{text}` is not a number of seconds"))
}
