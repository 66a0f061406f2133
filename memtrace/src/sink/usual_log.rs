//! The log that users `tail -f`, `grep` and diff: its header, its lines, its file name.

use crate::{
    align::{
        Story,
        row::{Line, Row, Threshold},
    },
    clock::Clock,
    entry::{Begin, Lang, Limit, Memory, OomKill, Program, Sigkill, Style},
    phrase::{self, RULE},
    text::escape,
    units::{Bytes, Delta},
    words::{Word, fill, loss_name, say},
};

/// `memory_monitor_<comm>_<pid>_<start of the process>.log`, without a directory. The name is the
/// process life's own: tracing the same life again means the same file.
pub fn file_name(begin: &Begin) -> String {
    let safe = |c: char| {
        if c.is_alphanumeric() || matches!(c, '.' | '_' | '-') {
            c
        } else {
            '_'
        }
    };
    let comm: String = begin.program.comm.chars().map(safe).collect();
    format!(
        "memory_monitor_{comm}_{}_{}.log",
        begin.pid,
        Clock::of(begin).stamp(begin.started)
    )
}

/// What stands at the top of the log, the empty line after it included.
pub fn header(story: &Story) -> String {
    let Begin {
        version: _,
        pid,
        started: _,
        program,
        parent,
        uid: _,
        cgroup,
        limit,
        memory,
        wall_at_boot_ns: _,
        time_zone: _,
        utc_offset_seconds: _,
        style,
        kernel,
        sensor,
        step,
    } = &story.begin;
    let lang = style.lang;
    let mut fields = vec![
        (
            say(lang, Word::Started),
            story.clock.date_time(story.began, style.precision),
        ),
        ("PID", pid.to_string()),
        (say(lang, Word::Baseline), baseline(lang, memory.as_ref())),
        (say(lang, Word::WarningThreshold), style.warning.to_string()),
        (
            say(lang, Word::CriticalThreshold),
            style.critical.to_string(),
        ),
        (
            say(lang, Word::CommandLine),
            phrase::command(&program.comm, &program.args),
        ),
    ];
    fields.extend(parent.map(|parent| (say(lang, Word::Parent), format!("PID {parent}"))));
    fields.extend(
        cgroup
            .as_ref()
            .map(|cgroup| (say(lang, Word::Cgroup), escape(cgroup))),
    );
    fields.push((
        say(lang, Word::MemoryLimit),
        limit_text(lang, limit.as_deref()),
    ));
    fields.push((say(lang, Word::Kernel), escape(kernel)));
    fields.push((
        say(lang, Word::Measured),
        fill(lang, Word::MeasuredBy, &[&escape(sensor), step]),
    ));
    let fields = fields
        .into_iter()
        .fold(String::new(), |text, (key, value)| {
            text + key + ": " + &value + "\n"
        });
    format!(
        "{RULE}\n{} - {}\n{fields}{RULE}\n\n",
        say(lang, Word::LogTitle),
        phrase::title(program)
    )
}

/// One line of the log, without its line end.
pub fn line(story: &Story, row: &Row) -> String {
    let Style {
        lang, precision, ..
    } = story.begin.style;
    let Row { at, level, line } = row;
    format!(
        "[{}] [{}] {}",
        story.clock.date_time(*at, precision),
        level.label(),
        body(lang, line)
    )
}

fn body(lang: Lang, line: &Line) -> String {
    match line {
        Line::Checkpoint(mark) => phrase::mark_body(lang, mark, ""),
        Line::Background { rss, total } => background(lang, *rss, *total),
        Line::Crossed {
            threshold,
            rss,
            critical,
        } => crossed(lang, *threshold, *rss, *critical),
        Line::Baseline { rss } => format!("{}: RSS={rss}", say(lang, Word::Baseline)),
        Line::Thresholds { warning, critical } => {
            let (first, second) = (
                say(lang, Word::WarningThreshold),
                say(lang, Word::CriticalThreshold),
            );
            format!("{first}: {warning}, {second}: {critical}")
        }
        Line::Named(name) => format!("{}: {}", say(lang, Word::Named), escape(name)),
        Line::Renamed(comm) => format!("{}: {}", say(lang, Word::Renamed), escape(comm)),
        Line::Replaced(Program { comm, exe: _, args }) => {
            format!(
                "{}: {}",
                say(lang, Word::Replaced),
                phrase::command(comm, args)
            )
        }
        Line::UnknownPython(why) => fill(lang, Word::UnknownPython, &[&escape(why)]),
        Line::Child(pid) => format!("{}: PID {pid}", say(lang, Word::Child)),
        Line::Lost { kind, count } => {
            let times = fill(lang, Word::Times, &[count]);
            format!(
                "{}: {}{times}",
                say(lang, Word::Lost),
                loss_name(lang, *kind)
            )
        }
        Line::OomKilled(kill) => oom_killed(lang, kill),
        Line::Sigkilled(kill) => sigkilled(lang, kill),
        Line::Exited(exit) => phrase::ended(lang, exit),
        Line::Detached => say(lang, Word::DetachLine).to_owned(),
    }
}

fn baseline(lang: Lang, memory: Option<&Memory>) -> String {
    let Some(memory) = memory else {
        return say(lang, Word::Unmeasured).to_owned();
    };
    let vms = memory
        .vms
        .map(|vms| format!(", VMS={vms}"))
        .unwrap_or_default();
    format!("RSS={}{vms}", memory.rss())
}

fn limit_text(lang: Lang, limit: Option<&Limit>) -> String {
    match limit {
        None => say(lang, Word::NoLimit).to_owned(),
        Some(Limit {
            cgroup,
            file,
            limit,
        }) => format!("{limit} (cgroup {}, {})", escape(cgroup), escape(file)),
    }
}

/// `💀 被内核 OOM 杀死: RSS=980.78MB, cgroup /bot: …`: the rest is the report's.
fn oom_killed(lang: Lang, kill: &OomKill) -> String {
    let what = if kill.already_exiting {
        Word::OomLineExiting
    } else {
        Word::OomLine
    };
    let limit = phrase::limit(lang, &kill.constraint);
    format!("💀 {}: RSS={}, {limit}", say(lang, what), kill.memory.rss())
}

fn sigkilled(lang: Lang, kill: &Sigkill) -> String {
    let Sigkill {
        sender,
        how,
        memory,
    } = kill;
    let rss = memory
        .map(|memory| format!(", RSS={}", memory.rss()))
        .unwrap_or_default();
    let by = if phrase::has_sender(*how) {
        phrase::sender(sender)
    } else {
        phrase::how(lang, *how).to_owned()
    };
    format!("✋ {}: {by}{rss}", say(lang, Word::SigkillLine))
}

fn background(lang: Lang, rss: Bytes, total: Delta) -> String {
    format!("[{}] RSS={rss} (Δ{total})", say(lang, Word::Background))
}

fn crossed(lang: Lang, threshold: Threshold, rss: Bytes, critical: Bytes) -> String {
    let what = match threshold {
        Threshold::Warning => Word::NearCritical,
        Threshold::Critical => Word::OverCritical,
    };
    let (what, now, limit) = (
        say(lang, what),
        say(lang, Word::CurrentRss),
        say(lang, Word::ThresholdIs),
    );
    format!("⚠️ {what}{now}{rss} ({limit}{critical})")
}
