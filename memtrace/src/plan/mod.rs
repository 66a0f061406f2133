//! What is to be done, resolved and checked. The only reader of the command line's types: nothing
//! below has a default of its own.

mod lines;
#[cfg(test)]
mod tests;
mod users;

use std::{
    collections::HashMap,
    env,
    ffi::OsString,
    fs,
    io::IsTerminal as _,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    cli::{
        Cli, ColorArg, Command, DoctorArgs, LangArg, PrecisionArg, ReportArgs, RunArgs, StackArgs,
        TargetArgs, ThresholdArg, TraceArgs,
    },
    entry::{Lang, Limit, Precision, Style},
    kernel::{
        cgroup::MemoryController, finder::Wanted, procfs, rights::User, sensor::Sensor, symbols,
    },
    naming::Naming,
    targets::{Glob, Targets},
    units::{Bytes, Tgid},
};

/// One of the verbs.
#[derive(Debug)]
pub enum Plan {
    /// Watch processes, or run a command and watch it.
    Trace(Box<TracePlan>),
    /// Print reports again.
    Report(ReportPlan),
    /// Print the stacks of recordings as flame graph tools read them.
    Fold {
        /// Of these.
        files: Vec<PathBuf>,
    },
    /// Show the Python stacks of processes.
    Stack {
        /// Them.
        pids: Vec<u32>,
    },
    /// Try what this host can do.
    Doctor {
        /// The kernel's BTF, if not in its place.
        btf: Option<PathBuf>,
    },
}

/// Watching.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line, and they are independent"
)]
pub struct TracePlan {
    /// Whom.
    pub targets: Targets,
    /// Inodes of the target cgroups.
    pub target_groups: Vec<u64>,
    /// Children too.
    pub follow: bool,
    /// Functions that are checkpoints.
    pub markers: Vec<Wanted>,
    /// Their names, by cookie.
    pub marker_names: HashMap<u64, String>,
    /// Which printed lines are checkpoints; absent: none.
    pub prints: Option<Naming>,
    /// Likewise of lines that are written.
    pub lines: Option<Naming>,
    /// Where logs go.
    pub log_dir: PathBuf,
    /// Whom to go on as, once the probes are in place.
    pub user: Option<User>,
    /// How logs are written.
    pub style: StylePlan,
    /// Live lines are printed.
    pub live: bool,
    /// In colour.
    pub colour: bool,
    /// RSS is told when it has moved by this much.
    pub step: Bytes,
    /// A stack is taken when RSS has moved by this much; absent: none are.
    pub stack_step: Option<Bytes>,
    /// Bytes of the ring for RSS steps.
    pub ring_bytes: u32,
    /// How RSS is sensed, if it matters.
    pub sensor: Option<Sensor>,
    /// The kernel's BTF, if not in its place.
    pub btf: Option<PathBuf>,
    /// Another build of the eBPF object.
    pub object: Option<PathBuf>,
    /// Times in UTC.
    pub utc: bool,
    /// The command to run, if that is the verb.
    pub run: Option<RunPlan>,
}

/// A command to run.
#[derive(Debug)]
pub struct RunPlan {
    /// It and its arguments.
    pub command: Vec<OsString>,
    /// Its memory limit.
    pub memory_max: Option<Bytes>,
}

/// Printing reports again.
#[derive(Debug)]
pub struct ReportPlan {
    /// Of these.
    pub files: Vec<PathBuf>,
    /// In this language, where there is a choice.
    pub lang: Option<Lang>,
}

/// How logs are written, but for what depends on the process.
#[derive(Debug, Clone, Copy)]
pub struct StylePlan {
    warning: Option<ThresholdArg>,
    critical: Option<ThresholdArg>,
    interval: Duration,
    lang: Lang,
    precision: Precision,
}

/// Default thresholds of the users' older monitor.
const WARNING: Bytes = Bytes::from_mb(800);
const CRITICAL: Bytes = Bytes::from_mb(950);

impl StylePlan {
    /// For a process held by this limit. A percentage without a limit falls back to the default.
    pub fn of(&self, limit: Option<&Limit>) -> Style {
        let warning = resolve(self.warning, limit);
        let critical = resolve(self.critical, limit);
        Style {
            warning: warning.unwrap_or(WARNING),
            critical: critical.unwrap_or(CRITICAL),
            warning_fixed: warning.is_some(),
            critical_fixed: critical.is_some(),
            interval_ms: u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX),
            lang: self.lang,
            precision: self.precision,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a part of a size is a size"
)]
fn resolve(threshold: Option<ThresholdArg>, limit: Option<&Limit>) -> Option<Bytes> {
    match threshold? {
        ThresholdArg::Bytes(bytes) => Some(Bytes(bytes)),
        ThresholdArg::Percent(percent) => {
            limit.map(|limit| Bytes((limit.limit.0 as f64 * percent / 100.0) as u64))
        }
    }
}

/// What is wrong with what was asked for, and the way out.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(String);

fn usage<T>(text: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError(text.into()))
}

impl Plan {
    /// Resolves a command line.
    pub fn new(cli: Cli) -> Result<Self, UsageError> {
        match cli.command {
            Some(Command::Run(run)) => Ok(Self::Trace(Box::new(run_plan(*run)?))),
            Some(Command::Report(ReportArgs {
                files,
                lang: _,
                folded: true,
            })) => Ok(Self::Fold { files }),
            Some(Command::Report(ReportArgs {
                files,
                lang,
                folded: false,
            })) => Ok(Self::Report(ReportPlan {
                files,
                lang: lang.map(language),
            })),
            Some(Command::Doctor(DoctorArgs { btf })) => Ok(Self::Doctor { btf }),
            Some(Command::Stack(StackArgs { pids })) => Ok(Self::Stack { pids }),
            None => {
                let TargetArgs {
                    comm,
                    pid,
                    exe,
                    cgroup,
                    uid,
                    all,
                } = cli.targets;
                let nobody = comm.is_empty() && pid.is_empty() && exe.is_empty();
                if nobody && cgroup.is_empty() && uid.is_empty() && !all {
                    return usage(
                        "nobody to watch: give --comm NAME, --pid PID, --exe PATH, --cgroup PATH, \
                         --uid USER or --all, or `memtrace run -- COMMAND` (see --help)",
                    );
                }
                let controllers = cgroup
                    .iter()
                    .map(|path| group(path))
                    .collect::<Result<Vec<_>, _>>()?;
                let (cgroups, target_groups) = controllers.into_iter().unzip();
                let targets = Targets {
                    comms: comm.iter().map(|name| Glob::new(name)).collect(),
                    pids: pid.into_iter().map(living).collect::<Result<_, _>>()?,
                    exes: exe.iter().map(|name| Glob::new(name)).collect(),
                    cgroups,
                    uids: uid
                        .iter()
                        .map(|name| users::uid(name))
                        .collect::<Result<_, _>>()?,
                    all,
                };
                Ok(Self::Trace(Box::new(trace_plan(
                    targets,
                    target_groups,
                    cli.trace,
                    None,
                )?)))
            }
        }
    }
}

fn run_plan(args: RunArgs) -> Result<TracePlan, UsageError> {
    let RunArgs {
        memory_max,
        trace,
        command,
    } = args;
    let run = RunPlan {
        command,
        memory_max: memory_max.map(Bytes),
    };
    trace_plan(Targets::default(), Vec::new(), trace, Some(run))
}

fn trace_plan(
    targets: Targets,
    target_groups: Vec<u64>,
    args: TraceArgs,
    run: Option<RunPlan>,
) -> Result<TracePlan, UsageError> {
    let TraceArgs {
        no_follow,
        marker,
        prints,
        lines,
        log_dir,
        user,
        warning,
        critical,
        interval,
        step,
        stack_step,
        no_stacks,
        lang,
        utc,
        time_precision,
        quiet,
        color,
        ring_mb,
        sensor,
        object,
        btf,
    } = args;
    let mut markers = Vec::new();
    let mut marker_names = HashMap::new();
    for (cookie, text) in (1_u64..).zip(&marker) {
        let (wanted, name) = parse_marker(text, cookie)?;
        marker_names.insert(cookie, name);
        markers.push(wanted);
    }
    Ok(TracePlan {
        targets,
        target_groups,
        follow: !no_follow,
        markers,
        marker_names,
        prints: lines::naming("--prints", prints)?,
        lines: lines::naming("--lines", lines)?,
        log_dir,
        user: user.map(|name| users::user(&name)).transpose()?,
        style: StylePlan {
            warning,
            critical,
            interval: Duration::from_secs_f64(interval),
            lang: language(lang),
            precision: match time_precision {
                PrecisionArg::S => Precision::Seconds,
                PrecisionArg::Ms => Precision::Millis,
                PrecisionArg::Us => Precision::Micros,
            },
        },
        live: !quiet,
        colour: colour(color, run.is_some()),
        step: Bytes(step),
        stack_step: (!no_stacks).then_some(Bytes(stack_step)),
        // Zero is one page: for tests of what is lost.
        ring_bytes: if ring_mb == 0 {
            4096
        } else {
            ring_mb.next_power_of_two() << 20
        },
        sensor,
        object,
        btf,
        utc,
        run,
    })
}

fn language(lang: LangArg) -> Lang {
    match lang {
        LangArg::Zh => Lang::Zh,
        LangArg::En => Lang::En,
    }
}

/// A command's own output stays clean: beside one, everything goes to standard error.
fn colour(when: ColorArg, beside_command: bool) -> bool {
    let terminal = if beside_command {
        std::io::stderr().is_terminal()
    } else {
        std::io::stdout().is_terminal()
    };
    match when {
        ColorArg::Always => true,
        ColorArg::Never => false,
        ColorArg::Auto => terminal && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    }
}

fn living(pid: u32) -> Result<Tgid, UsageError> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"));
    let Ok(status) = status else {
        return usage(format!(
            "no such process: {pid} (is it in another pid namespace?)"
        ));
    };
    let leader: Option<u32> = status
        .lines()
        .find_map(|line| line.strip_prefix("Tgid:")?.trim().parse().ok());
    match leader {
        Some(leader) if leader != pid => usage(format!(
            "{pid} is a thread of process {leader}: give --pid {leader}"
        )),
        _ => Ok(Tgid(pid)),
    }
}

/// A cgroup as path from its root and inode. Takes a directory below any mount, or such a path.
fn group(path: &str) -> Result<(String, u64), UsageError> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let mounts: Vec<&str> = mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let mount = fields.next()?;
            fields.next()?.starts_with("cgroup").then_some(mount)
        })
        .collect();
    let inode = |path: &Path| {
        fs::metadata(path)
            .ok()
            .filter(fs::Metadata::is_dir)
            .map(|m| m.ino())
    };
    for mount in &mounts {
        if let Ok(relative) = Path::new(path).strip_prefix(mount)
            && let Some(inode) = inode(Path::new(path))
        {
            return Ok((format!("/{}", relative.display()), inode));
        }
    }
    let relative = path.trim_matches('/');
    let memory = MemoryController::find().map(|controller| controller.mount);
    let candidates = memory.into_iter().chain(mounts.iter().map(PathBuf::from));
    for mount in candidates {
        if let Some(inode) = inode(&mount.join(relative)) {
            return Ok((format!("/{relative}"), inode));
        }
    }
    usage(format!(
        "no such cgroup: {path} (looked below {})",
        mounts.join(", ")
    ))
}

/// `[PATH:]SYMBOL[=NAME]`. With a path the symbol must be there.
fn parse_marker(text: &str, cookie: u64) -> Result<(Wanted, String), UsageError> {
    let (place, name) = match text.split_once('=') {
        Some((place, name)) => (place, Some(name)),
        None => (text, None),
    };
    let (path, symbol) = match place.rsplit_once(':') {
        Some((path, symbol)) => (Some(path), symbol),
        None => (None, place),
    };
    if symbol.is_empty() || name == Some("") {
        return usage(format!("--marker {text}: write [PATH:]SYMBOL[=NAME]"));
    }
    let path = path.map(|path| checked(path, symbol)).transpose()?;
    let name = name.unwrap_or(symbol).to_owned();
    Ok((
        Wanted {
            symbol: symbol.to_owned(),
            path,
            cookie,
        },
        name,
    ))
}

fn checked(path: &str, symbol: &str) -> Result<PathBuf, UsageError> {
    let full = fs::canonicalize(path)
        .map_err(|error| UsageError(format!("--marker {path}:{symbol}: {path}: {error}")))?;
    let opened = procfs::open(&full);
    let (_, file) = opened.map_err(|error| UsageError(format!("--marker: {path}: {error}")))?;
    let found = symbols::find(&file, &[symbol])
        .map_err(|error| UsageError(format!("--marker: {path}: {error}")))?;
    if !found.is_empty() {
        return Ok(full);
    }
    let near = symbols::nearest(&file, symbol);
    let hint = if near.is_empty() {
        "nothing there has a similar name".to_owned()
    } else {
        format!("the nearest names there are {}", near.join(", "))
    };
    usage(format!("--marker: {path} has no function {symbol}; {hint}"))
}
