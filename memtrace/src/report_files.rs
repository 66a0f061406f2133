//! Reports of files: a recording or a log, told apart by what they hold.
#![forbid(unsafe_code)]

use std::{
    fs::File,
    io::{self, BufRead, BufReader},
    path::{Path, PathBuf},
};

use crate::{
    align::Story,
    entry::What,
    lines::{self, Next},
    loss::{Kind, Ledger},
    record::read,
    report::{self, folded::Folded, old_log},
};

/// What a file gave.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What it is.
    pub source: Source,
    /// One report per process life in it, in order; at least one.
    pub reports: Vec<String>,
}

/// The kinds of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A recording of memtrace.
    Recording,
    /// A usual log, or one of the older Python monitor.
    Log,
}

/// Why there is no report; each names the file.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be opened or read.
    #[error("read {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is a recording that cannot be read on.
    #[error("read {}", path.display())]
    Recording {
        /// The file.
        path: PathBuf,
        /// Why.
        source: read::Error,
    },
    /// It is a recording without the beginning of any life.
    #[error("{} is a recording without a beginning, its first line is missing or damaged", path.display())]
    NoBeginning {
        /// The file.
        path: PathBuf,
    },
    /// It is neither a recording nor a log.
    #[error("{} is neither a memtrace recording nor a memory monitor log", path.display())]
    Unrecognised {
        /// The file.
        path: PathBuf,
    },
    /// It has no stacks, since it is no recording.
    #[error("{} is not a recording: only those hold stacks, see the file beside the log that ends in .jsonl", path.display())]
    NotRecording {
        /// The file.
        path: PathBuf,
    },
}

/// What a recording gave to the folded stacks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stacks {
    /// Stacks that tell of growth.
    pub growth: u64,
    /// Lines that could not be read.
    pub unreadable: u64,
}

/// Adds the stacks of a recording to those of others.
pub fn fold(path: &Path, folded: &mut Folded) -> Result<Stacks, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    let mut input = BufReader::new(File::open(path).map_err(io)?);
    if !is_recording(&mut input).map_err(io)? {
        return Err(Error::NotRecording {
            path: path.to_owned(),
        });
    }
    let mut reader = read::Reader::new(input);
    let mut growth = 0;
    let recording = |source| Error::Recording {
        path: path.to_owned(),
        source,
    };
    while let Some(entry) = reader.entry().map_err(recording)? {
        if let What::Stack(stack) = &entry.what {
            growth += u64::from(folded.apply(stack));
        }
    }
    Ok(Stacks {
        growth,
        unreadable: reader.lost().get(Kind::UnreadableLine),
    })
}

/// The reports of a file.
pub fn from_file(path: &Path) -> Result<Outcome, Error> {
    match File::open(path) {
        Ok(file) => from_input(path, BufReader::new(file)),
        Err(source) => Err(Error::Io {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The reports of what is read from a file of this name.
pub fn from_input(path: &Path, mut input: impl BufRead) -> Result<Outcome, Error> {
    let io = |source| Error::Io {
        path: path.to_owned(),
        source,
    };
    if is_recording(&mut input).map_err(io)? {
        return from_recording(path, input);
    }
    let title = path.file_stem().unwrap_or_default().to_string_lossy();
    let reports = from_log(&title, input).map_err(io)?;
    if reports.is_empty() {
        return Err(Error::Unrecognised {
            path: path.to_owned(),
        });
    }
    Ok(Outcome {
        source: Source::Log,
        reports,
    })
}

/// Told by how it begins.
fn is_recording(input: &mut impl BufRead) -> io::Result<bool> {
    Ok(input.fill_buf()?.trim_ascii_start().starts_with(b"{"))
}

fn from_recording(path: &Path, input: impl BufRead) -> Result<Outcome, Error> {
    let recording = |source| Error::Recording {
        path: path.to_owned(),
        source,
    };
    let reports = stories(input)
        .map_err(recording)?
        .iter()
        .map(report::text)
        .collect::<Vec<_>>();
    if reports.is_empty() {
        return Err(Error::NoBeginning {
            path: path.to_owned(),
        });
    }
    Ok(Outcome {
        source: Source::Recording,
        reports,
    })
}

/// The lives in a recording. What could not be read is counted for the life in whose lines it was.
pub fn stories(input: impl BufRead) -> Result<Vec<Story>, read::Error> {
    let mut reader = read::Reader::new(input);
    let mut stories: Vec<Story> = Vec::new();
    let mut rows = Vec::new();
    let mut counted = 0;
    loop {
        let entry = reader.entry()?;
        let unreadable = reader.lost().get(Kind::UnreadableLine);
        if let Some(story) = stories.last_mut() {
            story
                .book
                .lost
                .add(Kind::UnreadableLine, unreadable - counted);
            counted = unreadable;
        }
        let Some(entry) = entry else { break };
        match (Story::of(&entry), stories.last_mut()) {
            (Some(story), _) => stories.push(story),
            (None, Some(story)) => story.apply(&entry, &mut rows),
            (None, None) => {}
        }
        rows.clear();
    }
    if let Some(story) = stories.last_mut() {
        let mut before_any = Ledger::default();
        before_any.add(
            Kind::UnreadableLine,
            reader.lost().get(Kind::UnreadableLine) - counted,
        );
        story.book.lost.merge(&before_any);
    }
    Ok(stories)
}

fn from_log(title: &str, mut input: impl BufRead) -> io::Result<Vec<String>> {
    let mut reader = old_log::Reader::new(title);
    let mut line = Vec::new();
    loop {
        match lines::next(&mut input, &mut line)? {
            Next::End => return Ok(reader.finish()),
            Next::TooLong => reader.too_long(),
            Next::Line => reader.line(&String::from_utf8_lossy(&line)),
        }
    }
}
