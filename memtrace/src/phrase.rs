//! Facts as phrases: a process, a command line, a signal, a span of time. Whatever a program
//! supplied is escaped here.
#![forbid(unsafe_code)]

use crate::{
    align::{Story, row::Mark},
    entry::{Actor, Constraint, Exit, Lang, NameState, Precision, Program, SigkillKind},
    loss::Ledger,
    text::{cut, escape, escape_name},
    units::{Delta, Tgid},
    words::{Word, fill, loss_name, say},
};

/// A rule of eighty `=`.
pub const RULE: &str =
    "================================================================================";

/// Columns after which a command line in a report is cut.
const COMMAND_COLUMNS: usize = 100;

/// Columns after which a checkpoint's name in a sentence is cut.
const NAME_COLUMNS: usize = 60;

/// `python3 backtest.py --bot deepseek`: the arguments, or the command name where there are none.
pub fn command(comm: &str, args: &[String]) -> String {
    if args.is_empty() {
        return escape(comm);
    }
    args.iter()
        .map(|arg| escape(arg))
        .collect::<Vec<_>>()
        .join(" ")
}

/// A [`command`] short enough for a sentence.
pub fn short_command(comm: &str, args: &[String]) -> String {
    cut(&command(comm, args), COMMAND_COLUMNS)
}

/// `PID 12345 python3 backtest.py`.
pub fn process(pid: Tgid, comm: &str, args: &[String]) -> String {
    format!("PID {pid} {}", short_command(comm, args))
}

/// The subject of a story as a [`process`].
pub fn subject(story: &Story) -> String {
    process(story.begin.pid, &story.program.comm, &story.program.args)
}

/// `python3 (backtest.py)`: the command name, and for an interpreter what it runs.
pub fn title(program: &Program) -> String {
    let comm = escape(&program.comm);
    match script(program) {
        Some(script) => format!("{comm} ({})", cut(&escape(script), NAME_COLUMNS)),
        None => comm,
    }
}

/// `earlyoom (PID 611, root)`.
pub fn sender(actor: &Actor) -> String {
    let comm = escape(&actor.comm);
    let pid = actor.pid;
    match actor.uid {
        Some(0) => format!("{comm} (PID {pid}, root)"),
        Some(uid) => format!("{comm} (PID {pid}, uid {uid})"),
        None => format!("{comm} (PID {pid})"),
    }
}

/// How a SIGKILL came, as a phrase.
pub const fn how(lang: Lang, kind: SigkillKind) -> &'static str {
    let word = match kind {
        SigkillKind::Kill => Word::HowKill,
        SigkillKind::Tkill => Word::HowTkill,
        SigkillKind::CgroupKill => Word::HowCgroupKill,
        SigkillKind::CpuLimit => Word::HowCpuLimit,
        SigkillKind::PidNamespace => Word::HowPidNamespace,
        SigkillKind::Kernel => Word::HowKernel,
    };
    say(lang, word)
}

/// The task that ran was the sender, not merely the one that the kernel interrupted.
pub const fn has_sender(kind: SigkillKind) -> bool {
    match kind {
        SigkillKind::Kill | SigkillKind::Tkill | SigkillKind::CgroupKill => true,
        SigkillKind::CpuLimit | SigkillKind::PidNamespace | SigkillKind::Kernel => false,
    }
}

/// A checkpoint's name as it stands between the brackets of a log line.
pub fn mark_name(lang: Lang, mark: &Mark) -> String {
    match mark.name_state {
        NameState::Whole => escape_name(&mark.name),
        NameState::Cut => format!("{}…", escape_name(&mark.name)),
        NameState::Unreadable => say(lang, Word::UnreadableName).to_owned(),
    }
}

/// A [`mark_name`] short enough for a sentence.
pub fn short_mark_name(lang: Lang, mark: &Mark) -> String {
    cut(&mark_name(lang, mark), NAME_COLUMNS)
}

/// Likewise for a checkpoint of which only the name is known.
pub fn short_name(name: &str) -> String {
    cut(&escape_name(name), NAME_COLUMNS)
}

/// `1.2 秒`, `3 分 12 秒`, `5 小时 7 分`.
pub fn span(lang: Lang, seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds since boot, not negative"
    )]
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => fill(lang, Word::Seconds, &[&format_args!("{seconds:.1}")]),
        60..3600 => fill(lang, Word::Minutes, &[&(whole / 60), &(whole % 60)]),
        _ => fill(lang, Word::Hours, &[&(whole / 3600), &(whole % 3600 / 60)]),
    }
}

/// `RSS 记录 ×12, 日志行 ×1`, or the word for nothing.
pub fn losses(lang: Lang, lost: &Ledger) -> String {
    if lost.is_empty() {
        return say(lang, Word::Nothing).to_owned();
    }
    let one = |(kind, count)| {
        format!(
            "{}{}",
            loss_name(lang, kind),
            fill(lang, Word::Times, &[&count])
        )
    };
    lost.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// `12346 worker +1.02MB`.
pub fn grown(pid: Tgid, comm: &str, by: Delta) -> String {
    format!("{pid} {} {by}", escape(comm))
}

/// The instants of verdicts are always shown to the millisecond, or finer where the log is.
pub const fn verdict_precision(precision: Precision) -> Precision {
    match precision {
        Precision::Seconds | Precision::Millis => Precision::Millis,
        Precision::Micros => Precision::Micros,
    }
}

/// `SIGSEGV`, or `信号 64`'s number where it has no name of its own.
pub fn signal(number: i32) -> String {
    signal_name(number).map_or_else(|| format!("signal {number}"), str::to_owned)
}

/// Names of the signals that end a process, as Linux numbers them on x86-64 and arm64.
const fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        16 => "SIGSTKFLT",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        26 => "SIGVTALRM",
        27 => "SIGPROF",
        29 => "SIGIO",
        30 => "SIGPWR",
        31 => "SIGSYS",
        _ => return None,
    })
}

/// The limit that ran out: `cgroup /bot: memory.max 1024.00MB, 用量 1023.98MB`.
pub fn limit(lang: Lang, constraint: &Constraint) -> String {
    match constraint {
        Constraint::Cgroup {
            cgroup,
            file,
            limit,
            usage,
        } => fill(
            lang,
            Word::CgroupLimit,
            &[&escape(cgroup), &escape(file), limit, usage],
        ),
        Constraint::Global { total, available } => {
            let mut parts = vec![say(lang, Word::GlobalLimit).to_owned()];
            parts.extend(total.map(|total| fill(lang, Word::GlobalTotal, &[&total])));
            parts.extend(
                available.map(|available| fill(lang, Word::GlobalAvailable, &[&available])),
            );
            parts.join(", ")
        }
        Constraint::Cpuset => say(lang, Word::CpusetLimit).to_owned(),
        Constraint::Unknown => say(lang, Word::UnknownLimit).to_owned(),
    }
}

/// `进程结束: 退出码 3`, `进程结束: SIGSEGV (已转储核心)`.
pub fn ended(lang: Lang, exit: &Exit) -> String {
    let Exit {
        code,
        signal,
        core,
        peak: _,
        memory: _,
    } = exit;
    let dumped = if *core {
        format!(" ({})", say(lang, Word::CoreDumped))
    } else {
        String::new()
    };
    let how = match (code, signal) {
        (_, Some(number)) => format!(": {}{dumped}", self::signal(*number)),
        (Some(code), None) => format!(": {}", fill(lang, Word::ExitCode, &[code])),
        (None, None) => String::new(),
    };
    format!("{}{how}", say(lang, Word::EndLine))
}

/// The file or module that an interpreter runs; nothing for other programs.
fn script(program: &Program) -> Option<&str> {
    const INTERPRETERS: [&str; 8] = [
        "python", "pypy", "node", "ruby", "perl", "php", "bash", "sh",
    ];
    let (command, args) = program.args.split_first()?;
    let command = base_name(command);
    if !INTERPRETERS.iter().any(|name| command.starts_with(name)) {
        return None;
    }
    let mut args = args.iter().map(String::as_str);
    loop {
        match args.next()? {
            "-c" | "-e" => return None,
            "-m" => return args.next(),
            // Python's options with a value of their own.
            "-X" | "-W" => drop(args.next()),
            option if option.starts_with('-') => {}
            path => return Some(base_name(path)),
        }
    }
}

fn base_name(path: &str) -> &str {
    path.rsplit('/')
        .find(|part| !part.is_empty())
        .unwrap_or(path)
}

/// `[加载config_AFTER] RSS=870.56MB (Δ+810.33MB, +318.22MB)`: a checkpoint as the log shows it, with
/// a sign between its figures and its details, if there is one.
pub fn mark_body(lang: Lang, mark: &Mark, sign: &str) -> String {
    let Mark {
        number: _,
        at: _,
        level: _,
        name: _,
        name_state: _,
        details,
        place: _,
        rss,
        total,
        own,
        lines: _,
    } = mark;
    let name = mark_name(lang, mark);
    let details = details
        .as_deref()
        .map(|text| format!(" | {}", escape(text)));
    let details = details.unwrap_or_default();
    format!("[{name}] RSS={rss} (Δ{total}, {own}){sign}{details}")
}
