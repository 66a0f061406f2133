//! The thread that writes logs and recordings.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Write as _},
    sync::{atomic::Ordering, mpsc::Receiver},
};

use super::{Class, Job, Key, Shared, count_lines, directory::Directory};

/// Bytes of a recording that are written at once while more is waiting.
const BATCH_BYTES: usize = 64 << 10;

/// A file, and the lines that are to be written to it at once.
struct Open {
    /// How troubles call it.
    path: String,
    file: Option<File>,
    pending: String,
}

/// Each line of a log is a write of its own, so that `tail -f` keeps up. Nobody watches a recording:
/// its lines are written together while others wait, for a write costs more than a line.
pub(super) fn write(jobs: &Receiver<Job>, mut directory: Directory, shared: &Shared) {
    crate::kernel::memory::go_early();
    let mut files: HashMap<Key, Open> = HashMap::new();
    // Those with pending lines; one may stand here twice.
    let mut dirty: Vec<Key> = Vec::new();
    loop {
        let Some(job) = next(jobs, || {
            for open in dirty.drain(..) {
                if let Some(open) = files.get_mut(&open) {
                    flush(open, shared);
                }
            }
        }) else {
            return;
        };
        match job {
            Job::Open(key, name) => {
                files.insert(key, open(&mut directory, &name, shared));
            }
            Job::Line(key, Class::Log, text) => {
                shared.waiting.fetch_sub(text.len(), Ordering::Relaxed);
                if let Some(open) = files.get_mut(&key) {
                    for line in text.split_inclusive('\n') {
                        append(open, Class::Log, line, shared);
                    }
                }
            }
            Job::Line(key, Class::Recording | Class::Step, text) => match files.get_mut(&key) {
                Some(open) => {
                    if open.pending.is_empty() {
                        dirty.push(key);
                    }
                    open.pending.push_str(&text);
                    if open.pending.len() > BATCH_BYTES {
                        flush(open, shared);
                    }
                }
                None => drop(shared.waiting.fetch_sub(text.len(), Ordering::Relaxed)),
            },
            Job::Flush(key) => {
                if let Some(open) = files.get_mut(&key) {
                    flush(open, shared);
                }
            }
            Job::Close(key) => {
                if let Some(mut open) = files.remove(&key) {
                    flush(&mut open, shared);
                }
            }
            Job::Finish => {
                for open in files.values_mut() {
                    flush(open, shared);
                }
                return;
            }
            Job::Terminal(_) => {}
        }
    }
}

/// The next job; `idle` is called where none is waiting.
fn next(jobs: &Receiver<Job>, idle: impl FnOnce()) -> Option<Job> {
    jobs.try_recv().ok().or_else(|| {
        idle();
        jobs.recv().ok()
    })
}

/// Writes what is pending. Its room is given back: there are as many of these as lives.
fn flush(open: &mut Open, shared: &Shared) {
    let text = std::mem::take(&mut open.pending);
    shared.waiting.fetch_sub(text.len(), Ordering::Relaxed);
    if !text.is_empty() {
        append(open, Class::Recording, &text, shared);
    }
}

fn open(directory: &mut Directory, name: &str, shared: &Shared) -> Open {
    let path = directory.path().join(name).display().to_string();
    let file = directory.create(name);
    let file = file.inspect_err(|error| shared.trouble(format!("cannot write {path}: {error}")));
    Open {
        path,
        file: file.ok(),
        pending: String::new(),
    }
}

/// Appends whole lines in one write, and counts those that the disk did not take.
fn append(open: &mut Open, class: Class, lines: &str, shared: &Shared) {
    let Some(file) = &mut open.file else {
        shared.lose(class.kind(), count_lines(lines));
        return;
    };
    match whole(file, lines) {
        Ok("") => {}
        Ok(rest) => {
            shared.lose(class.kind(), count_lines(rest));
            let full = io::Error::from(io::ErrorKind::StorageFull);
            shared.trouble(format!("cannot write {}: {full}", open.path));
        }
        Err(error) => {
            shared.lose(class.kind(), count_lines(lines));
            shared.trouble(format!("cannot write {}: {error}", open.path));
        }
    }
}

/// Writes lines and gives back those that the disk did not take whole.
fn whole<'a>(file: &mut File, lines: &'a str) -> io::Result<&'a str> {
    let written = file.write(lines.as_bytes())?;
    if written == lines.len() {
        return Ok("");
    }
    // A part of a line is taken back, so that the file ends in a whole one.
    let taken = &lines.as_bytes()[..written];
    let kept = taken
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let length = file.metadata()?.len();
    file.set_len(length.saturating_sub((written - kept) as u64))?;
    Ok(&lines[kept..])
}
