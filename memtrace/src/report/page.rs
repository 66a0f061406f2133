//! The page that every report is: title, ending, figures, top ten, losses, checkpoints. The verdict
//! and the top ten stand within fifty lines after the title, because users `grep -A 50` for it.

use std::fmt::Write as _;

use super::places::Names;
use crate::{
    align::{
        book::{Book, Marks},
        row::Mark,
    },
    clock::Clock,
    entry::{Lang, Precision},
    phrase::{self, RULE, mark_body},
    text::{cut, escape, width},
    units::{BootNanos, Bytes},
    words::{Word, fill, loss_advice, loss_name, say},
};

/// Columns after which a checkpoint's details in the top ten are cut; the list has them in full.
const DETAIL_COLUMNS: usize = 100;

/// Columns that they have at least, before the lines that grew.
const LEAST_COLUMNS: usize = 40;

/// The line of the page, its first rule included, that the top ten end at.
const TOP_ENDS: usize = 50;

/// All that a report shows.
pub(super) struct Page<'a> {
    /// Its language.
    pub lang: Lang,
    /// Its clock.
    pub clock: &'a Clock,
    /// Digits of its seconds.
    pub precision: Precision,
    /// Whose report it is, escaped.
    pub title: String,
    /// When the last entry came.
    pub generated: BootNanos,
    /// How it ended: whole lines.
    pub ending: String,
    /// The kernel's own peak, where it is higher than the one known.
    pub kernel_peak: Option<Bytes>,
    /// The figures.
    pub book: &'a Book,
    /// The names of the files that the top ten name.
    pub names: Names,
    /// What stacks tell: whole sections.
    pub stacks: String,
}

impl Page<'_> {
    /// The report.
    pub(super) fn text(&self) -> String {
        let title = say(self.lang, Word::ReportTitle);
        let generated = say(self.lang, Word::Generated);
        let time = self.time(self.generated);
        let mut text = format!(
            "{RULE}\n{title} - {}\n{generated}: {time}\n{RULE}\n\n",
            self.title
        );
        text.push_str(&self.ending);
        text.push_str(&self.state());
        text.push_str(&self.top(text.lines().count()));
        text.push_str(&self.lost());
        text.push_str(&self.stacks);
        text.push_str(&self.checkpoints());
        text + "\n" + RULE + "\n"
    }

    fn state(&self) -> String {
        let lang = self.lang;
        let Book {
            baseline,
            last,
            memory: _,
            vms,
            peak,
            marks: _,
            lost: _,
            ..
        } = self.book;
        let mut lines = Vec::new();
        let mut line = |label: &str, value: String| lines.push(format!("  {label}: {value}\n"));
        if let Some(last) = last {
            line("RSS", last.rss.to_string());
        }
        if let Some(vms) = vms {
            line("VMS", vms.to_string());
        }
        if let Some(baseline) = baseline {
            line(say(lang, Word::Baseline), format!("RSS={baseline}"));
        }
        if let (Some(last), Some(_)) = (last, baseline) {
            line(
                say(lang, Word::Growth),
                self.book.total(last.rss).to_string(),
            );
        }
        if let Some(peak) = peak {
            line(
                say(lang, Word::Peak),
                format!("{} ({})", peak.rss, self.time(peak.at)),
            );
        }
        if let Some(peak) = self.kernel_peak {
            line(say(lang, Word::KernelPeak), peak.to_string());
        }
        section("📊", say(lang, Word::State), &lines.concat())
    }

    /// The ten, below so many lines. Where these are many, the last ones have no line of their own
    /// under them.
    fn top(&self, above: usize) -> String {
        let marks = self.book.marks.top();
        let headed = above + 2 + marks.len();
        let mut room = TOP_ENDS.saturating_sub(headed);
        let mut lines = String::new();
        for (place, mark) in marks.iter().enumerate() {
            lines.push_str(&self.top_line(place + 1, mark));
            let below = Some(self.below(mark)).filter(|text| !text.is_empty() && room > 0);
            if let Some(below) = below {
                room -= 1;
                push(&mut lines, format_args!("     {below}\n"));
            }
        }
        if lines.is_empty() {
            lines = format!("  {}\n", say(self.lang, Word::TopEmpty));
        }
        section("🔥", say(self.lang, Word::TopTitle), &lines)
    }

    fn top_line(&self, place: usize, mark: &Mark) -> String {
        let name = phrase::mark_name(self.lang, mark);
        let total = say(self.lang, Word::TotalRss);
        format!(
            "  #{place} [{name}] {} ({total}{}){}\n",
            mark.own,
            mark.rss,
            problem(mark)
        )
    }

    /// What else there is of a checkpoint, in one line: ten of three would not stand within the fifty.
    fn below(&self, mark: &Mark) -> String {
        let lines = self.names.grown(self.lang, &mark.lines);
        let lines = Some(cut(&lines, DETAIL_COLUMNS)).filter(|lines| !lines.is_empty());
        let taken = lines.as_ref().map_or(0, |lines| width(lines) + 3);
        let columns = DETAIL_COLUMNS.saturating_sub(taken).max(LEAST_COLUMNS);
        let said = mark.details.iter().chain(&mark.place);
        let said = said
            .map(|text| escape(text))
            .collect::<Vec<_>>()
            .join(" | ");
        let said = Some(cut(&said, columns)).filter(|said| !said.is_empty());
        said.into_iter()
            .chain(lines)
            .collect::<Vec<_>>()
            .join(" | ")
    }

    fn lost(&self) -> String {
        let mut lines = String::new();
        for (kind, count) in self.book.lost.iter() {
            let times = fill(self.lang, Word::Times, &[&count]);
            let (name, advice) = (loss_name(self.lang, kind), loss_advice(self.lang, kind));
            push(&mut lines, format_args!("  {name}{times}: {advice}\n"));
        }
        if lines.is_empty() {
            return String::new();
        }
        section("⚠️", say(self.lang, Word::Lost), &lines)
    }

    fn checkpoints(&self) -> String {
        let marks: &Marks = &self.book.marks;
        let mut lines = String::new();
        for mark in marks.head() {
            self.checkpoint(&mut lines, mark);
        }
        if marks.cut() > 0 {
            push(
                &mut lines,
                format_args!(
                    "  {}\n",
                    fill(self.lang, Word::CheckpointsCut, &[&marks.cut()])
                ),
            );
        }
        for mark in marks.tail() {
            self.checkpoint(&mut lines, mark);
        }
        if lines.is_empty() {
            lines = format!("  {}\n", say(self.lang, Word::NoCheckpoints));
        }
        section("📍", say(self.lang, Word::AllCheckpoints), &lines)
    }

    fn checkpoint(&self, lines: &mut String, mark: &Mark) {
        let body = mark_body(self.lang, mark, problem(mark));
        push(lines, format_args!("{:>5}. {body}\n", mark.number));
    }

    fn time(&self, at: BootNanos) -> String {
        self.clock.date_time(at, self.precision)
    }
}

fn problem(mark: &Mark) -> &'static str {
    if mark.is_problem() { " ⚠️" } else { "" }
}

pub(super) fn section(sign: &str, title: &str, lines: &str) -> String {
    format!("\n{sign} {title}:\n{lines}")
}

fn push(text: &mut String, more: std::fmt::Arguments<'_>) {
    text.write_fmt(more)
        .expect("a string takes all that is written to it");
}
