//! Every process of the machine as far as it is known, so that a kill can name those in it.

use std::{collections::HashMap, sync::Arc};

use super::samples::Samples;
use crate::{
    entry::{Actor, Memory, Program},
    event::Task,
    units::{BootNanos, Tgid, Tid},
};

/// Most processes that are remembered at once.
pub(super) const MOST: usize = 65_536;
/// Seconds between the samples of a person: kills bring censuses of their own.
const APART: f64 = 5.0;

/// What is known of one process.
#[derive(Debug, Clone, Default)]
pub struct Person {
    /// Its id.
    pub pid: Tgid,
    /// When it began.
    pub started: BootNanos,
    /// What it runs.
    /// Shared with its children and its own story: hundreds of workers run the same.
    pub program: Arc<Program>,
    /// User id.
    pub uid: Option<u32>,
    /// Parent when it was forked.
    pub parent: Option<Tgid>,
    /// Paths of its cgroups, when they were read.
    pub cgroups: Vec<String>,
    /// Memory when it was last looked at.
    pub memory: Option<Memory>,
    /// Inodes of its memory cgroups, the innermost first.
    pub groups: Vec<u64>,
    /// Its program may be about to change: it was forked, or took a name, as an exec does first.
    pub(super) unsettled: bool,
    /// It is a thread of the kernel: it has no memory of its own while it runs no program.
    pub(super) of_kernel: bool,
    /// It has ended; only a kill that waits to be told needs it.
    pub(super) ended: bool,
    /// What is known was read at this time: older events about it tell nothing new.
    pub(super) known_at: BootNanos,
    /// RSS at each census of the window.
    pub(super) samples: Samples,
    /// The first census of those in a row that did not find it.
    pub(super) missed: Option<BootNanos>,
    pub(super) seen: BootNanos,
    /// Another name that a census found it to have, and when: its taking may still be told.
    pub(super) alias: Option<Box<(BootNanos, String)>>,
}

impl Person {
    /// It has this command name now.
    pub(super) fn rename(&mut self, comm: &str) {
        if self.program.comm != comm {
            comm.clone_into(&mut Arc::make_mut(&mut self.program).comm);
        }
    }

    /// It was not there at a census, and all that happened until then has been taken: it has ended
    /// without our hearing of it.
    pub(super) fn is_gone(&self, told: BootNanos) -> bool {
        self.missed.is_some_and(|missed| missed < told)
    }

    /// It, as somebody else's story names it.
    pub fn actor(&self, tid: Tid) -> Actor {
        Actor {
            pid: self.pid,
            tid,
            comm: self.program.comm.clone(),
            args: self.program.args.clone(),
            uid: self.uid,
            cgroup: None,
        }
    }
}

/// When a census was taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Census {
    /// The instant that it is to show: that of the kill which asked for it.
    pub(super) at: BootNanos,
    /// When it was taken in truth.
    pub(super) taken: BootNanos,
    /// Everything older than this has been taken.
    pub(super) told: BootNanos,
}

#[derive(Debug, Default)]
pub(super) struct People(HashMap<Tgid, Box<Person>>);

impl People {
    pub(super) fn get(&self, pid: Tgid) -> Option<&Person> {
        self.0.get(&pid).map(Box::as_ref)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Person> {
        self.0.values().map(Box::as_ref)
    }

    pub(super) fn remove(&mut self, pid: Tgid) {
        self.0.remove(&pid);
    }

    /// This very process is known.
    pub(super) fn knows(&self, pid: Tgid, started: BootNanos) -> bool {
        self.get(pid)
            .is_some_and(|person| person.started == started)
    }

    /// Remembers a process; false if there is no room.
    pub(super) fn insert(&mut self, at: BootNanos, mut person: Person) -> bool {
        person.seen = at;
        let fits = self.fits(person.pid);
        if fits {
            self.0.insert(person.pid, Box::new(person));
        }
        fits
    }

    /// The process, new if it was not known or its pid began anew; absent if there is no room.
    pub(super) fn ensure(
        &mut self,
        at: BootNanos,
        pid: Tgid,
        started: BootNanos,
    ) -> Option<&mut Person> {
        if !self.fits(pid) {
            return None;
        }
        let person = self.0.entry(pid).or_default();
        if (person.pid, person.started) != (pid, started) {
            **person = Person {
                pid,
                started,
                ..Person::default()
            };
        }
        person.seen = at;
        Some(person)
    }

    fn fits(&self, pid: Tgid) -> bool {
        self.0.len() < MOST || self.0.contains_key(&pid)
    }

    /// Takes one line of a census; false if there is no room. One that was not known runs what its
    /// parent does.
    pub(super) fn see(&mut self, at: BootNanos, task: &Task, inherited: Arc<Program>) -> bool {
        let known = self.knows(task.pid, task.started);
        let Some(person) = self.ensure(at, task.pid, task.started) else {
            return false;
        };
        if !known {
            person.program = inherited;
            person.rename(&task.comm);
            person.parent = Some(task.parent);
        }
        person.uid = Some(task.uid);
        person.groups.clone_from(&task.groups);
        person.memory = Some(task.memory);
        person.missed = None;
        person.samples.add(at, task.memory.rss(), APART);
        true
    }

    /// Whether a process has taken its name without our hearing of it: a census before everything
    /// that has been told found it to have that name too. The kernel skips probes at times.
    pub(super) fn is_misnamed(&mut self, task: &Task, taken: BootNanos, told: BootNanos) -> bool {
        let Some(person) = self.0.get_mut(&task.pid) else {
            return false;
        };
        if person.program.comm == task.comm {
            person.alias = None;
            return false;
        }
        let since = match person.alias.take() {
            Some(alias) if alias.1 == task.comm => alias.0,
            _ => taken,
        };
        let misnamed = since < told;
        if !misnamed {
            person.alias = Some(Box::new((since, task.comm.clone())));
        }
        misnamed
    }

    /// A census found a process, but nothing to measure in it.
    pub(super) fn still_there(&mut self, at: BootNanos, pid: Tgid, started: BootNanos) {
        if let Some(person) = self.0.get_mut(&pid)
            && person.started == started
        {
            person.seen = at;
            person.missed = None;
        }
    }

    /// Marks a process as ended; true if it was alive.
    pub(super) fn end(&mut self, pid: Tgid, started: BootNanos) -> bool {
        self.0
            .get_mut(&pid)
            .filter(|person| person.started == started)
            .is_some_and(|person| !std::mem::replace(&mut person.ended, true))
    }

    /// Notes whom the census just taken did not find, and forgets those whose end would have been
    /// told by now, unless they must be kept.
    pub(super) fn forget_unseen(&mut self, census: Census, keep: impl Fn(Tgid) -> bool) {
        let Census { at, taken, told } = census;
        self.0.retain(|pid, person| {
            if person.seen >= at {
                return true;
            }
            person.missed.get_or_insert(taken);
            !person.is_gone(told) || keep(*pid)
        });
    }
}
