//! A usual log, or one of the older Python monitor's, read back: its report where it has a whole
//! one, else a report made from its lines. Knows wall-clock times only.

use std::sync::Arc;

use super::{
    facts,
    log_lines::{self, LogLine, Said},
    page::Page,
    places::Names,
    verdict::Ending,
};
use crate::{
    align::{
        book::{Book, Reading},
        row::{Level, Mark},
    },
    clock::Clock,
    entry::{Lang, NameState, Precision},
    loss::Kind,
    phrase, text,
    units::{BootNanos, Bytes, Delta},
    words::{LANGS, Word, fill, say},
};

/// Takes the lines of a log one by one and gives its reports at the end.
#[derive(Debug)]
pub struct Reader {
    file_title: String,
    done: Vec<String>,
    life: Life,
}

/// One run of a monitor. A log that was appended to holds several.
#[derive(Debug, Default)]
struct Life {
    lang: Lang,
    title: Option<String>,
    book: Book,
    /// Held back for the stack that may follow it.
    mark: Option<Mark>,
    frames: Vec<String>,
    /// The line before was part of a stack trace.
    in_stack: bool,
    /// Lines on the end that the log holds without a report around them.
    endings: Vec<String>,
    last: Option<BootNanos>,
    report: Report,
    rule: Option<String>,
}

/// How far a report has been read.
#[derive(Debug, Default)]
enum Report {
    #[default]
    None,
    /// Its lines so far, and how many rules are among them.
    Open {
        text: String,
        rules: usize,
    },
    Whole(String),
}

impl Reader {
    /// Reads a log; `file_title` names its reports where the log does not.
    pub fn new(file_title: &str) -> Self {
        Self {
            file_title: text::escape(file_title),
            done: Vec::new(),
            life: Life::default(),
        }
    }

    /// The next line, without its line end. Anybody may have written it, and parts of it are shown
    /// again as they stand.
    pub fn line(&mut self, line: &str) {
        let line = &*text::tame(line);
        let title = LANGS
            .into_iter()
            .find_map(|lang| Some((lang, titled(line, lang, Word::LogTitle)?)));
        if let Some((lang, title)) = title.filter(|_| !self.life.is_in_report()) {
            self.finish_life();
            self.life = Life {
                lang,
                title: Some(title.to_owned()),
                ..Life::default()
            };
            return;
        }
        self.life.line(line);
    }

    /// Counts a line that is too long to be one.
    pub fn too_long(&mut self) {
        self.life.book.lost.add(Kind::UnreadableLine, 1);
    }

    /// The reports in the order of the file; none where it holds nothing of a log.
    pub fn finish(mut self) -> Vec<String> {
        self.finish_life();
        self.done
    }

    fn finish_life(&mut self) {
        let life = std::mem::take(&mut self.life);
        self.done.extend(life.finish(&self.file_title));
    }
}

impl Life {
    /// Lines on the end that are kept.
    const ENDINGS: usize = 4;

    /// Places of a stack that are kept.
    const FRAMES: usize = 3;

    fn is_in_report(&self) -> bool {
        matches!(self.report, Report::Open { .. })
    }

    fn line(&mut self, line: &str) {
        if let Report::Open { text, rules } = &mut self.report {
            text.extend([line, "\n"]);
            // A last rule that was cut off does not close it.
            *rules += usize::from(text.lines().next() == Some(line));
            if *rules == 3 {
                self.report = Report::Whole(std::mem::take(text));
            }
            return;
        }
        let rule = self.rule.take();
        if let Some(rule) = rule.filter(|_| {
            LANGS
                .iter()
                .any(|lang| titled(line, *lang, Word::ReportTitle).is_some())
        }) {
            self.report = Report::Open {
                text: format!("{rule}\n{line}\n"),
                rules: 1,
            };
        } else if is_rule(line) {
            self.rule = Some(line.to_owned());
        } else if let Some(parsed) = log_lines::parse(line) {
            self.event(parsed);
        } else {
            self.other(line);
        }
    }

    fn event(&mut self, line: LogLine) {
        let LogLine { at, level, what } = line;
        self.last = Some(at);
        self.in_stack = false;
        match what {
            Said::Checkpoint {
                name,
                details,
                rss,
                total,
                own,
            } => {
                self.seen(at, rss, Some(total));
                self.keep_mark();
                let previous = self.book.marks.last().map(|mark| mark.rss);
                let own = own
                    .unwrap_or_else(|| previous.map_or(Delta(0), |previous| rss.since(previous)));
                self.mark = Some(Mark {
                    number: 0,
                    at,
                    level: level.unwrap_or(Level::Info),
                    name: Arc::from(name),
                    name_state: NameState::Whole,
                    details: details.map(Arc::from),
                    place: None,
                    rss,
                    total,
                    own,
                    lines: Vec::new(),
                });
            }
            Said::Background { rss, total } => self.seen(at, rss, Some(total)),
            Said::Crossed { rss } => self.seen(at, rss, None),
            Said::Baseline { rss } => self.book.baseline = Some(rss),
            Said::Message(text) => self.message(text),
        }
    }

    /// An RSS; the first one that says its growth gives the baseline of a log without a header.
    fn seen(&mut self, at: BootNanos, rss: Bytes, total: Option<Delta>) {
        self.book.reading(Reading { at, rss });
        let baseline =
            total.and_then(|total| u64::try_from(i128::from(rss.0) - i128::from(total.0)).ok());
        self.book.baseline = self.book.baseline.or(baseline.map(Bytes));
    }

    fn message(&mut self, text: String) {
        if text.starts_with(['💀', '✋'])
            || LANGS
                .iter()
                .any(|lang| text.starts_with(say(*lang, Word::EndLine)))
        {
            self.endings.truncate(Self::ENDINGS - 1);
            self.endings.push(text);
        }
    }

    /// A line without a time: of the header, of a stack trace, or one that cannot be read.
    fn other(&mut self, line: &str) {
        let indented = line.starts_with([' ', '\t']);
        if line.trim().is_empty() {
            return;
        }
        if indented || line.starts_with("Traceback ") {
            self.in_stack = true;
            self.frames.extend(frame(line));
            if self.frames.len() > Self::FRAMES {
                self.frames.remove(0);
            }
        } else if self.in_stack {
            // The exception's own line ends a trace.
            self.in_stack = false;
        } else if self.last.is_none() {
            self.header(line);
        } else {
            self.book.lost.add(Kind::UnreadableLine, 1);
        }
    }

    fn header(&mut self, line: &str) {
        let Some((key, value)) = line.split_once(": ") else {
            self.book.lost.add(Kind::UnreadableLine, 1);
            return;
        };
        if LANGS.iter().any(|lang| key == say(*lang, Word::Baseline)) {
            let size = |part: &str| {
                part.split_once('=')
                    .and_then(|(_, size)| Some(log_lines::parse_size(size)?.0))
            };
            let (rss, vms) = value.split_once(',').unwrap_or((value, ""));
            self.book.baseline = size(rss);
            self.book.vms = size(vms);
        }
    }

    /// Puts the checkpoint that was held back, with its stack, into the book.
    fn keep_mark(&mut self) {
        let frames = std::mem::take(&mut self.frames);
        let Some(mut mark) = self.mark.take() else {
            return;
        };
        // A Python trace has the innermost call last.
        let places: Vec<String> = frames.into_iter().rev().collect();
        mark.place = (!places.is_empty()).then(|| Arc::from(places.join(" ← ")));
        self.book.marks.push(mark);
    }

    fn finish(mut self, file_title: &str) -> Option<String> {
        self.keep_mark();
        if let Report::Whole(text) = self.report {
            return Some(text);
        }
        let generated = self.last.or(self.title.as_ref().map(|_| BootNanos(0)))?;
        let page = Page {
            lang: self.lang,
            clock: &Clock::utc(),
            precision: precision(generated),
            title: self.title.clone().unwrap_or_else(|| file_title.to_owned()),
            generated,
            ending: self.ending().text(),
            kernel_peak: None,
            book: &self.book,
            names: Names::default(),
            stacks: String::new(),
        };
        Some(page.text())
    }

    fn ending(&self) -> Ending {
        let lang = self.lang;
        let clock = Clock::utc();
        let time = |at: BootNanos| clock.time(at, precision(at));
        let mut ending = Ending::new(lang, "❓", say(lang, Word::Rebuilt));
        for text in &self.endings {
            ending.line(Word::LabelNote, text.clone());
        }
        let last = self.book.last;
        ending.line(
            Word::LabelLastLine,
            last.map(|last| fill(lang, Word::LastLine, &[&time(last.at), &last.rss])),
        );
        let mark = self.book.marks.last();
        ending.line(
            Word::LabelCheckpoint,
            match mark {
                None => say(lang, Word::NoCheckpoint).to_owned(),
                Some(mark) => {
                    let name = phrase::short_mark_name(lang, mark);
                    fill(lang, Word::LastCheckpoint, &[&name, &time(mark.at)])
                }
            },
        );
        let rss = last.map(|last| last.rss);
        ending.line(
            Word::LabelGrown,
            facts::grown(lang, &self.book, mark.map(AsRef::as_ref), rss),
        );
        ending.line(Word::LabelLost, phrase::losses(lang, &self.book.lost));
        ending
    }
}

/// `config.py:118 load_learning_config` from `  File "/app/config.py", line 118, in load_learning_config`.
fn frame(line: &str) -> Option<String> {
    let (path, rest) = line
        .trim()
        .strip_prefix("File \"")?
        .split_once("\", line ")?;
    let (number, function) = rest.split_once(", in ").unwrap_or((rest, ""));
    let file = path.rsplit('/').next().unwrap_or(path);
    Some(format!("{file}:{number} {function}").trim_end().to_owned())
}

fn titled(line: &str, lang: Lang, word: Word) -> Option<&str> {
    line.strip_prefix(say(lang, word))?.strip_prefix(" - ")
}

fn is_rule(line: &str) -> bool {
    line.len() >= 20 && line.bytes().all(|b| b == b'=')
}

/// Digits of a second are shown where the log has any.
const fn precision(at: BootNanos) -> Precision {
    match at.0 % 1_000_000_000 {
        0 => Precision::Seconds,
        nanos if nanos % 1_000_000 == 0 => Precision::Millis,
        _ => Precision::Micros,
    }
}
