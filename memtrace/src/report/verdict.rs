//! How a life ended: who killed it, for which limit, after which checkpoint, and what grew.

use super::{facts, places::Names, position};
use crate::{
    align::{End, Kill, Killer, Story},
    entry::{Actor, Exit, Lang, OomKill, Sigkill, SigkillKind},
    loss, phrase,
    text::{pad, width},
    units::{BootNanos, Bytes},
    words::{Word, fill, say},
};

/// A headline and labelled lines under it.
pub(super) struct Ending {
    lang: Lang,
    headline: String,
    blame: Option<String>,
    lines: Vec<(Word, String)>,
}

/// Whether the end was a kill: by the OOM killer, by SIGKILL, or by any other signal.
pub(super) fn was_killed(story: &Story) -> bool {
    let by_signal = matches!(
        story.end.as_deref(),
        Some(End::Exit(Exit {
            signal: Some(_),
            ..
        }))
    );
    deadly(story).is_some() || by_signal
}

/// The end of a story in lines.
pub(super) fn ending(story: &Story) -> Ending {
    match (deadly(story), story.end.as_deref()) {
        (Some(kill), _) => match &kill.by {
            Killer::Oom(oom) => oom_killed(story, kill, oom),
            Killer::Sigkill(sigkill) => sigkilled(story, kill, sigkill),
        },
        (None, Some(End::Exit(exit))) => exited(story, exit),
        (None, Some(End::Detach)) => other(story, "👀", Word::StillRunning),
        (None, None) => other(story, "❓", Word::BrokeOff),
    }
}

/// The kernel's own peak, where it is higher than the highest RSS that was seen.
pub(super) fn kernel_peak(story: &Story) -> Option<Bytes> {
    let Some(End::Exit(Exit {
        peak: Some(peak), ..
    })) = story.end.as_deref()
    else {
        return None;
    };
    let seen = story.book.peak.map_or(Bytes(0), |reading| reading.rss);
    (*peak > seen).then_some(*peak)
}

impl Ending {
    /// The lines, each with its line end.
    pub(super) fn text(&self) -> String {
        let labels = self
            .lines
            .iter()
            .map(|(label, _)| width(say(self.lang, *label)));
        let column = labels.max().unwrap_or(0).max(8) + 2;
        let mut text = format!("{}\n", self.headline);
        if let Some(blame) = &self.blame {
            text.extend(["   ⚠️ ", blame, "\n"]);
        }
        for (label, value) in &self.lines {
            let mut label = say(self.lang, *label);
            for line in value.lines() {
                text.extend(["   ", &pad(label, column), line, "\n"]);
                label = "";
            }
        }
        text
    }

    /// A headline with nothing under it yet.
    pub(super) fn new(lang: Lang, sign: &str, headline: &str) -> Self {
        Self {
            lang,
            headline: format!("{sign} {headline}"),
            blame: None,
            lines: Vec::new(),
        }
    }

    /// One more fact, unless there is nothing to say. It may have several lines.
    pub(super) fn line(&mut self, label: Word, value: impl Into<Option<String>>) {
        self.lines.extend(value.into().map(|value| (label, value)));
    }

    fn note(&mut self, word: Word) {
        self.line(Word::LabelNote, say(self.lang, word).to_owned());
    }
}

/// The kill that ended the story: not a SIGKILL that was overtaken by another end.
fn deadly(story: &Story) -> Option<&Kill> {
    let kill = story.kill.as_deref()?;
    let overtaken = match story.end.as_deref() {
        Some(End::Exit(exit)) => {
            exit.code.is_some() || exit.signal.is_some_and(|signal| signal != libc::SIGKILL)
        }
        Some(End::Detach) | None => false,
    };
    match &kill.by {
        Killer::Oom(_) => Some(kill),
        Killer::Sigkill(_) => (!overtaken).then_some(kill),
    }
}

fn oom_killed(story: &Story, kill: &Kill, oom: &OomKill) -> Ending {
    let OomKill {
        victim: _,
        oom_score_adj,
        page_tables,
        memory,
        printed,
        trigger,
        own,
        constraint,
        order,
        gfp,
        already_exiting,
        together_with,
    } = oom;
    let lang = story.begin.style.lang;
    let headline = if *already_exiting {
        Word::MarkedWhileExiting
    } else {
        Word::KilledByOom
    };
    let mut ending = Ending::new(
        lang,
        "💀",
        &fill(
            lang,
            headline,
            &[&phrase::subject(story), &time(story, kill.at)],
        ),
    );
    ending.blame = facts::blame(story, kill);
    let names = Names::of(story);
    ending.line(Word::LabelPosition, position::position(story, &names));
    ending.line(Word::LabelCheckpoint, facts::checkpoint(story, kill));
    ending.line(Word::LabelLimit, phrase::limit(lang, constraint));
    ending.line(
        Word::LabelTrigger,
        facts::triggered(lang, trigger, *own, &facts::request(lang, *order, *gfp)),
    );
    ending.line(
        Word::LabelRss,
        facts::rss(lang, *memory, *page_tables, *printed),
    );
    ending.line(Word::LabelGrown, position::grew(story, kill, &names));
    ending.line(facts::group_label(constraint), facts::group(story));
    ending.line(Word::LabelTogether, facts::together(lang, together_with));
    if let Some(adj) = oom_score_adj.filter(|adj| *adj != 0) {
        ending.line(Word::LabelNote, fill(lang, Word::ScoreAdj, &[&adj]));
    }
    if *already_exiting {
        ending.note(Word::AlreadyExiting);
    }
    if let Some(End::Exit(exit)) = story.end.as_deref()
        && exit.signal != Some(libc::SIGKILL)
    {
        ending.line(Word::LabelNote, phrase::ended(lang, exit));
    }
    ending.line(Word::LabelLost, phrase::losses(lang, &story.book.lost));
    ending
}

fn sigkilled(story: &Story, kill: &Kill, sigkill: &Sigkill) -> Ending {
    let Sigkill {
        sender,
        how,
        memory,
    } = sigkill;
    let lang = story.begin.style.lang;
    let rss = facts::rss_then(lang, kill.rss, memory.is_some());
    let headline = fill(
        lang,
        Word::NotOom,
        &[&phrase::subject(story), &time(story, kill.at)],
    );
    let mut ending = Ending::new(lang, "✋", &headline);
    let names = Names::of(story);
    ending.line(Word::LabelPosition, position::position(story, &names));
    let sent = phrase::has_sender(*how);
    if !sent {
        ending.line(Word::LabelSender, phrase::how(lang, *how).to_owned());
    } else if sender.pid == story.begin.pid {
        ending.line(Word::LabelSender, say(lang, Word::ByItself).to_owned());
    } else {
        ending.line(Word::LabelSender, phrase::sender(sender));
    }
    if sent && *how != SigkillKind::Kill {
        ending.line(Word::LabelHow, phrase::how(lang, *how).to_owned());
    }
    ending.line(
        Word::LabelThen,
        facts::then(story, kill.at, rss, kill.mark.as_deref()),
    );
    ending.line(Word::LabelGrown, position::grew(story, kill, &names));
    ending.line(Word::LabelGroup, facts::group(story));
    if sent && is_memory_daemon(sender) {
        ending.note(Word::UserspaceKiller);
    }
    ending.line(Word::LabelLost, phrase::losses(lang, &story.book.lost));
    ending
}

fn exited(story: &Story, exit: &Exit) -> Ending {
    let Exit {
        code,
        signal,
        core,
        peak: _,
        memory: _,
    } = exit;
    let lang = story.begin.style.lang;
    let (who, when) = (phrase::subject(story), time(story, story.latest));
    let (sign, headline) = match (code, signal) {
        (_, Some(libc::SIGKILL)) => ("✋", fill(lang, Word::SigkillUnknown, &[&who, &when])),
        (_, Some(signal)) => {
            let core = if *core {
                format!(" ({})", say(lang, Word::CoreDumped))
            } else {
                String::new()
            };
            let signal = phrase::signal(*signal) + &core;
            ("💥", fill(lang, Word::Signalled, &[&who, &signal, &when]))
        }
        (Some(0), None) => ("✅", fill(lang, Word::ExitedCleanly, &[&who, &when])),
        (Some(code), None) => ("❌", fill(lang, Word::ExitedWith, &[&who, code, &when])),
        (None, None) => ("❓", fill(lang, Word::Gone, &[&who, &when])),
    };
    let mut ending = Ending::new(lang, sign, &headline);
    if signal.is_some() {
        let position = position::position(story, &Names::of(story));
        ending.line(Word::LabelPosition, position);
        now(story, &mut ending);
    }
    if *signal == Some(libc::SIGKILL) && story.book.lost.get(loss::Kind::KillRecord) > 0 {
        ending.note(Word::KillLost);
    }
    ending.line(Word::LabelLost, phrase::losses(lang, &story.book.lost));
    ending
}

fn other(story: &Story, sign: &str, headline: Word) -> Ending {
    let lang = story.begin.style.lang;
    let headline = fill(
        lang,
        headline,
        &[&phrase::subject(story), &time(story, story.latest)],
    );
    let mut ending = Ending::new(lang, sign, &headline);
    now(story, &mut ending);
    ending.line(Word::LabelLost, phrase::losses(lang, &story.book.lost));
    ending
}

/// The line on RSS and checkpoint at the last entry.
fn now(story: &Story, ending: &mut Ending) {
    let last = story.book.last;
    let exact = last.is_some_and(|reading| reading.at == story.latest);
    let rss = facts::rss_then(
        story.begin.style.lang,
        last.map(|reading| reading.rss),
        exact,
    );
    let mark = story.book.marks.last().map(AsRef::as_ref);
    ending.line(Word::LabelThen, facts::then(story, story.latest, rss, mark));
}

fn time(story: &Story, at: BootNanos) -> String {
    story
        .clock
        .time(at, phrase::verdict_precision(story.begin.style.precision))
}

/// Daemons that kill before the kernel has to, by their command names.
fn is_memory_daemon(sender: &Actor) -> bool {
    matches!(
        sender.comm.as_str(),
        "earlyoom" | "systemd-oomd" | "oomd" | "nohang" | "lmkd"
    )
}
