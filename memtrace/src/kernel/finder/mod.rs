//! Searches what targets map for marker functions, on a thread of its own: a library with a
//! million symbols must not hold up the rings, nor a file that never answers the other files.

mod mapped;

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::{
    patience::{Entrance, PATIENCE, Place, Shared, Turn},
    procfs::{self, Mapped, MappedCode},
    python,
    symbols::{
        self, Found,
        python::{Interpreter, interpreter_in},
    },
};
use crate::{
    entry::Native,
    event::{MappedFile, Mappings},
    python::layout::Layout,
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
        /// What the strings of the Python in it are like, if there is one and anybody asks.
        python: Option<Box<Layout>>,
    },
    /// A process was searched for a Python.
    Python {
        /// The process.
        pid: u32,
        /// What was found. Nothing if it runs none, or is gone.
        found: Option<Result<Box<python::Found>, python::Error>>,
    },
    /// What a process runs code from.
    Mapped {
        /// The process.
        pid: u32,
        /// All of it.
        mappings: Mappings,
    },
    /// The native frames of a stack.
    Named {
        /// Which stack: [`crate::event::Ask::number`].
        number: u64,
        /// Its frames, the innermost first, as far out as they are sure.
        frames: Vec<Native>,
    },
    /// The native frames in a file stay without names.
    Nameless {
        /// Its path as the process sees it.
        path: PathBuf,
        /// Why.
        error: String,
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
    /// Absent when too many threads are stuck for another.
    jobs: Option<Sender<Job>>,
    shared: Arc<Shared>,
    /// What is looked for in every file.
    fixed: &'static [&'static str],
    wanted: Arc<[Wanted]>,
    news: UnboundedSender<News>,
}

/// What is to be searched.
#[derive(Debug)]
enum Job {
    /// The processes that are waiting.
    Processes,
    /// A file, now; the answer goes here.
    File(PathBuf, Sender<Option<News>>),
}

impl Finder {
    /// Starts the thread, which looks for `fixed` symbols and for the user's. The second value brings
    /// its news.
    pub fn start(
        fixed: &'static [&'static str],
        wanted: Vec<Wanted>,
    ) -> io::Result<(Self, UnboundedReceiver<News>)> {
        let (news, receiver) = unbounded_channel();
        let mut finder = Self {
            jobs: None,
            shared: Arc::default(),
            fixed,
            wanted: wanted.into(),
            news,
        };
        finder.start_thread(0)?;
        Ok((finder, receiver))
    }

    fn start_thread(&mut self, turn: Turn) -> io::Result<()> {
        let (sender, jobs) = channel();
        let search = Search {
            turn,
            shared: Arc::clone(&self.shared),
            fixed: self.fixed,
            wanted: Arc::clone(&self.wanted),
            news: self.news.clone(),
            pythons: RefCell::default(),
            files: RefCell::default(),
        };
        thread::Builder::new()
            .name("finder".to_owned())
            .spawn(move || search.until_over(&jobs))?;
        self.jobs = Some(sender);
        Ok(())
    }

    /// Whoever else has news sends them here.
    pub fn news(&self) -> UnboundedSender<News> {
        self.news.clone()
    }

    /// Has a process searched, soon; if it has ended by then, what it executed: others will too.
    pub fn search(&self, pid: u32, executable: Option<PathBuf>) {
        let Some(jobs) = &self.jobs else { return };
        // Many notices may come for one process: one look serves them all.
        if self.shared.add(pid, executable) {
            let _ = jobs.send(Job::Processes);
        }
    }

    /// Searches a file that is about to be executed, and waits for the answer: a program may set
    /// its first checkpoint before anybody has had a look at what it maps.
    pub fn search_file(&self, path: PathBuf) -> Option<News> {
        let (reply, answer) = channel();
        self.jobs.as_ref()?.send(Job::File(path, reply)).ok()?;
        answer.recv_timeout(PATIENCE).ok()?
    }

    /// Once a second: has another thread go on where one is stuck, and names what it is stuck at.
    pub fn look_after(&mut self) -> Option<News> {
        let (path, turn) = self.shared.give_up()?;
        self.jobs = None;
        let error = match turn.map(|turn| self.start_thread(turn)) {
            Some(Ok(())) => {
                let jobs = self.jobs.as_ref();
                let _ = jobs.map(|jobs| jobs.send(Job::Processes));
                "it does not answer, and nothing on its mount is searched until it does"
            }
            Some(Err(_)) | None => {
                "it does not answer, as too many others: no file is searched any more"
            }
        };
        Some(News::Failed {
            path,
            error: error.to_owned(),
        })
    }
}

/// Files of a kind that are remembered.
const MOST_KNOWN: usize = 10_000;

/// Device and inode.
type FileId = ((i32, i32), u64);

/// One thread's work.
struct Search {
    turn: Turn,
    shared: Arc<Shared>,
    fixed: &'static [&'static str],
    wanted: Arc<[Wanted]>,
    news: UnboundedSender<News>,
    /// Files by device and inode that were looked at for a Python.
    pythons: RefCell<HashMap<FileId, Option<Interpreter>>>,
    /// Files that processes run code from, each kept once.
    files: RefCell<HashSet<Arc<MappedFile>>>,
}

impl Search {
    fn until_over(self, jobs: &Receiver<Job>) {
        // A program that dies within a moment has its Python found in less.
        super::memory::go_early();
        while let Ok(job) = jobs.recv() {
            if let Job::File(path, reply) = job {
                let _ = reply.send(self.file(&path));
            }
            while let Some((pid, executable)) = self.shared.next(self.turn) {
                if let Some(path) = executable.filter(|_| !procfs::is_there(pid)) {
                    self.send(self.file(&path));
                } else {
                    // This is the quicker one, by far, where files are searched for the first time.
                    self.python(pid);
                    self.process(pid);
                }
            }
        }
    }

    fn send(&self, news: Option<News>) {
        // Whoever listens also sends the jobs: this ends with them.
        let _ = news.map(|news| self.news.send(news));
    }

    /// The process that is looked at may hold up its own `maps`.
    fn process(&self, pid: u32) {
        let place = Place::of_path(Path::new(&format!("/proc/{pid}/maps")));
        let mut mapped = MappedCode::default();
        let failed = self.at(&place, || {
            mapped = procfs::mapped_code(pid);
            Ok(None)
        });
        self.send(failed);
        // Where it may die of an unknown file's search, its own is already known.
        self.send(Some(self.mappings(pid, &mapped)));
        for mapped in mapped.files {
            let news = self.at(&place_of(&mapped), || match mapped.open() {
                Ok((id, file)) => Ok(self.look_once(id, file, mapped.path.clone())),
                // The process or its mapping went away meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            });
            self.send(news);
        }
    }

    /// Looks for the Python that a process runs: in files that are called so, and in its executable.
    fn python(&self, pid: u32) {
        let place = Place::of_path(Path::new(&format!("/proc/{pid}/maps")));
        let mut candidates = Vec::new();
        let failed = self.at(&place, || {
            candidates = python::candidates(pid).unwrap_or_default();
            Ok(None)
        });
        self.send(failed);
        let executable = candidates.iter().map(|(base, _)| *base).min();
        candidates
            .retain(|(base, file)| python::is_python(&file.path) || Some(*base) == executable);
        let mut found = None;
        for (base, file) in candidates {
            let Some(elf) = self.interpreter(&file) else {
                continue;
            };
            // Its memory may be on a mount that does not answer, or made to be waited for.
            let place = Place::of_path(Path::new(&format!("/proc/{pid}/mem")));
            let failed = self.at(&place, || {
                found = Some(python::in_process(pid, base, elf, &file.path).map(Box::new));
                Ok(None)
            });
            self.send(failed);
            break;
        }
        self.send(Some(News::Python { pid, found }));
    }

    /// The interpreter in a file, looked for once.
    fn interpreter(&self, file: &Mapped) -> Option<Interpreter> {
        let id = (file.device, file.inode);
        if let Some(known) = self.pythons.borrow().get(&id) {
            return *known;
        }
        let mut found = None;
        let failed = self.at(&place_of(file), || {
            // What cannot be read is told by the search for markers.
            let open = file.open().ok();
            found = open.and_then(|(_, open)| interpreter_in(open).ok().flatten());
            Ok(None)
        });
        self.send(failed);
        let mut pythons = self.pythons.borrow_mut();
        if pythons.len() >= MOST_KNOWN {
            pythons.clear();
        }
        pythons.insert(id, found);
        found
    }

    /// What cannot be opened here cannot be executed either; whoever tries that says so.
    fn file(&self, path: &Path) -> Option<News> {
        self.at(&Place::of_path(path), || {
            let opened = procfs::open(path).ok();
            Ok(opened.and_then(|(id, file)| self.look_once(id, file, path.to_owned())))
        })
    }

    fn look_once(&self, id: (u64, u64), file: File, path: PathBuf) -> Option<News> {
        let is_new = self.shared.learn(id);
        is_new.then(|| look(self.fixed, &self.wanted, path, file))?
    }

    /// Does something that may never end, and tells once what keeps it from being done.
    fn at(&self, place: &Place, act: impl FnOnce() -> io::Result<Option<News>>) -> Option<News> {
        let error = match self.shared.enter(self.turn, place) {
            Entrance::TakenOver => return None,
            Entrance::Hangs => "its mount does not answer".to_owned(),
            Entrance::Free => {
                let result = act();
                self.shared.leave(self.turn);
                match result {
                    Ok(news) => return news,
                    Err(error) => error.to_string(),
                }
            }
        };
        self.shared.tell(place).then(|| News::Failed {
            path: place.path.clone(),
            error,
        })
    }
}

fn place_of(file: &Mapped) -> Place {
    Place {
        device: file.device,
        inode: file.inode,
        path: file.path.clone(),
    }
}

/// Searches one file for the fixed symbols and for the user's.
fn look(fixed: &[&str], wanted: &[Wanted], path: PathBuf, file: File) -> Option<News> {
    let here: Vec<&Wanted> = wanted
        .iter()
        .filter(|wanted| wanted.path.as_ref().is_none_or(|only| *only == path))
        .collect();
    let mut names = fixed.to_vec();
    names.extend(here.iter().map(|wanted| wanted.symbol.as_str()));
    match symbols::find(&file, &names) {
        Ok(found) if found.is_empty() => None,
        Ok(found) => {
            let cookie = |found: &Found| {
                here.iter()
                    .find(|wanted| wanted.symbol == found.symbol)
                    .map(|wanted| wanted.cookie)
            };
            let prints = found.iter().any(|found| found.symbol == symbols::PRINTED);
            let python = if prints {
                python::layout_in(&file, &path).map(Box::new)
            } else {
                None
            };
            let found = found.into_iter().map(|found| (cookie(&found), found));
            Some(News::Found {
                file,
                path,
                python,
                found: found.map(|(c, f)| (f, c)).collect(),
            })
        }
        Err(error) => Some(News::Failed {
            path,
            error: error.to_string(),
        }),
    }
}
