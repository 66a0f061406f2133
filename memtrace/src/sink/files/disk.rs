//! The thread that writes logs and recordings.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Write as _},
    sync::{atomic::Ordering, mpsc::Receiver},
};

use super::{Class, Job, Key, Shared, count_lines, directory::Directory, shelf::Shelf};

/// Bytes of a recording that are written at once while more is waiting.
const BATCH_BYTES: usize = 64 << 10;

/// Each line of a log is a write of its own, so that `tail -f` keeps up. Nobody watches a recording:
/// its lines are written together while others wait, for a write costs more than a line.
pub(super) fn write(jobs: &Receiver<Job>, directory: Directory, shared: &Shared) {
    crate::kernel::memory::go_early();
    let mut shelf = Shelf::new(directory);
    // Lines of recordings that are to be written at once.
    let mut pending: HashMap<Key, Vec<u8>> = HashMap::new();
    loop {
        let Some(job) = next(jobs, || {
            for (key, lines) in pending.drain() {
                flush(&mut shelf, key, &lines, shared);
            }
        }) else {
            return;
        };
        match job {
            Job::Open(key, name) => {
                if let Err(error) = shelf.make(key, &name) {
                    shared.trouble(format!("cannot write {}: {error}", shelf.path(key)));
                }
            }
            Job::Line(key, Class::Log, text) => {
                shared.waiting.fetch_sub(text.len(), Ordering::Relaxed);
                if shelf.has(key) {
                    for line in text.split_inclusive(|byte| *byte == b'\n') {
                        append(&mut shelf, key, Class::Log, line, shared);
                    }
                }
            }
            Job::Line(key, Class::Recording | Class::Step, text) => {
                let lines = pending.entry(key).or_default();
                lines.extend_from_slice(&text);
                if lines.len() > BATCH_BYTES {
                    flush(&mut shelf, key, &std::mem::take(lines), shared);
                }
            }
            Job::Flush(key) => {
                let lines = pending.remove(&key).unwrap_or_default();
                flush(&mut shelf, key, &lines, shared);
            }
            Job::Close(key) => {
                let lines = pending.remove(&key).unwrap_or_default();
                flush(&mut shelf, key, &lines, shared);
                shelf.put_away(key);
            }
            Job::Finish => {
                for (key, lines) in pending {
                    flush(&mut shelf, key, &lines, shared);
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

/// Writes lines of a recording that were pending.
fn flush(shelf: &mut Shelf, key: Key, lines: &[u8], shared: &Shared) {
    shared.waiting.fetch_sub(lines.len(), Ordering::Relaxed);
    if !lines.is_empty() && shelf.has(key) {
        append(shelf, key, Class::Recording, lines, shared);
    }
}

/// Appends whole lines in one write, and counts those that the disk did not take.
fn append(shelf: &mut Shelf, key: Key, class: Class, lines: &[u8], shared: &Shared) {
    let written = match shelf.file(key) {
        Ok(None) => return shared.lose(class.kind(), count_lines(lines)),
        Ok(Some(file)) => whole(file, lines),
        Err(error) => Err(error),
    };
    let (lost, error) = match written {
        Ok([]) => return,
        Ok(rest) => (rest, io::ErrorKind::StorageFull.into()),
        Err(error) => (lines, error),
    };
    shared.lose(class.kind(), count_lines(lost));
    shared.trouble(format!("cannot write {}: {error}", shelf.path(key)));
}

/// Writes lines and gives back those that the disk did not take whole.
fn whole<'a>(file: &mut File, lines: &'a [u8]) -> io::Result<&'a [u8]> {
    let written = file.write(lines)?;
    if written == lines.len() {
        return Ok(&[]);
    }
    // A part of a line is taken back, so that the file ends in a whole one.
    let kept = lines[..written]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .map_or(0, |end| end + 1);
    let length = file.metadata()?.len();
    file.set_len(length.saturating_sub((written - kept) as u64))?;
    Ok(&lines[kept..])
}
