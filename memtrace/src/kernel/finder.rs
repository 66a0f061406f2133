//! Searches what targets map for marker functions, on a thread of its own: a library with a
//! million symbols must not hold up the rings.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    path::PathBuf,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    procfs::{self, Mapped},
    symbols::{self, Found},
};

/// A function that the user made a marker: `[PATH:]SYMBOL`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The symbol.
    pub symbol: String,
    /// Only in this file, if given.
    pub path: Option<PathBuf>,
    /// Cookie of its probe.
    pub cookie: u64,
}

/// What the search tells.
#[derive(Debug)]
pub enum News {
    /// A file holds functions to be probed.
    Found {
        /// The file, open.
        file: File,
        /// Its path as the process sees it.
        path: PathBuf,
        /// What was found, with the cookie of the user's markers.
        found: Vec<(Found, Option<u64>)>,
    },
    /// A file could not be searched.
    Failed {
        /// Its path as the process sees it.
        path: PathBuf,
        /// Why.
        error: String,
    },
}

/// The thread's address.
#[derive(Debug)]
pub struct Finder {
    jobs: Sender<Job>,
}

/// What is to be searched.
#[derive(Debug)]
enum Job {
    /// What a process maps, or if it has ended by then, what it executed. Soon.
    Process(u32, Option<PathBuf>),
    /// A file, now; the answer goes here.
    File(PathBuf, Sender<Option<News>>),
}

impl Finder {
    /// Starts the thread. The second value brings its news.
    pub fn start(wanted: Vec<Wanted>) -> std::io::Result<(Self, UnboundedReceiver<News>)> {
        let (sender, jobs) = channel();
        let (news, receiver) = unbounded_channel();
        thread::Builder::new()
            .name("finder".to_owned())
            .spawn(move || search(&wanted, &jobs, &news))?;
        Ok((Self { jobs: sender }, receiver))
    }

    /// Has a process searched, soon; if it has ended by then, what it executed: others will too.
    pub fn search(&self, pid: u32, executable: Option<PathBuf>) {
        // The thread ends only when this sender is dropped.
        let _ = self.jobs.send(Job::Process(pid, executable));
    }

    /// Searches a file that is about to be executed, and waits for the answer: a program may set
    /// its first checkpoint before anybody has had a look at what it maps.
    pub fn search_file(&self, path: PathBuf) -> Option<News> {
        let (reply, answer) = channel();
        self.jobs.send(Job::File(path, reply)).ok()?;
        answer.recv().ok()?
    }
}

fn search(wanted: &[Wanted], jobs: &Receiver<Job>, news: &UnboundedSender<News>) {
    let mut known = HashSet::new();
    while let Ok(first) = jobs.recv() {
        let mut pids = BTreeMap::new();
        for job in std::iter::once(first).chain(jobs.try_iter()) {
            match job {
                Job::Process(pid, executable) => {
                    pids.insert(pid, executable);
                }
                Job::File(path, reply) => {
                    let _ = reply.send(search_file(wanted, path, &mut known));
                }
            }
        }
        // Many notices may have come for one process: one look serves them all.
        for (pid, executable) in pids {
            let gone = executable.filter(|_| !procfs::is_there(pid));
            let told = match gone {
                Some(path) => search_file(wanted, path, &mut known).into_iter().collect(),
                None => search_process(wanted, pid, &mut known),
            };
            for told in told {
                if news.send(told).is_err() {
                    return;
                }
            }
        }
    }
}

/// Files by device and inode that have been searched.
type Known = HashSet<(u64, u64)>;

fn search_process(wanted: &[Wanted], pid: u32, known: &mut Known) -> Vec<News> {
    let mut told = Vec::new();
    for mapped in procfs::mapped_code(pid, |id| known.contains(&id)) {
        match mapped {
            Ok(mapped) => {
                known.insert(mapped.id);
                told.extend(look(wanted, mapped));
            }
            Err((path, error)) => told.push(News::Failed {
                path,
                error: error.to_string(),
            }),
        }
    }
    told
}

/// What cannot be opened here cannot be executed either; whoever tries that says so.
fn search_file(wanted: &[Wanted], path: PathBuf, known: &mut Known) -> Option<News> {
    let (id, file) = procfs::open(path.to_str()?).ok()?;
    known
        .insert(id)
        .then(|| look(wanted, Mapped { id, path, file }))?
}

/// Searches one file for the fixed symbols and for the user's.
pub fn look(wanted: &[Wanted], mapped: Mapped) -> Option<News> {
    let Mapped { path, file, .. } = mapped;
    let here: Vec<&Wanted> = wanted
        .iter()
        .filter(|wanted| wanted.path.as_ref().is_none_or(|only| *only == path))
        .collect();
    let mut names = vec![symbols::CHECKPOINT, symbols::PYTHON, symbols::LOADED];
    names.extend(here.iter().map(|wanted| wanted.symbol.as_str()));
    match symbols::find(&file, &names) {
        Ok(found) if found.is_empty() => None,
        Ok(found) => {
            let cookie = |found: &Found| {
                here.iter()
                    .find(|wanted| wanted.symbol == found.symbol)
                    .map(|wanted| wanted.cookie)
            };
            let found = found.into_iter().map(|found| (cookie(&found), found));
            Some(News::Found {
                file,
                path,
                found: found.map(|(c, f)| (f, c)).collect(),
            })
        }
        Err(error) => Some(News::Failed {
            path,
            error: error.to_string(),
        }),
    }
}
