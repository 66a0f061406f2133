//! All processes of the machine at one instant: who ran before us, who came or went unheard.

use std::sync::Arc;

use super::{
    Output, Track,
    people::{Census, Person},
};
use crate::{
    entry::{Exit, Lost, Program, What},
    event::{Rename, Task},
    loss,
    units::{BootNanos, Tgid},
};

/// Events of a process this old have been told, or lost.
const SETTLED_SECONDS: f64 = 1.0;

impl Track {
    /// A process that ran before tracing began.
    pub fn found(
        &mut self,
        at: BootNanos,
        task: Task,
        program: Arc<Program>,
        cgroups: Vec<String>,
        out: &mut Vec<Output>,
    ) {
        if is_dead(&task) {
            return;
        }
        let moved_in = self.is_in_target_group(&task);
        let Task {
            pid,
            parent,
            started,
            uid,
            comm: _,
            memory,
            groups,
        } = task;
        let person = Person {
            pid,
            started,
            program: self.program.share(program),
            uid: Some(uid),
            parent: Some(parent),
            cgroups,
            memory: Some(memory),
            groups,
            known_at: at,
            ..Person::default()
        };
        if self.remember(at, person, out) {
            self.decide(pid, moved_in, out);
        }
    }

    /// How all processes stand at an instant, as far as `taken`, when they were looked at, is near.
    /// Learns of processes whose fork was missed and of ends that were.
    ///
    /// It may be far: what happened is told late when we do not get a cpu. Whoever is not found may
    /// have an end that is still on its way, and whoever is new a fork.
    pub fn census(
        &mut self,
        at: BootNanos,
        taken: BootNanos,
        tasks: &[Task],
        out: &mut Vec<Output>,
    ) {
        for task in tasks {
            self.see(at, taken, task, out);
        }
        let told = self.told;
        let census = Census { at, taken, told };
        self.people
            .forget_unseen(census, |pid| self.lives.contains_key(&pid));
        self.end_the_unseen(at, out);
        self.look_around(at);
    }

    fn see(&mut self, at: BootNanos, taken: BootNanos, task: &Task, out: &mut Vec<Output>) {
        let known = self.people.knows(task.pid, task.started);
        // The fork of a young one is still on its way to us.
        let is_young = self.told.seconds_since(task.started) < SETTLED_SECONDS;
        if is_dead(task) {
            self.people.still_there(at, task.pid, task.started);
            return;
        }
        if !known && is_young {
            return;
        }
        self.retire(at, task.pid, task.started, out);
        let parent = self.people.get(task.parent);
        let program = parent.map(|parent| Arc::clone(&parent.program));
        if !self.people.see(at, task, program.unwrap_or_default()) {
            out.push(Output::TooMany);
            return;
        }
        if known && self.people.is_misnamed(task, taken, self.told) {
            let rename = Rename {
                pid: task.pid,
                started: task.started,
                uid: task.uid,
                comm: task.comm.clone(),
            };
            self.rename(at, rename, out);
        }
        let moved_in = self.is_in_target_group(task);
        if self.lives.contains_key(&task.pid) {
            return;
        }
        if !known && self.rules.follow && self.lives.contains_key(&task.parent) {
            self.follow(at, task.parent, task.pid, out);
        } else if !known || moved_in {
            self.decide(task.pid, moved_in, out);
        }
    }

    fn is_in_target_group(&self, task: &Task) -> bool {
        let is_target = |id| self.rules.target_groups.contains(id);
        task.groups.iter().any(is_target)
    }

    /// Ends each life whose end was lost.
    fn end_the_unseen(&mut self, at: BootNanos, out: &mut Vec<Output>) {
        let gone: Vec<Tgid> = self
            .lives
            .keys()
            .copied()
            .filter(|pid| {
                self.people
                    .get(*pid)
                    .is_none_or(|person| person.is_gone(self.told))
            })
            .collect();
        for pid in gone {
            self.end_unheard(at, pid, out);
        }
    }

    /// A pid begins anew: whatever had it before has ended.
    pub(super) fn retire(
        &mut self,
        at: BootNanos,
        pid: Tgid,
        started: BootNanos,
        out: &mut Vec<Output>,
    ) {
        let other = |known: BootNanos| known != started;
        let person = self.people.get(pid).is_some_and(|who| other(who.started));
        let life = self.lives.get(&pid).is_some_and(|life| other(life.started));
        if person || life {
            self.end_unheard(at, pid, out);
        }
    }

    fn end_unheard(&mut self, at: BootNanos, pid: Tgid, out: &mut Vec<Output>) {
        if let Some(life) = self.lives.get(&pid) {
            let who = (pid, life.started);
            if !self.kills.concerns(who.0, who.1) {
                self.tell_unnamed(who, out);
            }
        }
        if let Some(mut life) = self.lives.remove(&pid) {
            let lost = Lost {
                kind: loss::Kind::LifeRecord,
                count: 1,
            };
            life.tell(at, What::Lost(lost), out);
            life.tell(at, What::Exit(Exit::default()), out);
            out.push(Output::Unheard);
            self.close(*life, out);
        }
        self.people.remove(pid);
    }
}

/// A zombie has no address space. Nor has a leader that ended before its threads: such a process
/// keeps the memory that is known of it, and is not met if it was not known.
fn is_dead(task: &Task) -> bool {
    task.memory.rss().0 == 0 && task.memory.vms.is_none_or(|vms| vms.0 == 0)
}
