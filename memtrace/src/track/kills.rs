//! Which SIGKILL was whose: signals and OOM marks joined into one story for each victim.
//!
//! The kernel signals first and marks microseconds later (`mm/oom_kill.c`), on other cpus the victim
//! may die in between. So a kill waits a moment before it is told, and the victim's own end waits
//! with it.

use std::collections::VecDeque;

use super::{
    Life, Output, Track,
    constraint::{self, Machine},
    losses::losses,
    natives::Unnamed,
    neighbours,
};
use crate::{
    entry::{Actor, Entry, Lost, Neighbours, OomKill, Sigkill, SigkillKind, What},
    event::{self, OomMark, Origin, Unsent},
    units::{BootNanos, Tgid, Tid},
};

/// How long a kill waits for the rest of its story. An OOM of a whole cgroup marks its victims
/// within microseconds; printing to a slow console in between takes a few milliseconds.
const HOLD_NS: u64 = 20_000_000;
/// No kill waits longer than this for others of its OOM: the report is to stand on disk in time.
pub(super) const LONGEST_HOLD_NS: u64 = 60_000_000;
/// Marks of one trigger within this time are one OOM.
const CLUSTER_NS: u64 = 1_000_000_000;
/// Signals and kills that are remembered.
pub(super) const REMEMBERED: usize = 1024;
/// A reclaim that began longer ago than this was for something else.
const RECLAIM_SECONDS: f64 = 10.0;

#[derive(Debug, Default)]
pub(super) struct Kills {
    signals: Vec<Signal>,
    marks: Vec<Marked>,
    /// Told, and of an OOM that may go on.
    told: VecDeque<Marked>,
    /// Who else was told: process and trigger. The last of them.
    known: VecDeque<(Tgid, BootNanos, Tid)>,
    held: Vec<Life>,
    /// Stacks whose frames have no names yet.
    pub(super) unnamed: Unnamed,
    last_census: BootNanos,
}

/// A SIGKILL from the kernel that is not explained yet.
#[derive(Debug)]
struct Signal {
    at: BootNanos,
    pid: Tgid,
    started: BootNanos,
    sender_tid: Tid,
    memory: crate::entry::Memory,
    comm: String,
    kill: Sigkill,
    joined: bool,
}

/// A victim of the OOM killer.
#[derive(Debug, Clone)]
struct Marked {
    at: BootNanos,
    pid: Tgid,
    started: BootNanos,
    trigger_tid: Tid,
    /// When the trigger last began to reclaim.
    reclaimed: Option<BootNanos>,
    /// Inode of the cgroup whose limit was hit.
    group: Option<u64>,
    kill: OomKill,
    neighbours: Option<Neighbours>,
    /// Stacks of its threads are yet to come.
    awaits_stacks: bool,
    /// When the last one came.
    stacked: Option<BootNanos>,
    /// What could not be sent of the victim until then.
    lost: Vec<Lost>,
}

impl Marked {
    /// Between two OOMs a thread reclaims again.
    fn is_of_one_oom_with(&self, other: &Self) -> bool {
        (self.trigger_tid, self.group) == (other.trigger_tid, other.group)
            && self.reclaimed == other.reclaimed
            && self.at.0.abs_diff(other.at.0) < CLUSTER_NS
    }
}

impl Kills {
    /// A kill of this process waits to be told.
    pub(super) fn concerns(&self, pid: Tgid, started: BootNanos) -> bool {
        self.signals
            .iter()
            .any(|signal| (signal.pid, signal.started) == (pid, started))
            || self
                .marks
                .iter()
                .any(|mark| (mark.pid, mark.started) == (pid, started))
            || self.unnamed.concerns((pid, started))
    }

    #[cfg(test)]
    pub(super) fn is_idle(&self) -> bool {
        self.signals.is_empty()
            && self.marks.is_empty()
            && self.held.is_empty()
            && self.unnamed.deadline().is_none()
    }

    /// A thread of a victim was killed, which another may soon be.
    pub(super) fn stack_came(&mut self, at: BootNanos, who: (Tgid, BootNanos)) {
        for mark in &mut self.marks {
            if (mark.pid, mark.started) == who {
                mark.stacked = Some(at);
            }
        }
    }

    /// A life that has ended and waits for its kill.
    pub(super) fn held_life(&mut self, who: (Tgid, BootNanos)) -> Option<&mut Life> {
        self.held
            .iter_mut()
            .find(|held| (held.pid, held.started) == who)
    }

    /// A kill is to be told in this life. A process that was taken for dead and is met again has
    /// two: the first one tells the kill.
    pub(super) fn is_awaited_by(&self, life: &Life) -> bool {
        let who = (life.pid, life.started);
        self.concerns(who.0, who.1) && !self.held.iter().any(|held| (held.pid, held.started) == who)
    }

    /// Keeps a life that has ended until its kill is told.
    pub(super) fn hold(&mut self, life: Life) {
        self.held.push(life);
    }

    /// All who were marked, and by whom.
    fn marked(&self) -> impl Iterator<Item = (Tgid, BootNanos, Tid)> {
        let marks = self.marks.iter().chain(&self.told);
        let recent = marks.map(|mark| (mark.pid, mark.started, mark.trigger_tid));
        recent.chain(self.known.iter().copied())
    }

    fn knows(&self, pid: Tgid, started: BootNanos) -> bool {
        self.marked()
            .any(|(marked, since, _)| (marked, since) == (pid, started))
    }

    /// This sender has marked this very process: its signal is part of that kill.
    fn explains(&self, (pid, started): (Tgid, BootNanos), sender: Tid) -> bool {
        self.marked().any(|mark| mark == (pid, started, sender))
    }

    /// Remembers a mark that was told; whole only as long as others of its OOM may come.
    fn remember(&mut self, mark: Marked) {
        let now = mark.at.0;
        self.told.push_back(mark);
        let is_old = |mark: &Marked| mark.at.0 + CLUSTER_NS < now;
        let old = self.told.iter().take_while(|mark| is_old(mark)).count();
        let old = self.told.drain(..old);
        self.known
            .extend(old.map(|mark| (mark.pid, mark.started, mark.trigger_tid)));
        if self.told.len() > REMEMBERED {
            self.told.pop_front();
        }
        let too_many = self.known.len().saturating_sub(REMEMBERED);
        self.known.drain(..too_many);
    }

    /// Other victims of the OOM that killed this one.
    fn together(&self, with: &Marked) -> Vec<Actor> {
        self.marks
            .iter()
            .chain(&self.told)
            .filter(|other| other.pid != with.pid && other.is_of_one_oom_with(with))
            .map(|other| other.kill.victim.clone())
            .collect()
    }

    /// When a mark is to be told: a moment after the last one of its OOM, but not after many.
    fn due(&self, mark: &Marked) -> BootNanos {
        let latest = BootNanos(mark.at.0.saturating_add(LONGEST_HOLD_NS));
        let is_named = !self.unnamed.concerns((mark.pid, mark.started));
        if mark.awaits_stacks && mark.stacked.is_none() || !is_named {
            return latest;
        }
        let same = self
            .marks
            .iter()
            .filter(|other| other.is_of_one_oom_with(mark));
        let last = same.map(|other| other.at).chain(mark.stacked).max();
        due(last.unwrap_or(mark.at)).min(latest)
    }

    /// The victim whose memory the target of an unmarked signal shares: the kernel signals those
    /// right after it has marked the victim.
    fn sharer_of(&self, signal: &Signal) -> Option<Marked> {
        self.marks
            .iter()
            .chain(&self.told)
            .filter(|mark| {
                mark.trigger_tid == signal.sender_tid
                    && mark.at <= signal.at
                    && signal.at.0 - mark.at.0 < CLUSTER_NS
            })
            .max_by_key(|mark| mark.at)
            .cloned()
    }
}

impl Track {
    /// When [`Track::flush`] is due, if anything waits.
    pub fn deadline(&self) -> Option<BootNanos> {
        let signals = self.kills.signals.iter().map(|signal| signal.at);
        let marks = self.kills.marks.iter().map(|mark| self.kills.due(mark));
        let stacks = self.kills.unnamed.deadline();
        signals.map(due).chain(marks).chain(stacks).min()
    }

    pub(super) fn sigkill(
        &mut self,
        at: BootNanos,
        sigkill: event::Sigkill,
        out: &mut Vec<Output>,
    ) {
        if !sigkill.effective {
            return;
        }
        let event::Sigkill {
            pid,
            started,
            sender_tid,
            origin,
            memory,
            comm,
            ..
        } = sigkill;
        let sender = self.actor(
            (sigkill.sender_pid, sender_tid),
            &sigkill.sender_comm,
            Some(sigkill.sender_uid),
        );
        let how = match origin {
            // Of those without a sender in their siginfo only this one is for one thread; kill(2) has
            // no siginfo either since 7.3.
            Origin::NoInfo | Origin::Code(0) if !sigkill.group => SigkillKind::CgroupKill,
            Origin::Code(-6) => SigkillKind::Tkill, // SI_TKILL
            Origin::Code(1..) => SigkillKind::Kernel,
            // SI_USER, and what else a program may write into a siginfo.
            Origin::NoInfo | Origin::Code(_) => SigkillKind::Kill,
            Origin::Kernel if sigkill.sender_pid == pid => SigkillKind::CpuLimit,
            Origin::Kernel => SigkillKind::PidNamespace,
        };
        let kill = Sigkill {
            sender,
            how,
            memory: (memory.rss().0 > 0).then_some(memory),
        };
        let life = self.life((pid, started));
        if origin != Origin::Kernel {
            if let Some(life) = life {
                life.tell(at, What::Sigkill(Box::new(kill)), out);
            }
            return;
        }
        if let Some(life) = life {
            life.wait(out);
        }
        let signal = Signal {
            at,
            pid,
            started,
            sender_tid,
            memory,
            comm,
            kill,
            joined: self.kills.explains((pid, started), sender_tid),
        };
        self.kills.signals.push(signal);
        if self.kills.signals.len() > REMEMBERED {
            let oldest = self.kills.signals.remove(0);
            self.tell_signal(oldest, out);
        }
    }

    pub(super) fn oom_mark(&mut self, at: BootNanos, mut mark: OomMark, out: &mut Vec<Output>) {
        if self.kills.knows(mark.pid, mark.started) {
            return; // another thread of the same victim
        }
        let mut signalled = false;
        for signal in &mut self.kills.signals {
            if (signal.pid, signal.started) == (mark.pid, mark.started)
                && signal.sender_tid == mark.trigger_tid
            {
                signal.joined = true;
                signalled = true;
            }
        }
        if let Some(life) = self.life((mark.pid, mark.started)) {
            life.wait(out);
            life.unsent_at_kill = mark.unsent;
        } else {
            // Its end came first and has told them.
            mark.unsent = Unsent::default();
        }
        mark.reclaim = mark
            .reclaim
            .filter(|reclaim| at.seconds_since(reclaim.at) < RECLAIM_SECONDS);
        let marked = self.marked(at, &mark, !signalled);
        self.kills.marks.push(marked);
        if self.kills.marks.len() > REMEMBERED {
            let oldest = self.kills.marks.remove(0);
            self.tell_mark(oldest, out);
        }
        // A storm of kills shares a census.
        if at.seconds_since(self.kills.last_census) >= 0.1 || self.kills.last_census.0 == 0 {
            self.kills.last_census = at;
            out.push(Output::Census);
        } else {
            self.look_around(at);
        }
    }

    fn marked(&self, at: BootNanos, mark: &OomMark, already_exiting: bool) -> Marked {
        let own = mark.trigger_pid == mark.pid;
        let machine = Machine {
            cgroup_v1: self.rules.cgroup_v1,
            total_memory: self.rules.total_memory,
        };
        let (constraint, group) = constraint::of(mark, machine);
        let path = constraint::path(&mark.groups);
        let mut victim = self.actor((mark.pid, mark.tid), &mark.comm, Some(mark.uid));
        victim.cgroup.clone_from(&path);
        let mut trigger = self.actor(
            (mark.trigger_pid, mark.trigger_tid),
            &mark.trigger_comm,
            Some(mark.trigger_uid),
        );
        if own {
            trigger.cgroup = path;
        }
        // A classic tracepoint shows nothing of the victim's structs.
        let seen = !mark.groups.is_empty();
        let kill = OomKill {
            victim,
            oom_score_adj: seen.then_some(mark.oom_score_adj),
            page_tables: seen.then_some(mark.page_tables),
            memory: mark.exact,
            printed: seen.then_some(mark.approximate),
            trigger,
            own,
            constraint,
            order: mark.reclaim.map(|reclaim| reclaim.order),
            gfp: mark.reclaim.map(|reclaim| reclaim.gfp),
            already_exiting,
            together_with: Vec::new(),
        };
        Marked {
            at,
            pid: mark.pid,
            started: mark.started,
            trigger_tid: mark.trigger_tid,
            reclaimed: mark.reclaim.map(|reclaim| reclaim.at),
            group,
            kill,
            neighbours: None,
            awaits_stacks: self.rules.stacks && self.lives.contains_key(&mark.pid),
            stacked: None,
            lost: losses(mark.unsent),
        }
    }

    fn actor(&self, (pid, tid): (Tgid, Tid), comm: &str, uid: Option<u32>) -> Actor {
        let mut actor = self
            .people
            .get(pid)
            .map(|person| person.actor(tid))
            .unwrap_or_default();
        actor.pid = pid;
        actor.tid = tid;
        actor.uid = uid.or(actor.uid);
        comm.clone_into(&mut actor.comm);
        actor
    }

    /// Notes how the others stand, for the kills that wait.
    pub(super) fn look_around(&mut self, at: BootNanos) {
        for mark in &mut self.kills.marks {
            if mark.neighbours.is_none() {
                let victim = (mark.pid, &mark.kill.victim, mark.kill.memory.rss());
                mark.neighbours = Some(neighbours::of(
                    &self.people,
                    &self.lives,
                    mark.group,
                    victim,
                    at,
                ));
            }
        }
    }

    /// All that is older has been taken: tells every kill whose time has come.
    pub fn flush(&mut self, now: BootNanos, out: &mut Vec<Output>) {
        self.told = self.told.max(now);
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        self.give_up_naming(now, out);
        while let Some(index) = self
            .kills
            .marks
            .iter()
            .position(|mark| self.kills.due(mark) <= now)
        {
            let mark = self.kills.marks.remove(index);
            self.tell_mark(mark, out);
        }
        while let Some(index) = self
            .kills
            .signals
            .iter()
            .position(|signal| due(signal.at) <= now)
        {
            let signal = self.kills.signals.remove(index);
            self.tell_signal(signal, out);
        }
    }

    /// The life of this very process, not of another one with its pid.
    fn life(&mut self, (pid, started): (Tgid, BootNanos)) -> Option<&mut Life> {
        self.lives
            .get_mut(&pid)
            .map(Box::as_mut)
            .filter(|life| life.started == started)
    }

    fn tell_mark(&mut self, mut mark: Marked, out: &mut Vec<Output>) {
        mark.kill.together_with = self.kills.together(&mark);
        // The kill comes last: with it the story is complete.
        let lost = mark.lost.iter().cloned().map(What::Lost);
        let neighbours = mark.neighbours.take().map(What::Neighbours);
        let kill = What::OomKill(Box::new(mark.kill.clone()));
        let entries = lost
            .chain(neighbours)
            .chain([kill])
            .map(|what| Entry { at: mark.at, what })
            .collect();
        if !self.explain((mark.pid, mark.started), entries, out) {
            out.push(Output::UntracedKill(Box::new(mark.kill.clone())));
        }
        self.kills.remember(mark);
    }

    /// A signal from the kernel. If a mark explains it, the mark is told instead. The OOM killer
    /// also signals, without a mark, processes that share the victim's memory.
    fn tell_signal(&mut self, signal: Signal, out: &mut Vec<Output>) {
        let Signal {
            at, pid, started, ..
        } = signal;
        let what = if signal.joined {
            None
        } else if let Some(mark) = self.kills.sharer_of(&signal) {
            let kill = OomKill {
                together_with: vec![mark.kill.victim.clone()],
                victim: self.actor((pid, Tid(pid.0)), &signal.comm, None),
                own: mark.kill.trigger.pid == pid,
                memory: signal.memory,
                printed: None,
                oom_score_adj: None,
                already_exiting: false,
                ..mark.kill
            };
            Some(What::OomKill(Box::new(kill)))
        } else {
            Some(What::Sigkill(Box::new(signal.kill)))
        };
        let entries = what.map(|what| Entry { at, what }).into_iter().collect();
        self.explain((pid, started), entries, out);
    }

    /// Tells a life what killed it, and the rest once nothing more is waited for. False if nobody
    /// traces the process.
    fn explain(&mut self, who: (Tgid, BootNanos), kill: Vec<Entry>, out: &mut Vec<Output>) -> bool {
        // Its stacks are part of the kill, and the story is over with it.
        let is_over = |entry: &Entry| matches!(entry.what, What::OomKill(_));
        if kill.iter().any(is_over) {
            self.tell_unnamed(who, out);
        } else {
            self.tell_unnamed_growth(who, out);
        }
        let mut kill = Some(kill);
        let held = self.kills.held_life(who);
        let mut traced = held.is_some();
        if let Some(life) = held {
            life.explain(kill.take().unwrap_or_default(), out);
        }
        if let Some(life) = self.life(who) {
            traced = true;
            life.explain(kill.take().unwrap_or_default(), out);
        }
        self.let_go_on([who], out);
        self.bury(who.0);
        traced
    }

    /// Nothing of this process waits any more: its life goes on, or ends.
    pub(super) fn release(&mut self, who: (Tgid, BootNanos), out: &mut Vec<Output>) {
        let is_it = |life: &Life| (life.pid, life.started) == who;
        if let Some(index) = self.kills.held.iter().position(is_it) {
            let mut life = self.kills.held.remove(index);
            life.resume(out);
            out.push(Output::Ended(life.id, life.pid));
        }
        if let Some(life) = self.life(who) {
            life.resume(out);
        }
        self.bury(who.0);
    }
}

fn due(at: BootNanos) -> BootNanos {
    BootNanos(at.0.saturating_add(HOLD_NS))
}
