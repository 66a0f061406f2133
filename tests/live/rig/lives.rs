//! What memtrace wrote about a process: its log, its recording, its report.

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use memtrace::{
    entry::{Begin, Checkpoint, Entry, Exit, Neighbours, OomKill, Sigkill, Stack, What},
    loss::Kind,
    record,
};

/// One process life as it stands on disk.
#[derive(Debug)]
pub(in crate::live) struct Life {
    /// The recording's file.
    pub(in crate::live) recording: PathBuf,
    /// The log's file.
    pub(in crate::live) file: PathBuf,
    pub(in crate::live) entries: Vec<Entry>,
    /// The log without its report.
    pub(in crate::live) log: String,
    /// The report, empty as long as there is none.
    pub(in crate::live) report: String,
}

/// All lives in a directory.
pub(in crate::live) fn all(dir: &Path) -> Vec<Life> {
    recordings(dir)
        .iter()
        .filter_map(|file| read(file))
        .collect()
}

/// The life of a process.
pub(in crate::live) fn find(dir: &Path, pid: u32) -> Option<Life> {
    let mut files = recordings(dir);
    let part = format!("_{pid}_");
    files.retain(|file| file.to_string_lossy().contains(&part));
    let mut lives = files.iter().filter_map(|file| read(file));
    lives.find(|life| life.begin().pid.0 == pid)
}

fn recordings(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "jsonl"))
        .collect();
    files.sort();
    files
}

fn read(recording: &Path) -> Option<Life> {
    // The log first: where its report stands, the recording is whole up to it.
    let file = recording.with_extension("log");
    let text = fs::read_to_string(&file).unwrap_or_default();
    let mut reader = record::read::Reader::new(BufReader::new(File::open(recording).ok()?));
    let mut entries = Vec::new();
    while let Some(entry) = reader.entry().expect("a recording of our own version") {
        entries.push(entry);
    }
    // The report begins with a rule, its title follows.
    let title = text
        .find("\n内存监控报告 - ")
        .or_else(|| text.find("\nMemory monitor report - "));
    let start = title.map_or(text.len(), |title| {
        text[..title].rfind('\n').map_or(0, |end| end + 1)
    });
    let (log, report) = text.split_at(start);
    // A report that is being written is none yet.
    let whole = report
        .lines()
        .filter(|line| line.starts_with("===="))
        .count()
        == 3;
    matches!(entries.first()?.what, What::Begin(_)).then(|| Life {
        recording: recording.to_owned(),
        file,
        log: log.to_owned(),
        report: if whole { report } else { "" }.to_owned(),
        entries,
    })
}

impl Life {
    pub(in crate::live) fn begin(&self) -> &Begin {
        match &self.entries[0].what {
            What::Begin(begin) => begin,
            _ => unreachable!("checked when it was read"),
        }
    }

    /// Every stack, in order.
    pub(in crate::live) fn stacks(&self) -> impl Iterator<Item = &Stack> {
        self.entries.iter().filter_map(|entry| match &entry.what {
            What::Stack(stack) => Some(&**stack),
            _ => None,
        })
    }

    fn pick<'a, T>(&'a self, pick: impl Fn(&'a What) -> Option<T>) -> Vec<T> {
        self.entries
            .iter()
            .filter_map(|entry| pick(&entry.what))
            .collect()
    }

    pub(in crate::live) fn checkpoints(&self) -> Vec<&Checkpoint> {
        self.pick(|what| match what {
            What::Checkpoint(checkpoint) => Some(checkpoint),
            _ => None,
        })
    }

    pub(in crate::live) fn names(&self) -> Vec<&str> {
        self.checkpoints()
            .iter()
            .map(|mark| mark.name.as_str())
            .collect()
    }

    /// The checkpoint of this name.
    #[track_caller]
    pub(in crate::live) fn checkpoint(&self, name: &str) -> &Checkpoint {
        let found = self
            .checkpoints()
            .into_iter()
            .find(|mark| mark.name == name);
        found.unwrap_or_else(|| panic!("no checkpoint {name}: {:?}", self.names()))
    }

    pub(in crate::live) fn has(&self, name: &str) -> bool {
        self.names().contains(&name)
    }

    /// The kill by the OOM killer, which must be the only one.
    #[track_caller]
    pub(in crate::live) fn oom(&self) -> &OomKill {
        let kills = self.pick(|what| match what {
            What::OomKill(kill) => Some(&**kill),
            _ => None,
        });
        assert_eq!(kills.len(), 1, "{:#?}", self.entries);
        kills[0]
    }

    pub(in crate::live) fn was_oom(&self) -> bool {
        self.entries
            .iter()
            .any(|entry| matches!(entry.what, What::OomKill(_)))
    }

    /// SIGKILLs that were not the OOM killer's.
    pub(in crate::live) fn sigkills(&self) -> Vec<&Sigkill> {
        self.pick(|what| match what {
            What::Sigkill(sigkill) => Some(&**sigkill),
            _ => None,
        })
    }

    #[track_caller]
    pub(in crate::live) fn neighbours(&self) -> &Neighbours {
        let all = self.pick(|what| match what {
            What::Neighbours(neighbours) => Some(neighbours),
            _ => None,
        });
        all.first().expect("the others were looked at")
    }

    pub(in crate::live) fn children(&self) -> Vec<u32> {
        self.pick(|what| match what {
            What::Child { pid } => Some(pid.0),
            _ => None,
        })
    }

    /// Its end; the last entry.
    #[track_caller]
    pub(in crate::live) fn exit(&self) -> &Exit {
        match &self.entries.last().expect("a recording begins").what {
            What::Exit(exit) => exit,
            other => panic!("the last entry is no exit: {other:?}"),
        }
    }

    /// How many of a kind are recorded as lost.
    pub(in crate::live) fn lost(&self, kind: Kind) -> u64 {
        self.pick(|what| match what {
            What::Lost(lost) if lost.kind == kind => Some(lost.count),
            _ => None,
        })
        .iter()
        .sum()
    }

    /// First line of the verdict.
    pub(in crate::live) fn headline(&self) -> &str {
        self.report.lines().nth(5).unwrap_or_default()
    }

    /// The verdict: from its headline to the empty line.
    pub(in crate::live) fn verdict(&self) -> String {
        let lines = self.report.split_inclusive('\n').skip(5);
        lines.take_while(|line| *line != "\n").collect()
    }

    /// Asserts that the verdict holds each of these.
    #[track_caller]
    pub(in crate::live) fn assert_verdict(&self, wanted: &[&str]) {
        for text in wanted {
            assert!(
                self.verdict().contains(text),
                "no `{text}` in\n{}",
                self.verdict()
            );
        }
    }

    /// Asserts that the log holds each of these.
    #[track_caller]
    pub(in crate::live) fn assert_log(&self, wanted: &[&str]) {
        for text in wanted {
            assert!(self.log.contains(text), "no `{text}` in\n{}", self.log);
        }
    }
}
