//! Names native frames, on a thread of its own: files are read for it that may be large, hostile, or
//! on a mount that never answers. What it read is dropped when nobody has asked for a second.

mod chain;
mod image;
mod names;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use tokio::sync::mpsc::UnboundedSender;

use self::{chain::Known, names::Names};
use super::{
    finder::News,
    patience::{Entrance, Place, Shared, Turn},
    procfs,
};
use crate::{
    contain::contained,
    entry::Native,
    event::{Address, Ask, Identity, Spot},
};

/// Files whose names are held at once, and bytes of these.
const MOST_FILES: usize = 32;
const MOST_BYTES: u64 = 128 << 20;
/// How long they are held when nobody asks.
const HELD: Duration = Duration::from_secs(1);
/// Stacks that wait for the thread. What comes while there are as many goes without names.
const MOST_ASKED: usize = 1024;

/// The thread's address. It is started when first asked.
#[derive(Debug)]
pub struct Namer {
    news: UnboundedSender<News>,
    shared: Arc<Shared>,
    jobs: Option<SyncSender<Ask>>,
    turn: Turn,
    /// Too many threads are stuck, or none can be had.
    over: bool,
}

impl Namer {
    /// Answers with [`News::Named`].
    pub fn new(news: UnboundedSender<News>) -> Self {
        Self {
            news,
            shared: Arc::default(),
            jobs: None,
            turn: 0,
            over: false,
        }
    }

    /// Has the frames of a stack named. The answer may never come.
    pub fn ask(&mut self, ask: Ask) {
        if self.jobs.is_none() && !self.over {
            self.over = self.start().is_err();
        }
        let _ = self.jobs.as_ref().map(|jobs| jobs.try_send(ask));
    }

    fn start(&mut self) -> io::Result<()> {
        let (sender, jobs) = sync_channel(MOST_ASKED);
        let work = Work {
            turn: self.turn,
            shared: Arc::clone(&self.shared),
            news: self.news.clone(),
        };
        thread::Builder::new()
            .name("namer".to_owned())
            .spawn(move || work.until_over(&jobs))?;
        self.jobs = Some(sender);
        Ok(())
    }

    /// Once a second: leaves a thread to itself that is stuck at a file, and names the file.
    pub fn look_after(&mut self) -> Option<News> {
        let (path, turn) = self.shared.give_up()?;
        self.jobs = None;
        self.over = turn.is_none();
        self.turn = turn.unwrap_or(self.turn);
        Some(News::Nameless {
            path,
            error: "it does not answer".to_owned(),
        })
    }
}

/// One thread's work.
struct Work {
    turn: Turn,
    shared: Arc<Shared>,
    news: UnboundedSender<News>,
}

/// The files that are held; nothing of those that cannot be read.
#[derive(Default)]
struct Files(HashMap<Identity, Option<Names>>);

impl Work {
    fn until_over(&self, jobs: &Receiver<Ask>) {
        // A victim's report waits for this.
        super::memory::go_early();
        let mut files = Files::default();
        loop {
            let ask = match jobs.recv_timeout(HELD) {
                Ok(ask) => ask,
                Err(RecvTimeoutError::Timeout) => {
                    files = Files::default();
                    let Ok(ask) = jobs.recv() else { return };
                    ask
                }
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let frames = self.frames(&mut files, &ask);
            let _ = self.news.send(News::Named {
                number: ask.number,
                frames,
            });
        }
    }

    fn frames(&self, files: &mut Files, ask: &Ask) -> Vec<Native> {
        let mut is_first = true;
        let known = ask.addresses.iter().map(|address| {
            let known = self.known(files, ask.pid.0, address, is_first);
            is_first = false;
            known
        });
        chain::frames(known)
    }

    /// What is not known has no call before it either.
    fn known(&self, files: &mut Files, pid: u32, address: &Address, is_first: bool) -> Known {
        let nameless = Known {
            frames: vec![address.nameless()],
            ..Known::default()
        };
        let Some(spot) = &address.spot else {
            return nameless;
        };
        let place = Place {
            device: (0, 0),
            inode: 0,
            path: Path::new(&*spot.file.path).to_owned(),
        };
        if self.shared.enter(self.turn, &place) != Entrance::Free {
            return nameless;
        }
        let known = contained(|| {
            let names = files.names(pid, spot)?;
            Some(names.look_up(spot, is_first))
        });
        self.shared.leave(self.turn);
        if known.is_none() {
            files.forget(spot);
            if self.shared.tell(&place) {
                let _ = self.news.send(News::Nameless {
                    path: place.path,
                    error: "what it says of its code is damaged".to_owned(),
                });
            }
        }
        known.flatten().unwrap_or(nameless)
    }
}

impl Files {
    fn names(&mut self, pid: u32, spot: &Spot) -> Option<&Names> {
        let identity = spot.file.identity?;
        if !self.0.contains_key(&identity) {
            let open = self.0.values().flatten();
            let held: u64 = open.map(Names::size).sum();
            if self.0.len() >= MOST_FILES || held > MOST_BYTES {
                self.0.clear();
            }
            // Another process that maps it may still lead to it.
            let file = procfs::open_again(pid, spot).ok()?;
            self.0.insert(identity, Names::of(file).ok());
        }
        self.0.get(&identity)?.as_ref()
    }

    /// This one is not to be read any more.
    fn forget(&mut self, spot: &Spot) {
        if let Some(identity) = spot.file.identity {
            self.0.insert(identity, None);
        }
    }
}
