//! One life's entries to everything that is made of them: recording, log, live lines, report.
#![forbid(unsafe_code)]

use std::{
    collections::HashMap,
    fmt::Write as _,
    path::{Path, PathBuf},
};

use super::{
    files::{Class, Key, Writer},
    live::{self, Look},
    usual_log,
};
use crate::{
    align::{Story, row::Row},
    entry::{Entry, What},
    record, report,
    track::LifeId,
};

/// What is to be made.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Where logs and recordings go.
    pub directory: PathBuf,
    /// Live lines are shown.
    pub live: bool,
    /// In colour.
    pub colour: bool,
}

/// Checkpoints at the end of a report that the terminal shows; the log has them all.
const SHOWN_CHECKPOINTS: usize = 20;

struct Book {
    story: Story,
    log: Key,
    recording: Key,
    reported: bool,
}

/// All lives that are being written.
pub struct Fan {
    wanted: Wanted,
    writer: Writer,
    /// Boxed: half of a hash map is empty, and a book is large.
    books: HashMap<LifeId, Box<Book>>,
    several: bool,
    rows: Vec<Row>,
    /// The verdicts so far, for the last screen; the most recent ones if there were many.
    verdicts: Vec<String>,
}

impl Fan {
    /// Writes with this writer.
    pub fn new(wanted: Wanted, writer: Writer) -> Self {
        Self {
            wanted,
            writer,
            books: HashMap::new(),
            several: false,
            rows: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    /// The writer below.
    pub fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Takes one entry of a life.
    pub fn apply(&mut self, life: LifeId, entry: &Entry) {
        if let Some(story) = Story::of(entry) {
            self.begin(life, entry, story);
            return;
        }
        let Some(book) = self.books.get_mut(&life) else {
            return;
        };
        let step = matches!(entry.what, What::Rss { .. });
        let class = if step { Class::Step } else { Class::Recording };
        self.writer
            .lines(book.recording, class, &(record::write::line(entry) + "\n"));
        self.rows.clear();
        book.story.apply(entry, &mut self.rows);
        let look = Look {
            colour: self.wanted.colour,
            pid: self.several,
        };
        for row in &self.rows {
            self.writer.lines(
                book.log,
                Class::Log,
                &(usual_log::line(&book.story, row) + "\n"),
            );
            if self.wanted.live {
                self.writer
                    .show(&(live::line(&book.story, row, look) + "\n"));
            }
        }
        if book.story.is_told() {
            self.report(life);
        }
    }

    fn begin(&mut self, life: LifeId, entry: &Entry, story: Story) {
        self.several |= !self.books.is_empty();
        let name = usual_log::file_name(&story.begin);
        let recording = Path::new(&name).with_extension("jsonl");
        let recording = self.writer.open(recording.display().to_string());
        let log = self.writer.open(name);
        self.writer
            .lines(log, Class::Log, &usual_log::header(&story));
        self.writer.lines(
            recording,
            Class::Recording,
            &(record::write::line(entry) + "\n"),
        );
        self.books.insert(
            life,
            Box::new(Book {
                story,
                log,
                recording,
                reported: false,
            }),
        );
    }

    /// A life is over: nothing more comes of it.
    pub fn end(&mut self, life: LifeId) {
        self.report(life);
        if let Some(book) = self.books.remove(&life) {
            self.writer.close(book.recording);
        }
    }

    /// The report goes to the log, which it ends, and to the terminal.
    fn report(&mut self, life: LifeId) {
        let Some(book) = self.books.get_mut(&life) else {
            return;
        };
        if std::mem::replace(&mut book.reported, true) {
            return;
        }
        let text = report::text(&book.story);
        let verdict = report::verdict(&book.story);
        // The disk first: it is what is left if the terminal goes. Who sees the report there finds
        // the recording whole up to it.
        self.writer.flush(book.recording);
        self.writer
            .lines(book.log, Class::Log, &format!("\n{text}"));
        self.writer.close(book.log);
        // Of a helper that came and went its last live line says enough.
        let remarkable = verdict.is_some() || book.story.book.marks.count() > 0;
        if remarkable && (self.wanted.live || verdict.is_some()) {
            let name = usual_log::file_name(&book.story.begin);
            let log = self.wanted.directory.join(name);
            let shown = shortened(&text, &log.display().to_string());
            self.writer.show(&format!("\n{shown}"));
        }
        if let Some(verdict) = verdict {
            if self.verdicts.len() == 10 {
                self.verdicts.remove(0);
            }
            self.verdicts.push(verdict);
        }
    }

    /// Lives that are being written.
    pub fn open_lives(&self) -> usize {
        self.books.len()
    }

    /// Shows the verdicts once more, alone, and ends.
    pub fn finish(self) -> (Writer, Vec<String>) {
        (self.writer, self.verdicts)
    }
}

/// The report for a screen: of a long list of checkpoints its end.
fn shortened(text: &str, file: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let Some(list) = lines.iter().position(|line| line.starts_with("📍")) else {
        return text.to_owned();
    };
    let items = lines.len().saturating_sub(list + 2);
    if items <= SHOWN_CHECKPOINTS + 1 {
        return text.to_owned();
    }
    let tail = lines.len() - 1 - SHOWN_CHECKPOINTS;
    let skipped = items - SHOWN_CHECKPOINTS;
    let mut shown: String = lines[..=list].concat();
    let _ = writeln!(shown, "    … {skipped}: {file}");
    shown.push_str(&lines[tail..].concat());
    shown
}
