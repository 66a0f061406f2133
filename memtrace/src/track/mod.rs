//! Who is who: process lives, whose memory an event is about, and which signal was whose.
//!
//! Takes the kernel's events in the order of time, gives out the entries of each traced life. No
//! IO, no clock: what it needs from the host it asks for with an [`Output`], and time comes with
//! events and with [`Track::flush`].

mod census;
mod codes;
mod constraint;
mod kills;
mod life;
mod losses;
mod natives;
mod neighbours;
mod people;
mod prints;
mod samples;
mod stacks;
#[cfg(test)]
mod tests;

use std::{collections::HashMap, sync::Arc};

use self::{kills::Kills, life::Life, people::People};
pub use self::{life::LifeId, losses::losses, people::Person};
use crate::{
    entry::Memory,
    entry::{Begin, Checkpoint, Entry, Exit as ExitEntry, Lost, Program, What},
    event::{Ask, Event, Exec, Exit, Fork, Kind, Mark, MarkSource, Rename},
    loss,
    naming::Naming,
    share::Last,
    targets::{Candidate, Targets},
    units::{BootNanos, Bytes, MB, Tgid},
};

/// What the track wants done.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Trace this process: answer with [`Track::begin`] before the next event.
    Adopt(Tgid),
    /// This process is not a target: the kernel need not hold it.
    Release(Tgid),
    /// This process has new program files: look for markers in them.
    Discover(Tgid),
    /// A kill waits to know how the others stand: answer with [`Track::census`].
    Census,
    /// Have the native frames of a stack named: [`Track::named`] takes the answer.
    Name(Ask),
    /// A fact about a life.
    Entry(LifeId, Entry),
    /// The life is over, its last entry was given out.
    Ended(LifeId, Tgid),
    /// The life that is over ended without our hearing of it.
    Unheard,
    /// There are more processes than are remembered: one is not known.
    TooMany,
    /// The OOM killer chose a process that is not traced.
    UntracedKill(Box<crate::entry::OomKill>),
}

/// Fixed at the start.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Whom to trace.
    pub targets: Targets,
    /// Inodes of the cgroups among the targets.
    pub target_groups: Vec<u64>,
    /// Children of traced processes are traced.
    pub follow: bool,
    /// Stacks are taken: a kill waits for those of its victim.
    pub stacks: bool,
    /// Names of the marker functions, by cookie.
    pub functions: HashMap<u64, String>,
    /// Which printed lines are checkpoints; absent: none.
    pub prints: Option<Naming>,
    /// Likewise of lines that are written.
    pub lines: Option<Naming>,
    /// The memory controller is that of cgroup v1.
    pub cgroup_v1: bool,
    /// `MemTotal`, if known.
    pub total_memory: Option<Bytes>,
}

/// Parent of the kernel's own threads (`rest_init`, init/main.c). No census tells of these.
const KTHREADD: Tgid = Tgid(2);

/// The state.
#[derive(Debug, Default)]
pub struct Track {
    rules: Rules,
    people: People,
    /// Boxed: half of a hash map is empty.
    lives: HashMap<Tgid, Box<Life>>,
    kills: Kills,
    /// What the last process began to run.
    program: Last<Program>,
    /// Everything older than this has been taken.
    told: BootNanos,
    next_life: u64,
}

impl Track {
    /// Nobody is known yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            ..Self::default()
        }
    }

    /// What is known of a process.
    pub fn person(&self, pid: Tgid) -> Option<&Person> {
        self.people.get(pid)
    }

    /// Processes that are traced now.
    pub fn traced(&self) -> impl Iterator<Item = Tgid> + '_ {
        self.lives.keys().copied()
    }

    /// One process more is a target.
    pub fn want(&mut self, pid: Tgid) {
        self.rules.targets.pids.push(pid);
    }

    /// This process is traced now.
    pub fn is_traced(&self, pid: Tgid) -> bool {
        self.lives.contains_key(&pid)
    }

    /// When a process began and what memory it had, as far as that is known.
    pub fn last_known(&self, pid: Tgid) -> Option<(BootNanos, Option<Memory>)> {
        let life = self.lives.get(&pid).and_then(|life| life.last_memory());
        let person = self.people.get(pid)?;
        Some((person.started, life.or(person.memory)))
    }

    /// A kill is still to be told.
    pub fn awaits_kill(&self) -> bool {
        self.deadline().is_some()
    }

    /// Takes one event. `cgroups` are the paths of its subject, if the targets ask for them.
    pub fn apply(&mut self, event: Event, cgroups: Vec<String>, out: &mut Vec<Output>) {
        let at = event.at;
        self.flush(at, out);
        match event.kind {
            Kind::Rss { pid, memory } => self.rss(at, pid, memory, out),
            Kind::Fork(fork) => self.fork(at, fork, cgroups, out),
            Kind::Exec(exec) => self.exec(at, *exec, cgroups, out),
            Kind::Rename(rename) => self.rename(at, rename, out),
            Kind::Exit(exit) => self.exit(at, &exit, out),
            Kind::Mark(mark) => self.mark(at, *mark, out),
            Kind::Print(print) => self.print(at, &print, out),
            Kind::Sigkill(sigkill) => self.sigkill(at, *sigkill, out),
            Kind::OomMark(mark) => self.oom_mark(at, *mark, out),
            Kind::Stack(stack) => self.stack(at, *stack, out),
            Kind::Code(code) => self.code(*code),
            Kind::Lines(lines) => self.lines(&lines),
            // The kernel tells it of everybody whom it still holds since their exec.
            Kind::Loaded { pid } if !self.is_traced(pid) => {}
            Kind::Loaded { pid } => out.push(Output::Discover(pid)),
        }
    }

    /// Begins a life that [`Output::Adopt`] asked for.
    pub fn begin(&mut self, at: BootNanos, begin: Begin, out: &mut Vec<Output>) {
        let pid = begin.pid;
        if self.lives.contains_key(&pid) {
            return;
        }
        let id = LifeId(self.next_life);
        self.next_life += 1;
        let settled = self.people.get(pid).is_none_or(|person| !person.unsettled);
        let memory = begin.memory;
        let mut life = Box::new(Life::new(id, begin, at));
        if settled {
            memory.inspect(|memory| life.sample(at, *memory));
            life.show(out);
        }
        if self.kills.is_awaited_by(&life) {
            life.wait(out);
        }
        let parent = life.parent;
        self.lives.insert(pid, life);
        if let Some(parent) = parent {
            self.inherit_code(parent, pid);
        }
    }

    /// Something was lost that may concern every traced life.
    pub fn lost(&mut self, at: BootNanos, kind: loss::Kind, count: u64, out: &mut Vec<Output>) {
        for life in self.lives.values_mut() {
            life.tell(at, What::Lost(Lost { kind, count }), out);
        }
    }

    /// Something was lost that concerns one life.
    pub fn lost_by(&mut self, at: BootNanos, pid: Tgid, lost: Lost, out: &mut Vec<Output>) {
        if let Some(life) = self.lives.get_mut(&pid) {
            life.tell(at, What::Lost(lost), out);
        }
    }

    /// Ends every life: tracing stops, the processes go on.
    pub fn detach(&mut self, at: BootNanos, out: &mut Vec<Output>) {
        self.flush(BootNanos(u64::MAX), out);
        for (_, mut life) in self.lives.drain() {
            let memory = life.last_memory();
            life.tell(at, What::Detach { memory }, out);
            out.push(Output::Ended(life.id, life.pid));
        }
    }

    fn decide(&mut self, pid: Tgid, certain: bool, out: &mut Vec<Output>) {
        let Some(person) = self.people.get(pid) else {
            return;
        };
        let who = Candidate {
            pid,
            comm: &person.program.comm,
            exe: person.program.exe.as_deref(),
            args: &person.program.args,
            uid: person.uid,
            cgroups: &person.cgroups,
        };
        if certain || self.rules.targets.matches(&who) {
            out.push(Output::Adopt(pid));
            out.push(Output::Discover(pid));
        } else {
            out.push(Output::Release(pid));
        }
    }

    fn rss(
        &mut self,
        at: BootNanos,
        pid: Tgid,
        memory: crate::entry::Memory,
        out: &mut Vec<Output>,
    ) {
        if let Some(life) = self.lives.get_mut(&pid)
            && life.begun <= at
        {
            life.sample(at, memory);
            life.tell(at, What::Rss { memory }, out);
        }
    }

    fn fork(&mut self, at: BootNanos, fork: Fork, cgroups: Vec<String>, out: &mut Vec<Output>) {
        let Fork {
            parent,
            child,
            started,
            shares_memory,
            uid,
            comm,
            memory,
        } = fork;
        self.retire(at, child, started, out);
        if self.is_old_news(at, child) {
            return;
        }
        let parent_is = self.people.get(parent).cloned().unwrap_or_default();
        let mut person = Person {
            pid: child,
            started,
            program: parent_is.program,
            uid: Some(uid),
            parent: Some(parent),
            cgroups: if cgroups.is_empty() {
                parent_is.cgroups
            } else {
                cgroups
            },
            memory: (!shares_memory).then_some(memory),
            groups: parent_is.groups,
            unsettled: true,
            of_kernel: parent == KTHREADD,
            ..Person::default()
        };
        person.rename(&comm);
        if !self.remember(at, person, out) || !self.rules.follow || parent == KTHREADD {
            return;
        }
        if self.lives.contains_key(&parent) {
            self.follow(at, parent, child, out);
        } else {
            self.decide(child, false, out);
        }
    }

    /// Keeps what is known of a process; false if too many are kept already.
    fn remember(&mut self, at: BootNanos, person: Person, out: &mut Vec<Output>) -> bool {
        let kept = self.people.insert(at, person);
        if !kept {
            out.push(Output::TooMany);
        }
        kept
    }

    /// A census told more of this process than an event that is older than the census can.
    fn is_old_news(&self, at: BootNanos, pid: Tgid) -> bool {
        self.people
            .get(pid)
            .is_some_and(|person| at < person.known_at)
    }

    /// Traces the child of a traced process.
    fn follow(&mut self, at: BootNanos, parent: Tgid, child: Tgid, out: &mut Vec<Output>) {
        if let Some(life) = self.lives.get_mut(&parent) {
            life.tell(at, What::Child { pid: child }, out);
        }
        out.push(Output::Adopt(child));
    }

    fn exec(&mut self, at: BootNanos, exec: Exec, cgroups: Vec<String>, out: &mut Vec<Output>) {
        let Exec {
            pid,
            started,
            uid,
            comm,
            filename,
            args,
            memory,
        } = exec;
        self.retire(at, pid, started, out);
        self.give_up_naming_of((pid, started), out);
        let program = self.program.share(Arc::new(Program {
            comm,
            exe: filename,
            args,
        }));
        if self.is_old_news(at, pid) {
            return;
        }
        let Some(person) = self.people.ensure(at, pid, started) else {
            out.push(Output::TooMany);
            return;
        };
        person.program = Arc::clone(&program);
        person.unsettled = false;
        person.of_kernel = false;
        person.uid = Some(uid);
        person.memory = Some(memory);
        if !cgroups.is_empty() {
            person.cgroups = cgroups;
        }
        if let Some(life) = self.lives.get_mut(&pid) {
            life.exec(at, program, memory, out);
            out.push(Output::Discover(pid));
        } else {
            self.decide(pid, false, out);
        }
    }

    fn rename(&mut self, at: BootNanos, rename: Rename, out: &mut Vec<Output>) {
        let Rename {
            pid,
            started,
            uid,
            comm,
        } = rename;
        self.retire(at, pid, started, out);
        if self.is_old_news(at, pid) {
            return;
        }
        let Some(person) = self.people.ensure(at, pid, started) else {
            out.push(Output::TooMany);
            return;
        };
        person.uid = Some(uid);
        if person.program.comm == comm {
            return;
        }
        person.rename(&comm);
        if let Some(life) = self.lives.get_mut(&pid) {
            life.rename(at, comm, out);
        } else if !person.of_kernel {
            person.unsettled = true;
            self.decide(pid, false, out);
        }
    }

    fn mark(&mut self, at: BootNanos, mark: Mark, out: &mut Vec<Output>) {
        let Mark {
            pid,
            tid,
            source,
            name,
            name_state,
            details,
            memory,
        } = mark;
        let Some(life) = self.lives.get_mut(&pid) else {
            return;
        };
        life.sample(at, memory);
        let name = match source {
            MarkSource::Call => name,
            MarkSource::Function(cookie) => match self.rules.functions.get(&cookie) {
                Some(name) => name.clone(),
                None => format!("marker {cookie}"),
            },
            MarkSource::Init => {
                let name = (!name.is_empty()).then_some(name);
                let warning = threshold(details.as_deref(), "warning");
                let critical = threshold(details.as_deref(), "critical");
                life.tell(
                    at,
                    What::Init {
                        name,
                        warning,
                        critical,
                        memory,
                    },
                    out,
                );
                return;
            }
        };
        life.last_checkpoint = Some(name.clone());
        life.tell(
            at,
            What::Checkpoint(Checkpoint {
                name,
                details,
                name_state,
                tid,
                memory,
            }),
            out,
        );
    }

    fn exit(&mut self, at: BootNanos, exit: &Exit, out: &mut Vec<Output>) {
        let Exit {
            pid,
            started,
            status,
            unsent,
            peak,
            memory,
        } = *exit;
        if !self.kills.concerns(pid, started) {
            self.tell_unnamed((pid, started), out);
        }
        // It may be told twice: two threads that exit together both saw no other.
        self.people.end(pid, started);
        let is_it = self
            .lives
            .get(&pid)
            .is_some_and(|life| life.started == started);
        let life = if is_it { self.lives.remove(&pid) } else { None };
        let Some(mut life) = life else {
            self.bury(pid);
            return;
        };
        for lost in losses(unsent.since(life.unsent_at_kill)) {
            life.tell(at, What::Lost(lost), out);
        }
        life.tell(at, What::Exit(exit_entry(status, peak, memory)), out);
        self.close(*life, out);
        self.bury(pid);
    }

    /// The life is over and its end is told, unless a kill is to be told before that.
    fn close(&mut self, mut life: Life, out: &mut Vec<Output>) {
        if self.kills.is_awaited_by(&life) {
            self.kills.hold(life);
        } else {
            life.resume(out);
            out.push(Output::Ended(life.id, life.pid));
        }
    }

    /// Forgets a process that has ended, unless a kill that is still to be told names it.
    fn bury(&mut self, pid: Tgid) {
        let is_done =
            |person: &Person| person.ended && !self.kills.concerns(person.pid, person.started);
        if self.people.get(pid).is_some_and(is_done) {
            self.people.remove(pid);
        }
    }
}

/// A `wait(2)` status as an entry.
fn exit_entry(status: Option<i32>, peak: Bytes, memory: Option<crate::entry::Memory>) -> ExitEntry {
    let signal = status.map(|status| status & 0x7f);
    ExitEntry {
        code: status
            .filter(|_| signal == Some(0))
            .map(|status| status >> 8 & 0xff),
        signal: signal.filter(|signal| *signal != 0),
        core: status.is_some_and(|status| status & 0x80 != 0),
        peak: (peak.0 > 0).then_some(peak),
        memory,
    }
}

/// `warning=800.0;critical=950.0`, in the usual log's MB, as the drop-in sends it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a finite size between 0 and 2^53 bytes"
)]
fn threshold(details: Option<&str>, key: &str) -> Option<Bytes> {
    let value = details?
        .split(';')
        .find_map(|part| part.strip_prefix(key)?.strip_prefix('='))?;
    let mb: f64 = value.parse().ok()?;
    (mb.is_finite() && mb > 0.0 && mb < 8e9).then_some(Bytes((mb * MB as f64) as u64))
}
