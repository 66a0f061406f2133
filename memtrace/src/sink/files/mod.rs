//! Writes lines to files and the terminal on a thread of its own: a disk that stalls holds up
//! nobody. Bounded: what there is no room for is dropped and counted, RSS steps first.
#![forbid(unsafe_code)]

pub mod directory;
mod disk;
mod shelf;

use std::{
    io::{self, Write as _},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::{Bytes, BytesMut};

use self::directory::Directory;
use crate::loss::{Kind, Ledger};

/// Bytes that may wait before RSS steps of recordings are dropped.
const SOFT_BYTES: usize = 32 << 20;
/// Bytes that may wait before anything is dropped.
const HARD_BYTES: usize = 64 << 20;
/// How long the end waits for a disk or terminal that stalls.
const PATIENCE: Duration = Duration::from_secs(5);

/// Names an open file of the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key(u64);

/// How much a line matters when there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A line of the log.
    Log,
    /// A line of the recording.
    Recording,
    /// An RSS step in the recording.
    Step,
}

impl Class {
    fn kind(self) -> Kind {
        match self {
            Self::Log => Kind::LogLine,
            Self::Recording | Self::Step => Kind::RecordingLine,
        }
    }
}

enum Job {
    Open(Key, String),
    Line(Key, Class, Bytes),
    Flush(Key),
    Close(Key),
    Terminal(Bytes),
    Finish,
}

/// What the writer and its owner share.
#[derive(Debug, Default)]
struct Shared {
    waiting: AtomicUsize,
    broken_pipe: AtomicBool,
    lost: Mutex<Ledger>,
    troubles: Mutex<Vec<String>>,
}

/// Where live output goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terminal {
    /// Standard output.
    Out,
    /// Standard error: a command that runs beside us owns standard output.
    Err,
}

/// The writer's address. Files and terminal have a thread each, so that a terminal which is held
/// (Ctrl-S) does not keep reports from the disk.
#[derive(Debug)]
pub struct Writer {
    files: Sender<Job>,
    terminal: Sender<Job>,
    threads: Vec<JoinHandle<()>>,
    shared: Arc<Shared>,
    next: u64,
    blocks: Blocks,
}

impl Writer {
    /// Starts the threads. Files go to this directory.
    pub fn start(terminal: Terminal, directory: Directory) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (files, file_jobs) = channel();
        let (lines, terminal_jobs) = channel();
        let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
            thread::Builder::new().name(name.to_owned()).spawn(work)
        };
        let (for_files, for_terminal) = (Arc::clone(&shared), Arc::clone(&shared));
        let threads = vec![
            spawn(
                "files",
                Box::new(move || disk::write(&file_jobs, directory, &for_files)),
            )?,
            spawn(
                "terminal",
                Box::new(move || show(terminal, &terminal_jobs, &for_terminal)),
            )?,
        ];
        Ok(Self {
            files,
            terminal: lines,
            threads,
            shared,
            next: 0,
            blocks: Blocks::default(),
        })
    }

    /// Opens a file to append to; never through a symbolic link, never one that is there.
    pub fn open(&mut self, name: String) -> Key {
        let key = Key(self.next);
        self.next += 1;
        let _ = self.files.send(Job::Open(key, name));
        key
    }

    /// Writes one or more whole lines, each with its line end.
    pub fn lines(&mut self, key: Key, class: Class, text: &str) {
        let waiting = self.shared.waiting.load(Ordering::Relaxed);
        let room = if class == Class::Step {
            SOFT_BYTES
        } else {
            HARD_BYTES
        };
        if waiting + text.len() > room {
            self.shared.lose(class.kind(), count_lines(text.as_bytes()));
            return;
        }
        self.shared.waiting.fetch_add(text.len(), Ordering::Relaxed);
        let text = self.blocks.put(text);
        let _ = self.files.send(Job::Line(key, class, text));
    }

    /// What was given for this file is written before whatever is given next.
    pub fn flush(&self, key: Key) {
        let _ = self.files.send(Job::Flush(key));
    }

    /// No more lines come for this file.
    pub fn close(&self, key: Key) {
        let _ = self.files.send(Job::Close(key));
    }

    /// Shows text on the terminal. Live lines are in the log too: what a terminal that is held has
    /// no room for is not counted as lost.
    pub fn show(&mut self, text: &str) {
        if self.shared.waiting.load(Ordering::Relaxed) + text.len() <= HARD_BYTES {
            self.shared.waiting.fetch_add(text.len(), Ordering::Relaxed);
            let text = self.blocks.put(text);
            let _ = self.terminal.send(Job::Terminal(text));
        }
    }

    /// The reader of our output has gone.
    pub fn is_broken_pipe(&self) -> bool {
        self.shared.broken_pipe.load(Ordering::Relaxed)
    }

    /// What went wrong since the last call, each told once.
    pub fn troubles(&self) -> Vec<String> {
        self.shared
            .troubles
            .lock()
            .map(|mut list| std::mem::take(&mut *list))
            .unwrap_or_default()
    }

    /// What could not be written so far.
    pub fn lost(&self) -> Ledger {
        self.shared
            .lost
            .lock()
            .map(|lost| lost.clone())
            .unwrap_or_default()
    }

    /// Writes what is waiting and ends. A disk that stalls for long is left to itself; what it
    /// still owed is counted.
    pub fn finish(self) -> (Ledger, Vec<String>) {
        let _ = self.files.send(Job::Finish);
        let _ = self.terminal.send(Job::Finish);
        let end = std::time::Instant::now() + PATIENCE;
        for thread in self.threads {
            while !thread.is_finished() && std::time::Instant::now() < end {
                thread::sleep(Duration::from_millis(1));
            }
            if thread.is_finished() {
                let _ = thread.join();
            } else if thread.thread().name() == Some("files") {
                self.shared.lose(Kind::LogLine, 1);
            }
        }
        let lost = self
            .shared
            .lost
            .lock()
            .map(|lost| lost.clone())
            .unwrap_or_default();
        let troubles = self
            .shared
            .troubles
            .lock()
            .map(|list| list.clone())
            .unwrap_or_default();
        (lost, troubles)
    }
}

impl Shared {
    fn lose(&self, kind: Kind, count: u64) {
        if let Ok(mut lost) = self.lost.lock() {
            lost.add(kind, count);
        }
    }

    fn trouble(&self, text: String) {
        if let Ok(mut troubles) = self.troubles.lock()
            && !troubles.contains(&text)
            && troubles.len() < 100
        {
            troubles.push(text);
        }
    }
}

fn count_lines(text: &[u8]) -> u64 {
    text.split_inclusive(|byte| *byte == b'\n').count() as u64
}

/// Texts that wait, together in blocks: each by itself would leave a hole between what stays as long
/// as its process, and holes smaller than a page are never given back.
#[derive(Debug, Default)]
struct Blocks(BytesMut);

impl Blocks {
    const SIZE: usize = 64 << 10;

    fn put(&mut self, text: &str) -> Bytes {
        if self.0.capacity() < text.len() {
            self.0 = BytesMut::with_capacity(Self::SIZE.max(text.len()));
        }
        self.0.extend_from_slice(text.as_bytes());
        self.0.split().freeze()
    }
}

fn show(terminal: Terminal, jobs: &Receiver<Job>, shared: &Shared) {
    crate::kernel::rights::settle();
    while let Ok(job) = jobs.recv() {
        let Job::Terminal(text) = job else { return };
        shared.waiting.fetch_sub(text.len(), Ordering::Relaxed);
        let shown = match terminal {
            Terminal::Out => {
                let mut out = io::stdout().lock();
                out.write_all(&text).and_then(|()| out.flush())
            }
            Terminal::Err => io::stderr().lock().write_all(&text),
        };
        if shown.is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
            shared.broken_pipe.store(true, Ordering::Relaxed);
        }
    }
}
